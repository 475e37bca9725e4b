"""R-REL-02: names that do not exist, that take long to look up, that were there a moment ago."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from installation import ROOT, Server, free_port
from tests.faults.checker import Answered, told
from tests.faults.clients import Question, ask_all, clients, markers, quantile, run
from tests.faults.documents import account, model
from tests.faults.lab import Lab, lab
from tests.faults.rows import ROOM, Row, Scale

#: Seconds: the longest look-up, how long a failure is remembered. Milliseconds: what the loop may lag meanwhile.
CAP, REMEMBERED, LAG = 3.0, 5.0, 20.0
SLOW = tuple(f"slow-{number}" for number in range(12))
KINDS = ("gone", "lost", *SLOW)


def r_rel_02_names(scale: Scale, seed: int) -> Row:
    """A gateway of the scenario's own, whose resolver is a stub: nobody's DNS can be told to fail."""
    requests, cap, slow_for = (20, 0.6, 2) if scale == "short" else (1000, CAP, 10)
    with lab(scale, seed) as here, _gateway(here, cap) as (server, folder):
        port = here.upstream.port
        for kind, said in zip(KINDS, ("gone", "127.0.0.1", *[str(slow_for)] * len(SLOW)), strict=True):
            (folder / f"{kind}.chaos.example").write_text(said)
        tokens = here.apply(
            "".join(
                account(f"names-{kind}", f"http://{kind}.chaos.example:{port}")
                + model(f"names-{kind}", (f"names-{kind}", "says"))
                for kind in KINDS
            ),
            "names",
        )
        server.wait_ready()
        marker = markers("names")

        def asked(kind: str, number: int, at_once: int) -> list[Answered]:
            questions = [Question(f"names-{kind}", marker(), "names") for _ in range(number)]
            return ask_all(server.url, tokens, questions, at_once)

        started = time.monotonic()
        gone = asked("gone", requests, 4)
        seconds = time.monotonic() - started
        slow, lags = run(_slowly(server, tokens, [Question(f"names-{kind}", marker(), "names") for kind in SLOW]))
        known = asked("lost", 1, 1)
        (folder / "lost.chaos.example").write_text("gone")
        # More at once than connections that are kept: new ones need an address.
        lost = asked("lost", requests, 8)
        asked_for = (folder / "log").read_text().split().count("gone.chaos.example")
        wrong = here.check([*gone, *slow, *known, *lost], "names")
    refused = sum((answer.status, answer.code) == (502, "upstream_dns") for answer in (*gone, *slow))
    served = sum(answer.end == "whole" for answer in (*known, *lost))
    slowest = max(answer.seconds for answer in slow)
    most = 1 + int(seconds / REMEMBERED)
    lag = quantile(lags, 0.99)
    return Row(
        f"DNS: no such name, {len(SLOW)} names of which each takes {slow_for} s, a name that is lost",
        "R-REL-02",
        len(gone) + len(slow) + len(known) + len(lost),
        refused + served,
        f"502 with its code within {CAP:.0f} s; a failure is remembered {REMEMBERED:.0f} s, a good address serves on; "
        f"{LAG:.0f} ms lag meanwhile",
        f"{refused} of {len(gone) + len(slow)} 502, {asked_for} look-ups for {len(gone)}, slow ones ended after "
        f"{slowest:.2f} s of {cap}, {served - 1} of {len(lost)} served after the loss, {lag:.1f} ms lag at p99"
        + told(wrong),
        refused == len(gone) + len(slow)
        and served == len(known) + len(lost)
        and asked_for <= most
        and slowest <= cap + 0.25 * ROOM[scale]
        and lag <= LAG * ROOM[scale]
        and not wrong,
    )


@contextmanager
def _gateway(here: Lab, cap: float) -> Iterator[tuple[Server, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        port, log = free_port(), here.place.home / "names.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.names", str(port), folder, str(cap)],
                cwd=ROOT,
                env=here.place.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        server = Server(process, port, log)
        try:
            yield server, Path(folder)
        finally:
            server.stop()


async def _slowly(
    server: Server, tokens: dict[str, str], questions: list[Question]
) -> tuple[list[Answered], list[float]]:
    """The answers, and how long the process took over its probe meanwhile."""
    lags = []
    async with clients(server.url, tokens) as asking, httpx.AsyncClient(trust_env=False) as probe:
        await probe.get(f"{server.url}/healthz")
        waiting = asyncio.ensure_future(asking.all(questions, len(questions)))
        while not waiting.done():
            started = time.monotonic()
            await probe.get(f"{server.url}/healthz")
            lags.append(time.monotonic() - started)
            await asyncio.sleep(0.01)
        return await waiting, lags
