"""R-REL-14: what is revoked is refused by every gateway at once, and soon also where nothing is pushed."""

from __future__ import annotations

import asyncio
import threading
import time

from tests.faults.databases import Postgres
from tests.faults.premises import Premises, eventually, premises
from tests.faults.rows import ROOM, Row, Scale


def r_rel_14_revocation_reaches_all(scale: Scale, seed: int) -> Row:
    pushed, polled = (1000, 100) if scale == "long" else (6, 0)
    with premises(scale, seed) as here:
        tokens = here.act("many_tokens", pushed + polled)
        here.settled()
        watch = Watch(here.gateways.ports)
        with here.load(seed, rate=60.0) as load:
            _revoke(here, watch, tokens[:pushed])
            took = watch.took()
            _revoke(here, watch, tokens[pushed:], cut=True)
            cut = watch.took()[len(took) :]
        watch.end()
    failed = [answer for answer in load.answers if answer.status != 200]
    whole = len(took) == pushed * len(here.gateways.ports) and len(cut) == polled * len(here.gateways.ports)
    took.sort()
    p50, p999 = took[len(took) // 2], took[min(len(took) - 1, len(took) * 999 // 1000)]
    limits = [limit * ROOM[scale] for limit in (0.15, 1.0, 1.5)]
    slowest = max(cut, default=0.0)
    return Row(
        f"{pushed:,} tokens revoked under load, {len(here.gateways.ports)} gateways"
        + (f"; {polled} with the push channel cut" if polled else ""),
        "R-REL-14",
        len(load.answers),
        len(load.answers) - len(failed),
        "p50 150 ms, p99.9 1 s; push channel cut: 1.5 s",
        f"p50 {p50 * 1000:.0f} ms, p99.9 {p999 * 1000:.0f} ms; cut: {slowest * 1000:.0f} ms at most",
        whole and not failed and p50 <= limits[0] and p999 <= limits[1] and slowest <= limits[2],
    )


class Watch:
    """Asks every gateway again and again with what is being revoked, until it is refused."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        #: (gateway, token) -> when it was refused there
        self._refused: dict[tuple[int, str], float] = {}
        #: token -> when its revocation was committed; None: soon
        self._revoked: dict[str, float | None] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="watch")
        self._thread.start()

    def begin(self, token: str) -> None:
        self._revoked[token] = None

    def committed(self, token: str, at: float) -> None:
        self._revoked[token] = at

    def everywhere(self) -> bool:
        return len(self._refused) == len(self._revoked) * len(self._ports)

    def took(self) -> list[float]:
        """Seconds from each commit until each gateway refused, in the order of the commits."""
        return [
            max(0.0, self._refused[port, token] - at)
            for token, at in self._revoked.items()
            for port in self._ports
            if at is not None and (port, token) in self._refused
        ]

    def end(self) -> None:
        self._ended.set()
        self._thread.join(20)

    async def _run(self) -> None:
        await asyncio.gather(*(self._watch(port) for port in self._ports))

    async def _watch(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not self._ended.is_set():
            waiting = [token for token in list(self._revoked) if (port, token) not in self._refused]
            for token in waiting:
                head = f"GET /v1/models/patched HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
                writer.write(head.encode())
                answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(answer.partition("content-length:")[2].partition("\r\n")[0])
                await reader.readexactly(length)
                if answer.startswith("http/1.1 401"):
                    self._refused[port, token] = time.time()
            await asyncio.sleep(0.01)
        writer.close()


def _revoke(here: Premises, watch: Watch, tokens: list[tuple[str, str]], *, cut: bool = False) -> None:
    for pk, text in tokens:
        if cut and isinstance(here.database, Postgres):
            here.database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        watch.begin(text)
        watch.committed(text, here.act("revoke", pk))
        time.sleep(0.05)
    eventually(watch.everywhere, 10)
