"""R-REL-24: everybody's first request at once, at a gateway that has just begun to listen."""

from __future__ import annotations

import asyncio
import time

from tests.faults.crowds import Line, Told, place, quantile, run
from tests.faults.rows import ROOM, Row, Scale

CLIENTS: dict[Scale, int] = {"short": 200, "long": 500}
WITHIN = 1.0


def r_rel_24_cold_start_herd(scale: Scale, seed: int) -> Row:
    """In the long form ten starts, one after another. A request counts from its connection on."""
    answers: list[Told] = []
    with place(scale, seed) as here:
        question = here.question("herd", "ok")
        for _ in range(1 if scale == "short" else 10):
            with here.gateway(wait=False) as (port, _):
                answers += run(_herd(port, question, CLIENTS[scale]))
        served = [answer for answer in answers if answer.status == 200]
        booked = here.booked("herd", len(served))
    slowest = quantile(answers, 0.99)
    return Row(
        f"{CLIENTS[scale]} first requests at once",
        "R-REL-24",
        len(answers),
        len(served),
        f"0 errors, p99 {WITHIN:.0f} s after it listens",
        f"p99 {slowest:.2f} s; {booked - len(served)} rows too many",
        len(served) == len(answers) and slowest <= WITHIN * ROOM[scale] and booked == len(served),
    )


async def _herd(port: int, question: bytes, clients: int) -> list[Told]:
    loop = asyncio.get_running_loop()
    end = time.monotonic() + 30
    while True:
        try:
            _, first = await loop.create_connection(Line, "127.0.0.1", port)
            break
        except ConnectionError:
            assert time.monotonic() < end, "it does not listen"
            await asyncio.sleep(0.001)

    async def one(line: Line | None = None) -> Told:
        began = time.perf_counter()
        if line is None:
            _, line = await loop.create_connection(Line, "127.0.0.1", port)
        told = await line.ask(question)
        line.transport.close()
        return Told(told.at, told.at - began, told.status, told.wait)

    return await asyncio.gather(one(first), *(one() for _ in range(clients - 1)))
