"""What a public model says of when it is hedged: a time (`800 ms`, `1.5 s`), or a percentile of what its places took of
late (`p95`). Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

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
