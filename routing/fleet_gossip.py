"""What workers say, told to and heard from other processes through Redis, where there is one: without the database.

One hash holds each worker's last word, one sorted set when it was said, by Redis' own clock. What an operator wants
comes from the database alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

import msgspec

from keys.redis_task import RedisTask
from providers.dialects.values import UNREADABLE
from routing.fleet import FORGOTTEN, MOST, Fleet
from routing.fleet_words import Told, heard, told

NAME: Final = "jackfield:workers"
TIMES: Final = "jackfield:workers:heard"
MOST_BYTES: Final = 64 * 1024
#: Seconds by which words are asked for again that were heard already.
_AGAIN: Final = 2.0
#: Words that are taken in without a break: each has a seal to open.
_AT_ONCE: Final = 50

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Told).decode


class FleetGossip(RedisTask):
    """The task of one process."""

    what = "what workers say"
    period = 0.2

    def __init__(self, known: Fleet, url: str) -> None:
        super().__init__(url)
        self._known = known
        self._outbox: deque[str] = known.new_outbox()
        self._since = 0.0

    async def stop(self) -> None:
        await super().stop()
        self._known.outboxes.remove(self._outbox)

    async def exchange(self, client: Any) -> None:
        """Two round trips, a third if there is something new. Raises what the client raises."""
        seconds, micro = await client.time()
        now = seconds + micro / 1e6
        ids = list(dict.fromkeys(self._outbox))
        count = len(self._outbox)
        pipe = client.pipeline(transaction=False)
        for worker in (worker for pk in ids if (worker := self._known.get(pk)) is not None):
            pipe.hset(NAME, worker.id, _encode(told(worker.word)))
            pipe.zadd(TIMES, {worker.id: now - (self._known.clock() - worker.heard_at)}, gt=True)
        pipe.zrangebyscore(TIMES, "-inf", now - FORGOTTEN, start=0, num=MOST)
        # What was said later than now was said by none of ours.
        pipe.zrangebyscore(TIMES, self._since - _AGAIN, now + _AGAIN, start=0, num=MOST, withscores=True)
        pipe.expire(NAME, int(2 * FORGOTTEN))
        pipe.expire(TIMES, int(2 * FORGOTTEN))
        *_, gone, found, _, _ = await pipe.execute()
        for _ in range(min(count, len(self._outbox))):
            self._outbox.popleft()
        if gone:
            await client.hdel(NAME, *gone)
            await client.zrem(TIMES, *gone)
        if not found:
            return
        told_of = zip(found, await client.hmget(NAME, [pk for pk, _ in found]), strict=True)
        for number, ((pk, at), said) in enumerate(told_of, 1):
            self._since = max(self._since, at)
            self._learn(pk, said, now - at)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)  # requests in between

    def lost(self) -> None:
        """It may come back on another machine, with another clock."""
        self._since = 0.0

    def _learn(self, worker_id: bytes, said: bytes | None, age: float) -> None:
        """Nothing, of what none of ours told."""
        if said is None or len(said) > MOST_BYTES:
            return
        try:
            word = heard(_decode(said), worker_id.decode("ascii", "replace"))
        except UNREADABLE:
            return
        if word is not None:
            self._known.learn(word, max(age, 0.0))
