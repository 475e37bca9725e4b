"""Where scenarios of faults happen: an installation, gateways that really run in it, an upstream with a truth log, and
an operator's hand on them.

`lab(scale)` gives one: in the long form each scenario gets its own, with two gateway processes started by `manage.py
run`; in the short form all share one with one process, told apart by their projects.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trustme

from installation import ROOT, Installation, Server, free_port, installation
from tests.faults.checker import COLUMNS, Answered, Histories, findings
from tests.faults.documents import KEYS
from tests.faults.rows import Scale
from tests.faults.truth import Call, project_of, read

PROJECT = """
[[project]]
name = "{name}"
allow = ["*"]
"""


class SeparateUpstream:
    """The upstream of `tests.faults.upstream`, in a process of its own. `url` is its root."""

    def __init__(self, log: Path, seed: int) -> None:
        self.log = log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "tests.faults.upstream", str(self.port), str(log), str(seed)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._heard("ready")

    def _heard(self, word: str) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline().strip() == word, "the upstream ended"

    def tell(self, word: str) -> None:
        """`down` or `up`; it is so when this returns."""
        assert self._process.stdin
        self._process.stdin.write(word + "\n")
        self._heard(word)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


class Hand:
    """An operator's hand on an installation: see `tests.faults.hand`, its other end."""

    def __init__(self, place: Installation) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.hand"],
            cwd=ROOT,
            env=place.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, what: str, argument: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([what, argument]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the hand ended while it was to {what}"
        return json.loads(line)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


class Lab:
    """`url` is the gateways'. What a scenario applies stays: each names its own accounts, models and projects."""

    def __init__(
        self, place: Installation, server: Server, upstream: SeparateUpstream, workers: int, authority: trustme.CA
    ) -> None:
        self.place = place
        self.workers = workers
        #: whose certificates the gateways trust
        self.authority = authority
        self.server = server
        self.upstream = upstream
        self._hand = Hand(place)
        self._do = self._hand.do

    @property
    def url(self) -> str:
        return self.server.url

    def apply(self, document: str, *projects: str) -> dict[str, str]:
        """A configuration document, and projects that may use everything. Their tokens; every gateway knows all of it
        when this returns."""
        self._do("apply", document + "".join(PROJECT.format(name=name) for name in projects))
        # A token that is told is known to every gateway, and with it every revision before.
        return {name: self.token(name) for name in projects or ("demo",)}

    def token(self, project: str = "demo") -> str:
        """A new token of the project, which is made if it is not there."""
        return self._do("token", project)

    def forget(self, pid: int) -> None:
        """A gateway that was killed: nobody waits for it to hear of anything."""
        self._do("forget", pid)

    def rows(self, *columns: str) -> list[dict[str, Any]]:
        """All usage rows, drained from the journal."""
        return self._do("rows", columns)

    def calls(self, *projects: str) -> list[Call]:
        """What the upstream was asked for these projects."""
        return [call for call in read(self.upstream.log) if project_of(call.marker) in projects]

    def histories(self, answers: list[Answered], *projects: str) -> Histories:
        """All three of these projects, when the last request has its row and the last call is over."""
        end = time.monotonic() + 20
        while True:
            calls = self.calls(*projects)
            rows = [row for row in self.rows(*COLUMNS) if row["project"] in projects]
            booked = {row["request_id"] for row in rows}
            asked = {answer.request for answer in answers if answer.request} | {call.request for call in calls}
            if (asked <= booked and all(call.end for call in calls)) or time.monotonic() > end:
                return Histories(answers, calls, rows)
            time.sleep(0.1)

    def check(self, answers: list[Answered], *projects: str) -> list[str]:
        """What does not fit together in the histories of these projects."""
        return findings(self.histories(answers, *projects))

    def pids(self) -> list[int]:
        """The gateway processes, and with them the drainer where a supervisor runs them."""
        parent = self.server.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(pid) for pid in children] or [parent]

    def close(self) -> None:
        self._hand.close()


_shared = contextlib.ExitStack()
_labs: list[Lab] = []


@contextlib.contextmanager
def lab(scale: Scale, seed: int, *, workers: int = 2) -> Iterator[Lab]:
    """A lab for one scenario. `workers` are gateway processes, in the long form."""
    if scale == "long":
        with _made(workers, seed) as one:
            yield one
        return
    if not _labs:
        _labs.append(_shared.enter_context(_made(0, seed)))
    yield _labs[0]


@contextlib.contextmanager
def _made(workers: int, seed: int) -> Iterator[Lab]:
    with (
        tempfile.TemporaryDirectory(prefix="jackfield-lab-") as folder,
        contextlib.closing(SeparateUpstream(Path(folder) / "truth", seed)) as upstream,
        installation(Path(folder) / "home", SSL_CERT_FILE=f"{folder}/authority.pem", **KEYS) as place,
    ):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(f"{folder}/authority.pem")
        server = _run(place, workers) if workers else place.serve(wait=False)
        with contextlib.closing(Lab(place, server, upstream, workers or 1, authority)) as one:
            server.wait_ready()
            yield one
            if workers:
                server.stop()


def _run(place: Installation, workers: int) -> Server:
    """`manage.py run`: so many gateways and the drainer, on one port."""
    port = free_port()
    log = place.home / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "run", "--no-celery", "--port", str(port)],
            cwd=ROOT,
            env={**place.environment, "JACKFIELD_WORKERS": str(workers)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, port, log)
    place.servers.append(server)
    return server


def keep(made: contextlib.ExitStack) -> None:
    """Let what scenarios share be closed with the rest."""
    _shared.push(made)


def close() -> None:
    """Stop what scenarios share."""
    _labs.clear()
    _shared.close()
