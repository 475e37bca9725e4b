"""`make bench-scale`: what size costs. Requests per second with 10 and with 100,000 routes and tokens, the time from a
save to its effect with 10,000 of each, and the latency of requests while that save is taken up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent))
import load
import stacks

from installation import Installation, Server, free_port, installation

LOAD_CORE = 1
#: Seconds between two changes, and after one for which requests count as having felt it, at least.
PAUSE = 4.0
FELT = 0.5

#: Makes changes on demand, out of the way of what is measured: it is loaded before and runs at the lowest priority.
CHANGER = """
import os, time
from routing.models import PublicModel
from routing.revisions import latest, publish
os.nice(39)
row = PublicModel.objects.get(name="bench-public")
print("ready", flush=True)
input()
for i in range({times}):
    row.description = "%s %d" % (time.time(), i)
    {change}
    print(time.time(), latest(), flush=True)
    time.sleep({pause})
"""
SAVE = "row.save()"
#: A revision that names no row: everything is read again, as at a start.
PUBLISH = "publish('bench', row.description)"


def fill(place: Installation, count: int) -> None:
    """Bring the installation to `count` extra models, routes and tokens."""
    place.manage("shell", "-v", "0", "-c", f"from fill_tables import fill; fill({count})")
    place.manage("publish")


async def _effect(
    server: Server, message: bytes, after: threading.Event, answer: list[float]
) -> list[tuple[float, float]]:
    """Ask at a steady pace; (moment, latency ms) of each answer."""
    seen = []
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    while not after.is_set():
        started = time.perf_counter()
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        low = head.lower()
        at = low.find(b"content-length:")
        await reader.readexactly(int(low[at + 15 : low.find(b"\r\n", at)]))
        seen.append((time.time(), (time.perf_counter() - started) * 1000))
        at = low.find(b"x-jackfield-revision:")
        answer.append(int(low[at + 21 : low.find(b"\r\n", at)]))
        await asyncio.sleep(0.002)
    writer.close()
    return seen


def change_under_load(place: Installation, server: Server, message: bytes, what: str, change: str, times: int) -> None:
    """Change something and say when every answer came from the new revision, and what requests felt until then."""
    stop = threading.Event()
    revisions: list[int] = []
    saves: list[tuple[float, int]] = []
    changer = place.popen("shell", "-v", "0", "-c", CHANGER.format(times=times, change=change, pause=PAUSE))
    assert changer.stdout is not None and changer.stdin is not None
    while changer.stdout.readline().strip() != "ready":
        pass

    def saver() -> None:
        time.sleep(PAUSE)
        print(file=changer.stdin, flush=True)
        for line in changer.stdout:
            at, revision = line.split()
            saves.append((float(at), int(revision)))
        stop.set()

    thread = threading.Thread(target=saver)
    thread.start()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seen = runner.run(_effect(server, message, stop, revisions))
    thread.join()
    quiet = [latency for at, latency in seen if at < saves[0][0] - 0.5]
    delays = []
    for saved, revision in saves:
        first = next(at for (at, _), served in zip(seen, revisions, strict=True) if served >= revision)
        delays.append(max(0.0, first - saved))
    spans = [(at, at + max(FELT, delay + 0.1)) for (at, _), delay in zip(saves, delays, strict=True)]
    busy = [latency for at, latency in seen if any(start <= at < end for start, end in spans)]
    still, stirred = (sorted(values)[int(0.99 * len(values))] for values in (quiet, busy))
    print(f"{what} to effect: median {statistics.median(delays) * 1000:.0f} ms, slowest {max(delays) * 1000:.0f} ms")
    print(f"p99 of requests: quiet {still:.2f} ms, after a {what} {stirred:.2f} ms: {stirred / still:.2f} times")


def main() -> None:
    os.sched_setaffinity(0, {LOAD_CORE})
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # where that is allowed: what else the machine does is not what is measured
    port = free_port()
    upstream = subprocess.Popen([sys.executable, str(Path(__file__).resolve().parent / "upstream.py"), str(port)])
    time.sleep(1)
    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]))
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            installation(Path(folder) / "home", BENCH_KEY="sk-bench-0123456789", PYTHONPATH=path) as place,
        ):
            place.apply(stacks.DOCUMENT.format(upstream=port))
            token = place.token()
            for count in (10, 10_000, 100_000):
                fill(place, count)
                server = place.serve(wait=False, core=int(stacks.GATEWAY_CORE))
                ready = server.wait_ready(120)
                stack = stacks.Stack(
                    "jackfield",
                    server.port,
                    "/v1/chat/completions",
                    {"authorization": f"Bearer {token}"},
                    "bench-public",
                )
                message = load.request(stack.port, stack.path, stack.body(False), stack.headers)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(load.run(server.port, message, 8, 1))
                    rates = [runner.run(load.run(server.port, message, 32, 3)).rate for _ in range(3)]
                print(
                    f"{count:>7} routes and tokens: {statistics.median(rates):.0f}/s, ready after {ready:.1f} s",
                    flush=True,
                )
                if count == 10_000:
                    change_under_load(place, server, message, "save", SAVE, 8)
                    change_under_load(place, server, message, "full build", PUBLISH, 4)
                server.stop()
    finally:
        upstream.kill()
        upstream.wait()


if __name__ == "__main__":
    main()
