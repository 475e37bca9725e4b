"""Crowds of clients for one gateway: those that ask more than it can do, slow ones, those that all come first.

Raw protocols: thousands of clients must cost less than what they ask for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from installation import free_port
from tests.crowd import chat, post
from tests.faults import lab
from tests.faults.documents import account, model
from tests.faults.gateways import Gateways
from tests.faults.lab import Lab
from tests.faults.rows import Scale

T = TypeVar("T")


@dataclass
class Told:
    """One answer, as its client had it. `status` 0: the connection broke."""

    at: float
    seconds: float
    status: int
    wait: bool = False


def quantile(answers: list[Told], share: float) -> float:
    """Seconds that this share of the answers took at most."""
    took = sorted(answer.seconds for answer in answers)
    return took[min(len(took) - 1, int(share * len(took)))] if took else float("inf")


class Line(asyncio.Protocol):
    """One connection that asks one thing after another."""

    def __init__(self) -> None:
        self._got = b""
        self._answered: asyncio.Future[Told] | None = None
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # of TCP

    def ask(self, request: bytes) -> asyncio.Future[Told]:
        self._answered = asyncio.get_running_loop().create_future()
        self._got = b""
        self._began = time.perf_counter()
        self.transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) >= length:
            self._end(int(head.split(b" ", 2)[1]), b"\r\nretry-after: " in head.lower())

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(0, False)

    def _end(self, status: int, wait: bool) -> None:
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():
            now = time.perf_counter()
            answered.set_result(Told(now, now - self._began, status, wait))


class Lines:
    """Connections to one gateway: a free one is used again."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port, self._request = port, request
        self._free: list[Line] = []
        self.answers: list[Told] = []

    async def open(self) -> Line:
        _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", self._port)
        return line

    async def ready(self, number: int) -> None:
        """So many are there."""
        self._free += [await self.open() for _ in range(number - len(self._free))]

    async def ask(self) -> Told:
        # One that never said anything is closed after ten seconds.
        self._free = [line for line in self._free if not line.transport.is_closing()]
        line = self._free.pop() if self._free else await self.open()
        told = await line.ask(self._request)
        if told.status:
            self._free.append(line)
        self.answers.append(told)
        return told

    async def at_rate(self, rate: float, seconds: float) -> list[Told]:
        """Ask so often, however long the answers take."""
        began, asked, number = time.perf_counter(), [], 0
        while (now := time.perf_counter() - began) < seconds:
            while number <= now * rate:
                asked.append(asyncio.ensure_future(self.ask()))
                number += 1
            await asyncio.sleep(0.001)
        return await asyncio.gather(*asked)

    async def in_turn(self, connections: int, seconds: float) -> list[Told]:
        """As many at a time, each asking anew when it was answered."""
        end, told = time.perf_counter() + seconds, []

        async def one() -> None:
            while time.perf_counter() < end:
                told.append(await self.ask())

        await asyncio.gather(*(one() for _ in range(connections)))
        return told


class Place:
    """Gateways of an installation, which are started in a moment, each with settings of its own."""

    def __init__(self, here: Lab, gateways: Gateways) -> None:
        self.here = here
        self._gateways = gateways

    @contextlib.contextmanager
    def gateway(self, *, wait: bool = True, **own: float) -> Iterator[tuple[int, int]]:
        """Port and process id."""
        port = free_port()
        pid = self._gateways.start(port, wait=wait, **own)
        try:
            yield port, pid
        finally:
            os.kill(pid, signal.SIGKILL)
            self.here.forget(pid)

    def question(self, project: str, plays: str) -> bytes:
        """A request of this project, to a model at which the upstream plays this."""
        name = f"{project}-{plays}".replace(":", "-")
        place = f"{project}-up"
        tokens = self.here.apply(account(place, self.here.upstream.url) + model(name, (place, plays)), project)
        return post("/v1/chat/completions", tokens[project], chat(name, text=f"mark.{project}.1."))

    def booked(self, project: str, number: int) -> int:
        """Usage rows of the project, when there are so many or some seconds have passed."""
        end = time.monotonic() + 10
        while True:
            rows = sum(row["project"] == project for row in self.here.rows("project"))
            if rows >= number or time.monotonic() > end:
                return rows
            time.sleep(0.1)


_places: dict[int, Place] = {}


@contextlib.contextmanager
def place(scale: Scale, seed: int) -> Iterator[Place]:
    """In the short form one for all scenarios that ask."""
    with lab.lab(scale, seed, workers=1) as here:
        if id(here) not in _places:
            gateways = Gateways(here.place, 0)
            closing = contextlib.ExitStack()
            closing.callback(_places.pop, id(here))
            closing.callback(gateways.close)
            _places[id(here)] = Place(here, gateways)
            if scale == "short":
                lab.keep(closing)
            else:
                with closing:
                    yield _places[id(here)]
                return
        yield _places[id(here)]


def run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def worked(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
