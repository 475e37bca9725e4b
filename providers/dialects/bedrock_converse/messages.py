"""A conversation as Converse wants it: the system's words apart, then user and assistant by turns. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from providers.dialects.bedrock_converse.content import Room, blocks_of
from providers.dialects.canon import Media, Message, Misfit, Request, ToolCall, ToolResult

#: What the user is made to say where the conversation has no word of theirs to begin with.
_BEGIN: Final = "(begin)"
#: A document needs words beside it.
_DOCUMENT: Final = "(see the document)"

Block = dict[str, Any]


def write_messages(request: Request, room: Room) -> tuple[list[Block], list[Block]]:
    """The blocks of the system prompt, and the messages. Raises Misfit."""
    system: list[Block] = []
    messages: list[Block] = []
    for message in request.messages:
        blocks = _written(message, room)
        if message.role in ("system", "developer"):
            if any(isinstance(part, Media) for part in message.parts):
                raise Misfit("This upstream takes only text in a system message.", "messages", unsupported=True)
            system += blocks
        elif blocks:
            role = "assistant" if message.role == "assistant" else "user"
            if not messages and role == "assistant":
                messages.append({"role": "user", "content": [{"text": _BEGIN}]})
            if messages and messages[-1]["role"] == role:
                messages[-1]["content"] += blocks
            else:
                messages.append({"role": role, "content": blocks})
    if not messages:
        messages.append({"role": "user", "content": [{"text": _BEGIN}]})
    for found in messages:
        if found["role"] == "user":
            found["content"] = _in_order(found["content"])
    return system, messages


def _written(message: Message, room: Room) -> list[Block]:
    if message.name:
        room.drop("name")
    return [block for part in message.parts for block in blocks_of(part, room)]


def _in_order(blocks: list[Block]) -> list[Block]:
    """Results before all else, which is the only place for them, and words beside a document."""
    last = max((at for at, block in enumerate(blocks) if "toolResult" in block), default=-1)
    head = [block for block in blocks[: last + 1] if "toolResult" in block or "cachePoint" in block]
    rest = [block for block in blocks[: last + 1] if "toolResult" not in block and "cachePoint" not in block]
    blocks = [*head, *rest, *blocks[last + 1 :]]
    if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
        blocks.append({"text": _DOCUMENT})
    return blocks


def called(messages: Iterable[Message]) -> list[str]:
    """The names of the tools that the conversation called, each once. A result alone counts as "tool"."""
    names: dict[str, None] = {}
    results = False
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                names[part.name] = None
            results = results or isinstance(part, ToolResult)
    return list(names) or (["tool"] if results else [])
