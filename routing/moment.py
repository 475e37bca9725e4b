"""What the resolver asks of the moment, as this process knows it: how places do, and the keys that there are to try.

Each asker brings the keys, as to `routing.serving`: a request those of the pool, `explain` those that open.
"""

from __future__ import annotations

from collections.abc import Callable

from routing.candidates import Candidate
from routing.fleet import fleet
from routing.health import health, resting
from routing.hearsay import everybody
from routing.hedge_after import After
from routing.places import Place
from routing.serving import NO_KEYS, Keys, why_not
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
        return why_not(self._snapshot, candidate, self._dialect, NO_KEYS if candidate.fleet else self._keys(candidate))

    def rests(self, candidate: Candidate) -> str | None:
        """Why the circuit of its place is open, None: it is not."""
        if candidate.fleet:
            return fleet.rests(self._snapshot, candidate.account.id, candidate.upstream_model, health)
        return resting(health, candidate.place)

    def latency(self, candidate: Candidate) -> float | None:
        """Seconds to the first byte there of late."""
        if not candidate.fleet:
            return everybody.latency(candidate.place)
        known = [seconds for place in self._places(candidate) if (seconds := everybody.latency(place)) is not None]
        return sum(known) / len(known) if known else None

    def in_flight(self, candidate: Candidate) -> int:
        """Requests that are there now, of all processes that are heard."""
        if not candidate.fleet:
            return everybody.in_flight(candidate.place)
        return sum(everybody.in_flight(place) for place in self._places(candidate))

    def _places(self, candidate: Candidate) -> tuple[Place, ...]:
        return places_of(self._snapshot, candidate)


def places_of(snapshot: Snapshot, candidate: Candidate) -> tuple[Place, ...]:
    """What health is kept of: the candidate's place; where workers serve it, that of each which may get the job."""
    if not candidate.fleet:
        return (candidate.place,)
    model = candidate.upstream_model
    return tuple(worker.place(model) for worker in fleet.able(snapshot, candidate.account.id, model))


def hedge_delay(snapshot: Snapshot, after: After, candidate: Candidate) -> float | None:
    """Seconds after which the next candidate is asked as well; None while too little is known of this one."""
    return health.share(places_of(snapshot, candidate), after.share) if after.share else after.seconds
