"""Content blocks, as clients and upstreams say them, read into parts. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects import signatures
from providers.dialects.anthropic_messages import members
from providers.dialects.anthropic_messages.words import NAME
from providers.dialects.canon import Cache, Citation, Media, Misfit, Opaque, Part, Text, Thinking, ToolCall, ToolResult

_encode: Final = msgspec.json.Encoder().encode
_PLAIN: Final = "text/plain"


def read_content(content: Any, param: str) -> tuple[Part, ...]:
    """The parts of a message whose content is a string or a list of blocks. Raises canon.Misfit."""
    if isinstance(content, str):
        return (Text(content),)
    if not isinstance(content, list):
        raise members.wrong(param, "a string or a list of content blocks")
    return _rejoined(tuple(read_block(block, f"{param}.{at}") for at, block in enumerate(content)))


def read_block(block: Any, param: str) -> Part:
    """The part that one block is; a block that no other dialect knows stays as it is. Raises canon.Misfit."""
    if not isinstance(block, dict):
        raise members.wrong(param, "a content block, an object with a `type`")
    kind = members.needed(block, "type", f"{param}.type")
    match kind:
        case "text":
            text = members.needed(block, "text", f"{param}.text")
            return Text(text, _citations(block), cache(block))
        case "thinking" | "redacted_thinking":
            return _thinking(block, kind, param)
        case "tool_use":
            return _tool_use(block, param)
        case "tool_result":
            return _tool_result(block, param)
        case "image" | "document":
            return _media(block, kind, param)
        case "search_result":
            return _search_result(block)
    return Opaque(NAME, block)


def cache(block: dict[str, Any]) -> Cache | None:
    """The mark of a block, or of a tool."""
    mark = block.get("cache_control")
    if not isinstance(mark, dict):
        return None
    ttl = mark.get("ttl")
    return Cache(ttl if isinstance(ttl, str) else "")


def read_citation(found: Any) -> Citation | None:
    """A citation. One that this package made of another dialect's has no index that the API would take back."""
    if not isinstance(found, dict):
        return None
    url = found.get("url") if isinstance(found.get("url"), str) else found.get("source")
    title = found.get("title") or found.get("document_title")
    quote = found.get("cited_text")
    foreign = found.get("type") == "web_search_result_location" and not found.get("encrypted_index")
    return Citation(
        url=url if isinstance(url, str) else "",
        title=title if isinstance(title, str) else "",
        quote=quote if isinstance(quote, str) else "",
        dialect="" if foreign else NAME,
        value=None if foreign else found,
    )


def _citations(block: dict[str, Any]) -> tuple[Citation, ...]:
    listed = block.get("citations")
    found = map(read_citation, listed) if isinstance(listed, list) else ()
    return tuple(citation for citation in found if citation is not None)


def _thinking(block: dict[str, Any], kind: str, param: str) -> Thinking:
    redacted = kind == "redacted_thinking"
    carried = members.text(block, "data" if redacted else "signature", param)
    signature, signer, item = signatures.unframed(carried, NAME)
    said = "" if redacted else members.text(block, "thinking", f"{param}.thinking")
    return Thinking(said, signature, signer, redacted, item)


def arguments_of(given: Any, param: str) -> str:
    """The JSON text of a call's `input`."""
    if given is not None and not isinstance(given, dict):
        raise members.wrong(param, "an object")
    try:
        return _encode(given or {}).decode()
    except RecursionError as error:
        raise Misfit(f"`{param}` is nested too deeply.", param) from error


def _tool_use(block: dict[str, Any], param: str) -> ToolCall:
    extras = members.others(block, "type", "id", "name", "input", "cache_control")
    if extras.get("caller") == {"type": "direct"}:
        del extras["caller"]
    return ToolCall(
        id=members.text(block, "id", f"{param}.id"),
        name=members.needed(block, "name", f"{param}.name"),
        arguments=arguments_of(block.get("input"), f"{param}.input"),
        cache=cache(block),
        extras=extras,
    )


def _tool_result(block: dict[str, Any], param: str) -> ToolResult:
    content = block.get("content")
    found = () if content is None else read_content(content, f"{param}.content")
    parts = tuple(part for part in found if isinstance(part, Text | Media))
    extras = members.others(block, "type", "tool_use_id", "content", "is_error", "cache_control")
    if len(parts) < len(found):
        extras["content"] = content
    return ToolResult(
        call_id=members.needed(block, "tool_use_id", f"{param}.tool_use_id"),
        parts=parts,
        failed=members.flag(block, "is_error", f"{param}.is_error") or False,
        cache=cache(block),
        extras=extras,
    )


def _media(block: dict[str, Any], kind: Any, param: str) -> Media | Opaque:
    source = members.mapping(block, "source", f"{param}.source")
    if source is None:
        raise members.wrong(f"{param}.source", "an object")
    extras = {
        k: v for k, v in members.others(block, "type", "source", "title", "cache_control").items() if v is not None
    }
    made = Media(kind=kind, name=members.text(block, "title", param), cache=cache(block), extras=extras)
    where = f"{param}.source"
    match source.get("type"):
        case "base64":
            data = members.needed(source, "data", f"{where}.data")
            return _with(made, data=data, media_type=members.text(source, "media_type", where))
        case "url":
            return _with(made, url=members.needed(source, "url", f"{where}.url"))
        case "file":
            return _with(made, file_id=members.needed(source, "file_id", f"{where}.file_id"))
        case "text":
            return _with(made, text=members.needed(source, "data", f"{where}.data"), media_type=_PLAIN)
        case "content":
            said = _said(source.get("content"), f"{where}.content")
            return _with(made, text=said, media_type=_PLAIN, extras={**extras, "source": source})
    return Opaque(NAME, block)


def _with(media: Media, **changes: Any) -> Media:
    return msgspec.structs.replace(media, **changes)


def _said(content: Any, param: str) -> str:
    """The words of a document that is made of blocks."""
    return "\n\n".join(part.text for part in read_content(content or [], param) if isinstance(part, Text))


def _search_result(block: dict[str, Any]) -> Media | Opaque:
    """What a client's own search found: for every other dialect a document with these words."""
    content, title = block.get("content"), block.get("title")
    if not isinstance(content, list):
        return Opaque(NAME, block)
    said = _said(content, "content")
    name = title if isinstance(title, str) else ""
    extras = {"search_result": block}
    return Media(kind="document", text=said, media_type=_PLAIN, name=name, cache=cache(block), extras=extras)


def _rejoined(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts, with the signatures of tool calls that travelled beside them (see `saying.carrier`) put back."""
    carried = {
        part.id: part
        for part in parts
        if isinstance(part, Thinking) and part.redacted and part.id and part.signer != NAME
    }
    if not carried:
        return parts
    found: list[Part] = []
    used: set[str] = set()
    for part in parts:
        if isinstance(part, ToolCall) and part.id in carried:
            used.add(part.id)
            proof = carried[part.id]
            found.append(msgspec.structs.replace(part, signature=proof.signature, signer=proof.signer))
        else:
            found.append(part)
    return tuple(part for part in found if not (isinstance(part, Thinking) and part.id in used))
