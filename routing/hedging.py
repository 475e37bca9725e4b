"""When a second place is asked beside the first, which has not begun to answer yet. Pure, but for the places' times.

A public model says it as a time (`800 ms`, `1.5 s`) or as a percentile of what the first place took of late (`p95`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from django.core.exceptions import ValidationError

from routing.health import health
from routing.places import Place

#: Seconds.
SHORTEST, LONGEST = 0.001, 600.0
_PERCENTILE: Final = re.compile(r"p([1-9][0-9])\Z")
_TIME: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(ms|s)\Z")


class After(NamedTuple):
    """After so many seconds, or after so much of a place's answers began."""

    seconds: float = 0.0
    #: between 0 and 1; 0.0: the time counts
    share: float = 0.0


@lru_cache(maxsize=1024)
def read(text: str) -> After | None:
    """What a model's field says; None: never. Raises ValueError, whose message says what can be said."""
    said = text.strip()
    if not said:
        return None
    if (found := _PERCENTILE.match(said)) is not None:
        return After(share=int(found[1]) / 100)
    if (found := _TIME.match(said)) is not None:
        seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
        if SHORTEST <= seconds <= LONGEST:
            return After(seconds)
    raise ValueError(f"'{text}' is no time to hedge after: say 800 ms, 2 s, or p95 (p10 to p99); 1 ms to 600 s.")


def valid_hedge(text: str) -> None:
    """The validator of the model's field."""
    try:
        read(text)
    except ValueError as problem:
        raise ValidationError(str(problem)) from None


def delay(after: After, place: Place) -> float | None:
    """Seconds after which the next place is asked as well; None while too little is known of this one."""
    return health.share(place, after.share) if after.share else after.seconds
