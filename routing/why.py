"""Why a candidate stands where it does in a plan, in words for people. What decides it is `routing.ordering`."""

from __future__ import annotations

from routing.candidates import Candidate
from routing.ordering import Load, Strategy
from routing.resolve import Plan
from routing.snapshot import ModelEntry, Snapshot


def why_here(snapshot: Snapshot, load: Load, plan: Plan, candidate: Candidate) -> str:
    """One line: for which of several models it is, its priority, and what decides inside it."""
    parts: list[str] = []
    if any(other.public_name != candidate.public_name for other in plan.candidates):
        parts.append(f"for {candidate.public_name}")
    if candidate.route_id is None:
        parts.append("the account that the name itself names")
        return ", ".join(parts)
    group = [
        other
        for other in plan.candidates
        if (other.public_name, other.priority) == (candidate.public_name, candidate.priority)
    ]
    parts.append(f"priority {candidate.priority}")
    model = snapshot.models.get(candidate.public_name)
    if len(group) == 1 or model is None:
        parts.append("the only one of it that can serve")
    else:
        parts.append(_inside(model, load, group, candidate))
    if candidate.larger_context:
        parts.append("asked next where a request is too long elsewhere")
    return ", ".join(parts)


def _inside(model: ModelEntry, load: Load, group: list[Candidate], candidate: Candidate) -> str:
    if candidate.weight <= 0:
        return "weight 0: last of it"
    share = candidate.weight / sum(max(other.weight, 0) for other in group)
    if model.sticky:
        return f"sticky: {share:.0%} of the conversations begin here"
    match Strategy(model.strategy):
        case Strategy.WEIGHTED:
            return f"by weight: first for {share:.0%} of the requests"
        case Strategy.LATENCY:
            seconds = load.latency(candidate)
            if seconds is None:
                return "quickest first: nobody measured it of late, so it comes before those that were"
            return f"quickest first: {seconds * 1000:.0f} ms to the first byte"
        case Strategy.LEAST_BUSY:
            return f"fewest requests first: {load.in_flight(candidate)} in hand for a weight of {candidate.weight}"
        case Strategy.COST:
            return "cheapest first"
        case Strategy.IN_ORDER:
            return "in the order entered"
