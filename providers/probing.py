"""When accounts are probed, and what that may cost a day. Pure: `routing.probing` does it.

A probe is one request for the account's list of models, which is free at every provider we know of. An operator who
knows better declares what one costs, and is shown what that makes of a day.
"""

from __future__ import annotations

from typing import Final

#: Whether an account is probed: where that is declared to cost nothing, also where it costs something, never.
FREE: Final = "free"
ON: Final = "on"
OFF: Final = "off"

DAY: Final = 86_400
INTERVAL: Final = 300
SHORTEST: Final = 60


def is_on(probe: str, cost: int) -> bool:
    """Is an account with this switch, and this declared cost of a probe in micro-USD, probed?"""
    return probe == ON or (probe == FREE and cost == 0)


def most_a_day(interval: int) -> int:
    """Requests that probes of one account make in a day at most, however badly it does."""
    return max(DAY // max(interval, 1), 1)


def declared(probe: str, interval: int, cost: int) -> str:
    """What probes of an account may cost, as operators are told."""
    if not is_on(probe, cost):
        return "off" if probe == OFF else "off: a probe is declared to cost something"
    most = most_a_day(interval)
    price = f"${most * cost / 1_000_000:,.6f}".rstrip("0").rstrip(".") + " a day" if cost else "free at this provider"
    return f"at most {most} request{'' if most == 1 else 's'} a day, {price}"
