"""R-REL-07: event streams in unusual dress, and what only looks like one."""

from __future__ import annotations

from collections import Counter

from tests.faults.checker import told
from tests.faults.clients import Question, ask_all, markers
from tests.faults.documents import account, model
from tests.faults.lab import lab
from tests.faults.memory import Memory
from tests.faults.rows import Row, Scale

ODD = ("crlf", "mixed", "bom", "bytes", "pieces", "unknown", "tight")
GARBLED = ("json", "utf8", "list", "text", "line")
#: What may be held of one event, in MiB, twice.
MOST = 2 * 64


def r_rel_07_malformed_streams(scale: Scale, seed: int) -> Row:
    rounds = 2 if scale == "short" else 150
    with lab(scale, seed) as here:
        tokens = here.apply(
            account("form", here.upstream.url)
            + "".join(model(f"form-{kind}", ("form", f"odd:{kind}")) for kind in ODD)
            + "".join(model(f"form-{kind}", ("form", f"garbled:{kind}")) for kind in GARBLED),
            "form",
        )
        marker = markers("form")
        before, memory = here.pids(), Memory(here.pids())
        asked = [(kind, Question(f"form-{kind}", marker(), "form", stream=True)) for kind in (*ODD, *GARBLED) * rounds]
        answers = ask_all(here.url, tokens, [question for _, question in asked], at_once=4)
        grown, crashed = memory.grown(), before != here.pids()
        wrong = here.check(answers, "form")
    ends = {answer.marker: (answer.end, answer.errors) for answer in answers}
    wanted = {True: ("whole", 0), False: ("partial", 1)}
    bad = Counter(
        (kind, ends[question.marker]) for kind, question in asked if ends[question.marker] != wanted[kind in ODD]
    )
    good = len(asked) - bad.total()
    return Row(
        "malformed events: " + ", ".join((*ODD, *GARBLED)),
        "R-REL-07",
        len(asked),
        good,
        f"odd ones are read, others are one error event; no crash, at most {MOST} MiB more",
        f"{good} so, {'a crash' if crashed else 'no crash'}, {grown:.0f} MiB more"
        + (f"; others: {dict(bad)}" if bad else "")
        + told(wrong),
        not bad and not crashed and grown <= MOST and not wrong,
    )
