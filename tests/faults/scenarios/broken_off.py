"""R-REL-05: streams that break off after any event, in any of four ways, in any dialect on either side."""

from __future__ import annotations

import random
from collections import Counter

from tests.faults.checker import told
from tests.faults.clients import DIALECTS, Question, ask_all, markers
from tests.faults.documents import FAMILIES, account, model
from tests.faults.lab import lab
from tests.faults.rows import Row, Scale

PROJECTS = ("cut-red", "cut-blue")


def r_rel_05_streams_broken_off(scale: Scale, seed: int) -> Row:
    """One in five may break off before its first event: then another target serves, and nobody notices."""
    requests = 80 if scale == "short" else 4000
    dice = random.Random(seed)
    places = requests // 5
    with lab(scale, seed) as here:
        tokens = here.apply(
            "".join(
                account(f"cut-{dialect}", here.upstream.url, dialect)
                + model(f"cut-{dialect}", (f"cut-{dialect}", "breaks"))
                for dialect in FAMILIES
            )
            + account("cut-well", here.upstream.url)
            + "".join(
                model(f"cut-{n}", (f"cut-{dice.choice(list(FAMILIES))}", f"breaks:0:{n}"), ("cut-well", "says"))
                for n in range(places)
            ),
            *PROJECTS,
        )
        marker = {project: markers(project) for project in PROJECTS}

        def question(number: int) -> Question:
            name = f"cut-{dice.choice(list(FAMILIES))}" if number % 5 else f"cut-{number // 5}"
            project = dice.choice(PROJECTS)
            return Question(name, marker[project](), project, dice.choice(list(DIALECTS)), stream=True)

        questions = [question(number) for number in range(requests)]
        answers = ask_all(here.url, tokens, questions, at_once=8)
        wrong = here.check(answers, *PROJECTS)
    cut = {question.marker for question in questions if not question.model[-1].isdigit()}
    ends = Counter((answer.end, answer.code, answer.errors) for answer in answers if answer.marker in cut)
    rest = Counter((answer.end, answer.code) for answer in answers if answer.marker not in cut)
    good = ends["partial", "upstream_cut", 1]
    over = rest["whole", ""] + rest["partial", "upstream_cut"]
    return Row(
        "streams broken off by FIN, RST, a truncated chunk, a proper end of the message",
        "R-REL-05",
        requests,
        good + over,
        "one error event, no clean end, row `partial`; before the first event another target",
        f"{good} of {len(cut)} so in {len(FAMILIES)} dialects upstream and {len(DIALECTS)} of clients, "
        f"{rest['whole', '']} served elsewhere" + told(wrong) + _others(ends, rest),
        good == len(cut) and over == requests - len(cut) and rest["whole", ""] > 0 and not wrong,
    )


def _others(ends: Counter[tuple[str, str, int]], rest: Counter[tuple[str, str]]) -> str:
    others = [f"{count} {kind}" for kind, count in ends.items() if kind != ("partial", "upstream_cut", 1)]
    others += [
        f"{count} {kind}" for kind, count in rest.items() if kind not in {("whole", ""), ("partial", "upstream_cut")}
    ]
    return f"; others: {', '.join(others)}" if others else ""
