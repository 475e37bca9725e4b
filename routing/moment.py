"""What the resolver asks of the moment, in this process: the health of places, and the keys that there are to try.

Each asker brings the keys, as to `routing.serving`: a request those of the pool, `explain` those that open.
"""

from __future__ import annotations

from collections.abc import Callable

from routing.candidates import Candidate
from routing.health import health, resting
from routing.serving import Keys, why_not
from routing.snapshot import Snapshot


class Moment:
    """A `routing.resolve.Now` for requests in one dialect. Where no gateway runs, every place is well."""

    __slots__ = ("_dialect", "_keys", "_snapshot")

    def __init__(self, snapshot: Snapshot, dialect: str, keys: Callable[[Candidate], Keys]) -> None:
        self._snapshot = snapshot
        self._dialect = dialect
        self._keys = keys

    def why_not(self, candidate: Candidate) -> str | None:
        """What its keys, family or address say against a candidate before it is tried."""
        return why_not(self._snapshot, candidate, self._dialect, self._keys(candidate))

    def rests(self, candidate: Candidate) -> str | None:
        """Why the circuit of its place is open, None: it is not."""
        return resting(health, candidate.place)

    def latency(self, candidate: Candidate) -> float | None:
        """Seconds to the first byte there of late."""
        return health.latency(candidate.place)

    def in_flight(self, candidate: Candidate) -> int:
        """Requests of this process that are there now."""
        return health.in_flight(candidate.place)
