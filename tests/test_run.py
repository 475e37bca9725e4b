"""`manage.py run` as an operator meets it: real processes, a home of their own, signals, a second start."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from installation import ROOT, Installation, admitted, as_first_started, free_port
from tests.promises import within

pytestmark = pytest.mark.slow

#: What must not stand in the log of a healthy start and stop.
TROUBLE = re.compile(r"warning|traceback|error", re.IGNORECASE)


@dataclass
class Running:
    """A running `manage.py run` in a session of its own, as a terminal or an init system starts it."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return self.log.read_text()

    def children(self) -> set[int]:
        found = set()
        for stat_file in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat_file.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found.add(int(stat_file.parent.name))
        return found

    def chat(self, token: str, model: str = "echo") -> httpx.Response:
        admitted(self.url, token)
        ask = {"model": model, "messages": [{"role": "user", "content": "hello there"}]}
        return httpx.post(f"{self.url}/v1/chat/completions", json=ask, headers={"authorization": f"Bearer {token}"})


@contextmanager
def run(place: Installation, *, ready: bool = True, **env: str) -> Iterator[Running]:
    port = free_port()
    place.home.mkdir(exist_ok=True, parents=True)
    log = place.home / f"run-{port}.log"
    environment = {**place.environment, "PORT": str(port), **env}
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(process, f"http://127.0.0.1:{environment['PORT']}", log)
    try:
        while ready:
            assert process.poll() is None, running.text
            try:
                if httpx.get(f"{running.url}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert time.monotonic() - began < 90, running.text
            time.sleep(0.02)
        running.seconds = time.monotonic() - began
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def stop(running: Running, how: int = signal.SIGTERM) -> float:
    began = time.monotonic()
    running.process.send_signal(how)
    assert running.process.wait(60) == 0, running.text
    return time.monotonic() - began


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: set[int]) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "home", {"JACKFIELD_SANDBOX_PORT": str(free_port())})


@pytest.fixture
def started(place: Installation) -> Installation:
    """The same after its first start, which takes a while."""
    as_first_started(place.home)
    return place


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_first_start_welcomes_once_and_every_later_one_is_quick_and_quiet(place: Installation) -> None:
    """The two starts of a newcomer: name, password and token are shown once; SIGTERM and Ctrl-C leave nobody behind."""
    with run(place) as first:
        token = re.search(r"Token +(jf_p\w+)", first.text)
        password = re.search(r"Password +(\S+)", first.text)
        assert token
        assert password
        answer = first.chat(token[1])
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "hello there"
        assert answer.headers["x-jackfield-route"] == "sandbox/echo"
        children = first.children()
        assert len(children) == 5  # gateway, worker, beat, drainer, sandbox
        assert stop(first) < 20
        assert gone(children)
        assert not TROUBLE.search(first.text), first.text
    for path in [place.home, *place.home.rglob("*")]:
        if not path.name.startswith("run-") and not path.is_socket():
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, f"{path} is open to others"
    for took in within(5):
        with run(place) as second:
            took.append(second.seconds)
            assert len(second.text.splitlines()) == 1, second.text
            assert "jf_p" not in second.text
            assert second.chat(token[1]).status_code == 200
            children = second.children()
            assert stop(second, signal.SIGINT) < 20
            assert gone(children)
            assert not TROUBLE.search(second.text), second.text
    for path in place.home.rglob("*"):
        if path.is_file() and not path.name.startswith("run-"):
            assert token[1].encode() not in path.read_bytes(), path


def test_what_dies_is_started_again_and_nothing_outlives_the_parent(started: Installation) -> None:
    with run(started) as running:
        before = running.children()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 60
        while len(running.children() - before) < len(before):
            assert time.monotonic() < end, running.text
            time.sleep(0.05)
        while True:
            try:
                if httpx.get(f"{running.url}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                assert time.monotonic() < end, running.text
            time.sleep(0.05)
        assert running.chat(started.token()).status_code == 200
        assert "the gateway 1 ended (SIGKILL); it starts again in 0.5 s" in running.text
        children = running.children()
        running.process.kill()
        running.process.wait(10)
        assert gone(children), "children outlived the parent"


def test_four_gateways_share_the_port(started: Installation) -> None:
    with run(started, JACKFIELD_WORKERS="4") as running:
        assert len(running.children()) == 8
        token = started.token()
        end, answered = time.monotonic() + 30, 0
        while answered < 12:  # the token reaches the four one by one
            answered += running.chat(token).status_code == 200
            assert time.monotonic() < end, f"{answered} answers"
        assert len(set(processes(started))) == 4, "each has a row of its own"
        end = time.monotonic() + 30
        while {served(running) for _ in range(8)} != {12}:
            assert time.monotonic() < end, "whichever answers tells of all"
            time.sleep(0.1)
        killed = processes(started)[:2]
        for name in killed:
            os.kill(int(name.rpartition(":")[2]), signal.SIGKILL)
        assert gone({int(name.rpartition(":")[2]) for name in killed})
        assert served(running) == 12, "what the killed ones counted stays counted"
        stop(running)
        assert processes(started) == killed, "who stops takes itself off the list"


def served(running: Running) -> int:
    """The requests that /metrics tells of."""
    found = re.search(
        r'jackfield_requests_total\{status="200",outcome="ok"\} (\d+)', httpx.get(f"{running.url}/metrics").text
    )
    return int(found[1]) if found else 0


def processes(place: Installation) -> list[str]:
    """The gateway processes that the database lists."""
    with contextlib.closing(sqlite3.connect(place.home / "jackfield.sqlite3")) as database:
        return [name for (name,) in database.execute("SELECT name FROM routing_gatewayprocess")]


def test_a_taken_port_is_said_in_one_line(place: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with run(place, ready=False, PORT=str(port)) as running:
            assert running.process.wait(60) == 1
            assert running.text == (
                f"Jackfield cannot listen on 127.0.0.1:{port}: Address already in use. "
                f"Stop what uses it or choose another port, as in PORT={port + 1} make run\n"
            )


def test_a_taken_sandbox_port_is_no_obstacle(started: Installation) -> None:
    """Two Jackfields on one machine: the second one's sandbox takes a free port, and its account leads there."""
    with socket.create_server(("127.0.0.1", int(started.env["JACKFIELD_SANDBOX_PORT"]))), run(started) as running:
        assert running.chat(started.token(), "lorem").status_code == 200
        stop(running)
    with run(started) as again:
        answer = again.chat(started.token(), "lorem")
        assert answer.status_code == 200
        stop(again)


def test_production_refuses_with_the_way_out(place: Installation) -> None:
    with run(place, ready=False, JACKFIELD_PRODUCTION="1", SECRET_KEY="change-me") as running:
        assert running.process.wait(60) == 1
        assert "SECRET_KEY is a known example value." in running.text
        assert "Set SECRET_KEY to the output of" in running.text
        assert "ALLOWED_HOSTS is not set." in running.text
        assert "The ring of master keys is missing" in running.text
        assert "Traceback" not in running.text


def test_a_gateway_alone_refuses_an_unmigrated_schema(place: Installation) -> None:
    place.home.mkdir(parents=True)
    place.manage("rotate_ring", "--init")
    server = place.serve(wait=False)
    assert server.process.wait(60) != 0
    assert "The database is not migrated" in server.log.read_text()
    assert "manage.py migrate" in server.log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_imported_keys_leave_the_environment(started: Installation) -> None:
    """R-SEC-09: a sealed key stands in no environment any more, nor in what the kernel shows of one."""
    canary = "gsk_canary0123456789abcdefghij"
    with run(started, GROQ_API_KEY=canary) as running:
        for pid in (running.process.pid, *running.children()):
            assert canary.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            assert canary.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        stop(running)
        assert canary not in running.text
    for path in started.home.rglob("*"):
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path
