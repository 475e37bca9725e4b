"""What is kept of each place: times, failures, circuits."""

from __future__ import annotations

import contextlib

import pytest

from routing.health import (
    CONSECUTIVE,
    ENOUGH,
    LONGEST_REST,
    MAX_AGE,
    MAX_PLACES,
    REST,
    Circuit,
    Failure,
    Health,
    resting,
)
from routing.retries import Retries

HERE = (1, "m")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def fail(health: Health, times: int = 1, kind: Failure = Failure.SERVER) -> None:
    for _ in range(times):
        health.watch(HERE).failed(kind)


def serve(health: Health, times: int = 1, seconds: float = 0.1) -> None:
    for _ in range(times):
        watch = health.watch(HERE)
        watch.began(seconds)
        watch.served()


def test_times_move_and_are_forgotten(health: Health, clock: Clock) -> None:
    assert health.latency(HERE) is None
    serve(health, seconds=1.0)
    serve(health, seconds=2.0)
    assert health.latency(HERE) == pytest.approx(1.2)
    assert health.figures(HERE).first_byte_p95 == 2.0
    clock.now += MAX_AGE + 1
    assert health.latency(HERE) is None and health.figures(HERE).first_byte is None
    serve(health, seconds=5.0)
    assert health.latency(HERE) == 5.0, "a place that was slow once gets another chance"


def test_the_slowest_of_twenty_is_beyond_the_95th_percentile(health: Health) -> None:
    for number in range(1, 21):
        serve(health, seconds=float(number))
    assert health.figures(HERE).first_byte_p95 == 19.0


def test_failures_in_a_row_open_the_circuit(health: Health) -> None:
    fail(health, CONSECUTIVE - 1)
    serve(health)
    fail(health, CONSECUTIVE - 1)
    assert health.circuit(HERE) is Circuit.CLOSED
    fail(health)
    assert health.circuit(HERE) is Circuit.OPEN
    assert resting(health, HERE) == f"it failed and rests for {REST:.0f} s more"


def test_half_of_enough_requests_open_it_too(health: Health) -> None:
    for _ in range(ENOUGH // 2 - 1):
        fail(health)
        serve(health)
    assert health.circuit(HERE) is Circuit.CLOSED
    serve(health)
    fail(health)
    assert health.circuit(HERE) is Circuit.OPEN
    assert health.figures(HERE).error_rate == pytest.approx(0.5)


@pytest.mark.parametrize("kind", [Failure.LIMITED, Failure.REFUSED])
def test_what_is_a_keys_fault_opens_nothing(health: Health, kind: Failure) -> None:
    fail(health, 100, kind)
    assert health.circuit(HERE) is Circuit.CLOSED
    assert health.figures(HERE).failures[kind] == pytest.approx(100)
    assert health.figures(HERE).error_rate is None


def test_a_client_that_left_says_nothing(health: Health) -> None:
    fail(health, CONSECUTIVE - 1)
    watch = health.watch(HERE)
    assert health.in_flight(HERE) == 1
    watch.drop()
    watch.failed(Failure.CUT)
    assert health.in_flight(HERE) == 0
    assert health.circuit(HERE) is Circuit.CLOSED


def test_one_request_finds_out_and_an_answer_closes_it(health: Health, clock: Clock) -> None:
    fail(health, CONSECUTIVE)
    clock.now += REST
    assert health.circuit(HERE) is Circuit.HALF_OPEN
    probe = health.watch(HERE)
    assert health.circuit(HERE) is Circuit.OPEN, "one is enough"
    assert "finding out" in str(resting(health, HERE))
    probe.began(0.1)
    assert health.circuit(HERE) is Circuit.CLOSED
    probe.served()
    fail(health, CONSECUTIVE - 1)
    assert health.circuit(HERE) is Circuit.CLOSED, "it begins anew"


def test_a_client_that_leaves_while_finding_out_leaves_it_to_the_next(health: Health, clock: Clock) -> None:
    fail(health, CONSECUTIVE)
    clock.now += REST
    health.watch(HERE).drop()
    assert health.circuit(HERE) is Circuit.HALF_OPEN


def test_each_time_it_rests_longer_up_to_a_limit(health: Health, clock: Clock) -> None:
    fail(health, CONSECUTIVE)
    for times in range(2, 15):
        clock.now += health.figures(HERE).rests
        fail(health)
        assert health.figures(HERE).rests == pytest.approx(min(REST * times, LONGEST_REST))


def test_what_it_did_long_ago_is_forgiven(health: Health, clock: Clock) -> None:
    fail(health, CONSECUTIVE)
    clock.now += REST
    fail(health)
    assert health.figures(HERE).rests == 2 * REST
    clock.now += 2 * REST
    serve(health)
    clock.now += 3 * LONGEST_REST
    fail(health, CONSECUTIVE)
    assert health.figures(HERE).rests == REST


def test_whoever_is_asked_although_it_rests_closes_it_with_an_answer(health: Health) -> None:
    """The last place is never left out."""
    fail(health, CONSECUTIVE)
    fail(health)
    assert health.figures(HERE).rests == pytest.approx(REST), "it does not rest longer for it"
    serve(health)
    assert health.circuit(HERE) is Circuit.CLOSED


def test_what_is_counted_fades(health: Health, clock: Clock) -> None:
    fail(health, 3)
    serve(health, 1)
    clock.now += 300
    figures = health.figures(HERE)
    assert figures.served < 0.01 and not figures.failures and figures.error_rate is None


def test_places_are_bounded_and_those_in_use_stay(health: Health, clock: Clock) -> None:
    held = health.watch(HERE)
    for number in range(MAX_PLACES + 100):
        clock.now += 1
        health.watch((number, "other")).drop()
    assert len(health) <= MAX_PLACES
    assert health.in_flight(HERE) == 1
    held.served()
    assert health.figures(HERE).total is not None


def test_second_attempts_are_bounded_by_a_share_of_all() -> None:
    """R-REL-10: max(3, 20 % of active) per provider."""
    retries = Retries()
    with contextlib.ExitStack() as held:
        for _ in range(3):
            assert retries.may_ask("p")
            held.enter_context(retries.attempt("p", later=True))
        assert not retries.may_ask("p") and retries.may_ask("other")
        for _ in range(13):
            held.enter_context(retries.attempt("p", later=False))
        assert retries.may_ask("p"), "3 of 16 are less than a fifth"
        held.enter_context(retries.attempt("p", later=True))
        assert not retries.may_ask("p")
    assert retries.may_ask("p")


def test_who_failed_last_falters_for_a_while(health: Health, clock: Clock) -> None:
    assert not health.falters(HERE)
    serve(health)
    assert not health.falters(HERE)
    fail(health, kind=Failure.LIMITED)
    assert not health.falters(HERE), "that is a key's fault"
    fail(health)
    assert health.falters(HERE)
    serve(health)
    assert not health.falters(HERE)
    fail(health)
    clock.now += 31
    assert not health.falters(HERE)


def test_models_that_callers_make_up_drive_no_place_out(health: Health, clock: Clock) -> None:
    """Neither one that rests nor one that serves is forgotten for them."""
    fail(health, CONSECUTIVE)
    serving = (2, "serves")
    health.watch(serving).served()
    for number in range(2 * MAX_PLACES):
        clock.now += 0.001
        health.watch((1, f"made-up-{number}")).failed(Failure.REFUSED)
    assert health.circuit(HERE) is Circuit.OPEN
    assert health.figures(serving).total is not None and len(health) <= MAX_PLACES
