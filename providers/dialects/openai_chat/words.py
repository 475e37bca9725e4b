"""The words of this dialect for what the hub knows: finish reasons, usage, ids. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from providers.dialects.canon import Stop
from providers.dialects.usage import Usage, added

NAME: Final = "openai_chat"
#: Dialects of OpenAI's own: what only these know means the same in all of them.
KIN: Final = frozenset((NAME, "openai_completions", "openai_responses"))

#: What OpenAI says, and what its copies say in its place.
_STOPS: Final[dict[str, Stop]] = {
    "stop": "end",
    "eos": "end",
    "end_turn": "end",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "tool_use": "tool",
    "content_filter": "filter",
    "safety": "filter",
    "stop_sequence": "sequence",
    "refusal": "refusal",
    "error": "error",
    "insufficient_system_resource": "error",
    "abort": "error",
}
_WORDS: Final[dict[Stop, str]] = {
    "end": "stop",
    "sequence": "stop",
    "pause": "stop",
    "length": "length",
    "tool": "tool_calls",
    "filter": "content_filter",
    "refusal": "content_filter",
    "error": "error",
}
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9_-]+")


def stop_of(word: str) -> Stop:
    """What a finish reason means; empty for a word nobody knows."""
    return _STOPS.get(word.lower(), "")


def word_of(stop: Stop, *, called: bool = False, refused: bool = False) -> str:
    """The finish reason for it. `called`: the model called tools; `refused`: it said so in `refusal`."""
    if stop == "refusal" and refused:
        return "stop"
    if stop == "" and called:
        return "tool_calls"
    return _WORDS.get(stop, "stop")


def own_id(answer_id: str, dialect: str, prefix: str) -> str:
    """The id of an answer as clients of this dialect expect it; always the same for the same answer."""
    if answer_id and dialect == NAME:
        return answer_id
    bare = _NOT_IN_IDS.sub("-", answer_id)
    return bare if bare.startswith(prefix) else prefix + (bare or "0")


def usage_words(usage: Usage) -> dict[str, Any]:
    """The usage object. Counts that are unknown are left out, never 0."""
    prompt = _known(
        cached_tokens=usage.cache_read, cache_write_tokens=usage.cache_write, audio_tokens=usage.audio_input
    )
    completion = _known(reasoning_tokens=usage.reasoning, audio_tokens=usage.audio_output)
    total = added(usage.input, usage.output) if None not in (usage.input, usage.output) else None
    said: dict[str, Any] = _known(prompt_tokens=usage.input, completion_tokens=usage.output, total_tokens=total)
    if prompt:
        said["prompt_tokens_details"] = prompt
    if completion:
        said["completion_tokens_details"] = completion
    return said


def _known(**counts: int | None) -> dict[str, Any]:
    return {name: count for name, count in counts.items() if count is not None}
