"""Three histories of the same requests held against each other: the clients' log, the upstream's truth log, the rows
in the database. Pure.

What is found is told in words; nothing found is what every scenario promises beside its own promise:

- every call that the upstream saw belongs to exactly one row, and is one of the attempts that this row tells of;
- no row claims an answer that no upstream gave; a row without any call says what was refused, or not reached, here;
- every answer that a client got has exactly one row, which says the same of its status and of how it ended;
- tokens of whole answers are those that the upstream told, each row and all together;
- no answer says what was asked in another request, least of all in another project's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.truth import Call, project_of

#: Of a row, as `Lab.histories` gives them.
COLUMNS = ("request_id", "project", "status", "outcome", "error_code", "attempts", "attempt_log", "input_tokens",
           "output_tokens")  # fmt: skip
#: Attempts that ended so never reached the upstream's program.
_NOT_REACHED = frozenset(
    {
        *("upstream_unreachable", "upstream_connect_timeout", "upstream_pool_timeout", "upstream_tls", "upstream_dns"),
        *("upstream_tls_timeout", "egress_refused"),
    }
)
#: How an answer ended for its client -> what its row may say. A client that left may have left too late to be noticed.
_OUTCOMES = {"whole": {"ok"}, "partial": {"partial"}, "error": {"error"}, "left": {"client_gone", "ok", "partial"}}


@dataclass(frozen=True)
class Answered:
    """One request as its client saw it.

    `end`: whole; partial (an error event after the stream began); error (a status of 400 and more); left (by the
    client); broken (neither an end nor an error came, or no HTTP).
    """

    marker: str
    request: str
    status: int
    end: str
    code: str = ""
    #: all markers in the answer
    said: frozenset[str] = frozenset()
    seconds: float = 0.0
    #: monotonic, when it was over
    at: float = 0.0
    attempts: int = 0
    #: error events of a stream
    errors: int = 0
    retry_after: str = ""


@dataclass(frozen=True)
class Histories:
    answers: Sequence[Answered]
    calls: Sequence[Call]
    rows: Sequence[Mapping[str, Any]]


def findings(told: Histories) -> list[str]:
    """What does not fit together, in words; at best nothing."""
    rows: dict[str, Mapping[str, Any]] = {}
    found = []
    for row in told.rows:
        if row["request_id"] in rows:
            found.append(f"{row['request_id']}: doubled, it has more than one row")
        rows[row["request_id"]] = row
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in told.calls:
        calls[call.request].append(call)
    asked = {answer.request: answer.marker for answer in told.answers if answer.request}
    for request, made in calls.items():
        found += _of_calls(request, made, rows.get(request), asked.get(request))
    for request, row in rows.items():
        found += _of_row(row, calls.get(request, ()))
    for answer in told.answers:
        found += _of_answer(answer, rows.get(answer.request))
    found += _doubled(told.answers)
    found += _sums(rows.values(), calls)
    return found


def told(wrong: Sequence[str]) -> str:
    """What was found, for a table: how much, and the first of it."""
    return f"; {len(wrong)} findings, as {wrong[0]}" if wrong else ""


def _of_calls(request: str, calls: Sequence[Call], row: Mapping[str, Any] | None, asked: str | None) -> Iterable[str]:
    """Calls of one request: they have a row, and it tells of each."""
    if row is None:
        yield f"{request}: lost, the upstream was called {len(calls)} times and there is no row"
        return
    for call in calls:
        if call.marker and project_of(call.marker) != row["project"]:
            yield f"{request}: swapped, {row['project']}'s row is of {call.marker}"
        if asked is not None and call.marker and call.marker != asked:
            yield f"{request}: swapped, {asked} was asked and the upstream was sent {call.marker}"
    log = row["attempt_log"]
    told = Counter(entry["model"] for entry in log if entry.get("verdict", "") not in _NOT_REACHED)
    told += Counter(entry["model"] for entry in log if entry.get("again"))
    seen = Counter(call.model for call in calls)
    for model, count in (seen - told).items():
        yield f"{request}: {count} calls of {model} are told by no attempt"


def _of_row(row: Mapping[str, Any], calls: Sequence[Call]) -> Iterable[str]:
    """One row: what it claims was served, and what it does not."""
    request, log = row["request_id"], row["attempt_log"]
    if row["attempts"] != len(log):
        yield f"{request}: {row['attempts']} attempts, and {len(log)} are told of"
    claimed = Counter((entry["model"], entry["status"]) for entry in log if entry.get("status"))
    served = Counter((call.model, call.status) for call in calls)
    for (model, status), count in (claimed - served).items():
        yield f"{request}: invented, {count} answers {status} of {model} that no upstream gave"
    if not calls and row["outcome"] in ("ok", "partial"):
        yield f"{request}: invented, it says {row['outcome']} and no upstream was called"
    elif not calls and row["outcome"] == "error" and not row["error_code"]:
        yield f"{request}: no call, and no word of why"
    told = _told(row, calls)
    if told is not None and _booked(row) != (told.input, told.output):
        yield f"{request}: miscounted, {_booked(row)} tokens are booked, {(told.input, told.output)} were told"


def _booked(row: Mapping[str, Any]) -> tuple[int | None, int | None]:
    return row["input_tokens"], row["output_tokens"]


def _told(row: Mapping[str, Any], calls: Sequence[Call]) -> Call | None:
    """The call that told what a whole answer used: of several the one that is booked."""
    if row["outcome"] != "ok":
        return None
    telling = [call for call in calls if call.input is not None]
    telling.sort(key=lambda call: (call.input, call.output) == _booked(row))
    return telling[-1] if telling else None


def _of_answer(answer: Answered, row: Mapping[str, Any] | None) -> Iterable[str]:
    """What one client got."""
    name = answer.request or answer.marker
    if answer.said - {answer.marker}:
        yield f"{name}: swapped, asked {answer.marker} and was told {', '.join(sorted(answer.said))}"
    if answer.end == "broken":
        yield f"{name}: broken, the client got neither an end nor an error"
    if not answer.request:
        return
    if row is None:
        yield f"{name}: lost, the client was answered {answer.status} and there is no row"
        return
    if answer.end == "whole" and answer.marker not in answer.said:
        yield f"{name}: whole, and without what was asked"
    if answer.end in _OUTCOMES and row["outcome"] not in _OUTCOMES[answer.end]:
        yield f"{name}: the client saw it {answer.end}, the row says {row['outcome']}"
    if answer.end in ("whole", "partial", "error") and row["status"] != answer.status:
        yield f"{name}: the client saw status {answer.status}, the row says {row['status']}"
    # An upstream's own code is passed on to clients of its dialect.
    if answer.code.startswith("upstream_") and row["error_code"] != answer.code:
        yield f"{name}: the client saw the code {answer.code!r}, the row says {row['error_code']!r}"


def _doubled(answers: Sequence[Answered]) -> Iterable[str]:
    counts = Counter(answer.request for answer in answers if answer.request)
    return (f"{request}: {count} answers have this id" for request, count in counts.items() if count > 1)


def _sums(rows: Iterable[Mapping[str, Any]], calls: Mapping[str, Sequence[Call]]) -> Iterable[str]:
    """All tokens of whole answers together."""
    exact = [(row, told) for row in rows if (told := _told(row, calls.get(row["request_id"], ()))) is not None]
    for kind in ("input", "output"):
        booked = sum(row[f"{kind}_tokens"] or 0 for row, _ in exact)
        told = sum(getattr(call, kind) or 0 for _, call in exact)
        if booked != told:
            yield f"{booked} {kind} tokens are booked, {told} were told"
