"""R-REL-10: all targets fail for a while; 503, 529, overload in a 200, connections that are hung up."""

from __future__ import annotations

import asyncio

from tests.faults.checker import Answered, told
from tests.faults.clients import Question, clients, markers, run
from tests.faults.documents import account, model
from tests.faults.lab import Lab, lab
from tests.faults.rows import Row, Scale

RATE = 100.0
#: Attempts upstream for each request while all is down: the few that open the circuits weigh more in a short outage.
MOST: dict[Scale, float] = {"short": 1.5, "long": 1.2}
#: Seconds until so many succeed again.
RECOVERED, WITHIN = 0.95, 10.0


def r_rel_10_outage(scale: Scale, seed: int) -> Row:
    """Two accounts at two providers, each with a model: a total outage, and what comes after."""
    calm, outage, after = (0.3, 1.2, 1.0) if scale == "short" else (5.0, 60.0, 20.0)
    with lab(scale, seed) as here:
        tokens = here.apply(
            account("storm-a", here.upstream.url)
            + account("storm-b", here.upstream.url)
            + model("storm", ("storm-a", "storm:a"), ("storm-b", "storm:b")),
            "storm",
        )
        marker = markers("storm")

        async def work() -> tuple[list[Answered], float, float]:
            async with clients(here.url, tokens) as asking:
                asked = asyncio.ensure_future(
                    asking.at_rate(RATE, calm + outage + after, lambda: Question("storm", marker(), "storm"))
                )
                began, healed = await _weather(here, calm, outage)
                return await asked, began, healed

        answers, began, healed = run(work())
        wrong = here.check(answers, "storm")
        calls = sum(began <= call.asked_at < healed for call in here.calls("storm"))
    during = [answer for answer in answers if began <= answer.at - answer.seconds < healed]
    each = calls / len(during)
    recovery = _recovery(answers, healed)
    served = [answer for answer in answers if answer.end == "whole"]
    before = [answer for answer in answers if answer.at < began]
    return Row(
        f"all targets down for {outage:.0f} s at {RATE:.0f} requests a second",
        "R-REL-10",
        len(answers),
        len(served),
        f"at most {MOST[scale]} attempts upstream a request; {RECOVERED:.0%} succeed {WITHIN:.0f} s after",
        f"{each:.3f} attempts a request; {RECOVERED:.0%} after {recovery:.1f} s; none failed before" + told(wrong),
        each <= MOST[scale] and recovery <= WITHIN and all(answer.end == "whole" for answer in before) and not wrong,
    )


async def _weather(here: Lab, calm: float, outage: float) -> tuple[float, float]:
    """When the outage began and ended."""
    loop = asyncio.get_running_loop()
    moments = []
    for wait, word in ((calm, "down"), (outage, "up")):
        await asyncio.sleep(wait)
        await loop.run_in_executor(None, here.upstream.tell, word)
        moments.append(loop.time())
    return moments[0], moments[1]


def _recovery(answers: list[Answered], healed: float) -> float:
    """Seconds after the end of the outage from which on, in every second, so many succeed."""
    late = sorted((answer.at - answer.seconds - healed, answer.end == "whole") for answer in answers)
    late = [one for one in late if one[0] >= 0]
    recovered = 0.0
    for start, good in late:
        second = [well for at, well in late if start <= at < start + 1]
        if not good and sum(second) < RECOVERED * len(second):
            recovered = start + 1 / RATE
    return recovered
