"""Gateway processes that scenarios kill, replace and look at from outside, as an operating system does.

They are forked by one process that has loaded Django (`tests/zygote.py`), so that two hundred kills do not cost two
hundred starts. All share one log file: what they say there is what an operator would have to read.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from installation import Installation, free_port

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Gateways:
    """So many gateways, each on a port of its own."""

    def __init__(self, place: Installation, number: int = 2) -> None:
        self.ports = [free_port() for _ in range(number)]
        self.log = place.home / "gateways.log"
        with self.log.open("ab") as out:
            self._zygote = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve().parent.parent / "zygote.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
                env=place.environment,
                cwd=place.home,
            )
        self.pids = [self.start(port, wait=False) for port in self.ports]
        for port in self.ports:
            self.wait(port)

    def start(self, port: int, *, wait: bool = True, **own: float) -> int:
        """One more, on this port, with settings of its own; its process id."""
        assert self._zygote.stdin and self._zygote.stdout
        said = "".join(f" {name}={value}" for name, value in own.items())
        self._zygote.stdin.write(f"{port}{said}\n")
        self._zygote.stdin.flush()
        pid = int(self._zygote.stdout.readline())
        if wait:
            self.wait(port)
        return pid

    def wait(self, port: int, seconds: float = 60.0) -> float:
        """Seconds until it is ready."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self.readiness(port).get("ready"):
                return time.monotonic() - began
            time.sleep(0.01)
        raise AssertionError(f"a gateway did not get ready:\n{self.log.read_text()[-3000:]}")

    @staticmethod
    def readiness(port: int) -> dict[str, Any]:
        """What /readyz says, with `status`; nothing where nobody answers."""
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return {**json.loads(answer.read()), "status": answer.status}
        except (OSError, HTTPException):
            return {}
        finally:
            connection.close()

    def kill(self, which: int) -> None:
        """SIGKILL one and put another in its place."""
        os.kill(self.pids[which], signal.SIGKILL)
        self.pids[which] = self.start(self.ports[which])

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """None of them does anything meanwhile."""
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in self.pids:
                os.kill(pid, signal.SIGCONT)

    def cpu(self) -> float:
        """Seconds of processor time that those that run have used."""
        fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids)
        return sum(int(field[11]) + int(field[12]) for field in fields) / _TICKS

    def memory(self) -> int:
        """Bytes that the largest of them holds."""
        return max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE for pid in self.pids)

    def files(self) -> int:
        """Open files and sockets of all of them."""
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.pids)

    def close(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        self._zygote.kill()
        self._zygote.wait()
