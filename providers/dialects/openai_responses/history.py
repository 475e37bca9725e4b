"""The `input` of a request, read: text, or items, into the turns of a conversation. Pure.

What the model said between two words of the client's is one turn, whatever number of items it took. A message knows
by `notes["items"]` which of its parts were one message item, and what else that said.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import Media, Message, Misfit, Opaque, Part, Refusal, Role, Text, ToolCall, ToolResult
from providers.dialects.openai_responses import wire
from providers.dialects.openai_responses.items import (
    NAME,
    call_mark,
    call_of,
    citation_of,
    listed,
    made,
    parts_of,
    string,
)
from providers.dialects.openai_responses.media import read_content
from providers.dialects.openai_responses.tools import joined
from providers.dialects.signatures import unframed

#: What the client says, besides messages and results of functions.
_FROM_CLIENT: Final = frozenset(
    {
        "computer_call_output", "local_shell_call_output", "shell_call_output", "apply_patch_call_output",
        "mcp_approval_response", "additional_tools", "compaction_trigger", "configuration_update",
    }
)  # fmt: skip
_MESSAGE: Final = frozenset({"type", "role", "content"})
_RESULT: Final = frozenset({"type", "call_id", "output"})
#: Calls of the client's tools, and where each says what the tool is told.
_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
_ROLES: Final[dict[str, Role]] = {
    "user": "user", "assistant": "assistant", "system": "system", "developer": "developer",
}  # fmt: skip


def read_input(value: Any, spaces: frozenset[str] = frozenset()) -> tuple[Message, ...]:
    """The messages; `spaces` are the namespaces among the tools. Raises Misfit."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (Message("user", (Text(value),)),)
    items = wire.objects({"input": value}, "input")
    turns = _Turns(_marks(items), spaces)
    for index, item in enumerate(items):
        turns.take(item, f"input[{index}]")
    return turns.done()


def _marks(items: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """The signatures of tool calls, which came as thoughts of their own: (signature, signer) by the call's mark."""
    found = {}
    for item in items:
        if item.get("type") == "reasoning":
            signature, signer, mark = unframed(string(item.get("encrypted_content")), NAME)
            if mark.startswith("call-"):
                found[mark] = (signature, signer)
    return found


class _Turns:
    """The turns as far as they were read."""

    def __init__(self, marks: dict[str, tuple[str, str]], spaces: frozenset[str]) -> None:
        self._marks = marks
        self._spaces = spaces
        self._done: list[Message] = []
        self._role: Role | None = None
        self._parts: list[Part] = []
        self._items: list[dict[str, Any]] = []
        self._names: dict[str, str] = {}

    def done(self) -> tuple[Message, ...]:
        self._close()
        return tuple(self._done)

    def _close(self) -> None:
        if self._role is not None:
            notes = {"items": self._items} if self._items else {}
            self._done.append(Message(self._role, tuple(self._parts), notes=notes))
        self._role, self._parts, self._items = None, [], []

    def _say(self, role: Role, parts: list[Part]) -> None:
        if role != self._role or role not in ("assistant", "tool"):
            self._close()
            self._role = role
        self._parts += parts

    def take(self, item: dict[str, Any], at: str) -> None:
        """One item."""
        kind = wire.text(item, "type", at)
        if kind == "message" or (not kind and "role" in item):
            self._message(item, at)
        elif kind in _CALLS:
            self._say("assistant", [self._call(item, at, kind)])
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._say("tool", [self._result(item, at, kind)])
        elif kind == "reasoning":
            self._thoughts(item, at)
        elif kind == "image_generation_call" and made(item.get("id")) and item.get("result"):
            self._say("assistant", [_picture(item, at)])
        elif kind or "id" in item:
            self._say("user" if kind in _FROM_CLIENT else "assistant", [Opaque(NAME, item)])
        else:
            raise Misfit(f"`{at}` must have a `type`, or a `role` and a `content`.", at)

    def _message(self, item: dict[str, Any], at: str) -> None:
        role = _ROLES.get(wire.needed(item, "role", at))
        if role is None:
            raise Misfit(f"`{at}.role` must be user, assistant, system or developer.", f"{at}.role")
        content = item.get("content")
        if isinstance(content, str):
            parts: list[Part] = [Text(content)]
        else:
            found = wire.objects(item, "content", at)
            parts = [_content(value, role, f"{at}.content[{index}]") for index, value in enumerate(found)]
        self._say(role, parts)
        members = wire.rest(item, _MESSAGE)
        if members or role == "assistant" or any(isinstance(part, Opaque) for part in parts):
            self._items.append({"at": len(self._parts) - len(parts), "parts": len(parts), "members": members})

    def _call(self, item: dict[str, Any], at: str, kind: str) -> ToolCall:
        wire.needed(item, "name", at)
        wire.needed(item, "call_id", at)
        wire.text(item, "id", at)
        wire.needed(item, _CALLS[kind], at)
        call = call_of(item)
        space = wire.text(item, "namespace", at)
        if space in self._spaces:
            # Its name goes back out as it was, see Outgoing.
            call = msgspec.structs.replace(
                call, name=joined(space, call.name), extras=call.extras | {"name": call.name}
            )
        self._names[call.id] = call.name
        signature, signer = self._marks.get(call_mark(call.id), ("", ""))
        return msgspec.structs.replace(call, signature=signature, signer=signer)

    def _result(self, item: dict[str, Any], at: str, kind: str) -> ToolResult:
        call_id = wire.needed(item, "call_id", at)
        extras = wire.rest(item, _RESULT)
        output = item.get("output")
        if isinstance(output, str):
            parts: tuple[Text | Media, ...] = (Text(output),)
        else:
            found = wire.objects(item, "output", at)
            read = [read_content(value, f"{at}.output[{index}]") for index, value in enumerate(found)]
            parts = tuple(part for part in read if not isinstance(part, Opaque))
            if len(parts) != len(read):
                extras["output"] = output
        name = self._names.get(call_id) or wire.text(item, "name", at)
        return ToolResult(call_id, parts, name, free=kind == "custom_tool_call_output", extras=extras)

    def _thoughts(self, item: dict[str, Any], at: str) -> None:
        wire.text(item, "id", at)
        if unframed(wire.text(item, "encrypted_content", at), NAME)[2].startswith("call-"):
            return
        for member in ("summary", "content"):
            for index, value in enumerate(wire.objects(item, member, at)):
                wire.needed(value, "text", f"{at}.{member}[{index}]")
        self._say("assistant", [part for _, part in parts_of(item)])


def _content(value: dict[str, Any], role: Role, at: str) -> Part:
    if role == "assistant" and value.get("type") == "refusal":
        return Refusal(wire.needed(value, "refusal", at))
    part = read_content(value, at)
    if role == "assistant" and isinstance(part, Text):
        citations = tuple(citation_of(one) for one in listed(value.get("annotations")))
        return msgspec.structs.replace(part, citations=citations)
    return part


def _picture(item: dict[str, Any], at: str) -> Media:
    """A picture that a model of another API made, as the client was given it."""
    form = wire.text(item, "output_format", at) or "png"
    return Media("image", data=wire.needed(item, "result", at), media_type=f"image/{form}")
