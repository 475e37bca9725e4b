"""How quickly places answered lately: what `auto` orders by. Pure, per process, forgetful by design.

An average of the time to the first byte, moving with weight 0.2, per account and upstream model. A figure nobody
refreshed for ten minutes counts as unknown, so a place that was slow once gets another chance.
"""

from __future__ import annotations

import time
from typing import Final

from routing.resolve import Candidate

WEIGHT: Final = 0.2
MAX_AGE: Final = 600.0
MAX_PLACES: Final = 4096


class Latencies:
    """Moving averages in seconds. `now` is monotonic seconds; one event loop uses one instance."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], tuple[float, float]] = {}

    def note(self, account_id: int, upstream_model: str, seconds: float, now: float | None = None) -> None:
        """One measured time to the first byte."""
        at = time.monotonic() if now is None else now
        place = (account_id, upstream_model)
        known = self._known.pop(place, None)
        if known is not None and at - known[1] <= MAX_AGE:
            seconds = known[0] + WEIGHT * (seconds - known[0])
        elif known is None and len(self._known) >= MAX_PLACES:
            del self._known[next(iter(self._known))]  # the one not heard of for longest: note() moves places to the end
        self._known[place] = (seconds, at)

    def of(self, candidate: Candidate, now: float | None = None) -> float | None:
        """Seconds to the first byte there, or None if nothing recent is known."""
        known = self._known.get((candidate.account.id, candidate.upstream_model))
        if known is None or (time.monotonic() if now is None else now) - known[1] > MAX_AGE:
            return None
        return known[0]


latencies = Latencies()
