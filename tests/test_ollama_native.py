"""Ollama's own chat: requests, answers and streams of lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Delta,
    Format,
    Media,
    Message,
    Misfit,
    Part,
    Reasoning,
    Request,
    Target,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from providers.dialects.dialect import Reader
from providers.dialects.ndjson import Splitter
from providers.dialects.ollama_native.dialect import OLLAMA_NATIVE
from providers.dialects.sse import EventTooLong
from providers.dialects.streams import assemble
from providers.dialects.usage import Usage
from tests.any_request import REQUESTS
from tests.recordings import body_of, check_brackets, recorded

UPSTREAM = OLLAMA_NATIVE.upstream
WHEN = "2024-09-16T02:41:57.128675Z"
TIME = Tool("function", "time")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def asked(*parts: Part, **more: Any) -> Request:
    messages = more.pop("messages", (Message("user", parts or (Text("hi"),)),))
    return Request(dialect="openai_chat", messages=messages, **more)


def written(request: Request, model: str = "qwen3:8b", **more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = UPSTREAM.write_request(request, Target(model=model, **more))
    json.dumps(found.body)
    return found.body, found.dropped


def refused(request: Request) -> None:
    with pytest.raises(Misfit) as caught:
        written(request)
    assert caught.value.unsupported


def test_the_least_that_can_be_asked() -> None:
    body, dropped = written(asked())
    assert body == {"model": "qwen3:8b", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert dropped == ()
    assert written(asked(), stream=True)[0]["stream"] is True


def test_a_conversation() -> None:
    messages = (
        Message("developer", (Text("brief"),)),
        Message("user", (Text("a"), Media("image", data="AAAA"), Media("document", text="facts", name="f.txt"))),
        Message("assistant", (Thinking("hm"), ToolCall("c1", "weather", '{"at":"Rome"}'), ToolCall("", "time", ""))),
        Message("tool", (ToolResult("c1", (Text("sunny"), Media("image", data="BBBB"))), ToolResult("c2"))),
        Message("assistant", (Text(""),)),
        Message("user", (Text("b"), Text("c"))),
    )
    assert written(asked(messages=messages))[0]["messages"] == [
        {"role": "system", "content": "brief"},
        {"role": "user", "content": "a\n\nf.txt\n\nfacts", "images": ["AAAA"]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [
                {"id": "c1", "function": {"name": "weather", "arguments": {"at": "Rome"}}},
                {"function": {"name": "time", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "sunny", "images": ["BBBB"], "tool_name": "weather", "tool_call_id": "c1"},
        {"role": "tool", "content": "", "tool_call_id": "c2"},
        {"role": "user", "content": "b\n\nc"},
    ]


def test_tools_and_formats() -> None:
    body, _ = written(asked(tools=(TIME, Tool("function", "x")), tool_choice=ToolChoice("auto", allowed=("time",))))
    schema = {"type": "object", "properties": {}}
    function = {"name": "time", "description": "", "parameters": schema}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert "tools" not in written(asked(tools=(TIME,), tool_choice=ToolChoice("none")))[0]
    assert written(asked(format=Format()))[0]["format"] == "json"
    assert written(asked(format=Format(SCHEMA)))[0]["format"] == SCHEMA


@pytest.mark.parametrize(
    ("model", "reasoning", "think", "dropped"),
    [
        ("qwen3:8b", Reasoning("high"), True, ()),
        ("qwen3:8b", Reasoning("none"), False, ()),
        ("qwen3:8b", Reasoning(summary="auto"), None, ()),
        ("gpt-oss:20b", Reasoning("xhigh"), "high", ()),
        ("gpt-oss:20b", Reasoning("none"), None, ("reasoning_effort",)),
        ("gpt-oss:20b", Reasoning(budget=2000), "low", ()),
        ("llama3.1", Reasoning("high"), None, ("reasoning_effort",)),
    ],
)
def test_how_much_to_think(model: str, reasoning: Reasoning, think: Any, dropped: Any) -> None:
    body, named = written(asked(reasoning=reasoning), model)
    assert (body.get("think"), named) == (think, dropped)


def test_knobs() -> None:
    request = asked(max_tokens=900, temperature=0.5, top_k=3, seed=1, stop=("a",), top_logprobs=2, user="u")
    body, dropped = written(request, max_output=500, quirks={"options": {"num_ctx": 8192}, "keep_alive": "5m"})
    assert body["options"] == {
        "num_predict": 500,
        "temperature": 0.5,
        "top_k": 3,
        "seed": 1,
        "stop": ["a"],
        "num_ctx": 8192,
    }
    assert (body["logprobs"], body["top_logprobs"], body["keep_alive"], dropped) == (True, 2, "5m", ("user",))


@pytest.mark.parametrize(
    "request_",
    [
        asked(n=2),
        asked(tools=(TIME,), tool_choice=ToolChoice("required")),
        asked(tools=(Tool("web_search"),)),
        asked(Media("image", url="https://x/")),
        asked(Media("audio", data="AAAA")),
        asked(modalities=("audio",)),
    ],
)
def test_what_cannot_be_asked_is_refused(request_: Request) -> None:
    refused(request_)


@settings(max_examples=100, deadline=None)
@given(REQUESTS)
def test_every_request_is_written_or_refused(request: Request) -> None:
    try:
        written(request)
    except Misfit as problem:
        assert problem.message


# --- answers ---------------------------------------------------------------------------------------------------------


def line(done: bool = False, **message: Any) -> bytes:
    said: dict[str, Any] = {"model": "m", "created_at": WHEN, "message": {"role": "assistant", **message}, "done": done}
    if done:
        said |= {"done_reason": "stop", "prompt_eval_count": 44, "eval_count": 113, "total_duration": 5}
    return json.dumps(said).encode() + b"\n"


def run(body: bytes, *cuts: int) -> tuple[list[Delta], Reader]:
    splitter, reader = UPSTREAM.splitter(), UPSTREAM.reader()
    chunks = [body[one:other] for one, other in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    events = [found for chunk in chunks for found in splitter.feed(chunk)] + splitter.close()
    deltas = [delta for one in events for delta in reader.feed(one)]
    return deltas, reader


CALL = {"id": "c1", "function": {"name": "f", "arguments": {"x": 1}}}
SAME = [
    (line(True, content="abc"), line(content="a") + line(content="bc") + line(True, content=""), (Text("abc"),), "end"),
    (
        line(True, thinking="hm", content="a", tool_calls=[CALL]),
        line(thinking="h", content="")
        + line(thinking="m", content="")
        + line(content="a")
        + line(content="", tool_calls=[CALL])
        + line(True, content=""),
        (Thinking("hm"), Text("a"), ToolCall("c1", "f", '{"x":1}')),
        "tool",
    ),
    (line(True, images=["AAAA"]), line(images=["AAAA"]) + line(True), (Media("image", data="AAAA"),), "end"),
]


@pytest.mark.parametrize(("whole", "pieces", "parts", "stop"), SAME)
def test_whole_and_in_pieces_are_the_same(whole: bytes, pieces: bytes, parts: Any, stop: str) -> None:
    found = UPSTREAM.read_answer(whole)
    assert (found.choices[0].parts, found.choices[0].stop, found.choices[0].word) == (parts, stop, "stop")
    assert (found.usage, found.created, found.extras) == (Usage(44, 113), 1726454517, {"total_duration": 5})
    deltas, reader = run(pieces)
    assert reader.error is None and reader.done_seen and reader.finished
    check_brackets(deltas)
    assert assemble(deltas + reader.end()) == found


def test_a_call_without_an_id_gets_one_of_its_own() -> None:
    calls = [{"function": {"name": "f", "arguments": {}}}] * 2
    one, other = UPSTREAM.read_answer(line(True, tool_calls=calls)).choices[0].parts
    assert isinstance(one, ToolCall) and isinstance(other, ToolCall)
    assert one.id != other.id and one.id.startswith("call_")


def test_log_probabilities_as_openai_says_them() -> None:
    said = json.loads(line(True, content="a")) | {"logprobs": [{"token": "a", "logprob": -0.5}]}
    found = UPSTREAM.read_answer(json.dumps(said).encode())
    assert found.choices[0].logprobs == {
        "content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    }


def test_errors() -> None:
    _, reader = run(line(content="a") + b'{"error":"out of memory"}\n')
    assert reader.error is not None and not reader.error.malformed and not reader.finished
    for body in (b"nonsense\n", b"[]\n", b'{"message":{"tool_calls":[{}]}}\n'):
        _, reader = run(body)
        assert reader.error is not None and reader.error.malformed
    with pytest.raises(BadAnswer) as caught:
        UPSTREAM.read_answer(b'{"error":"model not found"}')
    assert caught.value.error == {"message": "model not found"}
    _, reader = run(line(content="a"))
    assert not reader.finished
    reader.end()
    assert not reader.finished


KEYS = st.sampled_from(
    [
        "message",
        "content",
        "thinking",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "done",
        "images",
        "id",
        "logprobs",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(KEYS, JSON, max_size=4), max_size=4), JSON)
def test_no_line_surprises_it(messages: Any, done: Any) -> None:
    lines = [json.dumps({"message": message, "done": done}).encode() + b"\n" for message in messages]
    deltas, reader = run(b"".join(lines))
    check_brackets(deltas + reader.end())
    for one in lines:
        try:
            UPSTREAM.read_answer(one)
        except BadAnswer:
            continue


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_cuts_do_not_matter(data: st.DataObject) -> None:
    body = SAME[1][1].replace(b"\n", data.draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"]))).rstrip(b"\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    assert run(body, *cuts)[0] == run(SAME[1][1])[0]


def test_a_long_line_is_refused() -> None:
    with pytest.raises(EventTooLong):
        Splitter(10).feed(b"x" * 11)
    with pytest.raises(EventTooLong):
        Splitter(10).feed(b"x" * 11 + b"\n")


@pytest.mark.parametrize("case", recorded("openai-compatible", "api.chat"), ids=lambda case: case["id"])
def test_a_recorded_answer(case: Any) -> None:
    said = json.loads(body_of(case))
    found: Answer = UPSTREAM.read_answer(body_of(case))
    assert found.choices[0].parts == (Text(said["message"]["content"]),)
    assert found.usage == Usage(said["prompt_eval_count"], said["eval_count"])
    assert (found.choices[0].stop, found.model) == ("end", said["model"])
