"""R-REL-08: a status of 200 whose body, or whose first event, is an error."""

from __future__ import annotations

from collections import Counter

from tests.faults.checker import told
from tests.faults.clients import Question, ask_all, markers
from tests.faults.documents import account, model
from tests.faults.lab import lab
from tests.faults.rows import Row, Scale

#: The status that each error means, and whether another target may know better.
STATUSES = {"400": False, "401": True, "429": True, "503": True, "529": True}
#: Failures in a row that open a circuit.
CONSECUTIVE = 5


def r_rel_08_errors_in_a_200(scale: Scale, seed: int) -> Row:
    rounds = 2 if scale == "short" else 100
    with lab(scale, seed) as here:
        tokens = here.apply(
            "".join(
                account(f"lies-{kind}", here.upstream.url, keys=(9 if kind == "429" else 1,))
                + model(f"lies-{kind}", (f"lies-{kind}", f"lies:{kind}"))
                + "".join(
                    model(f"lies-{kind}-{n}", (f"lies-{kind}", f"lies:{kind}:{n}"), ("lies-well", "says"))
                    for n in range(rounds // 2)
                )
                for kind in STATUSES
            )
            + account("lies-well", here.upstream.url)
            # This one is asked until its circuit opens.
            + model("lies-on", ("lies-503", "lies:503:on"), ("lies-well", "says")),
            "lies",
        )
        marker = markers("lies")
        asked: list[tuple[str, bool, Question]] = []
        for number in range(2 * rounds):
            for kind, over in STATUSES.items():
                alone = Question(f"lies-{kind}", marker(), "lies", stream=number % 2 == 0)
                asked.append((kind, False, alone))
                both = Question(f"lies-{kind}-{number // 4}", marker(), "lies", stream=number % 2 == 0)
                asked.append((kind, over, both))
        answers = ask_all(here.url, tokens, [question for _, _, question in asked], at_once=2)
        on = ask_all(here.url, tokens, [Question("lies-on", marker(), "lies") for _ in range(20)], at_once=1)
        wrong = here.check([*answers, *on], "lies")
        opened = sum(call.model == "lies:503:on" for call in here.calls("lies"))
    ends = {answer.marker: (answer.end, answer.status) for answer in answers}
    bad: Counter[tuple[str, bool, tuple[str, int]]] = Counter()
    for kind, over, question in asked:
        wanted = ("whole", 200) if over else ("error", int(kind))
        if ends[question.marker] != wanted:
            bad[kind, over, ends[question.marker]] += 1
    good = len(asked) - bad.total()
    most = CONSECUTIVE * here.workers
    return Row(
        "200 with an error: " + ", ".join(STATUSES),
        "R-REL-08",
        len(asked) + len(on),
        good + sum(answer.end == "whole" for answer in on),
        f"the true status or another target; it counts as a failure of the place: {most} at most",
        f"{good} so; {opened} until the circuit opened" + (f"; others: {dict(bad)}" if bad else "") + told(wrong),
        not bad and opened <= most and all(answer.end == "whole" for answer in on) and not wrong,
    )
