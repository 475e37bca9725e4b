"""The order inside a priority: weights to within a percent, the strategies, conversations that stay."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from routing.candidates import Candidate
from routing.ordering import Strategy, ordered
from tests.panels import DEMO, Given, Panel, planned


def candidates(*weights: int, **facts: Any) -> tuple[Candidate, ...]:
    made = Panel().provider("p").account("p")
    made.model("m", *(("p", f"m{n}", {"weight": weight}) for n, weight in enumerate(weights)))
    for name, values in facts.items():
        made.facts("p", name, **values)
    return planned(made.project().freeze(), DEMO, "m").candidates


def by_name(found: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    return tuple(sorted(found, key=lambda candidate: candidate.upstream_model))


def names(found: tuple[Candidate, ...]) -> list[str]:
    return [candidate.upstream_model for candidate in found]


def test_weights_are_met_within_a_percent() -> None:
    group = by_name(candidates(1, 2, 3, 4, 0))
    draw = random.Random(7).random
    first, second = Counter[str](), Counter[str]()
    for _ in range(100_000):
        found = ordered(group, Strategy.WEIGHTED, draw(), Given())
        first[found[0].upstream_model] += 1
        second[found[1].upstream_model] += 1
    assert found[-1].upstream_model == "m4", "weight 0 comes last"
    for number, weight in enumerate((1, 2, 3, 4)):
        assert first[f"m{number}"] / 100_000 == pytest.approx(weight / 10, abs=0.01)
        # The second is drawn by weight among those that are left.
        share = sum(other / 10 * weight / (10 - other) for other in (1, 2, 3, 4) if other != weight)
        assert second[f"m{number}"] / 100_000 == pytest.approx(share, abs=0.01)


def test_conversations_are_shared_out_by_weight_and_stay() -> None:
    group = by_name(candidates(1, 2, 5))
    homes = {number: ordered(group, Strategy.WEIGHTED, 0.5, Given(), b"%d" % number)[0] for number in range(20_000)}
    shares = Counter(home.upstream_model for home in homes.values())
    for number, weight in enumerate((1, 2, 5)):
        assert shares[f"m{number}"] / 20_000 == pytest.approx(weight / 8, abs=0.015)
    without = group[:2]
    for number, home in list(homes.items())[:500]:
        now = ordered(without, Strategy.WEIGHTED, 0.5, Given(), b"%d" % number)[0]
        assert now == home or home not in without, "only those of the place that is gone move"


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.LATENCY, ["m2", "m1", "m0", "m3"]),
        (Strategy.LEAST_BUSY, ["m1", "m0", "m2", "m3"]),
        (Strategy.COST, ["m1", "m0", "m2", "m3"]),
        (Strategy.IN_ORDER, ["m0", "m1", "m2", "m3"]),
    ],
)
def test_the_strategies(strategy: Strategy, expected: list[str]) -> None:
    group = by_name(
        candidates(
            1, 4, 1, 0,
            m0={"price_input": 3, "price_output": 9},
            m1={"price_input": 1, "price_output": 10},
            m3={"price_input": 0, "price_output": 0},
        )
    )  # fmt: skip
    speeds = {"m0": 0.3, "m1": 0.2, "m2": None, "m3": 0.0}
    busy = {"m0": 2, "m1": 4, "m2": 3, "m3": 0}
    load = Given(speed=lambda one: speeds[one.upstream_model], busy=lambda one: busy[one.upstream_model])
    for draw in (0.0, 0.4, 0.9):
        assert names(ordered(group, strategy, draw, load)) == expected


@pytest.mark.parametrize("strategy", [Strategy.LATENCY, Strategy.LEAST_BUSY, Strategy.COST])
def test_where_nothing_is_known_the_draw_decides(strategy: Strategy) -> None:
    group = candidates(1, 1, 1)
    assert len({ordered(group, strategy, draw, Given())[0].upstream_model for draw in (0.1, 0.5, 0.9)}) == 3


def test_priorities_come_before_all_else() -> None:
    made = Panel().provider("p").account("p")
    made.model("m", ("p", "late", {"priority": 1}), ("p", "early"), strategy="latency", sticky=True)
    snapshot = made.project().freeze()
    quick = {"speed": lambda one: 0.1 if one.upstream_model == "late" else 9.0}
    for affinity in (b"a", b"b", b"c"):
        found = planned(snapshot, DEMO, "m", affinity=lambda named=affinity: named, **quick)
        assert names(found.candidates) == ["early", "late"]
