"""R-REL-15: configurations that nothing of ours wrote, and copies on disk that were damaged."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.premises import Premises, eventually, premises
from tests.faults.rows import Row, Scale


def r_rel_15_mutated_snapshots(scale: Scale, seed: int) -> Row:
    mutations = 100 if scale == "long" else 4
    refused = taken = 0
    wrong: list[str] = []
    with premises(scale, seed) as here:
        gateways = here.gateways
        pids = list(gateways.pids)
        with here.load(seed, rate=60.0) as load:
            for number in range(mutations):
                began = time.perf_counter()
                what, revision = here.act("break_something", seed * 1000 + number)
                bad = _seen(here, revision)
                answers = load.since(began).answers
                refused, taken = refused + bad, taken + (not bad)
                # What was refused is served by nobody; what is a configuration is served as it says.
                most = 300 if bad else 500
                wrong += [f"{what}: {one.status}" for one in answers if not 0 < one.status < most]
                here.act("mend_it")
                if here.settled() > 10:
                    wrong.append(f"{what}: not mended")
            time.sleep(0.1)
        if [pid for pid in gateways.pids if not _lives(pid)] or pids != gateways.pids:
            wrong.append("a gateway ended")
        crashed = here.act("damaged_copies", seed, mutations)
    answered = sum(answer.status != 0 for answer in load.answers)
    return Row(
        f"{mutations} mutated configurations under load, {mutations} damaged copies on disk",
        "R-REL-15",
        len(load.answers),
        answered,
        "0 crashes, the last good one stays",
        f"{refused} refused, {taken} fit to serve; {len(wrong)} wrong answers; {len(crashed)} copies crash a start"
        + "".join(f"; {one}" for one in (*wrong[:1], *crashed[:1])),
        not wrong and not crashed and refused > 0,
    )


def _seen(here: Premises, revision: int) -> bool:
    """Wait until every gateway has looked at it; whether they refused it."""
    told: list[dict[str, object]] = []

    def all_of_them() -> bool:
        told[:] = [here.gateways.readiness(port) for port in here.gateways.ports]
        return all(one.get("problem") or one.get("revision") == revision for one in told)

    assert eventually(all_of_them, 20) < 20, told
    return any(one.get("problem") for one in told)


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
