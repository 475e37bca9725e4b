"""GitLab Duo and Theta on demand: upstreams that know words only, and do not stream (C-27, C-43)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.canon import (
    BadAnswer,
    Format,
    Media,
    Message,
    Misfit,
    Request,
    Target,
    Text,
    Thinking,
    Tool,
    ToolCall,
)
from providers.dialects.gitlab_duo.dialect import GITLAB_DUO
from providers.dialects.gitlab_duo.request import MOST_BYTES, MOST_CONTEXT
from providers.dialects.sse import Event
from providers.dialects.streams import assemble
from providers.dialects.theta_infer.dialect import THETA_INFER

NAMES = st.sampled_from(["body", "infer_requests", "state", "output", "choices", "message", "content", "id"])
SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from(["pending", "success", "x"])
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4))
GITLAB: Any = GITLAB_DUO.upstream
THETA: Any = THETA_INFER.upstream
TARGET = Target(model="m")


def asked(*messages: tuple[str, Any], **members: Any) -> Request:
    turns = tuple(
        Message(role, (Text(said),) if isinstance(said, str) else tuple(said))  # type: ignore[arg-type]
        for role, said in messages
    )
    return Request(dialect="openai_chat", messages=turns, **members)


def test_gitlab_gets_the_last_words_and_what_came_before_as_context() -> None:
    request = asked(
        ("system", "Be short."),
        ("user", "Hi"),
        ("assistant", [Thinking("hm"), Text("Hello.")]),
        ("user", "Who"),
        ("user", "are you?"),
        temperature=0.0,
        max_tokens=3,
        cache_key="k",
    )
    written = GITLAB.write_request(request, TARGET)
    assert written.body == {
        "content": "Who\n\nare you?",
        "with_clean_history": True,
        "additional_context": [
            {"category": "file", "id": "0000-system.txt", "content": "Be short."},
            {"category": "file", "id": "0001-user.txt", "content": "Hi"},
            {"category": "file", "id": "0002-assistant.txt", "content": "Hello."},
        ],
    }
    assert set(written.dropped) == {"thinking", "temperature", "max_tokens", "prompt_cache_key"}


@pytest.mark.parametrize("body", [b'"Hello."', b'{"response": "Hello."}', b'{"content": "Hello."}'])
def test_gitlab_answers_with_a_text(body: bytes) -> None:
    (choice,) = GITLAB.read_answer(body).choices
    assert (choice.parts, choice.stop) == ((Text("Hello."),), "end")


@pytest.mark.parametrize("body", [b"", b"<html>", b"3", b"{}", b'{"message": "401 Unauthorized"}', b"null"])
def test_gitlab_says_something_else(body: bytes) -> None:
    with pytest.raises(BadAnswer) as problem:
        GITLAB.read_answer(body)
    assert problem.value.error == ({"message": "401 Unauthorized"} if b"401" in body else None)


@pytest.mark.parametrize("upstream", [GITLAB, THETA], ids=["gitlab", "theta"])
@pytest.mark.parametrize(
    ("messages", "members"),
    [
        ([("user", [Text("look"), Media("image", url="https://i.example/i.png")])], {}),
        ([("user", "hi"), ("assistant", [ToolCall("1", "f")]), ("user", "so?")], {}),
        ([("user", "hi")], {"tools": (Tool("function", "f"),)}),
        ([("user", "hi")], {"format": Format()}),
        ([("user", "hi")], {"n": 2}),
        ([("user", "hi")], {"logprobs": True}),
        ([("user", "hi")], {"modalities": ("text", "audio")}),
    ],
    ids=["image", "call", "tools", "format", "n", "logprobs", "audio"],
)
def test_what_is_no_text_is_refused(upstream: Any, messages: list[tuple[str, Any]], members: dict[str, Any]) -> None:
    with pytest.raises(Misfit) as problem:
        upstream.write_request(asked(*messages, **members), TARGET)
    assert problem.value.unsupported and problem.value.param


@pytest.mark.parametrize(
    "request_",
    [asked(("user", "hi"), ("assistant", "Hello.")), asked(("user", "")), asked()],
    ids=["last", "empty", "no"],
)
def test_gitlab_must_be_asked_something(request_: Request) -> None:
    with pytest.raises(Misfit, match="last message"):
        GITLAB.write_request(request_, TARGET)


def test_gitlab_takes_so_much_and_no_more() -> None:
    many = [("user", "x"), ("assistant", "y")] * (MOST_CONTEXT // 2 + 1)
    for turns in (many, [("system", "x" * (MOST_BYTES + 1))]):
        with pytest.raises(Misfit, match="too long"):
            GITLAB.write_request(asked(*turns, ("user", "so?")), TARGET)


def test_theta_gets_the_conversation_as_its_input() -> None:
    request = asked(("developer", "Be short."), ("user", "Hi"), max_tokens=5, temperature=0.0, seed=1, stop=("x",))
    written = THETA.write_request(request, Target(model="qwen3", stream=True))
    assert written.body == {
        "input": {
            "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}],
            "stream": False,
            "max_tokens": 5,
            "temperature": 0.0,
        }
    }
    assert set(written.dropped) == {"seed", "stop"}


def job(**members: Any) -> bytes:
    return json.dumps({"status": "success", "body": {"infer_requests": [{"id": "job/1", **members}]}}).encode()


@pytest.mark.parametrize("state", ["pending", "processing"])
def test_theta_is_asked_again_while_a_job_is_under_way(state: str) -> None:
    later = THETA.again(job(state=state))
    assert (later.path, later.seconds) == ("/infer_request/job%2F1", 3.0)


@pytest.mark.parametrize("body", [job(state="success", output="x"), job(state="error"), b"", b"[]", b'{"body": {}}'])
def test_theta_is_not_asked_again_otherwise(body: bytes) -> None:
    assert THETA.again(body) is None


@pytest.mark.parametrize(
    "output",
    [
        "Hello.",
        {"text": "Hello."},
        {"content": "Hello."},
        {"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}},
    ],
)
def test_theta_says_its_text_in_several_ways(output: Any) -> None:
    answer = THETA.read_answer(job(state="success", output=output))
    assert (answer.id, answer.choices[0].parts, answer.choices[0].stop) == ("job/1", (Text("Hello."),), "end")
    assert (answer.usage is not None) == ("usage" in output)


def test_theta_says_that_a_job_failed() -> None:
    with pytest.raises(BadAnswer) as problem:
        THETA.read_answer(job(state="error", error="out of memory"))
    assert problem.value.error == {"message": "out of memory"}


@pytest.mark.parametrize("upstream", [GITLAB, THETA], ids=["gitlab", "theta"])
def test_a_whole_answer_is_a_stream_of_one_event(upstream: Any) -> None:
    body = b'"Hello."' if upstream is GITLAB else job(state="success", output="Hello.")
    reader = upstream.reader()
    deltas = [*reader.feed(Event(body, None, body, -1)), *reader.end()]
    assert reader.finished and assemble(deltas) == upstream.read_answer(body)
    other = upstream.reader()
    assert other.feed(Event(b"{}", None, b"{}", -1)) == [] and other.error.malformed and not other.finished


@given(JSON)
def test_any_answer_is_read_or_bad(value: Any) -> None:
    for upstream in (GITLAB, THETA):
        with contextlib.suppress(BadAnswer):
            upstream.read_answer(json.dumps(value).encode())
    THETA.again(json.dumps(value).encode())
