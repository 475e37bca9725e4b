"""R-REL-16: the configuration changes while requests are served: none mixes two, and nothing of old ones stays."""

from __future__ import annotations

import itertools
import time

from tests.faults.premises import premises
from tests.faults.rows import ROOM, Row, Scale


def r_rel_16_published_under_load(scale: Scale, seed: int) -> Row:
    seconds, publishes = (30.0, 10_000) if scale == "long" else (0.8, 20)
    sides = itertools.cycle(("right", "left"))
    with premises(scale, seed) as here:
        revision, _ = here.act("repatch", "left")
        here.settled()
        side_of = {revision: "left"}
        began = time.monotonic()
        before = here.gateways.memory()
        with here.load(seed, rate=200.0 if scale == "long" else 80.0) as load:
            due = began
            while time.monotonic() - began < seconds:
                side = next(sides)
                revision, _ = here.act("repatch", side)
                side_of[revision] = side
                due = max(due + 0.05, time.monotonic())
                time.sleep(max(0.0, due - time.monotonic()))
            rate = (len(side_of) - 1) / (time.monotonic() - began)
        failed = [answer for answer in load.answers if answer.status != 200 or not answer.whole]
        mixed = [one for one in load.answers if one.status == 200 and side_of.get(one.revision) != one.side]
        here.settled()
        grown = (here.gateways.memory() - before) / 2**20
        with here.gateways.frozen():  # one process shows it for all, and quicker alone
            held, more = here.act("publish_often", publishes)
        here.settled(60)
    return Row(
        f"published {rate:.0f} times a second under load, {publishes:,} times in one process",
        "R-REL-16",
        len(load.answers),
        len(load.answers) - len(failed),
        "no request mixes two revisions, old snapshots are freed, no leak over 10,000 publishes",
        f"{len(mixed)} mixed; {held} old snapshots held; a gateway {grown:+.1f} MiB, the one process {more:+.1f} MiB",
        not mixed and not failed and held == 0 and max(grown, more) <= 8 * ROOM[scale],
    )
