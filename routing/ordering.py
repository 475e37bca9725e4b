"""The order in which candidates are tried: by priority, and inside one by the strategy of the public model. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from hashlib import blake2b
from itertools import groupby
from math import log
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from routing.candidates import Candidate


class Strategy(StrEnum):
    """What decides between routes of one priority."""

    WEIGHTED = "weighted"
    LATENCY = "latency"
    LEAST_BUSY = "least-busy"
    COST = "cost"
    IN_ORDER = "in-order"


#: The fields of a public model that say which of its routes is asked.
HOLDING: Final = ("strategy", "sticky", "content_fallback", "hedge_after", "hedge_daily")


class Load(Protocol):
    """What strategies ask of the moment."""

    def latency(self, candidate: Candidate) -> float | None:
        """Seconds to the first byte there of late, None if nobody knows."""

    def in_flight(self, candidate: Candidate) -> int:
        """Requests that are there now."""


def ordered(
    candidates: Iterable[Candidate], strategy: Strategy, draw: float, load: Load, affinity: bytes = b""
) -> tuple[Candidate, ...]:
    """Priorities in order, lower numbers first; inside one as the strategy has it, and `draw` in [0, 1) where that
    leaves a choice. Weight 0 comes last in its priority, whatever the strategy.

    `affinity`: what requests of one conversation have in common; they keep their order, by weights, in place of the
    strategy's, and only those of a place that is gone move.
    """
    found: list[Candidate] = []
    for _, group in groupby(candidates, _priority):
        found += _inside(list(group), strategy, draw, load, affinity)
    return tuple(found)


def _priority(candidate: Candidate) -> int:
    return candidate.priority


def _inside(group: list[Candidate], strategy: Strategy, draw: float, load: Load, affinity: bytes) -> list[Candidate]:
    if len(group) == 1:
        return group
    idle = [candidate for candidate in group if candidate.weight <= 0]
    group = [candidate for candidate in group if candidate.weight > 0] if idle else group
    if affinity:
        return sorted(group, key=lambda candidate: _pull(affinity, candidate)) + idle
    match strategy:
        case Strategy.WEIGHTED:
            return drawn(group, draw) + idle
        case Strategy.IN_ORDER:
            return group + idle
        case Strategy.LATENCY:
            # What nobody measured is tried first, so that it gets measured.
            by: Callable[[Candidate], float] = lambda candidate: load.latency(candidate) or 0.0  # noqa: E731
        case Strategy.LEAST_BUSY:
            by = lambda candidate: load.in_flight(candidate) / candidate.weight  # noqa: E731
        case Strategy.COST:
            by = _price
    # Among equals the draw decides, or one place would take all that comes before anything is known of the others.
    return sorted(drawn(group, draw), key=by) + idle


def _pull(affinity: bytes, candidate: Candidate) -> float:
    """Weighted rendezvous hashing: each place's number is the lowest of all for its weight's share."""
    account, model = candidate.place
    digest = blake2b(b"%d/%s" % (account, model.encode()), digest_size=8, key=affinity[:64]).digest()
    return -log((int.from_bytes(digest) + 1) / 2**64) / candidate.weight


def _price(candidate: Candidate) -> float:
    """Micro-USD of a million tokens in and a million out; what is not known comes last."""
    facts = candidate.facts
    if facts is not None and facts.price_image is not None:
        return facts.price_image
    if facts is None or facts.price_input is None or facts.price_output is None:
        return float("inf")
    return facts.price_input + facts.price_output


def drawn(group: list[Candidate], draw: float) -> list[Candidate]:
    """A draw without return by weights above 0. Each takes what the one before left of the number, so that one number
    orders the whole group."""
    left = list(group)
    found: list[Candidate] = []
    while len(left) > 1:
        total = sum(candidate.weight for candidate in left)
        point, low, chosen = draw * total, 0.0, len(left) - 1
        for position, candidate in enumerate(left):
            if point < low + candidate.weight:
                chosen = position
                break
            low += candidate.weight
        draw = min(max((point - low) / left[chosen].weight, 0.0), 0.999999999)
        found.append(left.pop(chosen))
    return found + left
