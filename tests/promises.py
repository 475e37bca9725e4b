"""Promises about time, asked of a machine that others load: kept in one attempt of three, or not kept."""

from __future__ import annotations

from collections.abc import Iterator

ATTEMPTS = 3


def within(seconds: float) -> Iterator[list[float]]:
    """`for took in within(0.25): ...; took.append(the seconds it took)`. A real regression fails every attempt."""
    took: list[float] = []
    for number in range(ATTEMPTS):
        yield took
        assert len(took) == number + 1, "each attempt says what it took"
        if took[-1] < seconds:
            return
    raise AssertionError(f"{seconds} s are promised, and it took {took}")
