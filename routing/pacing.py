"""Long walks over rows, in small groups: who does one is told when a group is over, and may rest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

Row = TypeVar("Row")
#: Called between small groups of rows; may sleep.
Pace = Callable[[], None]
#: Rows between two calls.
GROUP: Final = 10


def no_pace() -> None:
    """For work that nobody waits behind."""


def paced(rows: Iterable[Row], pace: Pace) -> Iterator[Row]:
    """The same rows, with a call of `pace` after every small group of them."""
    for count, row in enumerate(rows, 1):
        yield row
        if count % GROUP == 0:
            pace()
