"""Messages as they come in: the turns of a request, and the message of an answer. Pure."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

import msgspec

from providers.dialects.canon import (
    Cache,
    Media,
    Message,
    Misfit,
    Part,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from providers.dialects.openai_chat.parts import image_of, read_annotations, read_cache, read_content
from providers.dialects.openai_chat.thoughts import read_thoughts
from providers.dialects.openai_chat.words import NAME
from providers.dialects.signatures import unframed

_ROLES: Final = ("developer", "system", "user", "assistant", "tool", "function")
_THOUGHTS: Final = ("reasoning_content", "reasoning", "reasoning_details", "extra_content", "thought_signature")
_CALLS: Final = ("tool_calls", "function_call", "tool_call_id")
_MARKS: Final = ("cache_control", "prompt_cache_breakpoint")
_KNOWN: Final = frozenset(
    ("role", "content", "name", "refusal", "audio", "annotations", "images", *_THOUGHTS, *_CALLS, *_MARKS)
)


class _History:
    """What earlier messages said that later ones refer to."""

    def __init__(self) -> None:
        self.calls: dict[str, ToolCall] = {}
        #: ids of calls without one (`function_call`), which are answered by name
        self.unanswered: dict[str, list[str]] = {}

    def called(self, call: ToolCall, legacy: bool) -> None:
        self.calls[call.id] = call
        if legacy:
            self.unanswered.setdefault(call.name, []).append(call.id)

    def answers(self, name: str, where: str) -> str:
        """The call that a message of role `function` answers."""
        waiting = self.unanswered.get(name)
        return waiting.pop(0) if waiting else f"call_{where}"


def read_messages(found: Any) -> tuple[Message, ...]:
    """The `messages` of a request. Raises Misfit."""
    if not isinstance(found, list) or not found:
        raise Misfit("`messages` must be a list with at least one message.", "messages")
    history = _History()
    return tuple(_message(message, at, history) for at, message in enumerate(found))


def _message(message: Any, at: int, history: _History) -> Message:
    where = f"messages[{at}]"
    role = message.get("role") if isinstance(message, dict) else None
    if role not in _ROLES:
        raise Misfit(f"`{where}.role` must be one of {', '.join(_ROLES)}.", f"{where}.role")
    name = message.get("name")
    if name is not None and not isinstance(name, str):
        raise Misfit(f"`{where}.name` must be a string.", f"{where}.name")
    extras = {key: value for key, value in message.items() if key not in _KNOWN and value is not None}
    said: Literal["developer", "system", "user", "assistant", "tool"] = "tool" if role == "function" else role
    parts: list[Part]
    if said == "tool":
        parts = [_result(message, where, at, history)]
    elif role == "assistant":
        parts = read_assistant(message, where, f"{at}")
        legacy = message.get("function_call") is not None
        for call in parts:
            if isinstance(call, ToolCall):
                history.called(call, legacy)
    else:
        parts = read_content(message.get("content"), f"{where}.content")
    return Message(said, tuple(_marked(parts, read_cache(message))), name or "", extras, _notes(message))


def _notes(message: dict[str, Any]) -> dict[str, Any]:
    """How thoughts were said, if not as `reasoning_content`."""
    content = message.get("content")
    if any(isinstance(part, dict) and part.get("type") == "thinking" for part in content or ()):
        return {"thoughts": "content"}
    bare = message.get("reasoning") and not (message.get("reasoning_content") or message.get("reasoning_details"))
    return {"thoughts": "reasoning"} if bare else {}


def _result(message: dict[str, Any], where: str, at: int, history: _History) -> ToolResult:
    name = message.get("name") or ""
    call_id = message.get("tool_call_id")
    if message["role"] == "function":
        call_id = history.answers(name, f"{at}")
    if not isinstance(call_id, str):
        raise Misfit(f"`{where}.tool_call_id` must name the tool call that is answered.", f"{where}.tool_call_id")
    parts = read_content(message.get("content"), f"{where}.content")
    texts = tuple(Text(part.text) if isinstance(part, Refusal) else part for part in parts)
    call = history.calls.get(call_id)
    return ToolResult(
        call_id,
        tuple(part for part in texts if isinstance(part, Text | Media)),
        name=name or (call.name if call else ""),
        free=call is not None and call.free,
    )


def _marked(parts: list[Part], cache: Cache | None) -> list[Part]:
    """The parts with a message's cache mark put on the last one that can bear it."""
    if cache is not None:
        for at in range(len(parts) - 1, -1, -1):
            if isinstance(parts[at], Text | Media | ToolCall | ToolResult):
                parts[at] = msgspec.structs.replace(parts[at], cache=cache)
                break
    return parts


def read_assistant(message: dict[str, Any], where: str, seed: str) -> list[Part]:
    """The parts of an assistant's message. `seed` makes ids for calls that have none. Raises Misfit."""
    thoughts: list[Part] = [*read_thoughts(message)]
    parts = read_content(message.get("content"), f"{where}.content")
    citations, others = read_annotations(message.get("annotations"))
    if citations:
        parts = _cited(parts, citations)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(Refusal(refusal))
    images = message.get("images")
    parts += [image for entry in (images if isinstance(images, list) else ()) if (image := image_of(entry))]
    sound = audio_of(message.get("audio"))
    parts += [*([sound] if sound else ()), *others]
    calls: list[Part] = [*read_calls(message, where, seed)]
    return _proved([*thoughts, *parts, *calls], google_signature(message))


def _cited(parts: list[Part], citations: list[Any]) -> list[Part]:
    for at in range(len(parts) - 1, -1, -1):
        part = parts[at]
        if isinstance(part, Text):
            parts[at] = msgspec.structs.replace(part, citations=tuple(citations))
            return parts
    return [*parts, Text("", tuple(citations))]


def _proved(parts: list[Part], found: tuple[str, str]) -> list[Part]:
    """Google's signature of a whole message, put on its first call, or else on its last text."""
    signature, signer = found
    if signature:
        calls = [at for at, part in enumerate(parts) if isinstance(part, ToolCall)]
        texts = [at for at, part in enumerate(parts) if isinstance(part, Text)]
        for at in calls[:1] or texts[-1:]:
            part = parts[at]
            if not getattr(part, "signature", ""):
                parts[at] = msgspec.structs.replace(part, signature=signature, signer=signer)
    return parts


def google_signature(source: dict[str, Any]) -> tuple[str, str]:
    """(signature, signer) as Google's endpoint of this dialect puts it on a message or a call."""
    google = source.get("extra_content")
    google = google.get("google") if isinstance(google, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else source.get("thought_signature")
    if not isinstance(signature, str) or not signature:
        return "", ""
    bare, signer, _ = unframed(signature, NAME)
    return bare, signer


def audio_of(sound: Any) -> Media | None:
    """What an answer said aloud, or the mere id by which a history refers to it."""
    if not isinstance(sound, dict):
        return None
    data, said, known = sound.get("data"), sound.get("transcript"), sound.get("id")
    known = known if isinstance(known, str) else ""
    if not isinstance(data, str) or not data:
        return Media("audio", file_id=known) if known else None
    extras = {name: value for name in ("id", "expires_at") if (value := sound.get(name))}
    return Media("audio", data=data, text=said if isinstance(said, str) else "", extras=extras)


def read_calls(message: dict[str, Any], where: str, seed: str) -> list[ToolCall]:
    """The tool calls of an assistant's message, the legacy one among them. Raises Misfit."""
    found = message.get("tool_calls")
    if found is not None and not isinstance(found, list):
        raise Misfit(f"`{where}.tool_calls` must be a list.", f"{where}.tool_calls")
    calls = [_call(call, f"{where}.tool_calls[{at}]", f"call_{seed}_{at}") for at, call in enumerate(found or ())]
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and legacy.get("name"):
        calls.append(_call({"function": legacy}, f"{where}.function_call", f"call_{seed}_{len(calls)}"))
    return calls


def _call(call: Any, where: str, unnamed: str) -> ToolCall:
    free = isinstance(call, dict) and call.get("type") == "custom"
    body = call.get("custom" if free else "function") if isinstance(call, dict) else None
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        raise Misfit(f"`{where}` must be a tool call with a `function` that has a `name`.", where)
    signature, signer = google_signature(call)
    known = call.get("id")
    return ToolCall(
        known if isinstance(known, str) and known else unnamed,
        body["name"],
        arguments_of(body.get("input" if free else "arguments"), free),
        free,
        signature,
        signer,
        read_cache(call),
    )


def arguments_of(value: Any, free: bool = False) -> str:
    """Arguments as JSON text, also where an upstream sends the value itself."""
    if isinstance(value, str):
        return value if value or free else "{}"
    if value is None:
        return "" if free else "{}"
    return json.dumps(value, ensure_ascii=False)
