"""Databases of a scenario's own, which it may take away in every way that databases go away.

Each names the faults that it can play in `faults`; `fail` begins one and `heal` ends it. What an installation is given
is `url`, which leads through a faulty proxy where there is one.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from installation import free_port
from tests.faults.proxy import BlackHole, Down, Proxy


class Database(Protocol):
    url: str
    faults: tuple[str, ...]

    def fail(self, fault: str) -> None:
        """Begin the fault."""

    def heal(self) -> None:
        """End it."""

    def close(self) -> None:
        """Leave nothing behind."""


class Sqlite:
    """A file in a folder of its own. `gone`: the folder is moved away; `locked`: another program writes and writes.

    The folder goes and comes in one step: files moved one by one while processes use them would make SQLite itself lose
    rows (a new write-ahead log beside an old database).
    """

    faults = ("gone", "locked")

    def __init__(self, file: Path) -> None:
        self.url = f"sqlite:///{file}"
        self._file, self._away = file, file.parent.with_name(f"{file.parent.name}-away")
        self._writer: sqlite3.Connection | None = None

    def fail(self, fault: str) -> None:
        if fault == "gone":
            self._file.parent.rename(self._away)
        else:
            self._writer = sqlite3.connect(self._file, isolation_level=None)
            self._writer.execute("BEGIN EXCLUSIVE")

    def heal(self) -> None:
        if self._away.exists():
            self._away.rename(self._file.parent)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def close(self) -> None:
        self.heal()


class Postgres:
    """A server of its own behind a proxy. `refuses`: connections end and new ones are refused; `hangs`: what is sent is
    lost without a word; `stopped`: SIGSTOP for each of its processes; `read-only`; `full disk`, where this machine lets
    us mount a small one.
    """

    def __init__(self, folder: Path, *, seed: int = 0) -> None:
        self._port = free_port()
        self._folder = folder
        # Root may not run it, and may mount a disk that only it sees; others run it as themselves, on any disk.
        self._root = os.geteuid() == 0 and shutil.which("unshare") is not None
        self.faults = ("refuses", "hangs", "stopped", "read-only", *(("full disk",) if self._root else ()))
        self._fault = ""
        folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            self._command(), stdout=(folder / "log").open("wb"), stderr=subprocess.STDOUT, cwd=folder
        )
        self._wait()
        self.proxy = Proxy("127.0.0.1", self._port, seed=seed)
        self.url = f"postgres://jackfield@127.0.0.1:{self.proxy.port}/jackfield"
        self.run("CREATE DATABASE jackfield", database="postgres")

    def _command(self) -> list[str]:
        programs, data = binaries(), self._folder / "disk" / "data"
        if programs is None:
            raise FileNotFoundError("the long form needs PostgreSQL's programs: initdb is not installed")
        make = f"{programs}/initdb -D {data} -U jackfield --auth trust --no-sync --no-locale -E UTF8 --wal-segsize=1"
        options = "-c fsync=off -c unix_socket_directories= -c min_wal_size=2MB -c max_wal_size=16MB"
        serve = f"{programs}/postgres -D {data} -p {self._port} -h 127.0.0.1 {options}"
        if not self._root:
            data.parent.mkdir()
            return ["sh", "-c", f"{make} && exec {serve}"]
        owner = pwd.getpwnam("postgres")
        data.parent.mkdir()
        for path in (self._folder, *self._folder.parents):
            if path.stat().st_uid == 0 and path.is_relative_to(tempfile.gettempdir()) and path != Path("/tmp"):
                path.chmod(0o711)
        own = f"setpriv --reuid={owner.pw_uid} --regid={owner.pw_gid} --clear-groups"
        mount = f"mount -t tmpfs -o size=768m,mode=0700,uid={owner.pw_uid},gid={owner.pw_gid} tmpfs {data.parent}"
        return ["unshare", "-m", "sh", "-c", f"{mount} && {own} {make} && exec {own} {serve}"]

    def _wait(self) -> None:
        import psycopg

        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(psycopg.OperationalError):
                self.run("SELECT 1", database="postgres")
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.05)
        raise AssertionError((self._folder / "log").read_text())

    def run(self, statement: str, database: str = "jackfield") -> list[tuple[Any, ...]]:
        """A statement beside the proxy, whatever is read-only."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user="jackfield",
            dbname=database,
            autocommit=True,
            connect_timeout=5,
            options="-c default_transaction_read_only=off",
        ) as connection:
            found = connection.execute(statement)  # type: ignore[call-overload]
            return found.fetchall() if found.description else []

    def fail(self, fault: str) -> None:
        self._fault = fault
        match fault:
            case "refuses":
                self.proxy.fail(Down())
            case "hangs":
                self.proxy.fail(BlackHole())
            case "stopped":
                for pid in self._pids():
                    os.kill(pid, signal.SIGSTOP)
            case "read-only":
                self._read_only("on")
            case "full disk":
                self._fill()

    def heal(self) -> None:
        fault, self._fault = self._fault, ""
        self.proxy.heal()
        match fault:
            case "stopped":
                for pid in self._pids():
                    os.kill(pid, signal.SIGCONT)
            case "read-only":
                self._read_only("off")
            case "full disk":
                self._filler.unlink()

    def _pids(self) -> Iterator[int]:
        """The server and what it forked, in that order: a stopped parent forks no more."""
        yield self._process.pid
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        yield from map(int, children.read_text().split())

    def _read_only(self, value: str) -> None:
        self.run(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        self.run("SELECT pg_reload_conf()")

    @property
    def _filler(self) -> Path:
        """On the disk that only the server's processes see."""
        return Path(f"/proc/{self._process.pid}/root{self._folder}/disk/filler")

    def _fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            for size in (2**20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def close(self) -> None:
        self.heal()
        self.proxy.stop()
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)


def binaries() -> Path | None:
    """Where PostgreSQL's programs are."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None
