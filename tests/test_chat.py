"""Buffered chat completions: what goes up, what comes back, which errors mean what."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.faults.fixtures import KEYS

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_mapped_model_answers(plane: Any) -> None:
    model = plane.scenario("ok")
    answer = plane.ask(model, temperature=0.5, unheard_of={"a": [1, 2]})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["model"] == model
    assert body["choices"][0]["message"]["content"] == KEYS[0]
    assert body["usage"]["total_tokens"] == 10
    assert answer.headers["x-jackfield-route"] == "up/ok"
    assert answer.headers["x-jackfield-attempts"] == "1"
    assert answer.headers["x-jackfield-dropped"] == ""
    assert int(answer.headers["x-jackfield-revision"]) > 0
    sent = plane.upstream.requests[0]
    assert sent.json == {
        "model": "ok",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "unheard_of": {"a": [1, 2]},
    }
    assert sent.headers["x-request-id"] == answer.headers["x-jackfield-request-id"]
    (row,) = plane.rows()
    assert (row.outcome, row.status, row.model, row.account, row.upstream_model) == ("ok", 200, model, "up", "ok")
    assert (row.input_tokens, row.output_tokens, row.cost_micro) == (7, 3, None)
    assert row.request_id == answer.headers["x-jackfield-request-id"]
    assert row.total_us > 0 and row.queue_us is not None and row.first_byte_us > 0
    assert row.revision == int(answer.headers["x-jackfield-revision"])
    assert json.dumps(row.attempt_log)


def test_a_first_row_has_all_its_timings(plane: Any) -> None:
    """To an upstream nobody called before: the time to connect, and the attempt's own, are in the row."""
    from tests.faults.upstream import Upstream

    cold = Upstream()
    try:
        account = plane.world.account("cold", cold.url, keys=("c" * 20,), private_network=True)
        plane.world.model("cold", (account, "ok"))
        plane.settle()
        assert plane.ask("cold").status_code == 200
    finally:
        cold.stop()
    (row,) = plane.rows()
    assert row.connect_us > 0
    assert row.attempt_log[0]["us"] >= row.connect_us


def test_the_upstream_gets_our_headers_only(plane: Any) -> None:
    """R-HTTP-01: an allow-list both ways."""
    model = plane.scenario("ok")
    answer = plane.client.post(
        "/v1/chat/completions",
        json={"model": model, "messages": []},
        headers={"cookie": "a=b", "x-forwarded-for": "10.0.0.1", "openai-organization": "org", "x-custom": "1"},
    )
    sent = plane.upstream.requests[0].headers
    assert set(sent) == {
        "host", "accept-encoding", "content-type", "accept", "user-agent", "x-request-id", "via", "authorization",
        "content-length",
    }  # fmt: skip
    assert sent["authorization"] == f"Bearer {KEYS[0]}"
    assert sent["accept-encoding"] == "identity"
    assert "set-cookie" not in answer.headers and "openai-organization" not in answer.headers


def test_a_request_that_came_through_us_is_a_loop(plane: Any) -> None:
    """R-HTTP-03."""
    model = plane.scenario("ok")
    plane.ask(model)
    via = plane.upstream.requests[0].headers["via"]
    answer = plane.client.post("/v1/chat/completions", json={"model": model}, headers={"via": f"1.1 other, {via}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (508, "loop_detected")
    assert len(plane.upstream.requests) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_stops_at_once(plane: Any, status: int) -> None:
    """The caller's own fault is not sent on to the next upstream, and comes back with its status, type and code."""
    answer = plane.ask(plane.scenario(f"status:{status}", "ok"))
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"], error["message"]) == (
        status, "some_error", "xyz", "told to",
    )  # fmt: skip
    assert answer.headers["x-jackfield-error"] == "upstream_refused"
    assert len(plane.upstream.requests) == 1
    (row,) = plane.rows()
    assert (row.outcome, row.status, row.fault) == ("error", status, "upstream")


@pytest.mark.parametrize("bad", ["status:500", "status:503", "status:404", "body:error", "body:html", "body:empty"])
def test_the_next_candidate_serves(plane: Any, bad: str) -> None:
    """R-REL-08: an error in a 200, HTML and an empty body are failures, and another upstream is asked."""
    answer = plane.ask(plane.scenario(bad, "ok"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-jackfield-attempts"] == "2"
    assert [request.json["model"] for request in plane.upstream.requests] == [bad, "ok"]
    (row,) = plane.rows()
    assert (row.outcome, row.attempts, len(row.attempt_log)) == ("ok", 2, 2)
    assert row.attempt_log[0]["verdict"]


@pytest.mark.parametrize(
    ("bad", "status"), [("status:500", 500), ("body:error", 503), ("body:html", 502), ("status:404", 404)]
)
def test_the_last_error_is_the_answer(plane: Any, bad: str, status: int) -> None:
    answer = plane.ask(plane.scenario(bad))
    assert answer.status_code in (status, 529 if status == 503 else status), answer.text
    assert answer.json()["error"]["message"]


def test_at_most_three_candidates_are_called(plane: Any) -> None:
    answer = plane.ask(plane.scenario("status:500", "status:501", "status:502", "ok"))
    assert answer.status_code == 502
    assert len(plane.upstream.requests) == 3


def test_an_upstream_that_does_not_begin_is_left(plane: Any) -> None:
    """R-REL-04."""
    answer = plane.ask(plane.scenario("hang", "ok", first_byte=2))
    assert answer.status_code == 200
    assert answer.headers["x-jackfield-attempts"] == "2"
    plane.eventually(lambda: plane.upstream.requests[0].gone_at)


def test_the_total_deadline_of_a_first_attempt_is_exact(plane: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("providers.engine.BACKSTOP", 20.0)
    start = time.monotonic()
    answer = plane.ask(plane.scenario("half", total=1.5))
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_total_timeout")
    assert time.monotonic() - start < 15, "the transport's own stays behind it"


def test_the_total_deadline_covers_all_attempts(plane: Any) -> None:
    answer = plane.ask(plane.scenario("half", "ok", total=1.5))
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_total_timeout")
    assert len(plane.upstream.requests) == 1
    plane.eventually(lambda: plane.upstream.requests[0].gone_at)


def test_an_upstream_that_is_down_is_left(plane: Any) -> None:
    """R-REL-01."""
    down = plane.world.account("down", "http://127.0.0.1:9/v1", keys=("k" * 20,), private_network=True)
    plane.world.model("m", (down, "x"), (plane.account, "ok"))
    plane.world.model("n", (down, "x"))
    plane.settle()
    assert plane.ask("m").headers["x-jackfield-attempts"] == "2"
    answer = plane.ask("n")
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] in ("upstream_unreachable", "egress_refused")
    assert "127.0.0.1" not in answer.text


def test_f16_f17_a20_a_provider_that_cannot_stream_answers_in_one_piece(plane: Any) -> None:
    """A-20, F-16, F-17."""
    provider = plane.world.provider("solid", streaming=False)
    account = plane.world.account(
        "solid", plane.upstream.url, keys=("s" * 20,), provider=provider, private_network=True
    )
    plane.world.model("solid", (account, "ok"))
    plane.settle()
    answer = plane.ask("solid", stream=True, stream_options={"include_usage": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-jackfield-dropped"] == "stream"
    assert answer.json()["object"] == "chat.completion"
    sent = plane.upstream.requests[0].json
    assert sent["stream"] is False and "stream_options" not in sent


def test_a_url_with_an_unfilled_variable_is_never_sent(plane: Any) -> None:
    """A-26."""
    provider = plane.world.provider("open", keyless=True)
    account = plane.world.account("holes", "https://{region}.example/v1", provider=provider)
    plane.world.model("holes", (account, "ok"))
    plane.settle()
    answer = plane.ask("holes")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "variable_missing")
    assert "region" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "invalid_json"),
        (b"[]", 400, "not_an_object"),
        (b'{"model":"a","model":"b"}', 400, "duplicate_key"),
        (b'{"model":"x","a":' + b"[" * 70 + b"]" * 70 + b"}", 400, "too_deep"),
        (b'{"model":3}', 400, "invalid_parameter"),
        (b'{"model":"nope-nothing"}', 404, "model_not_found"),
        (b'{"messages":[]}', 400, "model_required"),
        (b'{"model":"m","stream":"yes"}', 400, "invalid_parameter"),
        (b'{"model":"m\xff"}', 400, "not_utf8"),
    ],
)
def test_bad_bodies(plane: Any, body: bytes, status: int, code: str) -> None:
    answer = plane.client.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert not plane.upstream.requests
    (row,) = plane.rows()
    assert (row.outcome, row.error_code) == ("error", code)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"content-type": "text/plain"}, "content_type_refused"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "content_encoding_refused"),
    ],
)
def test_what_is_not_plain_json_is_refused(plane: Any, headers: dict[str, str], code: str) -> None:
    answer = plane.client.post("/v1/chat/completions", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, code)


def test_a_body_that_is_too_large(plane: Any, settings: Any) -> None:
    """Refused while it is read, also without a length."""
    settings.MAX_BODY = 100_000
    model = plane.scenario("ok")
    assert plane.ask(model, pad="x" * 100_000).status_code == 413

    def parts() -> Any:
        for _ in range(20):
            yield b" " * 10_000

    answer = plane.client.post("/v1/chat/completions", content=parts(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_f26_the_official_client(plane: Any) -> None:
    """F-26: chat.completions.create, buffered, streamed and refused."""
    import openai

    client = openai.OpenAI(base_url=f"{plane.gateway.url}/v1", api_key=plane.token, max_retries=0)
    model = plane.scenario("ok")
    whole = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
    assert (whole.model, whole.choices[0].message.content) == (model, KEYS[0])
    pieces = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == "one two three"
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such", messages=[])
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=plane.scenario("cut:2:fin"), messages=[], stream=True))


@pytest.mark.parametrize(
    "members",
    [
        '"Model": "other"',
        '"MODEL": "other"',
        '"\\u004dodel": "other"',
        '"Stream": true',
        '"\\u017ftream": true',
        '"STREAM_OPTIONS": {}',
        '"stream": true, "stream_options": {"Include_Usage": false}',
    ],
)
def test_a_key_that_some_parsers_take_for_ours_is_refused(plane: Any, members: str) -> None:
    """Parsers that match names without regard to case would take another model than the one that was allowed."""
    body = f'{{"model": "{plane.scenario("ok")}", "messages": [], {members}}}'
    answer = plane.client.post(
        "/v1/chat/completions", content=body.encode(), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "duplicate_key")
    assert plane.upstream.requests == []
    assert plane.ask(plane.scenario("ok"), models=["x"], streaming=1, model_=2).status_code == 200


def test_r_rel_22_more_requests_than_a_process_takes_are_told_to_come_again(plane: Any, settings: Any) -> None:
    """At once, without asking anyone; what is in hand goes on, and there is room again behind it."""
    from concurrent.futures import ThreadPoolExecutor

    def shed() -> int:
        return int(plane.client.get("/metrics").text.partition("\njackfield_requests_shed_total ")[2].split("\n")[0])

    before = shed()
    settings.MAX_IN_FLIGHT = 1
    slow = plane.scenario("hang", total=1.5)
    with ThreadPoolExecutor(1) as one:
        first = one.submit(plane.ask, slow)
        plane.eventually(lambda: plane.upstream.requests)
        answer = plane.ask(slow)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "gateway_overloaded")
        assert answer.headers["retry-after"] == "1"
        assert len(plane.upstream.requests) == 1
        assert plane.client.get("/v1/models").status_code == 200, "what is cheap is served"
        assert first.result().status_code == 504
    assert shed() == before + 1
    assert plane.ask(plane.scenario("ok")).status_code == 200


def test_keys_that_cannot_be_opened_must_be_entered_again(plane: Any) -> None:
    """Also once the pool knows that none of them opens, and leaves them out."""
    from keys.models import ProviderKey
    from keys.pool import pool
    from routing.store import store

    model = plane.scenario("ok")
    for row in ProviderKey.objects.all():
        ProviderKey.objects.filter(pk=row.pk).update(sealed=bytes(row.sealed[:-1]) + bytes([row.sealed[-1] ^ 1]))
        row.refresh_from_db()
        row.save()
    plane.settle()
    plane.eventually(lambda: len(pool.undecryptable) == 3)
    assert pool.candidates(store.current.key_sets[plane.account.id], None) == []
    answer = plane.ask(model)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "provider_key_missing")
    assert error["message"].startswith("API key not configured for provider 'up'")
    assert "must be entered again" in error["message"]
    assert plane.upstream.requests == []
