"""So many a day, for all processes together: by a file of the home, or by Redis."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from api import tickets as module
from api.tickets import Tickets


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Path:
    settings.HOME = type(settings.HOME)(tmp_path)
    return tmp_path


def taken(tickets: Tickets, of: str, most: int, times: int) -> int:
    async def all_of_them() -> list[bool]:
        return [await tickets.take(of, most) for _ in range(times)]

    return sum(asyncio.run(all_of_them()))


def test_there_are_so_many_a_day(home: Path, monkeypatch: Any) -> None:
    assert taken(Tickets(), "hedge-1", 3, 5) == 3
    assert taken(Tickets(), "hedge-1", 3, 5) == 0, "another process, or this one after a restart"
    assert taken(Tickets(), "hedge-1", 4, 5) == 1, "the ceiling was lifted"
    assert taken(Tickets(), "hedge-2", 1, 5) == 1
    assert taken(Tickets(), "hedge-3", 0, 5) == 0
    tomorrow = time.gmtime(time.time() + 86_400)
    monkeypatch.setattr(module.time, "gmtime", lambda: tomorrow)
    assert taken(Tickets(), "hedge-1", 3, 5) == 3
    assert len(list((home / "tickets").iterdir())) == 1, "yesterday's are gone"


def test_processes_never_take_more_together(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from api.tickets import _appended\n"
        "print(sum(_appended(Path(sys.argv[1]), '2026-01-01-x', 500) for _ in range(400)))"
    )
    run = [sys.executable, "-c", code, str(home / "tickets")]
    running = [subprocess.Popen(run, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent) for _ in range(3)]
    assert sum(int(process.communicate(timeout=60)[0]) for process in running) == 500


def test_a_disk_that_refuses_has_none(home: Path) -> None:
    (home / "tickets").write_text("no folder")
    assert taken(Tickets(), "hedge-1", 3, 2) == 0


def test_redis_counts_for_all_machines_and_has_none_while_it_is_away(home: Path, redis_server: Any) -> None:
    async def scenario() -> None:
        one, two = Tickets(), Tickets()
        for tickets in (one, two):
            tickets.start(redis_server.url)
        assert [await tickets.take("hedge-1", 3) for tickets in (one, two, one, two)] == [True, True, True, False]
        assert not (home / "tickets").exists()
        redis_server.stop()
        began = time.monotonic()
        assert not await one.take("hedge-2", 3)
        assert time.monotonic() - began < 5
        redis_server.start()
        assert await one.take("hedge-2", 3)
        for tickets in (one, two):
            await tickets.stop()

    asyncio.run(scenario())
