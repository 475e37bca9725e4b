"""Which keys rest after a rate-limit answer, in this process. Pure: `keys.mirror` tells the other processes.

Times are of one monotonic clock; what leaves the process are durations, so no two machines' clocks are compared.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Final

#: Nobody's Retry-After may take a key out for longer: an upstream that errs must not cost more than a day.
LONGEST: Final = 86400.0
#: Keys remembered at most; beyond it the ones that are free soonest are forgotten.
MOST: Final = 10_000


def resting_name(fingerprint: str, model: str = "") -> str:
    """What rests: a key, or a key for one model of its upstream."""
    return f"{fingerprint}:{model}" if model else fingerprint


class Cooling:
    """Fingerprint, or what `resting_name` makes of it -> the moment it is free again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        #: cooled here and not yet told to the others; the oldest fall out if nobody listens
        self.outbox: deque[tuple[str, float]] = deque(maxlen=1024)
        #: free again before their time, and not yet told to the others
        self.freed: deque[str] = deque(maxlen=1024)
        self._until: dict[str, float] = {}

    def cool(self, fingerprint: str, seconds: float) -> None:
        """Let a key rest. A longer rest that it already has stays."""
        if not math.isfinite(seconds) or seconds <= 0:
            return
        until = self.clock() + min(seconds, LONGEST)
        if self._learn(fingerprint, until):
            self.outbox.append((fingerprint, until))

    def learn(self, remaining: Mapping[str, float], freed: Collection[str] = ()) -> None:
        """Take over what another process cooled: fingerprint -> seconds left; and what one freed before its time.

        What rests anew since then goes on to rest."""
        now = self.clock()
        freed_here = set(self.freed)
        for fingerprint, seconds in remaining.items():
            if 0 < seconds <= LONGEST and fingerprint not in freed_here:
                self._learn(fingerprint, now + seconds)
        if freed:
            for fingerprint in set(freed) - remaining.keys() - dict(self.outbox).keys():
                self._until.pop(fingerprint, None)

    def is_cool(self, fingerprint: str) -> bool:
        """Does this key rest now?"""
        return bool(self._until) and self.remaining(fingerprint) > 0

    def remaining(self, fingerprint: str) -> float:
        """Seconds until this key may be used; 0 if now."""
        until = self._until.get(fingerprint)
        if until is None:
            return 0.0
        left = until - self.clock()
        if left > 0:
            return left
        self._until.pop(fingerprint, None)
        return 0.0

    def any(self) -> bool:
        """Does any key rest? False is the usual answer, and then no key needs to be looked at."""
        return bool(self._until)

    def clear(self, fingerprint: str) -> None:
        """Let a key be used again, for every model."""
        for name in list(self._until):
            if name.partition(":")[0] == fingerprint and self._until.pop(name, None) is not None:
                self.freed.append(name)

    def __len__(self) -> int:
        return len(self._until)

    def _learn(self, fingerprint: str, until: float) -> bool:
        # A tenth of a second either way is the same rest: what the mirror echoes is not told again.
        if until <= self._until.get(fingerprint, 0.0) + 0.1:
            return False
        self._until[fingerprint] = until
        if len(self._until) > MOST:
            self._forget_the_soonest()
        return True

    def _forget_the_soonest(self) -> None:
        last = sorted(self._until.items(), key=lambda item: item[1])[MOST // 10 :]
        self._until = dict(last)
