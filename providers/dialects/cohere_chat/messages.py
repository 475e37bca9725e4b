"""A conversation as Cohere wants it. Pure.

What a tool gave back is text here; an image among it is shown by the user right after.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Media,
    Message,
    Misfit,
    Opaque,
    Part,
    Refusal,
    Request,
    Target,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.dialects.media_types import type_of_base64

NAME: Final = "cohere_chat"
#: Models that do not think; those that come after them do.
_THOUGHTLESS: Final = re.compile(r"command-(?:r|light|nightly|a-(?:03|vision|translate)|xlarge)|^command$|aya|c4ai")
_SEE_IMAGE: Final = "(see the image that follows)"

Block = dict[str, Any]


class Room(msgspec.Struct):
    """What the writing of one request shares: the documents to be cited, and what was left out."""

    reasons: bool
    documents: list[Block] = msgspec.field(default_factory=list)
    dropped: dict[str, None] = msgspec.field(default_factory=dict)

    def drop(self, name: str) -> None:
        self.dropped[name] = None


def thinks(target: Target) -> bool:
    """Whether the target's model has thoughts."""
    if target.reasons is not None:
        return target.reasons
    return _THOUGHTLESS.search(target.model.lower()) is None


def write_messages(request: Request, room: Room) -> list[Block]:
    """Raises Misfit."""
    messages: list[Block] = []
    images: list[Block] = []
    for message in request.messages:
        if message.name:
            room.drop("name")
        if message.role != "tool" and images:
            messages.append({"role": "user", "content": images})
            images = []
        if message.role == "assistant":
            messages += _assistant(message, room)
        elif message.role == "tool":
            messages += _results(message, images, room)
        else:
            messages += _spoken(message, room)
    if images:
        messages.append({"role": "user", "content": images})
    return messages


def _spoken(message: Message, room: Room) -> list[Block]:
    """What the system or the user said."""
    role = "user" if message.role == "user" else "system"
    blocks = [block for part in message.parts if (block := _said(part, room)) is not None]
    if role == "system" and any(block.get("type") != "text" for block in blocks):
        raise Misfit("This upstream takes only text in a system message.", "messages", unsupported=True)
    return [{"role": role, "content": _plain(blocks)}] if blocks else []


def _plain(blocks: list[Block]) -> str | list[Block]:
    """One text as text."""
    if len(blocks) == 1 and blocks[0].get("type") == "text" and "text" in blocks[0]:
        return str(blocks[0]["text"])
    return blocks


def _said(part: Part, room: Room) -> Block | None:
    match part:
        case Text(text):
            if part.cache is not None:
                room.drop("cache_control")
            return {"type": "text", "text": text}
        case Refusal(text):
            return {"type": "text", "text": text}
        case Media(kind="image"):
            return image(part)
        case Media(kind="document"):
            return _document(part, room)
        case Media(kind=kind):
            raise Misfit(f"This upstream takes no {kind}.", "messages", unsupported=True)
        case Opaque():
            return _opaque(part, room)
        case Thinking():
            room.drop("thinking")
    return None


def _opaque(part: Opaque, room: Room) -> Block | None:
    if part.dialect == NAME:
        return part.value
    room.drop(f"opaque:{part.value.get('type', part.dialect)}")
    return None


def image(part: Media) -> Block:
    """An image by its address, or within one."""
    if part.url.startswith(("http://", "https://", "data:")):
        url = part.url
    elif part.data:
        url = f"data:{part.media_type or type_of_base64(part.data) or 'image/png'};base64,{part.data}"
    else:
        raise Misfit(
            "This upstream takes no image by the id of a file: send its address, or its data in base64.",
            "messages",
            unsupported=True,
        )
    found: Block = {"url": url}
    if part.detail:
        found["detail"] = part.detail
    return {"type": "image_url", "image_url": found}


def _document(part: Media, room: Room) -> Block | None:
    """A document that is to be cited stands beside the conversation, any other among the user's words."""
    data = _document_data(part)
    citations = part.extras.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        room.documents.append({"id": f"doc:{len(room.documents)}", "data": data})
        return None
    return {"type": "text", "text": "\n\n".join(data.values())}


def _document_data(part: Media) -> dict[str, str]:
    text = part.text
    if not text and part.data and part.media_type.startswith("text/"):
        try:
            text = base64.b64decode(part.data).decode()
        except ValueError as error:
            raise Misfit("A document's data is not text in base64.", "messages") from error
    if not text:
        what = part.media_type or "whose type was not said"
        raise Misfit(
            f"This upstream takes documents as text only, not one {what}: send its text.", "messages", unsupported=True
        )
    given = part.extras.get("title")
    title = part.name or (given if isinstance(given, str) else "")
    return {"title": title, "text": text} if title else {"text": text}


def _assistant(message: Message, room: Room) -> list[Block]:
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCall)]
    content: list[Block] = []
    citations: list[Block] = []
    plan: list[str] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            continue
        if isinstance(part, Media):
            raise Misfit(f"This upstream takes no {part.kind} of the assistant's.", "messages", unsupported=True)
        if isinstance(part, Thinking):
            _thought(part, content, plan, bool(calls), room)
            continue
        block = _said(part, room)
        if block is not None and block.get("text") != "":
            if isinstance(part, Text):
                citations += _citations(part, len(content), room)
            content.append(block)
    made: Block = {"role": "assistant"}
    if content:
        made["content"] = _plain(content) if not citations else content
    if plan:
        made["tool_plan"] = "".join(plan)
    if calls:
        made["tool_calls"] = calls
    if citations:
        made["citations"] = citations
    return [made] if content or calls else []


def _thought(part: Thinking, content: list[Block], plan: list[str], calls: bool, room: Room) -> None:
    """Thoughts go back as they came: blocks of models that think, and plans of those that only plan their calls."""
    if part.text and room.reasons:
        content.append({"type": "thinking", "thinking": part.text})
    elif part.text and calls:
        plan.append(part.text)
    else:
        room.drop("thinking")


def _citations(part: Text, at: int, room: Room) -> list[Block]:
    """Those that Cohere made, each once: one of several sources was read into several."""
    found: list[Block] = []
    for citation in part.citations:
        if citation.dialect != NAME or citation.value is None:
            room.drop("citations")
        elif not found or found[-1] != citation.value:
            found.append(citation.value)
    return [{**value, "content_index": at} if "content_index" in value else value for value in found]


def _call(part: ToolCall) -> Block:
    arguments = part.arguments
    if part.free:
        arguments = msgspec.json.encode({"input": arguments}).decode()
    function = {"name": part.name, "arguments": arguments if arguments.strip() else "{}"}
    return {"id": part.id, "type": "function", "function": function}


def _results(message: Message, images: list[Block], room: Room) -> list[Block]:
    made: list[Block] = []
    for part in message.parts:
        if not isinstance(part, ToolResult):
            continue
        content: list[Block] = []
        for inner in part.parts:
            if isinstance(inner, Text):
                content.append({"type": "text", "text": inner.text})
            elif inner.kind == "image":
                images.append(image(inner))
                content.append({"type": "text", "text": _SEE_IMAGE})
            elif inner.kind == "document":
                content.append({"type": "document", "document": {"data": _document_data(inner)}})
            else:
                raise Misfit(f"This upstream takes no {inner.kind} of a tool's.", "messages", unsupported=True)
        if part.failed:
            room.drop("is_error")
        made.append({"role": "tool", "tool_call_id": part.call_id, "content": _plain(content) if content else ""})
    return made
