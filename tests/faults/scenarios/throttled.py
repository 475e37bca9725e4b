"""R-REL-09: 429 with and without Retry-After, for one key of two and for all, and a limit of spending."""

from __future__ import annotations

from tests.faults.checker import Answered, told
from tests.faults.clients import Question, clients, markers, run
from tests.faults.documents import KEYS, account, model
from tests.faults.lab import lab
from tests.faults.rows import Row, Scale

RATE = 40.0
#: Requests of one process that may be under way when a key begins to rest: more where the machine is busy.
BESIDE: dict[Scale, int] = {"short": 16, "long": 6}


def r_rel_09_rate_limits(scale: Scale, seed: int) -> Row:
    """A rested key is asked for once by each process in each time of rest, however many requests there are."""
    seconds, rest = (1.6, 1) if scale == "short" else (20.0, 2)
    # The first of two keys of each, which the upstream limits.
    keys = {"after": 2, "mute": 4, "spent": 6}
    says = {"after": f"after-{rest}", "mute": "mute", "spent": "spent"}
    kinds = {kind: f"throttles:{says[kind]}:{KEYS[f'CHAOS_KEY_{key}']}" for kind, key in keys.items()}
    with lab(scale, seed) as here:
        tokens = here.apply(
            "".join(
                account(f"rate-{kind}", here.upstream.url, keys=(keys[kind], keys[kind] + 1))
                + model(f"rate-{kind}", (f"rate-{kind}", upstream))
                for kind, upstream in kinds.items()
            )
            + account("rate-all", here.upstream.url, keys=(8,))
            + model("rate-all", ("rate-all", f"throttles:after-{rest}")),
            "rate",
        )
        marker = markers("rate")
        turns = iter(range(1_000_000))
        names = [*kinds, "all"]

        def question() -> Question:
            return Question(f"rate-{names[next(turns) % len(names)]}", marker(), "rate")

        async def work() -> list[Answered]:
            async with clients(here.url, tokens) as asking:
                return await asking.at_rate(RATE * len(names), seconds, question)

        answers = run(work())
        wrong = here.check(answers, "rate")
        calls = here.calls("rate")
    served = sum(answer.end == "whole" for answer in answers)
    refused = [answer for answer in answers if answer.status == 429]
    told_when = sum(0 < int(answer.retry_after or 0) <= rest for answer in refused)
    met = {
        kind: sum(call.model == upstream and call.status == 429 for call in calls) for kind, upstream in kinds.items()
    }
    all_met = sum(call.model == f"throttles:after-{rest}" for call in calls)
    once = BESIDE[scale] * here.workers
    returns = once * (int(seconds / rest) + 1)
    kept = (
        served == 3 * len(answers) // 4
        and len(refused) == told_when == len(answers) - served
        and met["after"] <= returns
        and all_met <= returns
        and met["mute"] <= once
        and met["spent"] <= once
    )
    return Row(
        f"429: Retry-After {rest} s, none, a spend limit, of one key of two; of the only key",
        "R-REL-09",
        len(answers),
        served + told_when,
        f"the other key serves; a limited one is asked again after its rest ({returns} calls at most), else not "
        f"({once}); 429 with Retry-After where no key is left",
        f"{served} served; calls of limited keys: {met['after']}, {met['mute']}, {met['spent']}, {all_met}; "
        f"{told_when} of {len(refused)} 429 with Retry-After" + told(wrong),
        kept and not wrong,
    )
