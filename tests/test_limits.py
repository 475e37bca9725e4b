"""R-REL-09: what upstreams say of rates and of limits that waiting does not end, and what becomes of their keys."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.urls import reverse

from keys.cooling import Cooling
from keys.models import ProviderKey
from keys.pool import pool
from keys.spent import AGAIN, Spent
from keys.vault import replace_key
from project.diagnosis_rows import spent
from providers.secrets import Secret
from providers.verdicts import judge
from routing.health import Health, health
from tests.faults.fixtures import KEYS
from tests.noticing import noticing
from tests.people import client
from tests.test_keys_rotation import tried

NOVEMBER = 1_793_491_200.0  # 2026-11-01, 00:00 UTC


def google(quota: str, delay: str) -> dict[str, Any]:
    """A refusal of Google's with its details."""
    violation = {"quotaMetric": "generate_content_requests", "quotaId": quota}
    return {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
            ],
        }
    }


def anthropic(message: str, kind: str = "rate_limit_error", **more: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}}


def openai(code: str, kind: str, message: str = "m") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


RATE, SPENT = ("next_key", "upstream_rate_limit", False), ("next_key", "upstream_exhausted", True)
OWED = ("next_candidate", "upstream_payment", True)
ERROR_INFO = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "metadata": {"quota_limit": "Gemini25ProRequestsPerDay"},
}
LONG = ("next_key", "upstream_exhausted", False)
REFUSED = ("final", "upstream_refused", False)
BAD = "invalid_request_error"
SPEND_LIMIT = {"error_code": "enforced_spend_limit_reached"}
UNAFFORDED = ("next_candidate", "upstream_payment", False)
AFFORDS = "This request requires more credits, or fewer max_tokens. You asked for 65536, but can only afford {}."
REGAIN = "You will regain access on 2026-11-01 at 00:00 UTC."


@pytest.mark.parametrize(
    ("status", "headers", "body", "verdict", "wait"),
    [
        # Rates, which pass by themselves.
        (429, {"retry-after": "30"}, openai("rate_limit_exceeded", "tokens"), RATE, 30),
        (429, {}, openai("rate_limit_exceeded", "requests"), RATE, None),
        (429, {"retry-after": "1", "retry-after-ms": "0"}, {"error": {"code": "RateLimitReached"}}, RATE, 1),
        (429, {"retry-after": "0"}, {}, RATE, 0),
        (429, {"retry-after": "12"}, anthropic("This would exceed your organization's rate limit"), RATE, 12),
        (429, {}, google("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "17.5s"), RATE, 17.5),
        (429, {}, {"message": "Too many requests, please wait before trying again."}, RATE, None),
        # Rates that ask for more patience than any caller has.
        (429, {"retry-after": "31"}, {}, LONG, 31),
        (429, {"retry-after": "7200"}, {"error": {"message": "tokens per day (TPD)"}}, LONG, 7200),
        # Limits that end when somebody pays, or with the day or the month.
        (429, {}, openai("insufficient_quota", "insufficient_quota"), SPENT, None),
        (429, {}, openai("billing_hard_limit_reached", BAD), SPENT, None),
        (400, {}, openai("billing_hard_limit_reached", BAD), OWED, None),
        (
            429,
            {},
            anthropic(f"You have reached your API usage limits: this month's. {REGAIN}", details=SPEND_LIMIT),
            SPENT,
            3600,
        ),
        (429, {}, anthropic("m", details=SPEND_LIMIT), SPENT, None),
        (400, {}, anthropic(f"You have reached your specified API usage limits. {REGAIN}", BAD), OWED, 3600),
        (400, {}, anthropic("Your credit balance is too low to access the Anthropic API.", BAD), OWED, None),
        (402, {}, anthropic("m", "billing_error"), OWED, None),
        (
            402,
            {},
            {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "invalid_request_error"}},
            OWED,
            None,
        ),
        (402, {}, {}, OWED, None),
        (402, {}, {"error": {"code": 402, "message": AFFORDS.format(0)}}, OWED, None),
        (429, {}, google("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "18s"), SPENT, 18),
        (429, {}, {"error": {"code": 429, "details": [ERROR_INFO]}}, SPENT, None),
        # What a request says, or how much it asks for, must not take shared keys away from everybody.
        (402, {}, {"error": {"code": 402, "message": AFFORDS.format(30104)}}, UNAFFORDED, None),
        (402, {}, {"error": {"code": 402, "message": "Prompt tokens limit exceeded: 23 > 9."}}, UNAFFORDED, None),
        (
            400,
            {},
            openai("invalid_value", "invalid_request_error", "Invalid value: 'your credit balance is too low'"),
            REFUSED,
            None,
        ),
        (400, {}, anthropic(f"messages: {REGAIN}", BAD), REFUSED, None),
    ],
)
def test_r_rel_09_a_rate_is_told_from_a_limit(
    status: int, headers: Any, body: Any, verdict: Any, wait: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("providers.limits.wait_of.__defaults__", (lambda: NOVEMBER - 3600,))
    found = judge(status, headers, json.dumps(body).encode())
    assert (found.kind, found.code, found.spent) == verdict
    assert found.retry_after == wait


@pytest.mark.parametrize(
    "details",
    [
        3,
        "x",
        [None, 3, {"@type": 4}],
        {"error_code": 5},
        [{"@type": "google.rpc.QuotaFailure", "violations": 3}],
        [{"@type": "google.rpc.RetryInfo", "retryDelay": 5}],
        [{"@type": "google.rpc.ErrorInfo"}],
        [{"@type": "google.rpc.QuotaFailure", "violations": [7, {}]}],
    ],
)
def test_strange_details_are_no_limits(details: Any) -> None:
    body = {"error": {"message": "You have reached your API usage", "details": details}}
    assert judge(429, {}, json.dumps(body).encode()).spent is False


def test_one_key_is_reported_once_in_a_while(caplog: Any) -> None:
    now = 1000.0
    spent = Spent(lambda: now)
    with caplog.at_level(logging.WARNING, "keys.spent"):
        spent.report("aaaaaaaaaaaa", "up", 60)
        spent.report("aaaaaaaaaaaa", "up", 60)
        spent.report("bbbbbbbbbbbb", "up", 0)
        now += AGAIN
        spent.report("aaaaaaaaaaaa", "up", 60)
    assert spent.total == 3 == len(caplog.messages)


# --- through the gateway --------------------------------------------------------------------------------------------

KEY_LIST = "/admin/keys/providerkey/"
through = pytest.mark.django_db(transaction=True)


@through
def test_r_rel_09_a_short_wait_is_rested_for_exactly(plane: Any) -> None:
    plane.ask(plane.scenario(f"limited:{KEYS[0]}:ra-9"))
    fingerprint = next(row.attempt_log[0]["key"] for row in plane.rows())
    assert 8 < pool.cooling.remaining(fingerprint) <= 9


@through
@pytest.mark.parametrize(("kind", "code"), [("quota", "upstream_exhausted"), ("balance", "upstream_payment")])
def test_r_rel_09_a_spent_key_rests_long_and_is_reported(
    plane: Any, kind: str, code: str, caplog: Any, settings: Any
) -> None:
    """The next one serves: of a limit (M-12) at once, of a bill that is due from the next request on (M-13)."""
    settings.KEY_SPENT = 1234.0
    model = plane.scenario(f"spent:{kind}:{KEYS[0]}")
    before = pool.spent.total
    with caplog.at_level(logging.WARNING, "keys.spent"):
        statuses = [plane.ask(model).status_code for _ in range(2)]
    assert statuses == ([200, 200] if kind == "quota" else [402, 200])
    assert tried(plane) == [KEYS[0], KEYS[1], KEYS[1]][: 3 if kind == "quota" else 2]
    first = plane.rows(2)[0].attempt_log[0]
    assert first["verdict"] == code
    assert 1200 < pool.cooling.remaining(first["key"]) <= 1234
    assert pool.spent.total == before + 1
    assert f"\njackfield_keys_spent_total {before + 1}\n" in plane.client.get("/metrics").text
    assert len(caplog.messages) == 1 and first["key"] in caplog.text and KEYS[0] not in caplog.text


@through
def test_r_rel_09_m15_the_only_key_is_asked_again_and_the_limit_told_directly(plane: Any) -> None:
    """No time was named: its upstream can still say no for itself, and yes as soon as somebody has paid."""
    one = plane.world.account("one", plane.upstream.url, keys=("only-key-1111",), private_network=True)
    plane.world.model("only", (one, "spent:quota:only-key-1111"))
    plane.settle()
    answers = [plane.ask("only") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert {answer.json()["error"]["code"] for answer in answers} == {"insufficient_quota"}
    assert {answer.headers["x-jackfield-error"] for answer in answers} == {"upstream_exhausted"}
    assert all("retry-after" not in answer.headers for answer in answers), "no time is invented"
    assert all(answer.headers["x-should-retry"] == "false" for answer in answers)
    assert tried(plane) == ["only-key-1111"] * 2


CLIENTS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
    "/v1beta/models/{model}:generateContent": {"contents": [{"parts": [{"text": "hi"}]}]},
}


@pytest.mark.usefixtures("unshared")
@through
def test_r_rel_09_the_client_is_told_to_wait_for_the_soonest_target(plane: Any) -> None:
    """Only when no target is left, in every client's dialect, whichever came last (M-14) or rests already."""
    b = plane.world.account("b", plane.upstream.url, keys=("key-of-b",), private_network=True)
    c = plane.world.account("c", plane.upstream.url, keys=("key-of-c",), private_network=True)
    plane.world.model("three", (plane.account, "limited:all:ra-25"), (b, "limited:all:ra-6"), (c, "limited:all:ra-18"))
    plane.settle()
    for first in (True, False):
        for path, body in CLIENTS.items():
            if first:
                pool.cooling._until.clear()
                health.clear()
            answer = plane.client.post(path.format(model="three"), json={"model": "three", **body})
            assert answer.status_code == 429, path
            assert answer.headers["x-jackfield-attempts"] == ("5" if first else "0"), path
            assert 5 <= int(answer.headers["retry-after"]) <= 6, path
            error = answer.json()["error"]
            told = [detail.get("retryDelay") for detail in error.get("details", ()) if "RetryInfo" in detail["@type"]]
            assert told == ([f"{answer.headers['retry-after']}s"] if "generateContent" in path else []), path
            assert "retry_after" not in answer.text, path


@through
@pytest.mark.parametrize("wait", [25, 45])
def test_r_rel_09_sdks_do_not_try_again_what_takes_long(plane: Any, wait: int) -> None:
    model = plane.scenario(f"limited:all:ra-{wait}")
    for _ in range(2):  # as the upstream says it, and as we do while all keys rest
        answer = plane.ask(model)
        assert answer.status_code == 429
        assert answer.headers.get("x-should-retry") == ("false" if wait > 30 else None)


@through
def test_r_rel_09_an_overload_that_passes_sooner_is_told(plane: Any) -> None:
    """The last of two is no limit, and names a time of its own (M-14)."""
    other = plane.world.account("other", plane.upstream.url, keys=("key-of-b",), private_network=True)
    plane.world.model("two", (plane.account, "limited:all:ra-25"), (other, "busy:4"))
    plane.world.model("three", (plane.account, "limited:all:ra-25"), (other, "busy:90"))
    plane.settle()
    first, second = plane.ask("two"), plane.ask("three")
    assert [answer.status_code for answer in (first, second)] == [503, 503]
    assert first.headers["retry-after"] == "4"
    assert 24 <= int(second.headers["retry-after"]) <= 25


@through
def test_r_rel_09_a_target_that_can_serve_is_never_waited_for(plane: Any) -> None:
    other = plane.world.account("other", plane.upstream.url, keys=("key-of-b",), private_network=True)
    plane.world.model("two", (plane.account, "limited:all:ra-3600"), (other, "ok"))
    plane.settle()
    for _ in range(3):
        answer = plane.ask("two")
        assert answer.status_code == 200 and "retry-after" not in answer.headers
    assert tried(plane) == [*KEYS, "key-of-b", "key-of-b", "key-of-b"]


@through
def test_r_rel_09_an_operator_finds_the_spent_key_until_it_has_served_again(plane: Any) -> None:
    """Whichever process was told: on the first page, in the list, in `doctor`; and lets it be used at once."""
    model = plane.scenario(f"spent:quota:{KEYS[0]}", "ok")
    plane.ask(model)
    plane.rows(1)
    key = ProviderKey.objects.get(position=0)
    assert key.spent_at is not None
    assert not ProviderKey.objects.exclude(pk=key.pk).exclude(spent_at=None).exists()
    first = client("operator").get(reverse("admin:index")).content.decode()
    assert "Key of up / default" in first and "has used up its quota or balance" in first
    assert "used up, cooling for" in client("security").get(KEY_LIST).content.decode()
    assert [finding.what for finding in spent()] == ["1 key(s) have used up their quota or balance: up (1)"]

    plane.ask(model)  # another key serves: this one is as it was
    plane.rows(2)
    assert ProviderKey.objects.get(pk=key.pk).spent_at is not None
    pool.cooling.clear(key.fingerprint)
    plane.ask(plane.scenario("ok", public="another"))
    plane.rows(3)
    assert ProviderKey.objects.get(pk=key.pk).spent_at is not None, "some quotas are of one model"
    plane.upstream.paid = True
    plane.ask(model)
    plane.rows(4)
    plane.upstream.paid = False
    assert ProviderKey.objects.get(pk=key.pk).spent_at is None, "it has served"
    assert list(spent()) == []
    assert "used up" not in client("operator").get(reverse("admin:index")).content.decode()


@through
def test_r_rel_09_a_spent_key_is_used_again_at_once_where_a_security_admin_says_so(plane: Any) -> None:
    model = plane.scenario(f"spent:quota:{KEYS[0]}")
    plane.ask(model)
    plane.rows(1)
    key = ProviderKey.objects.get(position=0)
    chosen = {"action": "use_again", "_selected_action": [str(key.pk)]}
    client("operator").post(KEY_LIST, chosen)
    assert pool.is_cool(key.fingerprint) and ProviderKey.objects.get(pk=key.pk).spent_at, "operators only look"
    client("security").post(KEY_LIST, chosen)
    assert not pool.is_cool(key.fingerprint) and ProviderKey.objects.get(pk=key.pk).spent_at is None
    plane.ask(model)
    assert tried(plane)[2:] == [KEYS[0], KEYS[1]]


@through
def test_a_key_is_used_again_in_a_process_that_shares_no_redis(plane: Any) -> None:
    key = ProviderKey.objects.get(position=0)
    resting = Cooling()
    resting.cool(key.fingerprint, 3600)
    resting.cool("0123456789ab", 3600)
    chosen = {"action": "use_again", "_selected_action": [str(key.pk)]}
    noticing(Health(), lambda: client("security").post(KEY_LIST, chosen), resting)
    assert not resting.is_cool(key.fingerprint) and resting.is_cool("0123456789ab")


@through
def test_r_rel_09_a_key_that_is_replaced_is_not_spent(plane: Any) -> None:
    plane.ask(plane.scenario(f"spent:quota:{KEYS[0]}"))
    plane.rows(1)
    key = ProviderKey.objects.get(position=0)
    assert key.spent_at is not None
    replace_key(key, Secret("another-key-1234"))
    assert ProviderKey.objects.get(pk=key.pk).spent_at is None


@through
def test_r_rel_09_the_quota_of_one_model_keeps_a_key_from_no_other(plane: Any) -> None:
    """Google's quotas are of a project and a model."""
    model, other = plane.scenario("google:daily", "ok"), plane.scenario("no-done")
    assert plane.ask(model).status_code == 200
    assert tried(plane) == [*KEYS, KEYS[0]], "its next route has the same account"
    plane.upstream.requests.clear()
    assert plane.ask(model).status_code == 200
    assert [seen.json["model"] for seen in plane.upstream.requests] == ["ok"]
    plane.upstream.requests.clear()
    plane.stream(other)
    assert tried(plane) == [KEYS[0]]
    plane.rows(3)
    marked = ProviderKey.objects.get(position=0)
    assert marked.spent_at and marked.spent_for == "google:daily"
    pool.cooling.clear(ProviderKey.objects.get(position=0).fingerprint)
    plane.upstream.requests.clear()
    plane.ask(model)
    assert [seen.json["model"] for seen in plane.upstream.requests] == ["google:daily", "ok"]
