"""A conversation as Ollama wants it: one text a message, and images beside it. Pure."""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Media,
    Misfit,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.dialects.values import UNREADABLE

NAME: Final = "ollama_native"
#: Between texts that were apart.
_BETWEEN: Final = "\n\n"

Said = dict[str, Any]


class Room(msgspec.Struct):
    """What the writing of one request shares: the names of the tools that were called, and what was left out."""

    names: dict[str, str] = msgspec.field(default_factory=dict)
    dropped: dict[str, None] = msgspec.field(default_factory=dict)

    def drop(self, name: str) -> None:
        self.dropped[name] = None


def write_messages(request: Request, room: Room) -> list[Said]:
    """Raises Misfit."""
    messages: list[Said] = []
    for message in request.messages:
        if message.name:
            room.drop("name")
        if message.role == "tool":
            messages += [_result(part, room) for part in message.parts if isinstance(part, ToolResult)]
            continue
        role = "system" if message.role == "developer" else message.role
        made = _made(role, message.parts, room)
        if len(made) > 2 or made["content"]:
            messages.append(made)
    return messages


def _made(role: str, parts: tuple[Part, ...], room: Room) -> Said:
    texts: list[str] = []
    thoughts: list[str] = []
    images: list[str] = []
    calls: list[Said] = []
    for part in parts:
        match part:
            case Text(text):
                _note(part, room)
                texts.append(text)
            case Refusal(text):
                texts.append(text)
            case Thinking(text):
                if text:
                    thoughts.append(text)
                else:
                    room.drop("thinking")
            case Media():
                _media(part, texts, images)
            case ToolCall():
                room.names[part.id] = part.name
                calls.append(_call(part))
            case Opaque():
                room.drop(f"opaque:{part.value.get('type', part.dialect)}")
    made: Said = {"role": role, "content": _BETWEEN.join(text for text in texts if text)}
    for name, value in (("thinking", _BETWEEN.join(thoughts)), ("images", images), ("tool_calls", calls)):
        if value:
            made[name] = value
    return made


def _note(part: Text, room: Room) -> None:
    if part.cache is not None:
        room.drop("cache_control")
    if part.citations:
        room.drop("citations")


def _media(part: Media, texts: list[str], images: list[str]) -> None:
    if part.kind == "image" and part.data:
        images.append(part.data)
    elif part.kind == "image" and part.url.startswith("data:") and ";base64," in part.url:
        images.append(part.url.partition(";base64,")[2])
    elif part.kind == "document" and (part.text or part.media_type.startswith("text/")):
        texts += [part.name, part.text or _decoded(part.data)]
    else:
        how = " by its address or id: send its data in base64" if part.kind == "image" else ""
        raise Misfit(f"This upstream takes no {part.kind}{how}.", "messages", unsupported=True)


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except ValueError as error:
        raise Misfit("A document's data is not text in base64.", "messages") from error


def _call(part: ToolCall) -> Said:
    """Arguments are an object here; what is none goes into one."""
    try:
        found: Any = msgspec.json.decode(part.arguments) if part.arguments.strip() and not part.free else {}
    except UNREADABLE:
        found = part.arguments
    if part.free:
        found = {"input": part.arguments}
    made: Said = {"function": {"name": part.name, "arguments": found if isinstance(found, dict) else {"value": found}}}
    return {"id": part.id, **made} if part.id else made


def _result(part: ToolResult, room: Room) -> Said:
    if part.failed:
        room.drop("is_error")
    made = _made("tool", part.parts, room)
    name = part.name or room.names.get(part.call_id, "")
    if name:
        made["tool_name"] = name
    if part.call_id:
        made["tool_call_id"] = part.call_id
    return made
