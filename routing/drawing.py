"""The order in which candidates are tried: by priority, and inside one by a draw that weights decide. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from routing.resolve import Candidate


def drawn(candidates: tuple[Candidate, ...], draw: float) -> tuple[Candidate, ...]:
    """Priorities in order; inside one, a weighted draw without return. Weight 0 comes last in its priority."""
    ordered: list[Candidate] = []
    group: list[Candidate] = []
    for candidate in candidates:
        if group and candidate.priority != group[0].priority:
            ordered += _group_drawn(group, draw)
            group = []
        group.append(candidate)
    return (*ordered, *_group_drawn(group, draw))


def _group_drawn(group: list[Candidate], draw: float) -> list[Candidate]:
    """Each draw uses what the one before left of the number, so one number orders the whole group."""
    left = [candidate for candidate in group if candidate.weight > 0]
    idle = [candidate for candidate in group if candidate.weight <= 0]
    ordered: list[Candidate] = []
    while len(left) > 1:
        total = sum(candidate.weight for candidate in left)
        point, low, chosen = draw * total, 0.0, len(left) - 1
        for position, candidate in enumerate(left):
            if point < low + candidate.weight:
                chosen = position
                break
            low += candidate.weight
        draw = min(max((point - low) / left[chosen].weight, 0.0), 0.999999999)
        ordered.append(left.pop(chosen))
    return ordered + left + idle
