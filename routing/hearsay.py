"""What all processes know of places: this one's own figures, and what others tell of theirs. Pure.

`routing.gossip` carries the reports. Averages weigh as much as their process has had to do with the place of late; of
95th percentiles the highest is told; requests in flight are added up. Where nobody tells anything, or no longer, there
are this process's own figures alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from routing.health import LONGEST_REST, MAX_AGE, Health, health
from routing.places import Circuit, Failure, Figures, Place

#: Places of one report: those with requests first, then those heard of last. A sign of life has room for fewer.
MOST_PLACES: Final = 256
MOST_IN_A_SIGN: Final = 64
#: Callers may make up models of a provider's; what none can be called is not told.
_LONGEST: Final = 191
#: Weight of a process that has measured a place, but nothing of late.
_TRACE: Final = 0.01
#: Of these circuits the most closed one comes first.
_BY_CIRCUIT: Final = (Circuit.CLOSED, Circuit.HALF_OPEN, Circuit.OPEN)

_LONG_AGO: Final = 1e6
_Seconds = Annotated[float, Meta(ge=0, le=_LONG_AGO)]
_Count = Annotated[float, Meta(ge=0, le=1e9)]


class Told(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one process tells of one place: its figures."""

    account: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    model: Annotated[str, Meta(min_length=1, max_length=_LONGEST)]
    circuit: Circuit
    rests: Annotated[float, Meta(ge=0, le=LONGEST_REST + 1)]
    in_flight: Annotated[int, Meta(ge=0, le=1_000_000)]
    first_byte: _Seconds | None
    first_byte_p95: _Seconds | None
    total: _Seconds | None
    total_p95: _Seconds | None
    served: _Count
    failures: dict[Failure, _Count]
    heard: _Seconds

    @property
    def place(self) -> Place:
        return self.account, self.model

    def figures(self) -> Figures:
        return Figures(
            circuit=self.circuit,
            rests=self.rests,
            in_flight=self.in_flight,
            first_byte=self.first_byte,
            first_byte_p95=self.first_byte_p95,
            total=self.total,
            total_p95=self.total_p95,
            served=self.served,
            failures=self.failures,
            heard=self.heard,
        )


Report = tuple[Told, ...]
_decoder = msgspec.json.Decoder(Report)


def report(known: Health, most: int = MOST_PLACES) -> Report:
    """What this process has to tell. Places of which nothing is known any more are left out. Any thread may ask."""
    found = [(place, known.figures(place)) for place in known]
    found = [one for one in found if _tells(one[1]) and len(one[0][1]) <= _LONGEST and one[0][1].isprintable()]
    found.sort(key=lambda one: (not one[1].in_flight, one[1].heard or 0.0))
    return tuple(_told(place, figures) for place, figures in found[:most])


def encoded(told: Report) -> bytes:
    return msgspec.json.encode(told)


def decoded(data: bytes) -> Report:
    """Raises what `UNREADABLE` names for what no process of ours tells."""
    return _decoder.decode(data)


def combined(several: Iterable[Figures]) -> Figures:
    """The figures of one place, of all processes that tell of it."""
    found = list(several)
    if len(found) == 1:
        return found[0]
    failures: dict[Failure, float] = {}
    for one in found:
        for kind, count in one.failures.items():
            failures[kind] = failures.get(kind, 0.0) + count
    return Figures(
        circuit=max((one.circuit for one in found), key=_BY_CIRCUIT.index, default=Circuit.CLOSED),
        rests=max((one.rests for one in found), default=0.0),
        in_flight=sum(one.in_flight for one in found),
        first_byte=_mean((one.first_byte, one.served) for one in found),
        first_byte_p95=max((one.first_byte_p95 for one in found if one.first_byte_p95 is not None), default=None),
        total=_mean((one.total, one.served) for one in found),
        total_p95=max((one.total_p95 for one in found if one.total_p95 is not None), default=None),
        served=sum(one.served for one in found),
        failures=failures,
        heard=min((one.heard for one in found if one.heard is not None), default=None),
    )


class _Sum(NamedTuple):
    """What others tell of a place, ready to be asked by requests."""

    latency: float | None
    weight: float
    in_flight: int


class Everybody:
    """The figures of this process and of those that it hears."""

    def __init__(self, own: Health) -> None:
        self.own = own
        #: process -> what it told last
        self.others: Mapping[str, Report] = {}
        self._sums: Mapping[Place, _Sum] = {}

    def learn(self, others: Mapping[str, Report]) -> None:
        """What the other processes tell now; who is not among them is gone."""
        found: dict[Place, list[Told]] = {}
        for told in others.values():
            for one in told:
                found.setdefault(one.place, []).append(one)
        self.others = others
        self._sums = {place: _summed(several) for place, several in found.items()}

    def latency(self, place: Place) -> float | None:
        """Seconds to the first byte there of late, or None."""
        own = self.own.latency(place)
        theirs = self._sums.get(place)
        if theirs is None or theirs.latency is None:
            return own
        if own is None:
            return theirs.latency
        weight = self.own.weight(place) + _TRACE
        return (own * weight + theirs.latency * theirs.weight) / (weight + theirs.weight)

    def in_flight(self, place: Place) -> int:
        """Requests that are there now, of all processes."""
        theirs = self._sums.get(place)
        return self.own.in_flight(place) + (theirs.in_flight if theirs is not None else 0)

    def reports(self) -> list[Report]:
        """What every process tells, this one first."""
        return [report(self.own), *self.others.values()]


def by_place(reports: Iterable[Report]) -> dict[Place, Figures]:
    """Every place that somebody tells of, with the figures of all who do."""
    found: dict[Place, list[Figures]] = {}
    for told in reports:
        for one in told:
            found.setdefault(one.place, []).append(one.figures())
    return {place: combined(several) for place, several in found.items()}


def _tells(figures: Figures) -> bool:
    return (
        figures.in_flight > 0
        or figures.circuit is Circuit.OPEN
        # It stays so until a request comes: where none does, it is news for a while only.
        or (figures.circuit is Circuit.HALF_OPEN and (figures.heard or 0.0) <= MAX_AGE)
        or figures.first_byte is not None
        or bool(figures.failures)
    )


def _told(place: Place, figures: Figures) -> Told:
    return Told(
        account=place[0],
        model=place[1],
        circuit=figures.circuit,
        rests=min(figures.rests, LONGEST_REST),
        in_flight=max(figures.in_flight, 0),
        first_byte=figures.first_byte,
        first_byte_p95=figures.first_byte_p95,
        total=figures.total,
        total_p95=figures.total_p95,
        served=figures.served,
        failures=figures.failures,
        heard=min(figures.heard or 0.0, _LONG_AGO),
    )


def _summed(several: list[Told]) -> _Sum:
    measured = [one for one in several if one.first_byte is not None]
    return _Sum(
        _mean((one.first_byte, one.served) for one in measured),
        sum(one.served + _TRACE for one in measured),
        sum(one.in_flight for one in several),
    )


def _mean(several: Iterable[tuple[float | None, float]]) -> float | None:
    """Of what was measured, each by its weight."""
    found = [(value, weight + _TRACE) for value, weight in several if value is not None]
    if not found:
        return None
    return sum(value * weight for value, weight in found) / sum(weight for _, weight in found)


#: Of this process.
everybody = Everybody(health)
