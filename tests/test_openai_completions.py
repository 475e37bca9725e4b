"""The legacy completions endpoint: a prompt is a chat of one message, and text comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.dialects.canon import Answer, Choice, Message, Misfit, Refusal, Target, Text, Thinking, ToolCall
from providers.dialects.openai_chat.completions import OPENAI_COMPLETIONS_LEGACY as LEGACY
from providers.dialects.openai_chat.dialect import OPENAI_CHAT
from providers.dialects.streams import OneAtATime, dissect
from providers.dialects.usage import Usage
from tests.chat_wire import chunks
from tests.recordings import recorded

ANSWER = Answer(
    dialect="anthropic_messages",
    id="msg_1",
    created=3,
    choices=(Choice((Thinking("hm"), Text("a"), Text("b")), "end"), Choice((ToolCall("i", "f"),), "length", 1)),
    usage=Usage(5, 2),
)


def asked(**members: Any) -> Any:
    return LEGACY.read_request({"model": "m", "prompt": "hi", **members})


def test_a_prompt_is_one_message() -> None:
    request = asked(max_tokens=3, stop="x", temperature=0.5, n=2, seed=1, stream_options={"include_usage": True})
    assert request.messages == (Message("user", (Text("hi"),)),)
    assert (request.max_tokens, request.stop, request.temperature, request.n, request.seed) == (3, ("x",), 0.5, 2, 1)
    assert request.notes == {"stream_options": {"include_usage": True}} and request.extras == {}
    assert asked(prompt=["hi"]).messages == request.messages
    body = OPENAI_CHAT.upstream.write_request(request, Target(model="up")).body
    assert body["messages"] == [{"role": "user", "content": "hi"}] and body["max_tokens"] == 3


@pytest.mark.parametrize(
    ("members", "unsupported"),
    [
        ({"echo": True}, True),
        ({"suffix": "s"}, True),
        ({"best_of": 2}, True),
        ({"logprobs": 3}, True),
        ({"prompt": ["a", "b"]}, True),
        ({"prompt": [1, 2]}, True),
        ({"prompt": [[1, 2]]}, True),
        ({"prompt": None}, False),
        ({"prompt": []}, False),
        ({"prompt": {}}, False),
        ({"max_tokens": "many"}, False),
    ],
)
def test_what_cannot_be_asked_of_a_chat_is_refused(members: dict[str, Any], unsupported: bool) -> None:
    with pytest.raises(Misfit) as problem:
        asked(**members)
    assert problem.value.param in members and problem.value.unsupported is unsupported


def test_what_says_nothing_is_no_reason_to_refuse() -> None:
    assert asked(echo=False, suffix=None, best_of=1, logprobs=None) == asked()


def test_a_completion() -> None:
    assert json.loads(LEGACY.write_answer(ANSWER, "public", asked())) == {
        "id": "cmpl-msg_1",
        "object": "text_completion",
        "created": 3,
        "model": "public",
        "choices": [
            {"text": "ab", "index": 0, "logprobs": None, "finish_reason": "stop"},
            {"text": "", "index": 1, "logprobs": None, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }


def streamed(answer: Answer, **members: Any) -> list[dict[str, Any]]:
    writer, order = LEGACY.writer("public", asked(stream=True, **members)), OneAtATime()
    said = [writer.feed(ready) for delta in dissect(answer) for ready in order.feed(delta)]
    return chunks(b"".join(said) + writer.end())


def test_a_stream_of_text() -> None:
    found = streamed(ANSWER)
    assert [(chunk["choices"][0]["index"], chunk["choices"][0]["text"]) for chunk in found] == [
        (0, "a"),
        (0, "b"),
        (0, ""),
        (1, ""),
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in found] == [None, None, "stop", "length"]
    assert {(chunk["id"], chunk["object"], chunk["model"]) for chunk in found} == {
        ("cmpl-msg_1", "text_completion", "public")
    }
    assert not any("usage" in chunk for chunk in found)


def test_a_stream_with_its_usage() -> None:
    found = streamed(ANSWER, stream_options={"include_usage": True})
    assert found[-1]["choices"] == [] and found[-1]["usage"]["total_tokens"] == 7
    assert found[0]["usage"] is None


def test_a_refusal_is_text() -> None:
    answer = Answer(choices=(Choice((Refusal("no"),), "refusal"),))
    assert json.loads(LEGACY.write_answer(answer, "p", asked()))["choices"][0] == {
        "text": "no",
        "index": 0,
        "logprobs": None,
        "finish_reason": "content_filter",
    }


@pytest.mark.parametrize(
    "case", recorded("openai-completions", "completions") + recorded("openai-compatible", "completions")
)
def test_recorded_requests_are_read(case: Any) -> None:
    body = case["request_body"]
    body = json.loads(body) if isinstance(body, str) else body
    prompt = body["prompt"]
    if isinstance(prompt, list) and len(prompt) > 1:
        with pytest.raises(Misfit):
            LEGACY.read_request(body)
        return
    (part,) = LEGACY.read_request(body).messages[0].parts
    assert part == Text(prompt if isinstance(prompt, str) else prompt[0])
