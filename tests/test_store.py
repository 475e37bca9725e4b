"""The store keeps serving: through a database that is gone, hangs or is wrong, and through restarts without it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from datetime import timedelta
from statistics import median

import msgspec
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from routing import presence, revisions, tables
from routing.build import build
from routing.models import Alias, GatewayProcess, PublicModel
from routing.revisions import published
from routing.shelf import Shelf
from routing.snapshot import EMPTY
from routing.store import Store
from tests.stores import away, content, rows, serves, until, write

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def panel(world):
    world.model("m", (world.account(keys=("sk-canary-000000000000",)), "u"))
    world.token()
    return world


class Outage:
    """The database as this store's thread sees it."""

    def __init__(self, monkeypatch) -> None:
        self.down = False
        self.gate: threading.Event | None = None
        real = tables.head

        def head() -> int:
            if threading.current_thread().name == "snapshot":
                if self.gate is not None:
                    self.gate.wait()
                if self.down:
                    raise OperationalError("connection refused")
            return real()

        monkeypatch.setattr(tables, "head", head)
        monkeypatch.setattr("routing.build.tables.head", head)


@pytest.fixture
def outage(monkeypatch):
    return Outage(monkeypatch)


def test_a_save_is_served_at_once_where_it_was_made_and_soon_elsewhere(home, panel, settings):
    async def run() -> None:
        here, there = Store(), Store()
        await here.start()
        await there.start()
        revisions.published.disconnect(dispatch_uid=f"store {id(there)}")  # as if it were another process
        took_here, took_there = [], []
        for n in range(10):
            number = await away(write, description=str(n))
            took_here.append(await serves(here, number))
            took_there.append(await serves(there, number))
        assert here.current.models["m"].description == there.current.models["m"].description == "9"
        assert median(took_here) < 0.5 and median(took_there) < 1.0
        await here.stop()
        await there.stop()

    settings.POLL_INTERVAL = 0.25
    asyncio.run(run())


def test_a_refused_revision_is_shown_and_the_last_good_one_serves(home, panel, unchecked):
    async def run() -> None:
        store = Store()
        await store.start()
        good = store.current
        await away(lambda: Alias.objects.create(name="m", model=PublicModel.objects.get()))
        await until(lambda: store.problem)
        assert store.current is good and store.ready and not store.stale and not store.degraded
        assert "'m'" in store.problem and str(good.revision + 1) in store.problem
        await until(shown)
        await away(lambda: Alias.objects.all().delete())
        await until(lambda: store.current.revision == good.revision + 2)
        assert store.problem == ""
        await store.stop()

    def shown() -> bool:
        return bool(rows(lambda: list(GatewayProcess.objects.exclude(problem=""))))

    asyncio.run(run())


def test_a_database_that_goes_away_stops_nothing_and_comes_back_by_itself(home, panel, outage):
    async def run() -> None:
        store = Store()
        await store.start()
        served = store.current
        outage.down = True
        await until(lambda: store.degraded)
        assert store.current is served and store.ready and "cannot be reached" in store.problem
        number = await away(write, description="meanwhile")
        assert store.current is served
        outage.down = False
        await serves(store, number)
        assert not store.degraded and store.problem == ""
        await store.stop()

    asyncio.run(run())


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_a_start_without_the_database_serves_from_disk_and_attaches_later(home, panel, outage, how):
    """R-REL-13b: within 5 s, and without a restart when the database is back."""

    async def run() -> None:
        first = Store()
        await first.start()
        await until(home.snapshot.exists)
        await first.stop()
        gate = threading.Event()
        if how == "hangs":
            outage.gate = gate
        else:
            outage.down = True
        second, start = Store(), time.monotonic()
        await second.start()
        assert time.monotonic() - start < 5 and second.ready and second.source == "disk" and second.degraded
        assert second.status()["degraded"] and second.status()["source"] == "disk"
        expected = content(first.current)
        assert content(second.current) == expected
        number = await away(write, description="later")
        outage.down, outage.gate = False, None
        gate.set()
        await until(lambda: second.source == "database" and second.current.revision == number)
        assert not second.degraded and second.current.models["m"].description == "later"
        await second.stop()

    asyncio.run(run())


def test_a_start_with_neither_database_nor_copy_is_not_ready_and_says_why(home, panel, outage):
    async def run() -> None:
        outage.down = True
        store = Store()
        await store.start()
        assert not store.ready and store.current is EMPTY and "no copy on disk" in store.problem
        outage.down = False
        await until(lambda: store.ready)
        await store.stop()

    asyncio.run(run())


def test_an_unconfirmed_snapshot_stops_serving_after_the_cap(home, panel, settings, monkeypatch):
    """R-REL-13c, by a fake clock."""
    store = Store()
    store.install(build())
    assert store.ready
    later = time.time() + 25 * 3600
    monkeypatch.setattr("routing.store.time.time", lambda: later)
    assert store.stale and not store.ready
    settings.MAX_SNAPSHOT_AGE_HOURS = 48
    assert store.ready


def test_the_age_of_a_copy_counts_from_when_it_was_last_known_to_be_the_newest(home, panel, outage):
    shelf, now = Shelf(home.snapshot), time.time()
    snapshot = msgspec.structs.replace(build(), built_at=now - 50 * 3600)
    shelf.put(snapshot, tables.no_pace)
    outage.down = True

    async def ready() -> bool:
        store = Store()
        await store.start()
        await store.stop()
        return store.ready

    assert not asyncio.run(ready())
    shelf.mark(snapshot.revision + 1, now)  # a mark of another revision says nothing
    assert not asyncio.run(ready())
    shelf.mark(snapshot.revision, now - 3600)
    assert asyncio.run(ready())


def test_a_disk_that_takes_no_copy_stops_nothing(home, panel, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Shelf, "put", full)

    async def run() -> None:
        store = Store()
        await store.start()
        number = await away(write, description="x")
        await serves(store, number)
        assert store.ready and store.problem == ""
        await store.stop()

    asyncio.run(run())


def test_convergence_tells_who_serves_what(home, panel):
    GatewayProcess.objects.create(name="gone:1", revision=1, seen_at=timezone.now() - timedelta(seconds=61))
    GatewayProcess.objects.create(name="behind:1", revision=1, seen_at=timezone.now())

    async def run() -> None:
        store = Store()
        await store.start()
        await until(lambda: len(rows(presence.convergence)) == 2)
        standings = {s.name: s for s in rows(presence.convergence)}
        assert not standings["behind:1"].current
        mine = standings[store._name]
        assert mine.current and mine.revision == store.current.revision and mine.problem == ""
        assert not rows(GatewayProcess.objects.filter(name="gone:1").exists)
        await store.stop()
        assert [s.name for s in rows(presence.convergence)] == ["behind:1"]

    asyncio.run(run())


def test_two_starts_and_two_stops_are_one(home, panel):
    async def run() -> None:
        store = Store()
        await store.start()
        thread = store._thread
        await store.start()
        assert store._thread is thread
        await store.stop()
        await store.stop()
        assert thread is not None and not thread.is_alive()

    asyncio.run(run())


def test_old_snapshots_are_freed(home, panel):
    """R-REL-16: nothing but a request holds an old snapshot."""

    async def run() -> None:
        store = Store()
        await store.start()
        old = store.current
        for n in range(20):
            number = await away(write, description=str(n))
            await serves(store, number)
        await until(lambda: sys.getrefcount(old) == 2)
        await store.stop()

    asyncio.run(run())


def test_a_broken_row_does_not_end_the_thread(home, panel, monkeypatch):
    async def run() -> None:
        store = Store()
        await store.start()
        monkeypatch.setattr("routing.build.check", lambda *_: 1 / 0)
        await away(write, description="x")
        await until(lambda: "ZeroDivisionError" in store.problem)
        monkeypatch.undo()
        number = await away(write, description="y")
        await serves(store, number)
        assert store.problem == ""
        await store.stop()

    asyncio.run(run())


def test_an_answer_that_is_no_number_does_not_end_the_thread(home, panel, monkeypatch):
    async def run() -> None:
        store = Store()
        await store.start()
        good = store.current
        real = tables.head
        for error in (ValueError("no number"), RuntimeError("changed size during iteration"), AssertionError("what")):

            def head(error: Exception = error) -> int:
                raise error

            monkeypatch.setattr(tables, "head", head)
            await until(lambda error=error: str(error) in store.problem)
            assert store.current is good and store.ready and not store._ended
            monkeypatch.setattr(tables, "head", real)
            await until(lambda: not store.problem)
        await store.stop()

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_store_whose_thread_ended_says_so(home, panel, monkeypatch):
    async def run() -> None:
        store = Store()
        await store.start()
        assert not store.degraded

        def head() -> int:
            raise SystemExit

        monkeypatch.setattr(tables, "head", head)
        await until(lambda: store.degraded)
        assert "restart" in store.status()["problem"] and store.ready, "what is known serves on"
        await store.stop()
        assert not store.degraded

    asyncio.run(run())


def test_a_copy_read_late_does_not_replace_what_the_database_gave(home, panel):
    async def run() -> None:
        first = Store()
        await first.start()
        old = first.current
        await first.stop()
        number = await away(write, description="newer")
        store = Store()

        class Slow(Shelf):
            def get(self):
                found = super().get()
                store._take(rows(build), "database", time.time())
                return found

        store._shelf = Slow(home.snapshot)
        await asyncio.to_thread(store._take_copy)
        assert store.current.revision == number > old.revision
        assert store.source == "database" and not store.degraded

    asyncio.run(run())


def test_r_rel_14_a_revision_is_pushed_and_waits_for_no_look(home, panel, settings):
    """PostgreSQL tells it. Where nobody does (SQLite), and where the channel is cut, the looks find it."""
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL pushes")
    settings.POLL_INTERVAL = 60

    async def run() -> None:
        store = Store()
        await store.start()
        with contextlib.suppress(AssertionError):
            await until(lambda: rows(listening), 10)
        for description in ("one", "two", "three"):
            published.disconnect(dispatch_uid=f"store {id(store)}")  # as in any other process
            number = await away(write, description=description)
            assert await serves(store, number) < 10
        await store.stop()

    def listening() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            return bool(cursor.fetchone()[0])

    asyncio.run(run())
