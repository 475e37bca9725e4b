"""What a scenario of faults reports: one row of the table that `make chaos` prints. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

#: `short` is for every run of the tests: at most three seconds. `long` shows what the promise says.
Scale = Literal["short", "long"]


#: The short form runs beside other tests, on machines that are busy: it gives times so much more room.
ROOM: dict[Scale, float] = {"short": 10.0, "long": 1.0}


@dataclass(frozen=True)
class Row:
    """A fault, what was promised for it and what was measured. `number` is that of the promise: "R-REL-01"."""

    fault: str
    number: str
    requests: int
    succeeded: int
    promised: str
    measured: str
    kept: bool


#: The integer is the seed: the same seed gives the same faults in the same order.
Scenario = Callable[[Scale, int], Row]

_NAME = re.compile(r"r_rel_(\d+[a-z]?)_")


def number_of(scenario: Scenario) -> str:
    """The number that a scenario has in its name: `r_rel_01_refused` shows R-REL-01."""
    found = _NAME.match(scenario.__name__)
    assert found is not None, f"{scenario.__name__} does not say which promise it shows"
    return f"R-REL-{found[1]}"


def table(rows: Iterable[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = ["| | fault | requests | succeeded | promised | measured | kept |", "|---|---|---:|---:|---|---|---|"]
    for row in rows:
        cells = (row.number, row.fault, f"{row.requests:,}", f"{row.succeeded:,}", row.promised, row.measured)
        lines.append(f"| {' | '.join(cells)} | {'yes' if row.kept else '**NO**'} |")
    return "\n".join(lines)
