"""A Jackfield of its own for tests that need real processes: one home, driven by commands and HTTP as operators do.

What these tests prove (kills, four processes, a stopped database, recorded traffic) cannot be shown inside one process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent


#: Below the ports that systems give to outgoing connections, so that none of those takes one between choice and use;
#: each worker of a test run has its own part.
_WORKER = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
_ports = random.SystemRandom().sample(range(20_000 + _WORKER % 8 * 1500, 21_500 + _WORKER % 8 * 1500), 1500)


def free_port() -> int:
    """A port that is free, and that is given to nobody else in this run."""
    while True:
        port = _ports.pop()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def admitted(url: str, token: str) -> None:
    """Wait until a gateway lets a token in that another process has just issued."""
    end = time.monotonic() + 20
    while httpx.get(f"{url}/v1/models", headers={"authorization": f"Bearer {token}"}, timeout=20).status_code != 200:
        assert time.monotonic() < end, "the token did not arrive"
        time.sleep(0.05)


@dataclass
class Server:
    """One gateway process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self, seconds: float = 90.0) -> float:
        """Seconds until /readyz answered 200."""
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the gateway ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}"
                )
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return time.monotonic() - started
            time.sleep(0.02)
        raise AssertionError(f"not ready after {seconds} s:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        """SIGKILL, as a crash or the OOM killer would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM and wait; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@dataclass
class Installation:
    """A home directory, its environment, and the processes started on it."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this installation sees: nothing of the caller's keys or database unless given."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
        own = {"JACKFIELD_HOME": str(self.home), "DJANGO_SETTINGS_MODULE": "project.settings"}
        own["JACKFIELD_PROBES"] = "0"  # no test's made-up key goes to a real provider
        return {**kept, **own, "PYTHONUNBUFFERED": "1", **self.env}

    def manage(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a management command; its standard output."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *args],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"manage.py {' '.join(args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def popen(self, *args: str) -> subprocess.Popen[str]:
        """Start a management command and talk to it through its standard input and output."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *args],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def prepare(self) -> None:
        """What the first `make run` does before it serves, without serving."""
        self.manage("run", "--prepare-only")

    def apply(self, document: str) -> str:
        return self.manage("apply", "-", stdin=document)

    def token(self, project: str = "demo") -> str:
        """A new token, known to every gateway that runs here."""
        text = self.manage("token", project).strip()
        for server in self.servers:
            if server.process.poll() is None:
                admitted(server.url, text)
        return text

    def serve(
        self,
        *,
        wait: bool = True,
        core: int | None = None,
        env: Mapping[str, str] | None = None,
        program: Path = ROOT / "manage.py",
    ) -> Server:
        """Start one gateway process on a free port, optionally pinned to one core."""
        port = free_port()
        log = self.home / f"gateway-{port}.log"
        command = [sys.executable, str(program), "run", "--gateway-only", "--port", str(port)]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**self.environment, **(env or {})}, stdout=out, stderr=subprocess.STDOUT
            )
        server = Server(process, port, log)
        self.servers.append(server)
        if wait:
            server.wait_ready()
        return server

    def close(self) -> None:
        for server in self.servers:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait(10)


def as_first_started(home: Path) -> None:
    """Make a home on SQLite that one start has prepared: a copy of one that is made once for all tests of a run."""
    homes = os.environ.get("JACKFIELD_TEST_HOMES")
    if homes is None:
        Installation(home, {"JACKFIELD_SANDBOX_PORT": "0"}).prepare()
        return
    made = Path(homes) / "as-first-started"
    with (Path(homes) / "as-first-started.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            draft = made.with_name("being-started")
            Installation(draft, {"JACKFIELD_SANDBOX_PORT": "0"}).prepare()
            draft.rename(made)
    shutil.copytree(made, home, dirs_exist_ok=True)


@contextlib.contextmanager
def installation(home: Path, **env: str) -> Iterator[Installation]:
    """A prepared installation, stopped at the end. It has seen no variable of `env` yet, unless it names a database."""
    place = Installation(home, {"JACKFIELD_SANDBOX_PORT": "0", **env})
    try:
        if "DATABASE_URL" in env:
            place.prepare()
        else:
            as_first_started(home)
        yield place
    finally:
        place.close()
