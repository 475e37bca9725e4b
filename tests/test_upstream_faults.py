"""What upstreams do wrong, by the numbers of the promises (R-REL-01 to 11), in one gateway: the quick half.

Real processes and many requests are in tests/faults/scenarios, whose short form `tests/test_chaos.py` runs.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from routing import retries

pytestmark = pytest.mark.django_db(transaction=True)


def test_r_rel_01_a_refused_connection_is_no_storm(plane: Any) -> None:
    """Nothing was sent, so nobody was asked twice: all fail over, however many do so at once."""
    down = plane.world.account("down", "http://127.0.0.1:9/v1", keys=("k" * 20,), private_network=True)
    plane.world.model("m", (down, "x"), (plane.account, "ok"))
    plane.settle()
    with contextlib.ExitStack() as held:
        for _ in range(retries.LEAST):
            held.enter_context(retries.retries.attempt(plane.account.provider.slug, later=True))
        answer = plane.ask("m")
    assert (answer.status_code, answer.headers["x-jackfield-attempts"]) == (200, "2"), answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_r_rel_07_what_is_not_utf8_reaches_no_client(plane: Any, stream: bool) -> None:
    """The official clients end with an exception of their own over it. Another target serves."""
    model = plane.scenario("no-text", "ok")
    answer = plane.ask(model, stream=stream)
    assert (answer.status_code, answer.headers["x-jackfield-attempts"]) == (200, "2"), answer.content
    alone = plane.ask(plane.scenario("no-text"), stream=stream)
    assert (alone.status_code, alone.json()["error"]["code"]) == (502, "upstream_bad_answer"), alone.content


def test_r_rel_07_what_is_not_utf8_ends_a_stream(plane: Any) -> None:
    answer = plane.ask(plane.scenario("no-text:later"), stream=True)
    assert b"\xff" not in answer.content and b"[DONE]" not in answer.content
    assert answer.text.count("upstream_bad_answer") == 1
    (row,) = plane.rows()
    assert (row.outcome, row.error_code) == ("partial", "upstream_bad_answer")


def test_r_rel_10_an_outage_of_all_costs_one_attempt_a_request_and_its_end_is_noticed_at_once(plane: Any) -> None:
    model = plane.scenario("storm:a:503", "storm:b:529")
    plane.upstream.down = True
    try:
        statuses = {plane.ask(model).status_code for _ in range(40)}
    finally:
        plane.upstream.down = False
    assert statuses == {503, 529}
    assert len(plane.upstream.requests) <= 1.2 * 40
    answer = plane.ask(model)
    assert (answer.status_code, answer.headers["x-jackfield-attempts"]) == (200, "1")


def test_r_rel_10_who_is_well_takes_all_that_another_fails(plane: Any) -> None:
    """Fifty requests under way at a provider that begins to answer 503: each is served by the other one."""
    world = plane.world
    bad, good = (
        world.account(
            name, f"{plane.upstream.url}", provider=world.provider(f"p-{name}"), keys=(name * 10,), private_network=True
        )
        for name in ("bad", "good")
    )
    world.model("storms", (bad, "late-status:0.5:503"), (good, "ok"))
    plane.settle()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: plane.ask("storms").status_code, range(50)))
    assert answers == [200] * 50


def test_a_request_that_was_lost_and_sent_again_says_so(plane: Any) -> None:
    """Its upstream may have been called twice: the row that tells of one attempt tells that too."""
    plane.ask(plane.scenario("says"))
    answer = plane.ask(plane.scenario("vanishes"))
    assert (answer.status_code, len(plane.upstream.requests)) == (200, 3)
    once, twice = plane.rows(2)
    assert (once.attempt_log[0].get("again"), twice.attempt_log[0]["again"], twice.attempts) == (None, True, 1)
