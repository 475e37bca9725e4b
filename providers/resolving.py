"""Names to addresses for new connections: looked up once, every address checked, the checked ones are connected to.

Because the engine connects to exactly what is returned here, a name that answers a public address to the check and
a private one to the connect cannot exist (R-NET-02). The look-up runs off the loop and has a deadline (R-REL-02).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from _thread import start_new_thread
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import httpx
from aiohttp.abc import AbstractResolver, ResolveResult

from providers.egress import check_address

#: Seconds: how long a look-up is waited for, and how long where old addresses can stand in; how long a failure is
#: remembered; how long old addresses stand in for a failure.
LOOKUP_DEADLINE: Final = 3.0
PATIENCE: Final = 1.0
REMEMBER_FAILURE: Final = 5.0
STAND_IN: Final = 600.0
_MOST_NAMES: Final = 4096

Lookup = Callable[[str, int], Awaitable[list[str]]]


class EgressRefused(httpx.ConnectError):
    """The URL or one of the addresses of its host may not be reached. Nothing was sent."""

    code = "egress_refused"


class NameNotResolved(OSError):
    """The name has no address, or none was found in time."""


class ThreadedLookup:
    """The addresses of a name as the operating system knows them, in its order, each look-up in a thread of its own.

    A thread that waits for a name server cannot be called back. So no look-up waits for the thread of another, and none
    is a thread that others in this process want; a process that ends does not wait for them. `most` run at a time:
    beyond that the name is not resolved.
    """

    def __init__(self, most: int) -> None:
        self._room = threading.BoundedSemaphore(most)

    async def __call__(self, host: str, port: int) -> list[str]:
        """Raises OSError, UnicodeError."""
        if not self._room.acquire(blocking=False):
            raise NameNotResolved("too many names are being looked up")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        try:
            # Not threading's, which waits here until the thread runs, and at the end of the process until it is done.
            start_new_thread(self._ask, (loop, answer, host, port))
        except RuntimeError:  # the machine has no thread left
            self._room.release()
            raise NameNotResolved("no thread to look a name up in") from None
        return await answer

    def _ask(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[str]], host: str, port: int) -> None:
        tell: Callable[[], None]
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        except (OSError, UnicodeError) as error:
            tell = partial(_unless_done, answer, answer.set_exception, error)
        else:
            tell = partial(_unless_done, answer, answer.set_result, list(dict.fromkeys(str(at[0]) for *_, at in found)))
        finally:
            self._room.release()
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell)


def _unless_done(answer: asyncio.Future[list[str]], tell: Callable[[Any], None], what: Any) -> None:
    if not answer.done():
        tell(what)


#: For the names that operators entered, of all event loops of the process.
system_lookup: Final = ThreadedLookup(256)
#: For names that workers are at, as they say themselves: their name servers keep no provider waiting.
workers_lookup: Final = ThreadedLookup(64)
#: For names that callers of this gateway chose: who serves such a name may never answer.
strangers_lookup: Final = ThreadedLookup(64)


class GuardedResolver(AbstractResolver):
    """A resolver for one kind of account: those that may reach private networks, or those that may not."""

    def __init__(self, private: bool, lookup: Lookup = system_lookup) -> None:
        self._private = private
        self._lookup = lookup
        #: look-ups under way, and since when
        self._running: dict[str, tuple[asyncio.Task[list[str]], float]] = {}
        self._good: dict[str, tuple[float, list[str]]] = {}
        self._failed: dict[str, float] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The checked addresses. Raises EgressRefused if any one of them is bad, NameNotResolved if there is none."""
        addresses = await self._addresses(host, port)
        for address in addresses:
            reason = check_address(address, self._private)
            if reason is not None:
                raise EgressRefused(f"{host} resolves to an address that is not allowed: {reason}")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def _addresses(self, host: str, port: int) -> list[str]:
        """The newest addresses. A look-up is waited for until its deadline, by whoever comes; and not for that long
        where earlier addresses can stand in."""
        now = time.monotonic()
        if now - self._failed.get(host, -REMEMBER_FAILURE) < REMEMBER_FAILURE:
            return self._stand_in(host, now)
        task, begun = self._running.get(host) or self._begin(host, port, now)
        left = begun + (PATIENCE if self._stands_in(host, now) else LOOKUP_DEADLINE) - now
        if left <= 0:
            return self._stand_in(host, now)
        # The look-up is shared: a caller that leaves does not end it for the others.
        try:
            return await asyncio.wait_for(asyncio.shield(task), left)
        except (OSError, TimeoutError, UnicodeError):
            return self._stand_in(host, time.monotonic())

    def _begin(self, host: str, port: int, now: float) -> tuple[asyncio.Task[list[str]], float]:
        task = asyncio.create_task(self._look_up(host, port))
        self._running[host] = task, now
        task.add_done_callback(lambda done: self._finish(host, done))
        return task, now

    async def _look_up(self, host: str, port: int) -> list[str]:
        # The dot keeps the machine's search domains out. A private name may be one that only those know.
        asked = host if self._private or host.endswith(".") else f"{host}."
        addresses = await self._lookup(asked, port)
        if not addresses:
            raise NameNotResolved(f"{host} has no address")
        return addresses

    def _finish(self, host: str, task: asyncio.Task[list[str]]) -> None:
        self._running.pop(host, None)
        if task.cancelled():
            return
        now = time.monotonic()
        if task.exception() is None:
            self._remember(self._good, host, (now, task.result()))
            self._failed.pop(host, None)
        else:
            self._remember(self._failed, host, now)

    def _stands_in(self, host: str, now: float) -> bool:
        since, addresses = self._good.get(host, (-STAND_IN, []))
        return bool(addresses) and now - since < STAND_IN

    def _stand_in(self, host: str, now: float) -> list[str]:
        if self._stands_in(host, now):
            return self._good[host][1]
        raise NameNotResolved(f"{host} could not be resolved")

    @staticmethod
    def _remember(table: dict[str, Any], host: str, value: Any) -> None:
        if len(table) >= _MOST_NAMES:
            table.pop(next(iter(table)))
        table[host] = value

    async def close(self) -> None:
        """End the look-ups that still run."""
        for task, _ in list(self._running.values()):
            task.cancel()
