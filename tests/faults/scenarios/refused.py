"""R-REL-01: a port on which nobody listens, before a healthy target and alone."""

from __future__ import annotations

from itertools import cycle

from installation import free_port
from tests.faults.checker import Answered, told
from tests.faults.clients import Question, ask_all, markers, quantile
from tests.faults.documents import account, model
from tests.faults.lab import lab
from tests.faults.rows import ROOM, Row, Scale

#: Milliseconds.
ADDED = 50.0
PROJECTS = ("refused-red", "refused-blue")


def r_rel_01_connection_refused(scale: Scale, seed: int) -> Row:
    """Every place is asked four times at most, before its circuit opens: all requests meet the refusal."""
    requests = 40 if scale == "short" else 2000
    places = requests // 4
    with lab(scale, seed) as here:
        dead = f"http://127.0.0.1:{free_port()}"
        tokens = here.apply(
            account("refused-well", here.upstream.url)
            + account("refused-dead", dead)
            + model("refused-base", ("refused-well", "says"))
            + model("refused-alone", ("refused-dead", "alone"))
            + "".join(
                model(f"refused-{n}", ("refused-dead", f"dead-{n}"), ("refused-well", "says")) for n in range(places)
            ),
            *PROJECTS,
        )
        marker = {project: markers(project) for project in PROJECTS}
        turns = cycle(PROJECTS)

        def asked(*names: str) -> list[Answered]:
            questions = (
                Question(name, marker[project](), project) for name, project in zip(names, turns, strict=False)
            )
            return ask_all(here.url, tokens, questions, at_once=2)

        asked(*["refused-base"] * (requests // 10))
        # By turns, so that a machine whose speed drifts drifts for both.
        both = asked(*(name for n in range(requests) for name in ("refused-base", f"refused-{n % places}")))
        alone = asked(*["refused-alone"] * (requests // 10))
        wrong = here.check([*both, *alone], *PROJECTS)
    over = [answer for answer in both if answer.attempts == 2]
    base = [answer for answer in both if answer.attempts == 1]
    succeeded = sum(answer.end == "whole" for answer in over)
    added = quantile((answer.seconds for answer in over), 0.99) - quantile((answer.seconds for answer in base), 0.99)
    refused = sum((answer.status, answer.code) == (502, "upstream_unreachable") for answer in alone)
    return Row(
        "connection refused",
        "R-REL-01",
        requests,
        succeeded,
        f"100 % with one healthy target, at most {ADDED:.0f} ms more at p99; 502 with one code without",
        f"{len(over)} failed over, {added:+.1f} ms at p99; {refused} of {len(alone)} 502 upstream_unreachable"
        + told(wrong),
        len(over) == len(base) == succeeded == requests
        and added <= ADDED * ROOM[scale]
        and refused == len(alone)
        and not wrong,
    )
