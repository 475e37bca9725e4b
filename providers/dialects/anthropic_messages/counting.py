"""The usage of an answer. Pure.

This API leaves cached tokens out of `input_tokens`; the hub counts them in.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.usage import Usage, added, first, tokens

_EMPTY: Final = Usage()


def merge_reports(held: dict[str, Any], report: Any) -> None:
    """Of a stream's reports of its usage, the later ones count where they say something."""
    if isinstance(report, dict):
        held.update((name, value) for name, value in report.items() if value is not None)


def read_usage(report: Any) -> Usage | None:
    """The usage of an answer."""
    found: dict[str, Any] = report if isinstance(report, dict) else {}
    cache_write = first(found, "cache_creation_input_tokens")
    if cache_write is None and isinstance(found.get("cache_creation"), dict):
        cache_write = added(*(tokens(value) for value in found["cache_creation"].values()))
    cache_read = first(found, "cache_read_input_tokens")
    fresh = first(found, "input_tokens")
    details = found.get("output_tokens_details")
    usage = Usage(
        input=None if fresh is None else added(fresh, cache_read, cache_write),
        output=first(found, "output_tokens"),
        cache_read=cache_read,
        cache_write=cache_write,
        reasoning=first(details, "thinking_tokens") if isinstance(details, dict) else None,
    )
    return None if usage == _EMPTY else usage


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """The `usage` of an answer. Clients need a number for both sums, so an unknown one is told as 0."""
    usage = usage or _EMPTY
    fresh = (usage.input or 0) - (usage.cache_read or 0) - (usage.cache_write or 0)
    said: dict[str, Any] = {"input_tokens": max(0, fresh)}
    if usage.cache_write is not None:
        said["cache_creation_input_tokens"] = usage.cache_write
    if usage.cache_read is not None:
        said["cache_read_input_tokens"] = usage.cache_read
    said["output_tokens"] = usage.output or 0
    if usage.reasoning is not None:
        said["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return said
