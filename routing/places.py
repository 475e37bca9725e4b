"""What can be said of a place, which is an account and a model there: the words of routing.health. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

#: (account id, upstream model)
Place = tuple[int, str]


def of_worker(model: str, worker: str) -> str:
    """The second half of the place of one worker of a fleet, for a model that it serves."""
    return f"{model[:170]}@{worker}"


def served_by_worker(model: str, second: str) -> bool:
    """Whether this is the second half of a place of some worker that serves the model."""
    return second.startswith(f"{model[:170]}@")


class Failure(StrEnum):
    """Why a place did not serve."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    SERVER = "server"
    OVERLOADED = "overloaded"
    CUT = "cut"
    #: another place, asked later, began before it
    OUTRUN = "outrun"
    LIMITED = "limited"
    REFUSED = "refused"


#: What says nothing of the place itself: a key of it is limited or refused, and others may not be.
OF_KEYS: Final = frozenset({Failure.LIMITED, Failure.REFUSED})


class Circuit(StrEnum):
    """Whether requests go to a place; half-open: one may, to find out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Figures(NamedTuple):
    """What is known of one place now. Seconds; None is unknown. What is counted fades."""

    circuit: Circuit = Circuit.CLOSED
    #: until a request is let through
    rests: float = 0.0
    in_flight: int = 0
    first_byte: float | None = None
    first_byte_p95: float | None = None
    total: float | None = None
    total_p95: float | None = None
    served: float = 0.0
    failures: dict[Failure, float] = {}
    #: seconds since something was last told of it
    heard: float | None = None

    @property
    def error_rate(self) -> float | None:
        """The share of late requests that the place failed, between 0 and 1; None while hardly any are known."""
        failed = sum(count for kind, count in self.failures.items() if kind not in OF_KEYS)
        return failed / (failed + self.served) if failed + self.served >= 1 else None
