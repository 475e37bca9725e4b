"""Anthropic's Messages API between two ends that both speak it, and its errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.dialects import sse
from providers.dialects.anthropic_messages.errors import envelope, event
from providers.dialects.anthropic_messages.reading import read_request
from providers.dialects.anthropic_messages.response import splice, write_answer
from providers.dialects.anthropic_messages.tap import Tap
from providers.dialects.canon import Answer, Choice, Request, ToolCall
from providers.dialects.usage import Usage

START = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 1},
}


def said(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def stop(word: str, **usage: Any) -> bytes:
    return said("message_delta", delta={"stop_reason": word}, usage=usage) + said("message_stop")


def test_the_tap() -> None:
    tap = Tap('pub"lic', False)
    splitter = sse.Splitter()
    start, last = said("message_start", message=START), said("message_stop")
    out = [tap.feed(one) for one in splitter.feed(start.replace(b"\n", b"\r\n") + stop("end_turn", output_tokens=9))]
    assert out[0] == start.replace(b"\n", b"\r\n").replace(b'"claude-x"', b'"pub\\"lic"')
    assert out[-1] == last
    assert tap.usage == Usage(input=17, output=9, cache_read=5, cache_write=2)
    assert (tap.done_seen, tap.finished, tap.has_usage, tap.error) == (True, True, True, None)


def test_the_tap_keeps_errors_to_itself() -> None:
    for data, malformed in ((b'{"type":"error","error":{}}', False), (b'{"error":{}}', False), (b"{", True)):
        tap = Tap("public", False)
        assert tap.feed(sse.Event(b"", None, data, -1)) is None
        assert tap.error is not None
        assert tap.error.malformed == malformed
        assert not tap.finished


def test_a_relayed_answer_without_a_model_gets_none() -> None:
    assert splice(b'{"usage":null}', "public") == (b'{"usage":null}', None)
    assert splice(b'{"model": "a", "x": {"model": "b"}}', "p")[0] == b'{"model": "p", "x": {"model": "b"}}'


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_error_types(status: int, expected: str) -> None:
    error = {"message": "m", "type": "server_error", "code": "c", "param": None, "status": status}
    body = {"type": "error", "error": {"type": expected, "message": "m", "code": "c"}}
    assert json.loads(envelope(error)) == body
    (found,) = sse.Splitter().feed(event(error))
    assert (found.name, json.loads(found.data or b"")) == ("error", body)


def test_the_proof_of_a_foreign_call_goes_to_the_client_and_comes_back() -> None:
    call = ToolCall("call_1", "f", "{}", signature="proof", signer="google_generate")
    answer = Answer(dialect="google_generate", choices=(Choice((call, ToolCall("call_2", "g", "{}")), "tool"),))
    content = json.loads(write_answer(answer, "public", Request(dialect="anthropic_messages")))["content"]
    assert [block["type"] for block in content] == ["tool_use", "redacted_thinking", "tool_use"]
    (read,) = read_request({"messages": [{"role": "assistant", "content": content}]}).messages
    assert read.parts == answer.choices[0].parts
