"""A task that exchanges something with other processes through Redis, beside the requests and never in their way.

With Redis away no request notices, and the task is back within two seconds of Redis, also where it was down at the
start. What is exchanged is the subclasses' matter. Whoever else asks Redis has its client from here (`connect`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar, Final

log = logging.getLogger(__name__)

#: Seconds between two tries while Redis does not answer, and those that it is waited for.
_PAUSE: Final = 2.0
_PATIENCE: Final = 1.0
#: Seconds that the end of the task is waited for.
_FAREWELL: Final = 1.0


class NoPackage(Exception):
    """The package that asks Redis is not installed: an extra of its own."""


def connect(url: str, patience: float) -> tuple[Any, tuple[type[Exception], ...]]:
    """A client of the Redis at this URL that waits so many seconds for anything, and what it raises where Redis does
    not answer. It connects when it is first used. Raises NoPackage."""
    try:
        from redis import asyncio as redis  # noqa: PLC0415 - an extra that installations without Redis lack
        from redis.exceptions import RedisError  # noqa: PLC0415 - the same
    except ImportError:
        raise NoPackage from None
    client = redis.Redis.from_url(url, socket_timeout=patience, socket_connect_timeout=patience)
    return client, (RedisError, OSError, TimeoutError)


class RedisTask:
    """One task of the running loop. `what` it exchanges, in words; `period`: seconds between two exchanges."""

    what: ClassVar[str]
    period: ClassVar[float]

    def __init__(self, url: str) -> None:
        self.connected = False
        self._told_lost = False
        self._url = url
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the task on the running loop."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"exchange of {self.what}")

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
            self.connected = False

    async def exchange(self, client: Any) -> None:
        """Tell and hear, once. Raises what the client raises."""
        raise NotImplementedError

    def lost(self) -> None:
        """Redis did not answer; when it does it may be another one."""

    async def _run(self) -> None:
        try:
            client, trouble = connect(self._url, _PATIENCE)
        except NoPackage:
            log.warning("REDIS_URL is set and the redis package is not installed: %s is not shared", self.what)
            return
        try:
            while True:
                pause = self.period
                try:
                    await self.exchange(client)
                except trouble as error:
                    self._lost(error)
                    pause = _PAUSE
                else:
                    self.connected, self._told_lost = True, False
                if self._stopping:
                    return
                await asyncio.sleep(pause)
        finally:
            await client.aclose()

    def _lost(self, error: BaseException) -> None:
        if not self._told_lost:
            log.warning("Redis does not answer (%s): %s is not shared until it does", type(error).__name__, self.what)
        self.connected, self._told_lost = False, True
        self.lost()
