"""R-REL-06: an upstream that keeps an answer alive and never ends it."""

from __future__ import annotations

from tests.faults.checker import told
from tests.faults.clients import Question, ask_all, markers
from tests.faults.documents import account, model
from tests.faults.lab import lab
from tests.faults.rows import ROOM, Row, Scale

#: What drips, and what ends it.
ENDS = {
    "events": "upstream_total_timeout",
    "comments": "upstream_total_timeout",
    "body": "upstream_total_timeout",
    "bytes": "upstream_gap_timeout",
}
#: Seconds.
EXACT = 1.0


def r_rel_06_slow_drip(scale: Scale, seed: int) -> Row:
    """Events, comments and a body go on until the deadline of the whole; bytes of an event are no event."""
    requests, gap, total = (8, 0.5, 1.0) if scale == "short" else (200, 4.0, 12.0)
    with lab(scale, seed) as here:
        tokens = here.apply(
            account("drip", here.upstream.url, gap=gap, total=total)
            + "".join(model(f"drip-{kind}", ("drip", f"drips:{kind}")) for kind in ENDS),
            "drip",
        )
        marker = markers("drip")
        kinds = [list(ENDS)[number % len(ENDS)] for number in range(requests)]
        questions = [Question(f"drip-{kind}", marker(), "drip", stream=kind != "body") for kind in kinds]
        answers = {answer.marker: answer for answer in ask_all(here.url, tokens, questions, at_once=requests)}
        wrong = here.check(list(answers.values()), "drip")
    off, good = 0.0, 0
    for kind, question in zip(kinds, questions, strict=True):
        answer = answers[question.marker]
        off = max(off, abs(answer.seconds - (gap if kind == "bytes" else total)))
        good += (answer.end, answer.code) == ("error" if kind == "body" else "partial", ENDS[kind])
    return Row(
        "drip of events, comments, bytes of one event, bytes of a body",
        "R-REL-06",
        requests,
        good,
        f"ended with their codes at the limits for gaps and for the whole, {EXACT:.0f} s off at most",
        f"{good} of {requests} so, at most {off:.2f} s off" + told(wrong),
        good == requests and off <= EXACT * ROOM[scale] and not wrong,
    )
