"""The data plane needs no database: none under load, and none to start with (R-REL-13, 13b)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from installation import Installation, installation
from test_propagation import ask, truth
from tests.faults.documents import KEYS, TWO_SIDES
from tests.faults.proxy import Down, Proxy
from tests.promises import within

__all__ = ["truth"]


class Database:
    """The database of an installation, which can be stopped: by a proxy to PostgreSQL, or SQLite's folder moved away.

    The folder goes and comes in one step: files moved one by one while processes use them would make SQLite itself lose
    rows (a new write-ahead log beside an old database).
    """

    def __init__(self, home: Path) -> None:
        url = urlsplit(os.environ.get("DATABASE_URL", ""))
        self.proxy = Proxy(url.hostname or "127.0.0.1", url.port or 5432) if url.scheme.startswith("postgres") else None
        self.env = {}
        self.folder = home.with_name(f"{home.name}-database")
        if self.proxy is None:
            self.folder.mkdir(parents=True)
            self.env["DATABASE_URL"] = f"sqlite:///{self.folder}/jackfield.sqlite3"
        else:
            user = f"{url.username}:{url.password or ''}@" if url.username else ""
            self.name = f"jackfield_down_{os.getpid()}"
            self.env["DATABASE_URL"] = f"{url.scheme}://{user}127.0.0.1:{self.proxy.port}/{self.name}"
            self._admin(f'CREATE DATABASE "{self.name}"')

    def _admin(self, statement: str) -> None:
        import psycopg

        url = urlsplit(os.environ["DATABASE_URL"])
        with psycopg.connect(
            host=url.hostname,
            port=url.port or 5432,
            user=url.username,
            password=url.password,
            dbname="postgres",
            autocommit=True,
        ) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def stop(self) -> None:
        if self.proxy:
            self.proxy.fail(Down())
            return
        self.folder.rename(self._away)

    def start(self) -> None:
        if self.proxy:
            self.proxy.heal()
            return
        self._away.rename(self.folder)

    @property
    def _away(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-gone")

    def close(self) -> None:
        if self.proxy:
            self.proxy.stop()
            self._admin(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


@pytest.fixture
def stopped(tmp_path: Path, truth: tuple[int, Path]) -> Iterator[tuple[Installation, Database]]:
    home = tmp_path / "home"
    database = Database(home)
    with installation(home, **KEYS, **database.env) as it:
        it.apply(TWO_SIDES.format(port=truth[0]))
        yield it, database
    database.close()


@pytest.mark.slow
def test_no_request_fails_while_the_database_is_down(stopped: tuple[Installation, Database]) -> None:
    place, database = stopped
    token = place.token()
    server = place.serve()
    ask(server, token)
    failures: list[str] = []
    counts = [0] * 4
    stop = threading.Event()

    def load(worker: int) -> None:
        while not stop.is_set():
            answer = ask(server, token)
            counts[worker] += 1
            if answer.status_code != 200:
                failures.append(answer.text)

    workers = [threading.Thread(target=load, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    stop.wait(1.5)
    database.stop()
    before = sum(counts)
    stop.wait(3)
    end = time.monotonic() + 40
    while sum(counts) - before < 50 and not failures:
        assert time.monotonic() < end, "it did not go on serving"
        stop.wait(0.1)
    stop.set()
    for worker in workers:
        worker.join(30)
    assert not failures

    # and a gateway that starts while the database is still down serves within 5 s, the same token included
    server.stop()
    for took in within(8):  # 5 s are promised; this machine runs other tests beside it
        server = place.serve(wait=False)
        took.append(server.wait_ready())
        assert ask(server, token).status_code == 200
        counts.append(1)
        server.stop()

    # nothing was lost: when the database is back, every request has its row
    database.start()
    place.manage("drain", "--once")
    rows = place.manage("shell", "-v", "0", "-c", "from api.models import UsageRecord as U; print(U.objects.count())")
    assert int(rows.split()[-1]) == sum(counts) + 1
