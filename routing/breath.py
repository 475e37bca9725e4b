"""How the store's thread stays out of the way of requests: it rests after each small slice of work.

The thread shares one interpreter (and often one core) with the event loop. A request that comes while it works waits
at most for the rest of a slice; a rest is several times longer than a slice, so few requests meet one.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from routing.pacing import Pace

#: Seconds of work between two rests, and of one rest.
SLICE: Final = 0.0002
REST: Final = 0.001
#: New objects that the collector should not have to look at.
MANY: Final = 10_000


def breathing() -> Pace:
    """A pace that rests whenever a slice of work is over."""
    began = time.perf_counter()

    def breathe() -> None:
        nonlocal began
        if time.perf_counter() - began >= SLICE:
            time.sleep(REST)
            began = time.perf_counter()

    return breathe


@contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage collection while a snapshot grows: over many thousands of entries one takes milliseconds.

    They live as long as the snapshot and go with it, being in no cycles: if they are many they are set apart for good.
    """
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > MANY:
            gc.freeze()
        gc.enable()
