"""Parts of messages as Converse's content blocks. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, Final

import msgspec

from providers.dialects.bedrock_converse.models import Model
from providers.dialects.canon import (
    Cache,
    Media,
    Misfit,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.dialects.media_types import type_of_base64
from providers.dialects.values import UNREADABLE, object_in

NAME: Final = "bedrock_converse"
#: Whose signatures Converse takes back: its own, and those of Claude's own API, which are the same.
SIGNERS: Final = (NAME, "anthropic_messages")
_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_-]")
_NOT_IN_TITLES: Final = re.compile(r"[^A-Za-z0-9\-()\[\] ]+")
_MOST_TITLE: Final = 190
#: What a tool that said nothing is said to have said: blocks of text must not be empty.
_NO_OUTPUT: Final = "(no output)"

#: Converse's word for a format, by the MIME type.
_FORMATS: Final[dict[str, dict[str, str]]] = {
    "image": {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"},
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/markdown": "md",
        "text/plain": "txt",
    },
    "video": {
        "video/x-matroska": "mkv",
        "video/quicktime": "mov",
        "video/mp4": "mp4",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    },
    "audio": {
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/mp4": "m4a",
        "audio/webm": "webm",
        "audio/pcm": "pcm",
    },
}
MEDIA_TYPES: Final = {
    kind: {word: media_type for media_type, word in reversed(words.items())} for kind, words in _FORMATS.items()
}


class Room(msgspec.Struct):
    """What the writing of one request shares: the model, the names of documents in use, and what was left out."""

    model: Model
    titles: set[str] = msgspec.field(default_factory=set)
    dropped: dict[str, None] = msgspec.field(default_factory=dict)

    def drop(self, name: str) -> None:
        self.dropped[name] = None


def blocks_of(part: Part, room: Room) -> list[dict[str, Any]]:
    """The blocks that say a part; none where it cannot be said and does no harm. Raises Misfit."""
    match part:
        case Text():
            return [*_text(part, room), *cache_point(part.cache, room)] if part.text.strip() else []
        case Refusal(text):
            return [{"text": text}] if text.strip() else []
        case Media():
            return [_media(part, room), *cache_point(part.cache, room)]
        case Thinking():
            return _thinking(part, room)
        case ToolCall():
            return [_call(part), *cache_point(part.cache, room)]
        case ToolResult():
            return [_result(part, room), *cache_point(part.cache, room)]
        case Opaque():
            return _opaque(part, room)


def cache_point(cache: Cache | None, room: Room) -> list[dict[str, Any]]:
    """The block that marks what stands before it; none where the model has no cache to be told of."""
    if cache is None:
        return []
    if not room.model.caches:
        room.drop("cache_control")
        return []
    point = {"type": "default"}
    if cache.ttl == "1h" and room.model.is_claude:
        point["ttl"] = cache.ttl
    return [{"cachePoint": point}]


def _text(part: Text, room: Room) -> list[dict[str, Any]]:
    own = [citation.value for citation in part.citations if citation.dialect == NAME and citation.value is not None]
    if len(own) < len(part.citations):
        room.drop("citations")
    elif own and room.model.is_claude:
        return [{"citationsContent": {"content": [{"text": part.text}], "citations": own}}]
    return [{"text": part.text}]


def _opaque(part: Opaque, room: Room) -> list[dict[str, Any]]:
    if part.dialect == NAME:
        return [part.value]
    room.drop(f"opaque:{part.value.get('type', part.dialect)}")
    return []


def _thinking(part: Thinking, room: Room) -> list[dict[str, Any]]:
    """Only signed thoughts go back, to the models that sign them."""
    if not part.signature or part.signer not in SIGNERS or not room.model.is_claude:
        room.drop("thinking")
        return []
    if not part.redacted:
        return [{"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}]
    # Converse has it as bytes, in base64 on the wire; its own was kept as it came.
    hidden = part.signature
    if part.signer != NAME:
        hidden = base64.b64encode(hidden.encode()).decode()
    return [{"reasoningContent": {"redactedContent": hidden}}]


def _call(part: ToolCall) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call_id(part.id), "name": known_name(part.name), "input": _input(part)}}


def _input(part: ToolCall) -> dict[str, Any]:
    """Arguments are an object here; what is none goes into one."""
    if part.free:
        return {"input": part.arguments}
    if not part.arguments.strip():
        return {}
    try:
        found = msgspec.json.decode(part.arguments)
    except UNREADABLE:
        found = part.arguments
    return found if isinstance(found, dict) else {"arguments": found}


def _result(part: ToolResult, room: Room) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for inner in part.parts:
        if isinstance(inner, Media):
            content.append(_media(inner, room))
        elif inner.text.strip():
            content.append(_output(inner.text, room.model))
    result: dict[str, Any] = {
        "toolUseId": call_id(part.call_id),
        "content": content or [_output(_NO_OUTPUT, room.model)],
    }
    if part.failed and room.model.takes_status:
        result["status"] = "error"
    return {"toolResult": result}


def _output(text: str, model: Model) -> dict[str, Any]:
    """Mistral's models take what a tool said as JSON only."""
    if model.vendor != "mistral":
        return {"text": text}
    found = object_in(text)
    return {"json": {"output": text} if found is None else found}


def call_id(given: str) -> str:
    """The id of a call in Converse's alphabet: as it is, or always the same other one."""
    return (
        given if _ID.fullmatch(given) else "call_" + hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()[:32]
    )


def known_name(name: str) -> str:
    """The name of a tool that was called before, in Converse's alphabet."""
    return _NOT_IN_NAMES.sub("_", name)[:64] or "tool"


# --- media -----------------------------------------------------------------------------------------------------------


def _media(part: Media, room: Room) -> dict[str, Any]:
    source = _source(part, room.model)
    block: dict[str, Any] = {"format": _format(part), "source": source}
    if part.kind == "document":
        block["name"] = _title(part, room)
        context, citations = part.extras.get("context"), part.extras.get("citations")
        if isinstance(context, str) and context:
            block["context"] = context
        if isinstance(citations, dict) and "enabled" in citations:
            block["citations"] = {"enabled": bool(citations["enabled"])}
    return {part.kind: block}


def _source(part: Media, model: Model) -> dict[str, Any]:
    for address in (part.url, part.file_id):
        if address.startswith("s3://"):
            return {"s3Location": {"uri": address}}
    if part.data:
        return {"bytes": part.data}
    if part.text and part.kind == "document":
        # Only Claude takes text as text; as bytes every model takes it.
        return {"text": part.text} if model.is_claude else {"bytes": base64.b64encode(part.text.encode()).decode()}
    what = "by its address" if part.url else "by the id of a file"
    raise Misfit(
        f"This upstream takes no {part.kind} {what}: send its data in base64, or an s3:// address.",
        "messages",
        unsupported=True,
    )


def _format(part: Media) -> str:
    """Converse's word for the format, by how the data begin, the type, or the name."""
    known = _FORMATS[part.kind]
    media_type = part.media_type.partition(";")[0].strip().lower()
    found = known.get(type_of_base64(part.data)) or known.get(media_type)
    if found is None:
        extension = (part.name or part.url).rpartition(".")[2].lower()
        extension = {"jpg": "jpeg", "3gp": "three_gp", "htm": "html"}.get(extension, extension)
        found = extension if extension in known.values() else None
    if found is None and part.kind == "document" and (media_type.startswith("text/") or (part.text and not media_type)):
        found = "txt"
    if found is None:
        raise Misfit(
            f"This upstream takes no {part.kind} of the type {media_type or 'that was not said'}: "
            f"send one of {', '.join(sorted(set(known.values())))}, with its type.",
            "messages",
            unsupported=True,
        )
    return found


def _title(part: Media, room: Room) -> str:
    """A name for a document in the alphabet that is allowed, different from those of all others."""
    given = part.extras.get("title")
    wanted = part.name or (given if isinstance(given, str) else "")
    stem = wanted.rpartition(".")[0] or wanted
    title = " ".join(_NOT_IN_TITLES.sub(" ", stem).split())[:_MOST_TITLE].strip() or "Document"
    found, number = title, 1
    while found in room.titles:
        number += 1
        found = f"{title} {number}"
    room.titles.add(found)
    return found
