"""R-REL-19: gateways are killed under load, the drainer too, and the database is away for a part of it."""

from __future__ import annotations

import random
import time

from tests.faults.checker import told
from tests.faults.ledger import audit, lost_and_doubled
from tests.faults.load import Phase
from tests.faults.premises import premises
from tests.faults.rows import Row, Scale


def r_rel_19_workers_killed(scale: Scale, seed: int) -> Row:
    kills = 200 if scale == "long" else 6
    least = 20_000 if scale == "long" else 150
    dice = random.Random(seed)
    with premises(scale, seed) as here:
        # Many at once, so that every kill hits some, wherever they are.
        with here.load(seed, rate=400.0 if scale == "long" else 120.0, connections=16) as load:
            began = time.perf_counter()
            for number in range(kills):
                time.sleep(dice.uniform(0.0, 0.2))
                here.gateways.kill(dice.randrange(len(here.gateways.pids)))
                if number % 25 == 9:
                    here.end_drainer()
                    here.drainer = here.drain_forever()
                if number == kills // 3:
                    here.database.fail(here.database.faults[0])
                if number == kills // 2:
                    here.database.heal()
            while len(load.answers) < least:
                time.sleep(0.1)
            phase: Phase = load.since(began)
        here.settled()
        found = audit(here, load.answers, patience=60.0)
    lost, doubled = lost_and_doubled(found)
    whole = len(load.answers) - sum(answer.status != 200 or not answer.whole for answer in load.answers)
    wrong = [answer for answer in phase.failed if answer.status not in (0, 200)]
    return Row(
        f"{kills} gateways killed, the drainer too, the database away meanwhile",
        "R-REL-19",
        len(load.answers),
        whole,
        f"0 rows lost or doubled over {kills} kills and {least:,} requests",
        f"{lost} lost, {doubled} doubled; {phase.broken} broke with their gateway{told(found)}",
        not found and not wrong and len(load.answers) >= least,
    )
