"""What each kind of upstream says when it cannot serve now, in its own words: the next candidate serves (R-REL-08, 09).

Statuses, errors inside a 200, and errors as the first event of a stream. What is the caller's fault ends at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from keys.pool import pool
from providers import transport
from routing.health import health
from tests.test_eventstream import frame, text
from tests.vendor_replies import STREAMED, WHOLE

pytestmark = pytest.mark.django_db(transaction=True)

OVERLOADED = "The engine is overloaded, please try again later."
OPENAI = {"error": {"message": OVERLOADED, "type": "server_error", "param": None, "code": "server_overloaded"}}
ANTHROPIC = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
GOOGLE = {"error": {"code": 503, "message": OVERLOADED, "status": "UNAVAILABLE"}}
FAILED = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "failed",
    "model": "up",
    "output": [],
    "error": {"code": "server_error", "message": OVERLOADED},
}
DETAIL = {"message": OVERLOADED}


def sse(*events: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return b"".join(f"{head}data: {json.dumps(event)}\n\n".encode() for event in events)


def exception(kind: str) -> bytes:
    headers = text(":exception-type", kind) + text(":content-type", "application/json")
    return frame(headers + text(":message-type", "exception"), json.dumps(DETAIL).encode())


AWS = "application/vnd.amazon.eventstream"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
#: Per family: the body of an error status; errors inside a 200; (content type, first event) of streams.
WORDS: dict[str, tuple[Any, list[Any], list[tuple[str, bytes]]]] = {
    "openai-completions": (OPENAI, [OPENAI], [(SSE, sse(OPENAI)), (SSE, sse(OPENAI, name="error"))]),
    "openai-responses": (
        OPENAI,
        [OPENAI, FAILED],
        [
            (SSE, sse({"type": "error", "code": "server_error", "message": OVERLOADED, "param": None}, name="error")),
            (SSE, sse({"type": "response.failed", "response": FAILED}, name="response.failed")),
        ],
    ),
    "anthropic-messages": (ANTHROPIC, [ANTHROPIC], [(SSE, sse(ANTHROPIC, name="error"))]),
    "google-generative-ai": (GOOGLE, [GOOGLE, [GOOGLE]], [(SSE, sse(GOOGLE)), (SSE, sse([GOOGLE]))]),
    "google-vertex": (GOOGLE, [GOOGLE], [(SSE, sse(GOOGLE))]),
    "google-cloud-code-assist": (GOOGLE, [GOOGLE], [(SSE, sse(GOOGLE))]),
    "bedrock-converse": (
        DETAIL,
        [DETAIL],
        [(AWS, exception(f"{kind}Exception")) for kind in ("throttling", "modelStreamError", "internalServer")],
    ),
    "cohere-chat": (
        {"id": "1", **DETAIL},
        [DETAIL],
        [(SSE, sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": OVERLOADED}}))],
    ),
    "ollama-native": ({"error": OVERLOADED}, [{"error": OVERLOADED}], [(NDJSON, b'{"error":"overloaded"}\n')]),
    "gitlab-duo": (DETAIL, [DETAIL], []),
    "theta-on-demand": ({"status": "error", **DETAIL}, [{"status": "error", **DETAIL}], []),
}
#: All that may pass, also where it comes with an empty body or a page of some proxy.
PASSING = (408, 409, 425, 429, 500, 502, 503, 504, 524, 529)
FINAL = (400, 413, 422)


class Said:
    """Answers of upstreams: what was put for the first, a good one of the second."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bad = httpx.Response(500)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        if request.url.host != "good.example":
            return self.bad
        if b'"stream":true' in request.content.replace(b" ", b""):
            return httpx.Response(200, content=STREAMED["chat"], headers={"content-type": SSE})
        return httpx.Response(200, content=WHOLE["chat"], headers={"content-type": "application/json"})


@pytest.fixture
def said() -> Iterator[Said]:
    made = Said()
    transport.install(httpx.MockTransport(made))
    yield made
    transport.install(None)


def replies(family: str) -> Iterator[tuple[str, int, bytes, str]]:
    """(name, status, body, content type) of all that is no reason to give up."""
    body, within, first = WORDS[family]
    for status in PASSING:
        yield f"{status}", status, json.dumps(body).encode(), "application/json"
    yield "503 of a proxy", 503, b"<html>no healthy upstream</html>", "text/html"
    yield "529 without a word", 529, b"", ""
    for number, inside in enumerate(within):
        yield f"200 with error {number}", 200, json.dumps(inside).encode(), "application/json"
    for number, (kind, event) in enumerate(first):
        yield f"stream {number}", 200, event, kind


@pytest.mark.usefixtures("unshared")
@pytest.mark.parametrize("family", WORDS)
def test_r_rel_08_r_rel_09_who_cannot_serve_now_is_left_for_the_next(plane: Any, said: Said, family: str) -> None:
    provider = plane.world.provider(f"at-{family}", family=family)
    variables = {"project": "p", "location": "l", "region": "us-east-1"}
    bad = plane.world.account("bad", "https://bad.example/v1", provider=provider, keys=("k" * 24,), variables=variables)
    good = plane.world.account("good", "https://good.example/v1", keys=("g" * 24,))
    plane.world.model("two", (bad, "u"), (good, "u"))
    plane.settle()

    def ask(stream: bool) -> httpx.Response:
        said.asked.clear()
        health.clear()
        pool.cooling._until.clear()
        return plane.ask("two", stream=stream)

    for name, status, body, kind in replies(family):
        for stream in (False, True):
            if name.startswith("stream") and not stream:
                continue
            said.bad = httpx.Response(status, content=body, headers={"content-type": kind} if kind else {})
            answer = ask(stream)
            assert answer.status_code == 200, (name, stream, answer.text)
            assert "hel" in answer.text and "overloaded" not in answer.text.lower(), (name, stream)
            assert said.asked == ["bad.example", "good.example"], (name, stream)
    for status in FINAL:
        said.bad = httpx.Response(status, json=WORDS[family][0] if status == 400 else {"message": "too much"})
        assert ask(False).status_code == status
        assert said.asked == ["bad.example"], status
