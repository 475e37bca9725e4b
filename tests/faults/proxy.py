"""A TCP proxy that misbehaves on purpose: how a database or a Redis goes away, hangs or crawls for those who use it.

It listens on a port of its own in a thread of its own and passes bytes on. `fail` says what is wrong from now on, with
connections that stand and with new ones; `heal` ends it. What a fault did to a connection stays done: one whose bytes
were lost never passes bytes again, as behind a firewall that forgot it. Whom a fault strikes, and where it cuts, is
drawn from the seed.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

_CHUNK = 65536


@dataclass(frozen=True)
class Fault:
    """`share` of the connections are struck."""

    share: float = field(default=1.0, kw_only=True)


@dataclass(frozen=True)
class Latency(Fault):
    """Every piece comes so much later, give or take the jitter."""

    seconds: float
    jitter: float = 0.0


@dataclass(frozen=True)
class Bandwidth(Fault):
    """So many bytes a second in each direction."""

    rate: int


@dataclass(frozen=True)
class Slicer(Fault):
    """Every piece comes in slices of at most so many bytes, with a pause after each."""

    size: int
    pause: float


@dataclass(frozen=True)
class Limit(Fault):
    """A connection ends after so many bytes of answers."""

    size: int


@dataclass(frozen=True)
class Reset(Fault):
    """Connections are reset, new ones as soon as they stand."""


@dataclass(frozen=True)
class BlackHole(Fault):
    """What is sent is taken and lost, and nobody is told: a timeout is all that one hears."""


@dataclass(frozen=True)
class Pause(Fault):
    """Nothing comes, and all of it when it is over."""


@dataclass(frozen=True)
class Down(Fault):
    """Connections are closed and new ones refused."""


class _Link:
    """One connection: the client's end and the server's."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter], draw: float) -> None:
        self.writers = writers
        #: a fault whose share is larger strikes it
        self.draw = draw
        self.answered = 0
        self.lost = False

    def end(self, *, reset: bool) -> None:
        for writer in self.writers:
            if reset:
                with suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
            writer.transport.abort()


class Proxy:
    """See the module. For threads: every method may be called from any."""

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        self.target = (host, port)
        self.port = 0
        #: connections that were made so far
        self.made = 0
        self._dice = random.Random(seed)
        self._faults: tuple[Fault, ...] = ()
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty proxy", daemon=True)
        self._thread.start()
        self.heal()

    def fail(self, *faults: Fault) -> None:
        """From now on these are wrong, and no others."""
        asyncio.run_coroutine_threadsafe(self._fail(faults), self._loop).result(5)

    def heal(self) -> None:
        """Nothing is wrong any more."""
        self.fail()

    def stop(self) -> None:
        self.fail(Down())
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _end(self) -> None:
        """Give up the connections that wait for what will not come."""
        waiting = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _fail(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        down = self._has(Down)
        if down and self._server is not None:
            self._server.close()
            self._server = None
        if not down and self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        for link in list(self._links):
            self._strike(link)
        if self._has(Pause):
            self._flowing.clear()
        else:
            self._flowing.set()

    def _has(self, kind: type[Fault]) -> bool:
        return any(isinstance(fault, kind) for fault in self._faults)

    def _of(self, link: _Link) -> Iterator[Fault]:
        return (fault for fault in self._faults if link.draw < fault.share)

    def _strike(self, link: _Link) -> None:
        """What a fault does to a connection at once."""
        for fault in self._of(link):
            if isinstance(fault, Down | Reset):
                link.end(reset=isinstance(fault, Reset))
            elif isinstance(fault, BlackHole):
                link.lost = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        self.made += 1
        link = _Link((writer, up_writer), self._dice.random())
        self._links.add(link)
        self._strike(link)
        try:
            await asyncio.gather(
                self._pump(reader, up_writer, link, answers=False), self._pump(up_reader, writer, link, answers=True)
            )
        except asyncio.CancelledError:
            link.end(reset=False)  # `stop`, which waits for us
        finally:
            self._links.discard(link)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                await self._pass_on(data, writer, link, answers=answers)
        if not (link.lost and answers):  # of a lost connection the client hears no end either
            with suppress(OSError, RuntimeError):
                writer.close()

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter, link: _Link, *, answers: bool) -> None:
        if link.lost:
            return
        size, pause = len(data), 0.0
        for fault in self._of(link):
            if isinstance(fault, Latency):
                await asyncio.sleep(max(0.0, fault.seconds + self._dice.uniform(-fault.jitter, fault.jitter)))
            elif isinstance(fault, Bandwidth):
                await asyncio.sleep(len(data) / fault.rate)
            elif isinstance(fault, Slicer):
                size, pause = fault.size, fault.pause
            elif isinstance(fault, Limit) and answers:
                link.answered += len(data)
                if link.answered > fault.size:
                    writer.write(data[: len(data) - (link.answered - fault.size)])
                    await writer.drain()
                    link.end(reset=False)
                    return
        at = 0
        while at < len(data):
            end = at + (self._dice.randint(1, size) if pause else size)
            writer.write(data[at:end])
            await writer.drain()
            at = end
            await asyncio.sleep(pause)
