"""Does this process keep up: how late its event loop is, and how much of the memory there may be is in use (R-REL-22).

One timer of the loop looks ten times a second. A single pause, as a slow disk or a busy machine makes, is no overload:
the loop must be late three times in a row. For some seconds after an overload the first sign is enough, because letting
everybody in again to find out would make all of them wait.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from django.conf import settings

from api import memory
from api.connections import connections

#: Seconds between two looks at the loop, and looks between two at the memory.
EVERY: Final = 0.1
MEMORY_EVERY: Final = 5
#: Looks in a row at which the loop must have been late.
IN_A_ROW: Final = 3
#: Seconds after an overload in which one is enough.
WARY: Final = 10.0
#: Of the memory there may be: from here on nobody is let in, and from here on the largest request is ended.
FULL: Final = 0.90
BURSTING: Final = 0.95
#: What is left of a lateness at the next look: half of it after some two seconds.
FADING: Final = 0.97
#: Seconds between two times that memory is given back.
GIVE_BACK_EVERY: Final = 5.0


class Lateness:
    """Whether a loop is behind, from how late its timer was. Pure."""

    def __init__(self) -> None:
        self._row = 0
        self._wary_until = 0.0

    def take(self, late: float, limit: float, now: float) -> bool:
        """One look: `late` seconds at `now`; more than `limit` is too much, and 0 is no limit."""
        if not limit or late <= limit:
            self._row = 0
            return False
        self._row += 1
        behind = self._row >= IN_A_ROW or now < self._wary_until
        if behind:
            self._wary_until = now + WARY
        return behind


class Pressure:
    """What the last look found; `high` is what the way of a request reads."""

    def __init__(self) -> None:
        self.high = False
        self.behind = False
        self.short = False
        #: seconds by which the loop was late lately: the greatest, fading
        self.late = 0.0
        #: of the memory there may be
        self.memory = 0.0
        self._lateness = Lateness()
        self._group: memory.Group | None = None
        self._looks = 0
        self._due = 0.0
        self._gave_back = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on, on the running loop, until `stop`."""
        self.stop()
        self._lateness = Lateness()
        self._group = memory.group()
        self._await_next(asyncio.get_running_loop())

    def stop(self) -> None:
        """Look no more: nothing presses."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.high = self.behind = self.short = False

    def _await_next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = time.perf_counter() + EVERY  # the loop's own clock stands still within a turn
        self._timer = loop.call_later(EVERY, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.perf_counter()
        late = max(0.0, now - self._due)
        self.late = max(late, self.late * FADING)
        self.behind = self._lateness.take(late, settings.MAX_LAG, now)
        self._looks += 1
        if self._looks % MEMORY_EVERY == 0:
            self._look_at_memory(now)
        self.high = self.behind or self.short
        self._await_next(loop)

    def _look_at_memory(self, now: float) -> None:
        self.memory = memory.share_of(settings.MEMORY_LIMIT, self._group)
        self.short = self.memory >= FULL
        if self.memory >= BURSTING:
            connections.end_largest()
        if self.short and now - self._gave_back >= GIVE_BACK_EVERY:
            self._gave_back = now
            memory.give_back()


#: Of this process.
pressure = Pressure()
