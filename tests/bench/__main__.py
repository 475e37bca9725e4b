"""`make bench`: requests per second and added latency of every stack at hand, from one run on pinned cores.

The gateway has one core, the load and the upstream share the other. Latency is observed by the client. Rounds go
through all stacks in turn, so that a machine whose speed drifts drifts for all; the table holds medians of rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent))
import load
import stacks

from installation import Installation, free_port

LOAD_CORE = 1
CONNECTIONS = 32

#: The gateway's own reading of the requests that came in a stretch of time, in microseconds.
OWN = """
from datetime import datetime, UTC
from api.models import UsageRecord
times = [datetime.fromtimestamp(t, UTC) for t in ({start}, {end})]
rows = sorted(UsageRecord.objects.filter(started_at__range=times).values_list("total_us", flat=True))
print(rows[len(rows) // 2], rows[int(0.99 * len(rows))])
"""


def measure(stack: stacks.Stack, seconds: float, stream: bool) -> tuple[float, float, float, tuple[float, float]]:
    """(requests/s at 32 connections, p50 and p99 in ms at one connection, and when that one was used)."""
    message = load.request(stack.port, stack.path, stack.body(stream), stack.headers)

    async def both() -> tuple[load.Result, load.Result, tuple[float, float]]:
        await load.run(stack.port, message, 8, min(1.0, seconds))  # warm connections and caches
        start = time.time()
        alone = await load.run(stack.port, message, 1, seconds / 2)
        window = start, time.time()
        return alone, await load.run(stack.port, message, CONNECTIONS, seconds), window

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        alone, loaded, window = runner.run(both())
    if loaded.errors:
        print(f"  {stack.name}: {loaded.errors} failed, first: {loaded.samples[:1]}", file=sys.stderr)
    return loaded.rate, alone.quantile(0.5), alone.quantile(0.99), window


def own_reading(place: Installation, window: tuple[float, float]) -> tuple[float, float]:
    """p50 and p99 in ms as the gateway's usage rows have them."""
    place.manage("drain", "--once")
    p50, p99 = place.manage("shell", "-v", "0", "-c", OWN.format(start=window[0], end=window[1])).split()[-2:]
    return int(p50) / 1000, int(p99) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load per stack, kind and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of stacks")
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    port = free_port()
    upstream = subprocess.Popen([sys.executable, str(Path(__file__).resolve().parent / "upstream.py"), str(port)])
    time.sleep(1)
    names = [name for name, there in stacks.installed().items() if there and (not options.only or name in options.only)]
    absent = [name for name, there in stacks.installed().items() if not there]
    rows: dict[tuple[str, bool], list[list[float]]] = {}
    windows: dict[bool, tuple[tuple[float, float], list[float]]] = {}
    own: dict[bool, tuple[list[float], tuple[float, float]]] = {}
    try:
        with ExitStack() as running:
            up = {}
            for name in names:
                up[name] = running.enter_context(stacks.STACKS[name](port))
                print(f"started {name}", file=sys.stderr)
            for round_ in range(options.rounds):
                for stream in (False, True):
                    for name in names:
                        *figures, window = measure(up[name], options.seconds, stream)
                        rows.setdefault((name, stream), []).append(figures)
                        if name == "jackfield":
                            windows[stream] = window, figures
                print(f"round {round_ + 1} of {options.rounds}", file=sys.stderr)
            for stream, (window, figures) in windows.items():
                own[stream] = (figures[1:], own_reading(up["jackfield"].place, window))
    finally:
        upstream.kill()
        upstream.wait()
    for stream in (False, True):
        print(f"\n{'streamed' if stream else 'buffered'} chat, {CONNECTIONS} connections; latency at one connection")
        print(f"{'stack':<12}{'requests/s':>12}{'jackfield is':>14}{'added p50 ms':>14}{'added p99 ms':>14}")
        medians = {
            name: tuple(statistics.median(row[i] for row in rows[name, stream]) for i in range(3)) for name in names
        }
        base = medians.get("direct", (0.0, 0.0, 0.0))
        ours = medians.get("jackfield", (0.0, 0.0, 0.0))[0]
        for name in names:
            rate, p50, p99 = medians[name]
            ratio = f"{ours / rate:.2f} x" if rate and ours and name != "jackfield" else ""
            print(f"{name:<12}{rate:>12.0f}{ratio:>14}{p50 - base[1]:>14.3f}{p99 - base[2]:>14.3f}")
        if stream in own:
            (p50, p99), (own_p50, own_p99) = own[stream]
            print(f"the client saw p50 {p50:.3f} p99 {p99:.3f} ms; its own rows {own_p50:.3f} and {own_p99:.3f}")
    if absent:
        print(f"\nnot installed: {', '.join(absent)} (make bench-peers installs litellm and portkey)")


if __name__ == "__main__":
    main()
