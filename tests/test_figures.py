"""Figures of several processes: summed, never backwards, each ended process counted once."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from api import drain, figures, health
from api.figures import Board, Figures, Histogram, collect
from api.usage import Outcome, Row


def some(number: int) -> Figures:
    return Figures(
        requests=[(("m", "a", 200, "ok"), number)],
        tokens=[(("m", "a", "input"), number)],
        histograms={"jackfield_request_seconds": Histogram([number, 0], number)},
        counters={"c": number},
        gauges={"jackfield_requests_active": number, "jackfield_revision": number, "jackfield_draining": 0},
    )


def in_a_child(folder: Path, number: int) -> int:
    """A process that writes its figures and waits to be killed."""
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        Board(folder).write(some(number))
        os.write(tell, b"x")
        signal.pause()
        os._exit(0)
    os.read(told, 1)
    return child


def end(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_sums_stay_when_processes_are_killed(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.write(some(1))
    one, two = in_a_child(tmp_path, 10), in_a_child(tmp_path, 100)
    whole, living = collect(tmp_path)
    assert (whole.requests, whole.tokens) == ([(("m", "a", 200, "ok"), 111)], [(("m", "a", "input"), 111)])
    assert (whole.counters, living) == ({"c": 111}, 3)
    assert whole.gauges == {"jackfield_requests_active": 111, "jackfield_revision": 1, "jackfield_draining": 0}
    end(one)
    for _ in range(3):
        whole, living = collect(tmp_path)
        assert (whole.counters["c"], living, whole.gauges["jackfield_requests_active"]) == (111, 2, 101)
        assert whole.histograms["jackfield_request_seconds"] == Histogram([111, 0], 111)
    end(two)
    assert collect(tmp_path)[0].counters["c"] == 111
    assert len(list(tmp_path.glob("*.figures"))) == 1


def test_a_process_that_dies_while_it_folds_counts_nothing_twice(tmp_path: Path, monkeypatch) -> None:
    end(in_a_child(tmp_path, 7))
    monkeypatch.setattr(figures.Path, "unlink", lambda self: None)  # killed before the file was removed
    assert collect(tmp_path)[0].counters["c"] == 7
    monkeypatch.undo()
    assert collect(tmp_path)[0].counters["c"] == 7
    assert not list(tmp_path.glob("*.figures"))
    assert collect(tmp_path)[0].counters["c"] == 7


def test_what_cannot_be_read_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "1-1.figures").write_bytes(b"\xff" * 50)
    (tmp_path / "2-1.figures").write_bytes(b"")
    (tmp_path / "ended.json").write_bytes(b"{")
    assert collect(tmp_path) == (Figures(), 0)


def test_figures_that_do_not_fit_leave_the_last(tmp_path: Path, monkeypatch) -> None:
    board = Board(tmp_path)
    board.write(some(3))
    monkeypatch.setattr(figures, "ROOM", 100)
    board.write(some(4))
    monkeypatch.undo()
    assert collect(tmp_path)[0].counters["c"] == 3


def test_a_full_disk_ends_no_process(tmp_path: Path, monkeypatch: Any) -> None:
    """A page of a sparse file that the disk has no room for would raise SIGBUS."""

    def full(fd: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    board = Board(tmp_path)
    assert not board.write(some(1))
    assert list(tmp_path.iterdir()) == []
    whole, living = collect(tmp_path, some(1))
    assert (whole.counters, living) == ({"c": 1}, 1)
    monkeypatch.undo()
    assert board.write(some(2)), "there is room again"
    assert collect(tmp_path)[0].counters == {"c": 2}


def test_the_files_pages_are_allocated(tmp_path: Path) -> None:
    board = Board(tmp_path)
    [path] = tmp_path.glob("*.figures")
    assert path.stat().st_blocks * 512 >= figures.ROOM
    assert board.write(some(1))


def test_the_journal_is_not_looked_through_at_each_scrape(tmp_path: Path, monkeypatch: Any) -> None:
    looks: list[Path] = []

    def look(folder: Path) -> tuple[int, int]:
        looks.append(folder)
        return 7, 700

    monkeypatch.setattr(health, "_waiting", None)
    monkeypatch.setattr(drain, "backlog", look)
    for _ in range(3):
        assert health._collect(tmp_path, None).gauges["jackfield_journal_files"] == 7
    assert len(looks) == 1
    monkeypatch.setattr(health, "BACKLOG_EVERY", 0.0)
    health._collect(tmp_path, None)
    assert len(looks) == 2


def test_names_that_callers_make_up_hide_nobodys_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many series, what has none of its own is counted together."""
    for table in ("_requests", "_tokens"):
        monkeypatch.setattr(health, table, {})
    monkeypatch.setattr(health, "_MOST_SERIES", 2)
    for number in range(5):
        row = Row(f"req_{number}", 1.0, "responses", served_model=f"up/made-up-{number}", account="up")
        row.status, row.outcome, row.input_tokens = 200, Outcome.OK, 10
        health.count(row)
    assert sum(health._requests.values()) == 5 and health._requests["other", "", 200, Outcome.OK] == 3
    assert sum(health._tokens.values()) == 50 and health._tokens["other", "", "input"] == 30
