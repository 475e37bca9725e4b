"""The histories of a scenario of our own dependencies: its clients' log, the upstream's truth, and the rows, for the
checker. The upstream is `tests/truth.py`, whose log has a line "<request id> asked" or "... served" for each call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tests.faults.checker import COLUMNS, Answered, Histories, findings
from tests.faults.load import Answer
from tests.faults.premises import Premises, eventually
from tests.faults.truth import Call

_MODEL: Final = "m"


def audit(here: Premises, answers: Iterable[Answer] = (), patience: float = 30.0) -> list[str]:
    """What does not fit together, of all that was ever asked here, when there is a row for all of it or never will be.

    Requests whose connection broke have no id to look for: the upstream's log has those that got so far.
    """
    known = [answer for answer in answers if answer.request_id]
    calls = list(_calls(here).values())
    wanted = {answer.request_id for answer in known} | {call.request for call in calls}
    rows: list[dict[str, Any]] = []

    def booked() -> bool:
        rows[:] = map(_of_one_model, here.act("rows", COLUMNS))
        return wanted <= {row["request_id"] for row in rows}

    eventually(booked, patience, 0.5)
    seen = [
        Answered("", one.request_id, one.status, "whole" if one.whole else "partial", said=frozenset({""}))
        for one in known
    ]
    return findings(Histories(seen, calls, rows))


def _of_one_model(row: dict[str, Any]) -> dict[str, Any]:
    """The upstream's log does not say which model a call was for, and a mutated configuration may have sent another."""
    return {**row, "attempt_log": [{**entry, "model": _MODEL} for entry in row["attempt_log"]]}


def lost_and_doubled(found: Iterable[str]) -> tuple[int, int]:
    found = list(found)
    return sum(": lost," in line for line in found), sum(": doubled," in line for line in found)


def _calls(here: Premises) -> dict[str, Call]:
    calls: dict[str, Call] = {}
    for line in here.truth_log.read_text().splitlines():
        request, _, what = line.partition(" ")
        # It answers nothing but 200, and says "served" at the end: a client that left may have had the beginning.
        call = calls.setdefault(request, Call(len(calls), request, _MODEL, status=200))
        if what == "served":
            call.end, call.input, call.output = "whole", 7, 3
    return calls
