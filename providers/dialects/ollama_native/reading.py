"""What whole answers and streams of Ollama have in common: both are made of the same object. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

import msgspec

from providers.dialects.canon import BadAnswer, Media, Stop, ToolCall
from providers.dialects.usage import Usage, first

_STOPS: Final[dict[str, Stop]] = {"stop": "end", "length": "length", "load": "end", "unload": "end"}
_EXTRAS: Final = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


def message_of(found: Any) -> dict[str, Any]:
    """Raises BadAnswer."""
    message = found.get("message") if isinstance(found, dict) else None
    if not isinstance(message, dict):
        said = found.get("error") if isinstance(found, dict) else None
        error = {"message": said} if isinstance(said, str) else None
        raise BadAnswer("the upstream's answer has no message", error)
    return message


def text_of(source: dict[str, Any], name: str) -> str:
    """A member that is text; empty for any other."""
    value = source.get(name)
    return value if isinstance(value, str) else ""


def created_of(found: dict[str, Any]) -> int:
    """When it was made, in epoch seconds; 0 if that cannot be read."""
    try:
        return max(0, int(datetime.fromisoformat(text_of(found, "created_at")).timestamp()))
    except (ValueError, OverflowError):
        return 0


def calls_of(found: dict[str, Any], message: dict[str, Any]) -> list[ToolCall]:
    """The calls of a message. One without an id gets one from what and when it is. Raises BadAnswer."""
    values = message.get("tool_calls")
    if values is None:
        return []
    if not isinstance(values, list):
        raise BadAnswer("the upstream's answer has calls that are no list")
    made = []
    for at, value in enumerate(values):
        function = value.get("function") if isinstance(value, dict) else None
        name = text_of(function, "name") if isinstance(function, dict) else ""
        if not isinstance(function, dict) or not name:
            raise BadAnswer("the upstream's answer calls a tool without a name")
        given = function.get("arguments")
        arguments = given if isinstance(given, str) and given else msgspec.json.encode(given or {}).decode()
        seed = f"{text_of(found, 'created_at')} {at} {name} {arguments}"
        told = text_of(value, "id") or "call_" + hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:24]
        made.append(ToolCall(told, name, arguments))
    return made


def images_of(message: dict[str, Any]) -> list[Media]:
    """The images of a message."""
    values = message.get("images")
    return (
        [Media("image", data=value) for value in values if isinstance(value, str)] if isinstance(values, list) else []
    )


def stop_of(word: str, calls: bool) -> Stop:
    """Why it stopped. It has no word for a call."""
    if not word:
        return "tool" if calls else ""
    stop = _STOPS.get(word, "end")
    return "tool" if stop == "end" and calls else stop


def usage_of(found: dict[str, Any]) -> Usage | None:
    """The counts of an answer, or of the last event."""
    made = Usage(input=first(found, "prompt_eval_count"), output=first(found, "eval_count"))
    return None if made == Usage() else made


def extras_of(found: dict[str, Any]) -> dict[str, Any]:
    """How long it took."""
    return {name: found[name] for name in _EXTRAS if found.get(name) is not None}


def logprobs_of(found: dict[str, Any]) -> dict[str, Any] | None:
    """As OpenAI says them, which is how they come but for the list's name."""
    values = found.get("logprobs")
    if not isinstance(values, list) or not values:
        return None
    content = []
    for value in values:
        if isinstance(value, dict):
            token = text_of(value, "token")
            made = {"bytes": list(token.encode("utf-8", "replace")), "top_logprobs": [], **value, "token": token}
            content.append(made)
    return {"content": content} if content else None
