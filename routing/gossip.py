"""What processes tell one another of places through Redis: which circuits opened, and the figures of each.

Every second a process writes its report under its own name, where it ends by itself a few seconds after the process
does, and reads those of the others. With Redis away each orders places by its own figures alone.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from keys.redis_task import RedisTask
from providers.dialects.values import UNREADABLE
from routing.hearsay import Everybody, Report, decoded, encoded, report

#: The set of places that rest, and what they are called there: see `keys.mirror`.
SHARED: Final = "jackfield:resting-places"
NAME: Final = re.compile(rb"[1-9][0-9]{0,17}:.{1,191}\Z", re.DOTALL)
#: The set of processes that tell, and how the keys of their reports begin.
TELLING: Final = "jackfield:health"
#: Seconds for which a report stands without being renewed.
STANDS: Final = 5
MOST_PROCESSES: Final = 128
#: Bytes of a report that is read.
MOST_BYTES: Final = 256 * 1024


class Gossip(RedisTask):
    """The task that tells what this process knows and hears the others. Without `name` it only hears."""

    what = "the figures of places"
    period = 1.0

    def __init__(self, known: Everybody, url: str, name: str = "") -> None:
        super().__init__(url)
        self._known = known
        self._name = name

    async def exchange(self, client: Any) -> None:
        """Two round trips: tell and ask who is there, hear them. Raises what the client raises."""
        pipe = client.pipeline(transaction=False)
        if self._name:
            pipe.set(_key(self._name), encoded(report(self._known.own)), ex=STANDS)
            pipe.sadd(TELLING, self._name)
            pipe.expire(TELLING, 12 * STANDS)
        pipe.smembers(TELLING)
        *_, found = await pipe.execute()
        names = sorted(name.decode(errors="replace") for name in found)
        names = [name for name in names if name != self._name][:MOST_PROCESSES]
        others: dict[str, Report] = {}
        if names:
            told = await client.mget([_key(name) for name in names])
            gone = [name for name, data in zip(names, told, strict=True) if data is None]
            if gone:
                await client.srem(TELLING, *gone)
            for name, data in zip(names, told, strict=True):
                others |= _read(name, data)
                await asyncio.sleep(0)  # requests in between
        self._known.learn(others)

    def lost(self) -> None:
        """What was heard last is not true for long."""
        self._known.learn({})


def _key(name: str) -> str:
    return f"{TELLING}:{name}"


def _read(name: str, data: bytes | None) -> dict[str, Report]:
    """What a process tells; nothing, if it is none of ours or of a later version that tells it in another form."""
    if data is None or len(data) > MOST_BYTES:
        return {}
    try:
        return {name: decoded(data)}
    except UNREADABLE:
        return {}
