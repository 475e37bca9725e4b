"""Alarms about keys that are used up: a balance, a spend limit, a day's quota. Waiting helps little there, people do.

The log has a line and the figures a count for each, once in a while per key; the drainer writes the same from the
journal beside the key (`ProviderKey.spent_at`), where the admin and `doctor` find it, whichever process it was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

#: Seconds in which one key is reported once.
AGAIN: Final = 900.0
_MOST: Final = 10_000


class Spent:
    """Which keys this process has reported. `total`: alarms since it started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        self._clock = clock
        self._told: dict[str, float] = {}

    def report(self, fingerprint: str, account: str, seconds: float) -> None:
        """An upstream says that this key is used up; it rests for so long."""
        now = self._clock()
        if now < self._told.get(fingerprint, 0.0):
            return
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told[fingerprint] = now + AGAIN
        self.total += 1
        rests = f"it rests for {seconds:.0f} s" if seconds else "it is the last one and does not rest"
        log.warning("the key %s of account '%s' is used up, says its upstream: %s", fingerprint, account, rests)
