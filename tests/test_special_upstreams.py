"""Upstreams that answer in ways of their own, over real sockets: streams alone, jobs waited for, bare texts."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from conftest import serve
from keys.minted import minted
from keys.models import ProviderKey
from providers.credentials.request import Grant
from providers.dialects.theta_infer import response as theta
from providers.models import Account
from providers.secrets import Secret
from routing import revisions
from routing.loading import load_catalog
from tests.vendor_replies import STREAMED, WHOLE, dialect_of

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "key-of-the-vendor-0123456789"
ASKED = {"messages": [{"role": "user", "content": "hi"}]}


@dataclass
class Vendor:
    """A server that notes what came and answers what is due, the last of it for ever."""

    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    due: list[tuple[int, str, bytes]] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        query = scope["query_string"].decode()
        path = scope["raw_path"].decode() + (f"?{query}" if query else "")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["method"], path, headers, body))
        status, kind, answer = self.due.pop(0) if len(self.due) > 1 else self.due[0]
        head = [(b"content-type", kind.encode()), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": answer})


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    served = serve(made)
    made.url = served.url
    yield made
    served.stop()


@pytest.fixture
def at(plane: Any, vendor: Vendor) -> Callable[..., Any]:
    """`at(account, path)`: the catalog, with that account at the server of the test."""
    vendor.requests.clear()
    load_catalog()

    def moved(name: str, path: str = "", key: str = KEY) -> Any:
        with revisions.recording("tester"):
            account = Account.objects.get(name=name)
            account.base_url, account.private_network = vendor.url + path, True
            account.save()
        plane.world.keys(account, key)
        plane.settle()
        return plane

    return moved


def codex(at: Callable[..., Any]) -> Any:
    plane = at("openai-codex", "/backend-api", json.dumps({"login": "nobody", "refresh_token": KEY}))
    row = ProviderKey.objects.get(key_set__account__name="openai-codex")
    minted.keep((row.key_set.account_id, row.fingerprint), Grant(Secret(KEY), time.time() + 3600))
    return plane


SSE = "text/event-stream"
JSON = "application/json"


def test_codex_streams_and_who_wants_a_whole_answer_gets_one(at: Any, vendor: Vendor) -> None:
    plane = codex(at)
    vendor.due = [(200, SSE, STREAMED["responses"])]
    answer = plane.ask("codex/gpt-5.3-codex", max_completion_tokens=99)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    choice = answer.json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("hello", "stop")
    assert answer.json()["usage"]["total_tokens"] == 10
    assert "max_output_tokens" in answer.headers["x-jackfield-dropped"]
    ((method, path, headers, body),) = vendor.requests
    sent = json.loads(body)
    assert (method, path, headers["accept"]) == ("POST", "/backend-api/codex/responses", SSE)
    assert (sent["stream"], sent["store"], "max_output_tokens" in sent) == (True, False, False)
    assert [row.output_tokens for row in plane.rows()] == [3]


def test_codexs_own_clients_get_their_dialect_whole_and_streamed(at: Any, vendor: Vendor) -> None:
    plane = codex(at)
    vendor.due = [(200, SSE, STREAMED["responses"])]
    asked = {"model": "codex/gpt-5.3-codex", "input": "hi", "instructions": "Be short.", "store": True}
    whole = plane.client.post("/v1/responses", json=asked).json()
    assert whole["output"][0]["content"][0]["text"] == "hello" and whole["model"] == "codex/gpt-5.3-codex"
    streamed = plane.client.post("/v1/responses", json={**asked, "stream": True}).text
    assert "event: response.completed" in streamed and '"delta":"hello"' in streamed
    for *_, body in vendor.requests:
        sent = json.loads(body)
        assert (sent["instructions"], sent["store"], sent["stream"]) == ("Be short.", False, True)


@pytest.mark.parametrize(
    ("stream", "status", "code"),
    [
        (STREAMED["responses"].rpartition(b"event: response.completed")[0], 502, "upstream_bad_answer"),
        (b"", 502, "upstream_bad_answer"),
        (b"data: oops\n\n", 502, "upstream_bad_answer"),
        (
            b'data: {"type":"error","error":{"type":"rate_limit_error","code":"rate_limit","message":"slow"}}\n\n',
            429,
            "upstream_rate_limit",
        ),
    ],
    ids=["cut", "empty", "no-json", "error"],
)
def test_a_stream_that_fails_is_no_whole_answer(at: Any, vendor: Vendor, stream: bytes, status: int, code: str) -> None:
    plane = codex(at)
    vendor.due = [(200, SSE, stream)]
    answer = plane.ask("codex/gpt-5.3-codex")
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code, answer.text


def job(state: str, **members: Any) -> bytes:
    return json.dumps(
        {"status": "success", "body": {"infer_requests": [{"id": "j/1", "state": state, **members}]}}
    ).encode()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theta, "_SECONDS", 0.01)


def test_theta_is_asked_until_the_job_is_done(at: Any, vendor: Vendor, quick: None) -> None:
    plane = at("theta")
    vendor.due = [(200, JSON, job(state)) for state in ("pending", "processing")]
    vendor.due.append((200, JSON, job("success", output={"text": "hello"})))
    answer = plane.ask("theta/qwen3", stream=True)
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    assert "stream" in answer.headers["x-jackfield-dropped"]
    assert [(method, path) for method, path, *_ in vendor.requests] == [
        ("POST", "/infer_request/qwen3?wait=60"),
        ("GET", "/infer_request/j%2F1"),
        ("GET", "/infer_request/j%2F1"),
    ]
    for _, _, headers, body in vendor.requests[1:]:
        assert headers["authorization"] == f"Bearer {KEY}" and body == b"" and "content-type" not in headers
    (row,) = plane.rows()
    assert (row.attempts, row.outcome) == (1, "ok")


@pytest.mark.parametrize(
    ("last", "status", "said"),
    [
        ((200, JSON, job("error", error=f"out of memory, {KEY}")), 502, "out of memory"),
        ((401, JSON, b'{"message": "no such key"}'), 401, "no such key"),
        ((200, "text/html", b"<html>"), 502, ""),
    ],
    ids=["failed", "401", "html"],
)
def test_theta_says_that_it_went_wrong(
    at: Any, vendor: Vendor, quick: None, last: tuple[int, str, bytes], status: int, said: str
) -> None:
    plane = at("theta")
    vendor.due = [(200, JSON, job("pending")), last]
    answer = plane.ask("theta/qwen3")
    assert (answer.status_code, KEY in answer.text) == (status, False)
    assert said in answer.json()["error"]["message"]


def test_theta_is_not_waited_for_without_end(
    at: Any, vendor: Vendor, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = at("theta")
    monkeypatch.setattr("api.waiting.PATIENCE", 0.1)
    vendor.due = [(200, JSON, job("processing"))]
    answer = plane.ask("theta/qwen3")
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    ("name", "ref", "path"),
    [
        ("groq", "groq/m-1", "/openai/v1"),
        ("anthropic", "anthropic/m-1", ""),
        ("google", "gemini/m-1", "/v1beta"),
        ("cohere", "cohere/m-1", "/v2"),
        ("gitlab", "gitlab-duo/m-1", ""),
        ("azure-openai", "azure/m-1", "/openai/deployments/{deployment}?api-version=2024-10-21"),
    ],
)
def test_some_of_all_kinds_over_real_sockets(at: Any, vendor: Vendor, name: str, ref: str, path: str) -> None:
    plane = at(name, path)
    tail = {
        "groq": "/openai/v1/chat/completions",
        "anthropic": "/v1/messages",
        "google": f"/v1beta/models/m-1:generateContent?key={KEY}",
        "cohere": "/v2/chat",
        "gitlab": "/api/v4/chat/completions",
        "azure-openai": "/openai/deployments/m-1/chat/completions?api-version=2024-10-21",
    }[name]
    vendor.due = [(201 if name == "gitlab" else 200, JSON, WHOLE[dialect_of(tail.partition("?")[0])])]
    answer = plane.client.post("/v1/chat/completions", json={**ASKED, "model": ref})
    assert answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == "hello", answer.text
    ((method, asked, headers, _),) = vendor.requests
    assert (method, asked, headers["host"]) == ("POST", tail, vendor.url.removeprefix("http://"))


_CLIENTS = {
    "chat": ("/v1/chat/completions", {**ASKED, "stream_options": {"include_usage": True}}, "data: [DONE]"),
    "responses": ("/v1/responses", {"input": "hi"}, "event: response.completed"),
    "messages": ("/v1/messages", {**ASKED, "max_tokens": 20}, "event: message_stop"),
    "gemini": ("/v1beta/models/{model}:streamGenerateContent", {"contents": [{"parts": [{"text": "hi"}]}]}, "STOP"),
}


@pytest.mark.parametrize("client", _CLIENTS)
@pytest.mark.parametrize(
    ("name", "ref", "path", "asked"),
    [
        ("gitlab", "gitlab-duo/m-1", "", None),
        ("groq", "groq/m-1", "/openai/v1", True),
        ("anthropic", "anthropic/m-1", "", True),
    ],
)
def test_c27_a_whole_answer_is_a_stream_to_who_wants_one(
    at: Any, vendor: Vendor, name: str, ref: str, path: str, asked: bool | None, client: str
) -> None:
    """X-07: from GitLab, which has no streams, and from upstreams that were asked for one and answered whole."""
    plane = at(name, path)
    said = {"gitlab": "gitlab", "groq": "chat", "anthropic": "messages"}[name]
    vendor.due = [(200, JSON, WHOLE[said])]
    url, body, last = _CLIENTS[client]
    answer = plane.client.post(url.format(model=ref), json={**body, "model": ref, "stream": True})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(SSE), answer.text
    assert "stream" in answer.headers["x-jackfield-dropped"]
    assert "hello" in answer.text and last in answer.text.split("\n\n")[-2], answer.text
    ((_, _, _, sent),) = vendor.requests
    assert json.loads(sent).get("stream") is asked
    (row,) = plane.rows()
    assert (row.outcome, row.stream, row.input_tokens is not None) == ("ok", True, name != "gitlab")
    if client == "responses":
        kept = json.loads(answer.text.split("data: ")[-1])["response"]["id"]
        assert plane.client.get(f"/v1/responses/{kept}").json()["output"][0]["content"][0]["text"] == "hello"
