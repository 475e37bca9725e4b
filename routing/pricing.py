"""What a request cost, in integer micro-USD. Pure. Unknown stays unknown: a missing price is never zero (A-25)."""

from __future__ import annotations

from typing import Protocol

from providers.entries import FactsEntry

_PER = 1_000_000


class Used(Protocol):
    """Counts of one request: pictures, and tokens. `input` includes what was read from or written to the cache; None is
    unknown."""

    @property
    def input(self) -> int | None: ...
    @property
    def output(self) -> int | None: ...
    @property
    def cache_read(self) -> int | None: ...
    @property
    def cache_write(self) -> int | None: ...
    @property
    def images(self) -> int | None: ...


def cost_micro(facts: FactsEntry | None, usage: Used | None) -> int | None:
    """Cost in micro-USD, rounded half up; None if a price or a count it needs is unknown.

    A price is needed only for tokens that were used: an answer without cached tokens needs no cache price. Pictures
    that have a price of their own cost that, whatever tokens were counted beside them.
    """
    if facts is None or usage is None:
        return None
    if usage.images is not None and facts.price_image is not None:
        return usage.images * facts.price_image
    if usage.input is None:
        return None
    cached, written = usage.cache_read or 0, usage.cache_write or 0
    parts = (
        (max(usage.input - cached - written, 0), facts.price_input),
        (cached, facts.price_cache_read),
        (written, facts.price_cache_write),
        (usage.output, facts.price_output),
    )
    total = 0
    for tokens, price in parts:
        if tokens == 0:
            continue
        if tokens is None or price is None:
            return None
        total += tokens * price
    return (total + _PER // 2) // _PER
