"""R-REL-04, of a hedged model: some answers of the first place are late, and the second is asked as well."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.checker import Answered, told
from tests.faults.clients import Question, ask_all, markers, quantile
from tests.faults.documents import account, model
from tests.faults.lab import lab
from tests.faults.rows import ROOM, Row, Scale

#: Of all answers of the first place; how late they are; after how long the second is asked. Seconds.
LATE, PAUSE, AFTER = 0.1, 0.8, 0.1
#: Of all requests, that may cost a second call.
EXTRA = 0.2


def r_rel_04_late_and_hedged(scale: Scale, seed: int) -> Row:
    """The same questions of the same places, once without hedging and once with it, then with its ceiling reached."""
    requests = 40 if scale == "short" else 2000
    late = f"tarries:{PAUSE}:{LATE}"
    ceiling = requests // 20
    with lab(scale, seed) as here:
        tokens = here.apply(
            account("hedged-first", here.upstream.url)
            + account("hedged-second", here.upstream.url)
            + model("alone", ("hedged-first", f"{late}:a"), ("hedged-second", "says:a"))
            + model("raced", ("hedged-first", f"{late}:b"), ("hedged-second", "says:b"), hedge_after=f"{AFTER} s")
            + model(
                "capped",
                *(("hedged-first", f"{late}:c"), ("hedged-second", "says:c")),
                hedge_after=f"{AFTER} s",
                hedge_daily=ceiling,
            ),
            "hedged",
        )
        marker = markers("hedged")

        def asked(name: str) -> list[Answered]:
            questions = (Question(name, marker(), "hedged", stream=n % 2 == 0) for n in range(requests))
            return ask_all(here.url, tokens, questions, at_once=16)

        alone, raced, capped = asked("alone"), asked("raced"), asked("capped")
        wrong = here.check([*alone, *raced, *capped], "hedged")
        second = sum(call.model == "says:c" for call in here.calls("hedged"))
    succeeded = sum(answer.end == "whole" for answer in (*alone, *raced, *capped))
    extra = sum(answer.attempts == 2 for answer in raced) / requests
    before, after = _late(alone), _late(raced)
    return Row(
        f"{LATE:.0%} of a place's answers late, hedged",
        "R-REL-04",
        3 * requests,
        succeeded,
        f"p99 under half of the {before:.0f} ms of one alone; at most {EXTRA:.0%} asked twice; never over the ceiling",
        f"p99 {after:.0f} ms, {extra:.1%} asked twice; {second} of at most {ceiling} where the ceiling is low"
        + told(wrong),
        succeeded == 3 * requests
        and (after < before / 2 or ROOM[scale] > 1)
        and 0 < extra <= EXTRA * ROOM[scale]
        and 0 < second <= ceiling
        and not wrong,
    )


def _late(answers: Sequence[Answered]) -> float:
    return quantile((answer.seconds for answer in answers), 0.99)
