"""R-REL-13 and 13b: the database is away, in every way that databases go away, under load and at a cold start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx

from installation import ROOT, free_port
from tests.faults.checker import told
from tests.faults.ledger import audit, lost_and_doubled
from tests.faults.load import Phase
from tests.faults.premises import Premises, eventually, premises
from tests.faults.rows import ROOM, Row, Scale

#: Faults in which the configuration cannot even be read, which readiness must say.
UNREADABLE = ("refuses", "hangs", "stopped", "gone")


def r_rel_13_database_away(scale: Scale, seed: int) -> Row:
    seconds = 6.0 if scale == "long" else 0.4
    healthy: list[Phase] = []
    faulty: list[Phase] = []
    ready = True
    attached: list[str] = []
    slowest = 0.0
    with premises(scale, seed) as here:
        with here.load(seed) as load:
            for fault in here.database.faults:
                began = time.perf_counter()
                ready &= _stays_ready(here, seconds / 2, degraded=False)  # the same questions as meanwhile
                healthy.append(load.since(began))
                here.database.fail(fault)
                began = time.perf_counter()
                ready &= _stays_ready(here, seconds, degraded=scale == "long" and fault in UNREADABLE)
                faulty.append(load.since(began))
                here.database.heal()
                took = _attached(here)
                slowest = max(slowest, took)
                attached.append(f"{fault} {took:.1f} s")
        found = audit(here, load.answers)
        rate = _drain_rate(here, 20_000 if scale == "long" else 500)
    lost, doubled = lost_and_doubled(found)
    failed = sum(len(phase.failed) for phase in (*healthy, *faulty))
    before, during = Phase.together(healthy).p99(), Phase.together(faulty).p99()
    close = during <= before * 1.05 or during - before <= 0.005 or scale == "short"
    return Row(
        f"database away: {', '.join(here.database.faults)}",
        "R-REL-13",
        len(load.answers),
        len(load.answers) - failed,
        "0 errors, ready (degraded), p99 within 5 % or 5 ms, attached in 5 s, no row lost or doubled, 2,000 a s",
        f"p99 {before * 1000:.0f} → {during * 1000:.0f} ms; attached: {', '.join(attached)}; "
        f"{lost} lost, {doubled} doubled{told(found)}; {rate:,.0f} rows a s",
        not failed
        and ready
        and close
        and slowest <= 5 * ROOM[scale]
        and not found
        and (rate >= 2000 or scale == "short"),
    )


def _stays_ready(here: Premises, seconds: float, *, degraded: bool) -> bool:
    """Whether all gateways say that they are ready, all the time, and at its end that they are degraded."""
    end = time.monotonic() + seconds
    told = [here.gateways.readiness(port) for port in here.gateways.ports]
    while time.monotonic() < end:
        told = [here.gateways.readiness(port) for port in here.gateways.ports]
        if any(one.get("status") != 200 for one in told):
            return False
        time.sleep(0.2)
    return not degraded or all(one["degraded"] for one in told)


def _attached(here: Premises) -> float:
    """Seconds from the end of the fault until a change made after it is served everywhere."""
    began = time.monotonic()
    here.act("describe", f"after {began}")
    here.settled()
    return time.monotonic() - began


def _drain_rate(here: Premises, number: int) -> float:
    """Rows a second that one drainer brings in of those that an outage left."""
    here.end_drainer()
    here.act("leave_rows", number)
    rows, seconds, waiting = here.act("drain")
    here.drainer = here.drain_forever()
    assert rows >= number, waiting
    return rows / seconds


def r_rel_13b_cold_start_without_database(scale: Scale, seed: int) -> Row:
    """The whole of `manage.py run` (in the short form a forked gateway) finds no database, serves from the sealed copy
    and attaches later."""
    start = _run if scale == "long" else _fork
    serving: list[str] = []
    attached: list[str] = []
    slowest = 0.0
    requests = succeeded = 0
    with premises(scale, seed) as here, httpx.Client(timeout=20, trust_env=False) as client:
        for fault in here.database.faults:
            if fault not in UNREADABLE:
                continue
            eventually(lambda: here.act("copied"), pause=0.1)
            here.database.fail(fault)
            began = time.monotonic()
            with start(here) as port:
                here.gateways.wait(port)
                answers = [_ask(client, port, here.token)]
                took = time.monotonic() - began
                answers += [_ask(client, port, here.token) for _ in range(19)]
                requests, succeeded = requests + len(answers), succeeded + sum(answers)
                serving.append(f"{fault} {took:.1f} s")
                here.database.heal()
                back = eventually(lambda port=port: here.gateways.readiness(port).get("source") == "database")
                attached.append(f"{fault} {back:.1f} s")
                slowest = max(slowest, took, back)
        here.settled()
    return Row(
        f"cold start without the database: {', '.join(fault.split(' ')[0] for fault in serving)}",
        "R-REL-13b",
        requests,
        succeeded,
        "serves within 5 s, attaches within 5 s, no restart",
        f"serves: {', '.join(serving)}; attached: {', '.join(attached)}",
        requests == succeeded and slowest <= 5 * ROOM[scale],
    )


@contextlib.contextmanager
def _run(here: Premises) -> Iterator[int]:
    port = free_port()
    log = here.place.home / f"run-{port}.log"
    command = [sys.executable, str(ROOT / "manage.py"), "run", "--no-celery", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=here.place.environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield port
    finally:
        here.database.heal()
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def _fork(here: Premises) -> Iterator[int]:
    port = free_port()
    pid = here.gateways.start(port, wait=False)
    try:
        yield port
    finally:
        here.database.heal()
        os.kill(pid, signal.SIGKILL)


def _ask(client: httpx.Client, port: int, token: str) -> bool:
    body = {"model": "patched", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    return client.post(url, json=body, headers=headers).status_code == 200
