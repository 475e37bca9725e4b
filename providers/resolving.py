"""Names to addresses for new connections: looked up once, every address checked, the checked ones are connected to.

Because the engine connects to exactly what is returned here, a name that answers a public address to the check and
a private one to the connect cannot exist (R-NET-02). The look-up runs off the loop and has a deadline (R-REL-02).
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import httpx
from aiohttp.abc import AbstractResolver, ResolveResult

from providers.egress import check_address

#: Seconds: the longest look-up, how long a failure is remembered, how long old addresses stand in for a failure.
LOOKUP_DEADLINE: Final = 3.0
REMEMBER_FAILURE: Final = 5.0
STAND_IN: Final = 600.0
_MOST_NAMES: Final = 4096

Lookup = Callable[[str, int], Awaitable[list[str]]]


class EgressRefused(httpx.ConnectError):
    """The URL or one of the addresses of its host may not be reached. Nothing was sent."""

    code = "egress_refused"


class NameNotResolved(OSError):
    """The name has no address, or none was found in time."""


async def system_lookup(host: str, port: int) -> list[str]:
    """The addresses of a name as the operating system knows them, in its order."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class ApartLookup:
    """The same in threads of its own, for names that callers of this gateway chose.

    Who serves such a name may never answer, and a thread that waits for that cannot be called back: at most so many
    wait, and no other name waits behind them. Raises NameNotResolved beyond that.
    """

    def __init__(self, threads: int = 8, most: int = 64) -> None:
        self._threads = ThreadPoolExecutor(threads, "strangers")
        self._room = threading.BoundedSemaphore(most)

    async def __call__(self, host: str, port: int) -> list[str]:
        if not self._room.acquire(blocking=False):
            raise NameNotResolved("too many names are being looked up")
        asked = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = self._threads.submit(asked)
        found.add_done_callback(lambda _: self._room.release())
        return list(dict.fromkeys(str(address[0]) for *_, address in await asyncio.wrap_future(found)))


class GuardedResolver(AbstractResolver):
    """A resolver for one kind of account: those that may reach private networks, or those that may not."""

    def __init__(self, private: bool, lookup: Lookup = system_lookup) -> None:
        self._private = private
        self._lookup = lookup
        self._running: dict[str, asyncio.Task[list[str]]] = {}
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
        now = time.monotonic()
        if now - self._failed.get(host, -REMEMBER_FAILURE) < REMEMBER_FAILURE:
            return self._stand_in(host, now)
        task = self._running.get(host)
        if task is None:
            task = asyncio.create_task(self._look_up(host, port))
            self._running[host] = task
            task.add_done_callback(lambda done: self._finish(host, done))
        # The look-up is shared: a caller that leaves does not end it for the others.
        try:
            return await asyncio.wait_for(asyncio.shield(task), LOOKUP_DEADLINE)
        except (OSError, TimeoutError, UnicodeError):
            self._remember(self._failed, host, time.monotonic())
            return self._stand_in(host, time.monotonic())

    async def _look_up(self, host: str, port: int) -> list[str]:
        # The dot keeps the machine's search domains out. A private name may be one that only those know.
        asked = host if self._private or host.endswith(".") else f"{host}."
        addresses = await self._lookup(asked, port)
        if not addresses:
            raise NameNotResolved(f"{host} has no address")
        self._remember(self._good, host, (time.monotonic(), addresses))
        self._failed.pop(host, None)
        return addresses

    def _finish(self, host: str, task: asyncio.Task[list[str]]) -> None:
        self._running.pop(host, None)
        if not task.cancelled():
            task.exception()  # read, so that a look-up nobody waits for any more stays silent

    def _stand_in(self, host: str, now: float) -> list[str]:
        since, addresses = self._good.get(host, (-STAND_IN, []))
        if addresses and now - since < STAND_IN:
            return addresses
        raise NameNotResolved(f"{host} could not be resolved")

    @staticmethod
    def _remember(table: dict[str, Any], host: str, value: Any) -> None:
        if len(table) >= _MOST_NAMES:
            table.pop(next(iter(table)))
        table[host] = value

    async def close(self) -> None:
        """End the look-ups that still run."""
        for task in list(self._running.values()):
            task.cancel()
