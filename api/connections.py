"""The client connections of this process: how many there are, which of them wait, which holds the most (R-REL-22, 23).

One that waits has no whole request yet, whether it is silent or trickles. At the limit the one that has waited longest
makes room for a new one; where none waits, a new one is served probes and the control plane only, so that a flood of
requests does not make an orchestrator restart what is merely busy.
"""

from __future__ import annotations

import logging
import resource
from typing import Final, Protocol

from django.conf import settings

logger = logging.getLogger(__name__)

#: Descriptors that are neither clients' nor upstreams'.
_OTHER_FILES: Final = 256
#: Connections over the limit that are served probes and the control plane; any more are closed at once.
_EXTRA: Final = 64
#: Evicted connections that may still be sending their last answer.
_LEAVING: Final = 64
#: Bytes that a request must hold to be worth ending.
_WORTH_ENDING: Final = 64 * 1024


class Held(Protocol):
    """One connection."""

    def holds(self) -> int:
        """Bytes of its request, and of the answer that the client has not taken."""

    def make_room(self) -> None:
        """It waits, and is closed when what it was answered is sent."""

    def cut_off(self) -> None:
        """It is closed at once, whatever is unsent."""

    def end_for_memory(self) -> None:
        """Its request is ended, with an error where the client still listens."""


class Connections:
    """Used on the event loop only."""

    def __init__(self) -> None:
        self._all: set[Held] = set()
        self._waiting: dict[Held, None] = {}
        #: Those that made room and are not closed yet, as their client has not taken all.
        self._leaving: dict[Held, None] = {}
        self.refused = 0
        self.evicted = 0
        self.ended = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def crowded(self) -> bool:
        """Whether there are more than can be told anything."""
        return self._staying > limit() + _EXTRA

    @property
    def _staying(self) -> int:
        return len(self._all) - len(self._leaving)

    def add(self, one: Held) -> bool:
        """A new one, which waits. False where there is no room for its requests."""
        room = self._staying < limit()
        if not room and self._waiting:
            self._evict(next(iter(self._waiting)))
            room = True
        self.refused += not room
        self._all.add(one)
        self.wait(one)
        return room

    def _evict(self, one: Held) -> None:
        """Close it for a new one. Who leaves its last answer unread is there until others have to leave as well."""
        del self._waiting[one]
        self._leaving[one] = None
        self.evicted += 1
        one.make_room()
        if len(self._leaving) > _LEAVING:
            first = next(iter(self._leaving))
            self.remove(first)
            first.cut_off()

    def remove(self, one: Held) -> None:
        """It is closed."""
        self._all.discard(one)
        self._waiting.pop(one, None)
        self._leaving.pop(one, None)

    def wait(self, one: Held) -> None:
        """From now on it waits for its next request."""
        if one in self._all and one not in self._leaving:
            self._waiting[one] = None

    def work(self, one: Held) -> None:
        """A request of it is whole, or its head is."""
        self._waiting.pop(one, None)

    def end_largest(self) -> None:
        """End the request that holds the most, if any holds much."""
        largest = max(self._all, key=lambda one: one.holds(), default=None)
        if largest is None or (size := largest.holds()) < _WORTH_ENDING:
            return
        self.ended += 1
        logger.warning("short of memory: a request that held %d kB was ended", size // 1024)
        largest.end_for_memory()


def limit() -> int:
    """Connections that this process takes: the setting, or what its files allow, if half of those are upstreams'."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most: int = settings.MAX_CONNECTIONS
    return most if files == resource.RLIM_INFINITY else min(most, max(64, (files - _OTHER_FILES) // 2))


#: Of this process.
connections = Connections()
