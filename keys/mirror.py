"""What rests, told to and heard from other processes through Redis, beside the requests and never in their way.

One sorted set per kind (keys, places) holds name -> the moment (of Redis' own clock) that it is free. Five times a
second a task writes what was put to rest or freed here and reads what rests elsewhere, in one round trip. With Redis
away each process knows its own only, no request notices, and the task is back within two seconds of Redis.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Protocol

from keys.cooling import LONGEST, MOST

log = logging.getLogger(__name__)

NAME: Final = "jackfield:resting-keys"
PERIOD: Final = 0.2
_PAUSE: Final = 2.0
_PATIENCE: Final = 1.0
#: Seconds that the end of the task is waited for.
_FAREWELL: Final = 1.0
_FINGERPRINT: Final = re.compile(rb"[0-9a-f]{12}\Z")


class Resting(Protocol):
    """What rests in this process. `outbox`: (name, until) and `freed`: names, not yet told to the others."""

    outbox: deque[tuple[str, float]]
    freed: deque[str]

    def clock(self) -> float:
        """Monotonic seconds, in which `until` is told."""

    def learn(self, remaining: Mapping[str, float]) -> None:
        """All that rests anywhere: name -> seconds left."""


class Mirror:
    """The task that keeps what rests in one process and the shared set `name` alike. `pattern`: of names."""

    def __init__(self, resting: Resting, url: str, name: str = NAME, pattern: re.Pattern[bytes] = _FINGERPRINT) -> None:
        self.resting = resting
        self._name = name
        self._pattern = pattern
        self.connected = False
        self._told_lost = False
        self._url = url
        self._offset: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the task on the running loop."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"mirror of {self._name}")

    async def stop(self) -> None:
        """End the task, within a second whatever Redis' client makes of it.

        The client now and then takes a cancellation for a timeout of its own and goes on, so the task is also told by
        a flag, and its end is waited for only so long.
        """
        task, self._task = self._task, None
        if task is not None:
            self._stopping = True
            task.cancel()
            await asyncio.wait((task,), timeout=_FAREWELL)

    async def _run(self) -> None:
        try:
            from redis import asyncio as redis  # noqa: PLC0415 - an extra that installations without Redis lack
            from redis.exceptions import RedisError  # noqa: PLC0415 - the same
        except ImportError:
            log.warning("REDIS_URL is set and the redis package is not installed: what rests is not shared")
            return
        client = redis.Redis.from_url(self._url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
        try:
            while True:
                pause = PERIOD
                try:
                    await self.exchange(client)
                except (RedisError, OSError, TimeoutError) as error:
                    self._lost(error)
                    pause = _PAUSE
                else:
                    self.connected, self._told_lost = True, False
                if self._stopping:
                    return
                await asyncio.sleep(pause)
        finally:
            await client.aclose()

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
        if told:
            pipe.zadd(self._name, {name: until + self._offset for name, until in told.items()}, gt=True)
            pipe.expire(self._name, int(LONGEST) + 60)
        pipe.zremrangebyscore(self._name, "-inf", now)
        pipe.time()
        pipe.zrangebyscore(self._name, now, "+inf", start=0, num=MOST, withscores=True)
        *_, clock, found = await pipe.execute()
        self._offset = _seconds(clock) - resting.clock()
        for done, of in ((count, resting.outbox), (free_count, resting.freed)):
            for _ in range(min(done, len(of))):
                of.popleft()
        now = resting.clock() + self._offset
        resting.learn({name.decode(): until - now for name, until in found if self._pattern.match(name)})

    def _lost(self, error: BaseException) -> None:
        if not self._told_lost:
            log.warning("Redis does not answer (%s): what rests is not shared until it does", type(error).__name__)
        self.connected, self._told_lost = False, True
        # It may come back on another machine, with another clock.
        self._offset = None


def _seconds(clock: tuple[int, int]) -> float:
    return clock[0] + clock[1] / 1e6
