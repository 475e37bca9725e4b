"""Which key is tried when: M-08 to M-18, with what was sent upstream as the witness."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.fixtures import KEYS

pytestmark = pytest.mark.django_db(transaction=True)


def tried(plane: Any) -> list[str]:
    return [request.headers.get("authorization", "")[7:] for request in plane.upstream.requests]


def test_m16_the_first_key_serves(plane: Any) -> None:
    """M-16: a success ends it."""
    assert plane.ask(plane.scenario("ok")).status_code == 200
    assert tried(plane) == [KEYS[0]]


def test_m12_a_rate_limited_key_gives_way(plane: Any) -> None:
    """M-12; the limited key then rests."""
    model = plane.scenario(f"limited:{KEYS[0]}")
    answer = plane.ask(model)
    assert (answer.status_code, answer.headers["x-jackfield-attempts"]) == (200, "2")
    assert tried(plane) == [KEYS[0], KEYS[1]]
    assert plane.ask(model).headers["x-jackfield-attempts"] == "1"
    assert tried(plane)[2:] == [KEYS[1]]


def test_m12_a17_an_answer_that_speaks_of_quota_is_a_rate_limit(plane: Any) -> None:
    """M-12, A-17: also inside a 200."""
    answer = plane.ask(plane.scenario("body:quota"))
    assert answer.status_code == 429
    assert tried(plane) == list(KEYS)


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
def test_m13_no_other_failure_uses_a_second_key(plane: Any, status: int) -> None:
    """M-13."""
    answer = plane.ask(plane.scenario(f"status:{status}"))
    assert answer.status_code == status
    assert tried(plane) == [KEYS[0]]


def test_m13_a_timeout_uses_no_second_key(plane: Any) -> None:
    """M-13."""
    assert plane.ask(plane.scenario("hang", first_byte=0.2)).status_code == 504
    assert tried(plane) == [KEYS[0]]


def test_m14_m15_each_key_once_and_the_last_error_is_returned(plane: Any) -> None:
    """M-14, M-15."""
    answer = plane.ask(plane.scenario("limited:all:ra-7"))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    assert tried(plane) == list(KEYS)


def test_all_keys_resting_sends_nothing(plane: Any) -> None:
    model = plane.scenario("limited:all:ra-7")
    plane.ask(model)
    answer = plane.ask(model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "keys_cooling")
    assert 1 <= int(answer.headers["retry-after"]) <= 7
    assert len(tried(plane)) == 3
    assert answer.headers["x-jackfield-attempts"] == "0"


def test_the_last_key_does_not_rest_on_a_guess(plane: Any) -> None:
    """A 429 that names no time makes the other keys rest, never the only one left: it may answer again at once."""
    model = plane.scenario("limited:all")
    first, again = plane.ask(model), plane.ask(model)
    assert [answer.status_code for answer in (first, again)] == [429, 429]
    assert tried(plane) == [*KEYS, KEYS[-1]]
    assert "retry-after" not in again.headers, "no time is invented"


def test_all_keys_resting_asks_the_next_route(plane: Any) -> None:
    other = plane.world.account("other", plane.upstream.url, keys=("other-key-1111",), private_network=True)
    plane.world.model("two", (plane.account, "limited:all"), (other, "ok"))
    plane.settle()
    assert plane.ask("two").status_code == 200
    assert tried(plane) == [*KEYS, "other-key-1111"]
    assert plane.ask("two").headers["x-jackfield-route"] == "other/ok"
    assert len(tried(plane)) == 5


def test_f23_f24_m18_r39_a_missing_key_is_told_before_anything_is_sent(plane: Any) -> None:
    """F-23, F-24, M-18, R-39."""
    anthropic = plane.world.provider("anthropic", family="anthropic-messages", env_keys=["ANTHROPIC_API_KEY", "B_KEY"])
    plane.world.account("anthropic", plane.upstream.url, provider=anthropic, private_network=True)
    plane.settle()
    answer = plane.ask("anthropic/claude-x")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "provider_key_missing")
    assert error["message"].startswith("API key not configured for provider 'anthropic'")
    assert error["message"].index("ANTHROPIC_API_KEY") < error["message"].index("B_KEY")
    assert not plane.upstream.requests


def test_r37_f25_a_project_key_comes_first_and_serves_nobody_else(plane: Any) -> None:
    """R-37, F-25."""
    mine = plane.world.project("mine")
    plane.world.keys(plane.account, "own-key-2222", project=mine)
    token = plane.world.token(mine)
    model = plane.scenario("ok")
    plane.client.post("/v1/chat/completions", json={"model": model}, headers={"authorization": f"Bearer {token}"})
    plane.ask(model)
    assert tried(plane) == ["own-key-2222", KEYS[0]]


def test_a_keyless_provider_needs_none(plane: Any) -> None:
    open_ = plane.world.provider("open", keyless=True)
    account = plane.world.account("open", plane.upstream.url, provider=open_, private_network=True)
    plane.world.model("free", (account, "ok"))
    plane.settle()
    assert plane.ask("free").json()["choices"][0]["message"]["content"] == "nobody"
    assert "authorization" not in plane.upstream.requests[0].headers


def test_m16_x06_a_key_that_an_upstream_repeats_is_not_shown(plane: Any) -> None:
    """M-16, R-LOG-02."""
    answer = plane.ask(plane.scenario(f"status:400:{KEYS[0]}"))
    assert KEYS[0] not in answer.text
    assert answer.json()["error"]["message"]
