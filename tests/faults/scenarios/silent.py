"""R-REL-04: an upstream that takes the request and says nothing, alone and before a healthy target."""

from __future__ import annotations

from tests.faults.checker import told
from tests.faults.clients import Question, ask_all, markers, quantile
from tests.faults.documents import account, model
from tests.faults.lab import lab
from tests.faults.rows import ROOM, Row, Scale

#: Milliseconds after the limit: until the client knows, until the upstream's socket is closed.
ANSWERED, CLOSED = 100.0, 250.0


def r_rel_04_no_first_byte(scale: Scale, seed: int) -> Row:
    """Four requests for each place, so that no circuit opens and all of them wait."""
    requests, limit = (16, 0.3) if scale == "short" else (400, 1.0)
    places = range(requests // 4)
    with lab(scale, seed) as here:
        tokens = here.apply(
            account("silent", here.upstream.url, first_byte=limit)
            + account("silent-well", here.upstream.url)
            + "".join(
                model(f"silent-{n}", ("silent", f"hang:{n}"), *((("silent-well", "says"),) if n % 2 else ()))
                for n in places
            ),
            "silent",
        )
        marker = markers("silent")
        questions = (
            Question(f"silent-{n % len(places)}", marker(), "silent", stream=n % 8 < 4) for n in range(requests)
        )
        answers = ask_all(here.url, tokens, questions, at_once=8)
        wrong = here.check(answers, "silent")
        hung = [call for call in here.calls("silent") if call.model.startswith("hang")]
    late = quantile((answer.seconds - limit for answer in answers), 0.99)
    latest = max(1000 * (answer.seconds - limit) for answer in answers)
    closed = max(1000 * (call.ended_at - call.asked_at - limit) for call in hung)
    over = sum(answer.end == "whole" for answer in answers)
    timed_out = sum((answer.status, answer.code) == (504, "upstream_timeout") for answer in answers)
    return Row(
        "no first byte",
        "R-REL-04",
        requests,
        over + timed_out,
        f"504 or another target within limit + {ANSWERED:.0f} ms at p99; upstream closed within {CLOSED:.0f} ms",
        f"{timed_out} 504, {over} failed over, +{late:.0f} ms at p99, +{latest:.0f} ms at most; "
        f"closed at most +{closed:.0f} ms" + told(wrong),
        over + timed_out == requests
        and over > 0
        and late <= ANSWERED * ROOM[scale]
        and closed <= CLOSED * ROOM[scale]
        and {call.end for call in hung} == {"gone"}
        and not wrong,
    )
