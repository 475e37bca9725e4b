"""What rests, told to and heard from other processes through Redis, beside the requests and never in their way.

One sorted set per kind (keys, places) holds name -> the moment (of Redis' own clock) that it is free, and a second one
what was freed before its time, for some minutes. Five times a second a task writes what was put to rest or freed here
and reads what was elsewhere, in one round trip. With Redis away each process knows its own only. What is in neither set
was not freed: Redis may have lost it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

from keys.cooling import LONGEST, MOST
from keys.redis_task import RedisTask

NAME: Final = "jackfield:resting-keys"
#: Seconds for which it is told that something was freed. A process that hears nothing for longer lets it rest on.
FREED_STANDS: Final = 300
_FINGERPRINT: Final = re.compile(rb"[0-9a-f]{12}(?::.{1,800})?\Z", re.DOTALL)


class Resting(Protocol):
    """What rests in this process. `outbox`: (name, until) and `freed`: names, not yet told to the others."""

    outbox: deque[tuple[str, float]]
    freed: deque[str]

    def clock(self) -> float:
        """Monotonic seconds, in which `until` is told."""

    def learn(self, remaining: Mapping[str, float], freed: Collection[str] = ()) -> None:
        """All that rests anywhere: name -> seconds left; and what was freed since the last time."""


class Mirror(RedisTask):
    """The task that keeps what rests in one process and the shared set `name` alike. `pattern`: of names.

    Processes of the version before free by taking names out of that set, and do not hear of the second one.
    """

    what = "what rests"
    period = 0.2

    def __init__(self, resting: Resting, url: str, name: str = NAME, pattern: re.Pattern[bytes] = _FINGERPRINT) -> None:
        super().__init__(url)
        self.resting = resting
        self._name = name
        self._freed = f"{name}:freed"
        self._pattern = pattern
        #: words of what was freed that were heard already: the name and when it was said
        self._heard: frozenset[tuple[bytes, float]] = frozenset()
        self._offset: float | None = None

    async def exchange(self, client: Any) -> None:
        """One round trip (a second one the first time): tell, tidy, hear. Raises what the client raises."""
        resting = self.resting
        if self._offset is None:
            self._offset = _seconds(await client.time()) - resting.clock()
        told, count = dict(resting.outbox), len(resting.outbox)
        freed, free_count = set(resting.freed) - told.keys(), len(resting.freed)
        now = resting.clock() + self._offset
        pipe = client.pipeline(transaction=False)
        if freed:
            pipe.zrem(self._name, *freed)
            pipe.zadd(self._freed, dict.fromkeys(freed, now))
            pipe.expire(self._freed, 2 * FREED_STANDS)
        if told:
            pipe.zrem(self._freed, *told)
            pipe.zadd(self._name, {name: until + self._offset for name, until in told.items()}, gt=True)
            pipe.expire(self._name, int(LONGEST) + 60)
        pipe.zremrangebyscore(self._name, "-inf", now)
        pipe.zremrangebyscore(self._freed, "-inf", now - FREED_STANDS)
        pipe.time()
        pipe.zrangebyscore(self._name, now, "+inf", start=0, num=MOST, withscores=True)
        pipe.zrange(self._freed, 0, MOST - 1, withscores=True)
        *_, clock, found, words = await pipe.execute()
        self._offset = _seconds(clock) - resting.clock()
        for done, of in ((count, resting.outbox), (free_count, resting.freed)):
            for _ in range(min(done, len(of))):
                of.popleft()
        now = resting.clock() + self._offset
        before, self._heard = self._heard, frozenset(map(tuple, words))
        new = {name for name, _ in self._heard - before}
        resting.learn(
            {name.decode(errors="replace"): until - now for name, until in found if self._pattern.match(name)},
            {name.decode(errors="replace") for name in new if self._pattern.match(name)},
        )

    def lost(self) -> None:
        """It may come back on another machine, with another clock."""
        self._offset = None


def _seconds(clock: tuple[int, int]) -> float:
    return clock[0] + clock[1] / 1e6
