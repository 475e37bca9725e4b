"""Counts of tokens, as OpenAI counts: `input` holds the cached tokens, `output` holds the reasoning tokens. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

_MOST_TOKENS: Final = 2**53


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one answer, and the pictures that were asked for as such. None is unknown, never 0."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    images: int | None = None


def tokens(value: Any) -> int | None:
    """A count of tokens, or None where an upstream put anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and 0 <= value <= _MOST_TOKENS:
        return value
    return None


def first(source: dict[str, Any], *names: str) -> int | None:
    """The first count among these members."""
    for name in names:
        found = tokens(source.get(name))
        if found is not None:
            return found
    return None


def added(*counts: int | None) -> int | None:
    """The sum of the known ones; None if none is known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _details(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = usage.get(name)
        if isinstance(value, dict):
            return value
    return {}


def read_openai_usage(usage: Any) -> Usage | None:
    """The usage object of an OpenAI-like answer in any of the spellings its copies use. None: no counts in it."""
    if not isinstance(usage, dict):
        return None
    prompt = _details(usage, "prompt_tokens_details", "input_tokens_details")
    completion = _details(usage, "completion_tokens_details", "output_tokens_details")
    cache_read = first(prompt, "cached_tokens")
    if cache_read is None:
        cache_read = first(usage, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
    cache_write = first(prompt, "cache_write_tokens", "cache_creation_tokens")
    if cache_write is None:
        cache_write = first(usage, "cache_creation_input_tokens")
    reasoning = first(completion, "reasoning_tokens")
    asked, said = first(usage, "prompt_tokens", "input_tokens"), first(usage, "completion_tokens", "output_tokens")
    if reasoning and None not in (asked, said) and first(usage, "total_tokens") == added(asked, said, reasoning):
        said = added(said, reasoning)  # xAI counts the reasoning apart, and bills it
    found = Usage(
        input=asked,
        output=said,
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=first(usage, "reasoning_tokens") if reasoning is None else reasoning,
        audio_input=first(prompt, "audio_tokens"),
        audio_output=first(completion, "audio_tokens"),
    )
    return None if found == _EMPTY else found


_EMPTY: Final = Usage()
