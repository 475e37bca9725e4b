"""`contents` and `systemInstruction` as messages. Pure.

A function's response stands beside a user's words in one content, and becomes a message of its own; `joined` in the
extras of a message says that it came in the same content as the one before it. Calls need no id here: those without get
one that depends only on where they stand, and a response without finds its call by name and order.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import Media, Message, Misfit, Opaque, Part, Role, Text, ToolCall, ToolResult
from providers.dialects.google_generate.members import below, message, several, text, within
from providers.dialects.google_generate.parts import arguments_of, media_of, proof_of, said
from providers.dialects.google_generate.words import NAME
from providers.dialects.values import object_in

JOINED: Final = "joined"
_RESPONSE: Final = frozenset({"id", "name", "response", "parts"})
_ROLES: Final[dict[str, Role]] = {
    "": "user",
    "user": "user",
    "model": "assistant",
    "assistant": "assistant",
    "function": "user",
    "tool": "user",
    "system": "system",
}


class _Calls:
    """The function calls so far, for the responses that follow."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._waiting: list[tuple[str, str]] = []
        self._count = 0

    def made(self, name: str, given: str) -> str:
        """The id of a call, made if none is `given`."""
        call_id = given or self._fresh()
        self._waiting.append((call_id, name))
        return call_id

    def answered(self, name: str, given: str) -> str:
        """The id of the call that a response answers."""
        found = next((call for call in self._waiting if call[0] == given), None) if given else None
        if found is None and not given:
            found = next((call for call in self._waiting if call[1] == name), None)
        if found is None:
            return given or self._fresh()
        self._waiting.remove(found)
        return found[0]

    def _fresh(self) -> str:
        while True:
            call_id = f"call_{self._count}"
            self._count += 1
            if call_id not in self._taken:
                return call_id


def read_contents(body: dict[str, Any]) -> tuple[Message, ...]:
    """The conversation. Raises Misfit."""
    messages: list[Message] = []
    system = body.get("systemInstruction")
    if system is not None:
        messages.append(Message("system", _system(system)))
    found = [_content(content, f"contents[{at}]") for at, content in enumerate(several(body, "contents"))]
    calls = _Calls(_ids(found))
    for at, content in enumerate(found):
        messages += _messages(content, f"contents[{at}]", calls)
    return tuple(messages)


def _system(system: Any) -> tuple[Part, ...]:
    if isinstance(system, str):
        return (Text(system),)
    content = _content(system, "systemInstruction")
    return tuple(_part(part, "systemInstruction.parts", None) for part in content["parts"])


def _content(value: Any, param: str) -> dict[str, Any]:
    if isinstance(value, str):
        value = {"parts": [{"text": value}]}
    content = message(value, param)
    content["parts"] = [
        message({"text": part} if isinstance(part, str) else part, f"{param}.parts")
        for part in several(content, "parts")
    ]
    return content


def _ids(contents: list[dict[str, Any]]) -> set[str]:
    """The ids that clients gave."""
    parts = [part for content in contents for part in content["parts"]]
    calls = [part.get(kind) for part in parts for kind in ("functionCall", "functionResponse")]
    return {call["id"] for call in calls if isinstance(call, dict) and isinstance(call.get("id"), str)}


def _messages(content: dict[str, Any], param: str, calls: _Calls) -> list[Message]:
    word = text(content, "role", param).lower()
    role = _ROLES.get(word)
    if role is None:
        raise Misfit(f'{param}.role must be "user" or "model".', within(param, "role"))
    made: list[Message] = []
    for at, value in enumerate(content["parts"]):
        part = _part(value, f"{param}.parts[{at}]", calls)
        spoken: Role = "tool" if isinstance(part, ToolResult) else role
        if made and made[-1].role == spoken:
            made[-1] = msgspec.structs.replace(made[-1], parts=(*made[-1].parts, part))
        else:
            made.append(Message(spoken, (part,), extras={JOINED: True} if made else {}))
    return made or [Message(role)]


def _part(part: dict[str, Any], param: str, calls: _Calls | None) -> Part:
    """One part. `calls`: None where none can be."""
    if "functionCall" in part and calls is not None:
        return _call(part, param, calls)
    if "functionResponse" in part and calls is not None:
        return _result(part, param, calls)
    if part.get("thought") is not True and ("inlineData" in part or "fileData" in part):
        return media_of(part, param)
    if "text" in part:
        text(part, "text", param)
        return said(part)
    if part.keys() <= {"thought", "thoughtSignature"}:
        return said({**part, "text": ""})
    return Opaque(NAME, part)


def _call(part: dict[str, Any], param: str, calls: _Calls) -> ToolCall:
    where = within(param, "functionCall")
    call = below(part, "functionCall", param) or {}
    name = text(call, "name", where)
    if not name:
        raise Misfit(f"{where}.name must be the name of a function.", f"{where}.name")
    signature, signer, _ = proof_of(part)
    call_id = calls.made(name, text(call, "id", where))
    return ToolCall(call_id, name, arguments_of(call, where), signature=signature, signer=signer)


def _result(part: dict[str, Any], param: str, calls: _Calls) -> ToolResult:
    where = within(param, "functionResponse")
    found = below(part, "functionResponse", param) or {}
    name = text(found, "name", where)
    response = found.get("response", {})
    if not isinstance(response, dict):
        raise Misfit(f"{where}.response must be an object.", f"{where}.response")
    words, failed = _words(response)
    parts: list[Text | Media] = [Text(words)]
    for at, value in enumerate(several(found, "parts")):
        piece = message(value, f"{where}.parts[{at}]")
        if "inlineData" not in piece and "fileData" not in piece:
            raise Misfit(f"{where}.parts[{at}] must hold inlineData or fileData.", f"{where}.parts")
        parts.append(media_of(piece, f"{where}.parts[{at}]"))
    rest = {key: value for key, value in found.items() if key not in _RESPONSE}
    return ToolResult(calls.answered(name, text(found, "id", where)), tuple(parts), name, failed, extras=rest)


def _words(response: dict[str, Any]) -> tuple[str, bool]:
    """What a function said, as text, and whether it failed. `response_of` is its way back."""
    for name in ("output", "error"):
        value = response.get(name)
        if len(response) == 1 and isinstance(value, str) and object_in(value) is None:
            return value, name == "error"
    return msgspec.json.encode(response).decode(), list(response) == ["error"]


def response_of(words: str, failed: bool) -> dict[str, Any]:
    """The `response` for what a function said."""
    found = object_in(words)
    if found is not None and (not failed or "error" in found):
        return found
    return {"error" if failed else "output": words}
