"""R-REL-23: clients that trickle heads or bodies, do not read, or say nothing, beside good ones."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from tests.faults.crowds import Lines, Told, place, quantile, resident, run, worked
from tests.faults.rows import ROOM, Row, Scale

#: Seconds by which the good ones' p99 may move; bytes that a slow reader may hold; seconds until a slow one is closed.
MOVES, HOLDS, CLOSED = 0.010, 256 * 1024, 13.0
RATE = 50.0


class Slow:
    """Sockets that trickle; the loop of a thread of its own would be one too many for two cores."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []
        self._trickles: list[tuple[socket.socket, Callable[[], bytes]]] = []
        self.closed: dict[socket.socket, float] = {}
        self.answers: dict[socket.socket, bytes] = {}

    def open(self, said: bytes, trickle: bytes = b"") -> socket.socket:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(10)
        one.connect(("127.0.0.1", self._port))
        one.sendall(said)
        one.setblocking(False)
        self._sockets.append(one)
        if trickle:
            self._trickles.append((one, lambda: trickle))
        return one

    async def trickle(self, seconds: float) -> None:
        """A byte or two of each, every second."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for number, (one, more) in enumerate(self._trickles):
                if one not in self.closed:
                    self._turn(one, more())
                if number % 20 == 19:
                    await asyncio.sleep(0)
            await asyncio.sleep(min(1.0, max(0.0, end - time.monotonic())))

    def _turn(self, one: socket.socket, more: bytes) -> None:
        try:
            one.send(more)
            got = one.recv(4096)
        except BlockingIOError:
            return
        except ConnectionError:
            self.closed[one] = time.monotonic()
            return
        self.answers[one] = self.answers.get(one, b"") + got
        if not got:
            self.closed[one] = time.monotonic()

    def close(self) -> None:
        for one in self._sockets:
            one.close()


def r_rel_23_slow_clients(scale: Scale, seed: int) -> Row:
    """Three tenths each: heads that trickle, bodies that trickle, silence; the rest are readers that do not read."""
    crowd, alone, beside = (100, 0.4, 0.6) if scale == "short" else (1000, 10.0, CLOSED + 4)
    readers, each = crowd // 10, crowd * 3 // 10
    with place(scale, seed) as here, here.gateway() as (port, pid):
        good = Lines(port, here.question("slow-good", "ok"))
        flood = here.question("slow-flood", "flood:16").replace(b'"stream": false', b'"stream": true ')
        slow = Slow(port)

        async def work() -> tuple[list[Told], list[Told], float, float]:
            await good.ready(8)
            await good.at_rate(RATE, 0.3)
            before = await good.at_rate(RATE, alone)
            first = 0
            for number in range(readers):
                if number == readers // 2:  # what the first of them made the process grow by stays, whoever comes
                    await _settled(pid)
                    first = resident(pid)
                slow.open(flood)
                await asyncio.sleep(0.01)
            await _settled(pid)
            held = (resident(pid) - first) / (readers // 2)
            opened = time.monotonic()
            asking = asyncio.ensure_future(good.at_rate(RATE, beside))
            for number in range(each):
                slow.open(b"GET / HTTP/1.1\r\nhost: a\r\n", b"x")
                slow.open(flood.partition(b"\r\n\r\n")[0] + b"\r\n\r\n{", b" ")
                slow.open(b"")
                if number % 10 == 9:
                    await asyncio.sleep(0.01)
            await slow.trickle(beside - (time.monotonic() - opened))
            return before, await asking, opened, held

        before, during, opened, held = run(work())
        late = max((when - opened for when in slow.closed.values()), default=0.0)
        told = sum(b" 408 " in answer for answer in slow.answers.values())
        slow.close()
    share = 0.99 if scale == "long" else 0.5  # the p99 of some thirty would be that of the machine
    was, became = quantile(before, share), quantile(during, share)
    ended = len(slow.closed) == 2 * each and late <= CLOSED + 3 and told == each
    served = sum(answer.status == 200 for answer in during)
    seen = f"; {len(slow.closed)} of {2 * each} ended in {late:.0f} s, {told} told" if scale == "long" else ""
    return Row(
        f"{crowd:,} slow clients beside good ones",
        "R-REL-23",
        len(during),
        served,
        f"the good p99 moves {MOVES * 1000:.0f} ms at most; a reader holds {HOLDS // 1024} KiB; heads and bodies end",
        f"p{share * 100:.0f} {was * 1000:.1f} → {became * 1000:.1f} ms; a reader holds {held / 1024:.0f} KiB{seen}",
        served == len(during)
        and became - was <= MOVES * ROOM[scale] ** 2
        and held <= HOLDS
        and (ended or scale == "short"),
    )


async def _settled(pid: int) -> None:
    """The readers hold what they will, and nobody works any more to send them more."""
    before, end = -1.0, time.monotonic() + 20
    while time.monotonic() < end and (now := worked(pid)) - before > 0.011:
        before = now
        await asyncio.sleep(0.1)
