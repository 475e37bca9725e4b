"""This dialect's words for what the hub knows under others: its name, why an answer stopped, ids. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from providers.dialects.canon import Part, Refusal, Stop, ToolCall

NAME: Final = "anthropic_messages"

STOPS: Final[dict[str, Stop]] = {
    "end_turn": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "sequence",
    "tool_use": "tool",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
}
_WORDS: Final[dict[Stop, str]] = {
    "length": "max_tokens",
    "sequence": "stop_sequence",
    "tool": "tool_use",
    "pause": "pause_turn",
    "refusal": "refusal",
    "filter": "refusal",
}

_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")


def stop_of(word: str) -> Stop:
    """The hub's word for a stop reason. One that is not known here is some way of having ended."""
    return STOPS.get(word, "end") if word else ""


def word_of(stop: Stop, word: str, parts: tuple[Part, ...] | list[Part]) -> str:
    """The stop reason a client is told: the upstream's own word where it is one of this dialect for that stop."""
    if word and STOPS.get(word) == stop:
        return word
    if stop in ("", "end") and any(isinstance(part, Refusal) for part in parts):
        return "refusal"
    if not stop and any(isinstance(part, ToolCall) for part in parts):
        return "tool_use"
    return _WORDS.get(stop, "end_turn")


def message_id(found: str) -> str:
    """The id of an answer in this dialect's form; one of another dialect keeps what follows its prefix."""
    if found.startswith("msg_"):
        return found
    bare = _NOT_ID.sub("", found.rpartition("_")[2] if "_" in found else found.rpartition("-")[2])
    return f"msg_{bare or _digest(found)}"


def call_id(found: str) -> str:
    """The id of a tool call in the letters this API allows: the same for the same, another for another."""
    if _ID.fullmatch(found):
        return found
    bare = _NOT_ID.sub("_", found)
    return f"{bare}_{_digest(found)[:8]}" if bare else f"toolu_{_digest(found)}"


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode("utf-8", "replace"), digest_size=12).hexdigest()
