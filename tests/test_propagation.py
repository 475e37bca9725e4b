"""A saved change takes effect on every process in under a second, and the answers say which revision served them."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from installation import Installation, Server, free_port, installation
from tests.faults.documents import KEYS, TWO_SIDES
from tests.promises import within

#: Re-patches the model in a process of its own and prints the moment of the commit.
REPATCH = """
import time
from providers.models import Account
from routing.models import Route
route = Route.objects.get(model__name="patched")
route.account = Account.objects.get(name={to!r})
route.save()
print(time.time())
"""


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    port, log = free_port(), tmp_path_factory.mktemp("truth") / "log"
    process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "truth.py"), str(port), str(log)])
    yield port, log
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, truth: tuple[int, Path]) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("propagation"), **KEYS) as it:
        it.apply(TWO_SIDES.format(port=truth[0]))
        yield it


def ask(server: Server, token: str, model: str = "patched") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    return httpx.post(
        f"{server.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {token}"}, timeout=20
    )


@pytest.mark.slow
def test_a_save_is_live_on_four_processes_within_a_second(place: Installation) -> None:
    token = place.token()
    servers = [place.serve(wait=False) for _ in range(4)]
    for server in servers:
        server.wait_ready()
        answer = ask(server, token)
        assert answer.json()["choices"][0]["message"]["content"] == "left", answer.text
    sides = itertools.cycle(("right", "left"))
    for took in within(1.0):
        took.append(slowest(place, servers, token, next(sides)))


def slowest(place: Installation, servers: list[Server], token: str, side: str) -> float:
    """Seconds from the commit of a re-patch until the last of the servers serves it."""
    seen: dict[int, tuple[float, str]] = {}
    stop = threading.Event()

    def watch(server: Server) -> None:
        while not stop.is_set():
            answer = ask(server, token)
            assert answer.status_code == 200, answer.text
            if answer.json()["choices"][0]["message"]["content"] == side:
                seen[server.port] = (time.time(), answer.headers["x-jackfield-revision"])
                return
            time.sleep(0.03)

    watchers = [threading.Thread(target=watch, args=(server,)) for server in servers]
    for watcher in watchers:
        watcher.start()
    saved_at = float(place.manage("shell", "-v", "0", "-c", REPATCH.format(to=side)).split()[-1])
    for watcher in watchers:
        watcher.join(20)
    stop.set()
    assert len(seen) == len(servers), "every process serves the new route"
    assert len({revision for _, revision in seen.values()}) == 1, "all name the same revision"
    return max(at for at, _ in seen.values()) - saved_at
