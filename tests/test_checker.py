"""The checker of histories finds what was done to them. Who checks everything must be checked first."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.checker import Answered, Histories, findings
from tests.faults.truth import Call

PROJECTS = ("red", "blue")


def whole(seed: int = 1) -> Histories:
    """Sixty requests of two projects, as they may go: served, failed over, cut, refused here, left by the client."""
    dice = random.Random(seed)
    told = Histories([], [], [])
    for number in range(60):
        kind = ("served", "over", "unreached", "cut", "refused", "left")[number % 6]
        project = PROJECTS[dice.randrange(2)]
        one(told, number, kind, project, dice)
    return told


def one(told: Histories, number: int, kind: str, project: str, dice: random.Random) -> None:
    request, marker = f"req_{number}", f"mark.{project}.{number}."
    log: list[dict[str, Any]] = []
    row = {"request_id": request, "project": project, "status": 200, "outcome": "ok", "error_code": ""}
    tokens: tuple[int | None, int | None] = (None, None)

    def called(model: str, status: int, end: str = "whole", tokens: tuple[int | None, int | None] = tokens) -> None:
        call = Call(len(told.calls) + 1, request, model, marker=marker, status=status, end=end)
        told.calls.append(replace(call, input=tokens[0], output=tokens[1]))

    answer = Answered(marker, request, 200, "whole", said=frozenset({marker}))
    if kind == "over":
        called("bad", 503)
        log.append({"model": "bad", "status": 503, "verdict": "upstream_overloaded"})
    if kind == "unreached":
        log.append({"model": "dead", "status": 0, "verdict": "upstream_unreachable"})
    if kind in ("served", "over", "unreached"):
        tokens = dice.randrange(1, 500), dice.randrange(1, 500)
        called("good", 200, tokens=tokens)
        log.append({"model": "good", "status": 200})
    if kind == "cut":
        called("good", 200, "cut")
        log.append({"model": "good", "status": 200})
        row |= {"outcome": "partial", "error_code": "upstream_cut"}
        answer = replace(answer, end="partial", code="upstream_cut", said=frozenset())
    if kind == "refused":
        row |= {"outcome": "error", "status": 404, "error_code": "model_not_found"}
        answer = replace(answer, status=404, end="error", code="model_not_found", said=frozenset())
    if kind == "left":
        called("slow", 0, "gone")
        log.append({"model": "slow", "status": 0})
        row |= {"outcome": "client_gone", "status": 499}
        answer = Answered(marker, "", 0, "left")
    told.answers.append(answer)
    row |= {"attempts": len(log), "attempt_log": log, "input_tokens": tokens[0], "output_tokens": tokens[1]}
    told.rows.append(row)


@pytest.mark.parametrize("seed", range(5))
def test_whole_histories_have_nothing_to_find(seed: int) -> None:
    assert findings(whole(seed)) == []


def row_of(told: Histories, outcome: str, index: int = 0) -> dict[str, Any]:
    return [row for row in told.rows if row["outcome"] == outcome][index]


def a_row_is_lost(told: Histories) -> None:
    told.rows.remove(row_of(told, "ok", 7))


def a_row_of_a_refusal_is_lost(told: Histories) -> None:
    told.rows.remove(row_of(told, "error"))


def a_row_is_doubled(told: Histories) -> None:
    told.rows.append(dict(row_of(told, "ok", 3)))


def a_row_is_invented(told: Histories) -> None:
    told.rows.append(row_of(told, "ok") | {"request_id": "req_x"})


def a_partial_row_is_invented(told: Histories) -> None:
    told.rows.append(row_of(told, "partial") | {"request_id": "req_x", "attempts": 0, "attempt_log": []})


def a_failed_row_says_nothing(told: Histories) -> None:
    row_of(told, "error")["error_code"] = ""


def an_attempt_is_not_told(told: Histories) -> None:
    row = next(row for row in told.rows if row["attempts"] == 2 and row["attempt_log"][0]["model"] == "bad")
    row["attempt_log"] = row["attempt_log"][1:]
    row["attempts"] = 1


def an_attempt_is_not_counted(told: Histories) -> None:
    row_of(told, "ok")["attempts"] += 1


def a_call_is_made_twice(told: Histories) -> None:
    told.calls.append(replace(told.calls[0], number=999))


def a_status_is_invented(told: Histories) -> None:
    row_of(told, "partial")["attempt_log"][0]["status"] = 500


def an_upstream_was_sent_another_question(told: Histories) -> None:
    request = told.calls[0].request
    other = next(call for call in told.calls if call.request != request)
    told.calls[0] = replace(told.calls[0], marker=other.marker)


def projects_are_swapped(told: Histories) -> None:
    row = row_of(told, "client_gone")
    row["project"] = PROJECTS[1 - PROJECTS.index(row["project"])]


def answers_are_swapped(told: Histories) -> None:
    one, two = [number for number, answer in enumerate(told.answers) if answer.said][:2]
    a, b = told.answers[one], told.answers[two]
    told.answers[one], told.answers[two] = replace(a, said=b.said), replace(b, said=a.said)


def an_answer_says_more_than_its_own(told: Histories) -> None:
    answer = told.answers[0]
    told.answers[0] = replace(answer, said=answer.said | {"mark.other.5."})


def an_answer_says_nothing(told: Histories) -> None:
    told.answers[0] = replace(told.answers[0], said=frozenset())


def tokens_are_miscounted(told: Histories) -> None:
    row_of(told, "ok", 5)["output_tokens"] += 1


def tokens_are_exchanged(told: Histories) -> None:
    """The sums still fit."""
    one, two = row_of(told, "ok", 1), row_of(told, "ok", 2)
    for name in ("input_tokens", "output_tokens"):
        one[name], two[name] = two[name], one[name]


def tokens_are_forgotten(told: Histories) -> None:
    row_of(told, "ok", 5)["input_tokens"] = None


def a_cut_is_booked_as_whole(told: Histories) -> None:
    row_of(told, "partial")["outcome"] = "ok"


def an_error_is_booked_with_another_status(told: Histories) -> None:
    row_of(told, "error")["status"] = 400


def a_cut_has_another_code(told: Histories) -> None:
    row_of(told, "partial")["error_code"] = "upstream_timeout"


def a_client_got_no_end(told: Histories) -> None:
    told.answers[0] = replace(told.answers[0], end="broken")


def two_answers_have_one_id(told: Histories) -> None:
    told.answers.append(told.answers[0])


DOCTORED: list[tuple[Callable[[Histories], None], str]] = [
    (a_row_is_lost, "lost"),
    (a_row_of_a_refusal_is_lost, "lost"),
    (a_row_is_doubled, "doubled"),
    (a_row_is_invented, "invented"),
    (a_partial_row_is_invented, "invented"),
    (a_failed_row_says_nothing, "no word of why"),
    (an_attempt_is_not_told, "told by no attempt"),
    (an_attempt_is_not_counted, "are told of"),
    (a_call_is_made_twice, "told by no attempt"),
    (a_status_is_invented, "invented"),
    (an_upstream_was_sent_another_question, "swapped"),
    (projects_are_swapped, "swapped"),
    (answers_are_swapped, "swapped"),
    (an_answer_says_more_than_its_own, "swapped"),
    (an_answer_says_nothing, "without what was asked"),
    (tokens_are_miscounted, "miscounted"),
    (tokens_are_exchanged, "miscounted"),
    (tokens_are_forgotten, "miscounted"),
    (a_cut_is_booked_as_whole, "the row says ok"),
    (an_error_is_booked_with_another_status, "the row says 400"),
    (a_cut_has_another_code, "the row says 'upstream_timeout'"),
    (a_client_got_no_end, "broken"),
    (two_answers_have_one_id, "have this id"),
]


@pytest.mark.parametrize(("doctor", "word"), DOCTORED, ids=[doctor.__name__ for doctor, _ in DOCTORED])
def test_what_was_doctored_is_found(doctor: Callable[[Histories], None], word: str) -> None:
    told = whole()
    doctor(told)
    found = findings(told)
    assert any(word in finding for finding in found), found
