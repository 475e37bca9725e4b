"""Whether a request's candidate is raced by the next one, from when on, and whether today's ceiling still lets it."""

from __future__ import annotations

from api.tickets import tickets
from api.trip import Trip
from routing.candidates import Candidate
from routing.hedge_after import read
from routing.moment import hedge_delay
from routing.snapshot import ModelEntry


class Hedge:
    """A race that may begin `delay` seconds after the first candidate was asked."""

    __slots__ = ("_model", "delay")

    def __init__(self, model: ModelEntry, seconds: float) -> None:
        self._model = model
        self.delay = seconds

    async def is_allowed(self) -> bool:
        """Whether this may be one of the model's extra requests of the day."""
        return await tickets.take(f"hedge-{self._model.id}", self._model.hedge_daily)


def hedge_of(trip: Trip, candidate: Candidate) -> Hedge | None:
    """What its public model says of it, None: it is asked alone."""
    assert trip.snapshot is not None
    model = trip.snapshot.models.get(candidate.public_name)
    after = read(model.hedge_after) if model is not None else None
    seconds = hedge_delay(trip.snapshot, after, candidate) if after is not None else None
    return Hedge(model, seconds) if model is not None and seconds is not None else None
