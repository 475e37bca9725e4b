"""Cohere chat answers and streams: read as they were meant, whole or in pieces, and as they were recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.answer_tool import ANSWER_TOOL
from providers.dialects.canon import Answer, BadAnswer, Citation, Delta, Opaque, Text, Thinking, ToolCall
from providers.dialects.cohere_chat.dialect import COHERE_CHAT
from providers.dialects.dialect import Reader
from providers.dialects.sse import Event
from providers.dialects.streams import assemble
from providers.dialects.usage import Usage
from tests.recordings import body_of, check_brackets, neutral, recorded

UPSTREAM = COHERE_CHAT.upstream
DOCUMENT = {"type": "document", "id": "doc:0", "document": {"text": "the fact", "title": "T", "url": "https://x/"}}
CITED = {"start": 0, "end": 2, "text": "ab", "sources": [DOCUMENT], "type": "TEXT_CONTENT"}
CITATION = Citation("https://x/", "T", "the fact", 0, 2, "cohere_chat", CITED)
PLANNED = {"start": 0, "end": 1, "text": "I", "sources": [], "type": "PLAN"}
USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 6},
    "tokens": {"input_tokens": 267.0, "output_tokens": 91, "reasoning_tokens": 58},
    "cached_tokens": 144,
}


def answer(message: dict[str, Any], reason: str = "COMPLETE", **more: Any) -> Answer:
    body = {"id": "r1", "message": {"role": "assistant", **message}, "finish_reason": reason, **more}
    return UPSTREAM.read_answer(json.dumps(body).encode())


def event(kind: str, **said: Any) -> Event:
    data = json.dumps({"type": kind, **said}).encode()
    return Event(data, kind, data, 0)


def piece(kind: str, index: int | None = None, logprobs: Any = None, **message: Any) -> Event:
    more = {"index": index} if index is not None else {}
    more |= {"logprobs": logprobs} if logprobs else {}
    return event(kind, delta={"message": message}, **more)


def told(*events: Event, reason: str = "COMPLETE", usage: Any = None) -> tuple[list[Delta], Reader]:
    reader = UPSTREAM.reader()
    end = event("message-end", delta={"finish_reason": reason, "usage": usage})
    done = Event(b"", None, b"[DONE]", 0)
    deltas = [d for one in (event("message-start", id="r1"), *events, end, done) for d in reader.feed(one)]
    assert reader.error is None and reader.done_seen and reader.finished
    deltas += reader.end()
    check_brackets(deltas)
    return deltas, reader


def call(given: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": given, "type": "function", "function": {"name": name, "arguments": arguments}}


def more(index: int, arguments: str) -> Event:
    return piece("tool-call-delta", index, tool_calls={"function": {"arguments": arguments}})


SAME = [
    (
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "abc"}]},
        [
            piece("content-start", 0, content={"type": "thinking", "thinking": ""}),
            piece("content-delta", 0, content={"thinking": "hm"}),
            event("content-end", index=0),
            piece("content-start", 1, content={"type": "text", "text": "a"}),
            piece("content-delta", 1, content={"text": "bc"}),
            event("content-end", index=1),
        ],
        (Thinking("hm"), Text("abc")),
    ),
    (
        {"tool_plan": "I will", "tool_calls": [call("a", "f", '{"x":1}'), call("b", "g", "{}")]},
        [
            piece("tool-plan-delta", tool_plan="I"),
            piece("tool-plan-delta", tool_plan=" will"),
            piece("tool-call-start", 0, tool_calls=call("a", "f", "")),
            more(0, '{"x"'),
            more(0, ":1}"),
            event("tool-call-end", index=0),
            piece("tool-call-start", 1, tool_calls=call("b", "g", "")),
            event("tool-call-end", index=1),
        ],
        (Thinking("I will"), ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}")),
    ),
    (
        {"content": [{"type": "text", "text": "abc"}], "citations": [CITED]},
        [
            piece("content-delta", 0, content={"text": "ab"}),
            piece("citation-start", 0, citations=CITED),
            event("citation-end", index=0),
            piece("content-delta", 0, content={"text": "c"}),
            event("content-end", index=0),
        ],
        (Text("abc", (CITATION,)),),
    ),
    (
        {"content": [{"type": "text", "text": "abc"}], "citations": [CITED]},
        [
            piece("content-delta", 0, content={"text": "abc"}),
            event("content-end", index=0),
            piece("citation-start", 0, citations=CITED),
        ],
        (Text("abc", (CITATION,)),),
    ),
    ({"content": []}, [piece("content-start", 0, content={"type": "text", "text": ""})], ()),
]


@pytest.mark.parametrize(("message", "events", "wanted"), SAME)
def test_whole_and_in_pieces_are_the_same(message: Any, events: Any, wanted: Any) -> None:
    found = answer(message, usage=USAGE)
    assert found.choices[0].parts == wanted
    assert assemble(told(*events, usage=USAGE)[0]) == found


def test_a_citation_is_told_once_for_each_source_and_where_it_belongs() -> None:
    tool = {"type": "tool", "id": "t:0", "tool_output": {"content": "seen"}}
    value = {**CITED, "sources": [DOCUMENT, tool], "content_index": 1}
    blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "abc"}]
    found = answer({"content": blocks, "citations": [value, PLANNED]})
    _, text = found.choices[0].parts
    assert isinstance(text, Text)
    assert [(one.title, one.quote) for one in text.citations] == [("T", "the fact"), ("t:0", "seen")]
    assert found.extras == {"citations": [PLANNED]}
    events = (
        piece("content-delta", 0, content={"thinking": "hm"}),
        piece("content-delta", 1, content={"text": "abc"}),
        piece("citation-start", 0, citations=value),
        piece("citation-start", 1, citations=PLANNED),
    )
    assert assemble(told(*events)[0]) == found


def test_the_answer_tool_is_no_call() -> None:
    found = answer({"tool_calls": [call("a", ANSWER_TOOL, '{"x":1}')]}, "TOOL_CALL")
    assert (found.choices[0].parts, found.choices[0].stop) == ((Text('{"x":1}'),), "end")
    events = (piece("tool-call-start", 0, tool_calls=call("a", ANSWER_TOOL, "")), more(0, '{"x":1}'))
    assert assemble(told(*events, reason="TOOL_CALL")[0]) == found


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("COMPLETE", "end"),
        ("STOP_SEQUENCE", "sequence"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool"),
        ("ERROR", "error"),
        ("TIMEOUT", "error"),
        ("NEW_WORD", "end"),
    ],
)
def test_why_it_stopped(word: str, stop: str) -> None:
    found = answer({}, word).choices[0]
    assert (found.stop, found.word) == (stop, word)
    assert assemble(told(reason=word)[0]).choices[0] == found


def test_tokens_are_those_that_were_processed() -> None:
    assert answer({}, usage=USAGE).usage == Usage(input=267, output=91, cache_read=144, reasoning=58)
    assert answer({}, usage=USAGE).extras == {"billed_units": USAGE["billed_units"]}
    assert answer({}, usage={"billed_units": {"input_tokens": 5}}).usage == Usage(input=5)
    assert answer({}, usage={}).usage is None


def test_log_probabilities_as_openai_says_them() -> None:
    items = [
        {"text": "ab", "token_ids": [1], "logprobs": [-0.5]},
        {"text": "c", "token_ids": [2, 3], "logprobs": [-1, -1]},
    ]
    content = [{"type": "text", "text": "abc"}]
    found = answer({"content": content}, logprobs=items)
    assert found.choices[0].logprobs == {
        "content": [
            {"token": "ab", "logprob": -0.5, "bytes": [97, 98], "top_logprobs": []},
            {"token": "c", "logprob": -2, "bytes": [99], "top_logprobs": []},
        ]
    }
    events = [
        piece("content-delta", 0, logprobs=item, content={"text": text})
        for item, text in zip(items, ("ab", "c"), strict=True)
    ]
    assert assemble(told(*events)[0]) == found


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 9999,
        b'{"message":"no"}',
        b'{"message":{"content":3}}',
        b'{"message":{"content":[1]}}',
        b'{"message":{"content":[{"type":"text"}]}}',
        b'{"message":{"tool_calls":[{}]}}',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        UPSTREAM.read_answer(body)


def test_what_only_cohere_knows_is_kept() -> None:
    block = {"type": "table", "rows": []}
    assert answer({"content": [block]}).choices[0].parts == (Opaque("cohere_chat", block),)


@pytest.mark.parametrize(
    ("said", "malformed", "message"),
    [
        ({"type": "error", "message": "no"}, False, "no"),
        ({"message": "too many tokens"}, False, "too many tokens"),
        ({"type": "message-end", "delta": {"finish_reason": "TIMEOUT", "error": "late"}}, False, "late"),
        ({"type": "tool-call-start", "delta": {"message": {"tool_calls": {}}}}, True, ""),
        ([], True, ""),
    ],
)
def test_errors_in_a_stream(said: Any, malformed: bool, message: str) -> None:
    reader = UPSTREAM.reader()
    assert reader.feed(Event(b"", None, json.dumps(said).encode(), 0)) == []
    assert reader.error is not None and reader.error.malformed is malformed
    assert message in reader.error.body.decode()
    assert not reader.finished


def test_events_that_say_nothing() -> None:
    reader = UPSTREAM.reader()
    assert reader.feed(event("debug", prompt="x")) == []
    assert reader.feed(Event(b": ping\n\n", None, None, -1)) == []
    assert reader.error is None and not reader.finished


KEYS = st.sampled_from(
    [
        *("type", "index", "delta", "message", "content", "text", "thinking", "tool_plan", "tool_calls", "function"),
        *("name", "arguments", "id", "citations", "start", "sources", "content_index", "finish_reason", "usage"),
        "logprobs",
    ]
)
NAMES = ["message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start"]
NAMES += ["tool-call-delta", "tool-call-end", "citation-start", "citation-end", "message-end", "debug"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | st.sampled_from(["", "a", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.dictionaries(KEYS, JSON, max_size=3), JSON), max_size=6))
def test_no_event_surprises_it(events: Any) -> None:
    reader = UPSTREAM.reader()
    deltas: list[Delta] = []
    for name, said, inner in events:
        deltas += reader.feed(event(name, **{"delta": {"message": inner}, **said, "type": name}))
    check_brackets(deltas + reader.end())


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_no_answer_surprises_it(value: Any) -> None:
    message = {"content": value, "citations": value, "tool_calls": value}
    for body in (value, {"message": value}, {"message": {"content": value}, "usage": value}, {"message": message}):
        try:
            UPSTREAM.read_answer(json.dumps(body).encode())
        except BadAnswer:
            continue


# --- as recorded -----------------------------------------------------------------------------------------------------

CASES = recorded("cohere", "cohere.v2.chat")
STREAMS = [case for case in CASES if case["stream"]]


def summary(found: Answer, plan: str) -> dict[str, Any]:
    """As the neutral reader has it, which passes over tool plans."""
    (choice,) = found.choices
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    thoughts = "".join(part.text for part in choice.parts if isinstance(part, Thinking))
    assert thoughts.startswith(plan)
    usage = found.usage or Usage()
    counts = {"input": usage.input, "output": usage.output, "cache_read": usage.cache_read}
    return {
        "text": "".join(part.text for part in choice.parts if isinstance(part, Text)),
        "reasoning": thoughts.removeprefix(plan),
        "tools": [{"name": one.name, "args": json.loads(one.arguments)} for one in calls],
        "stop": choice.stop,
        "usage": {name: count for name, count in counts.items() if count is not None},
        "error": None,
    }


def plan_of(body: bytes) -> str:
    found = neutral().decode(body)
    plans = [(one.get("message") or {}).get("tool_plan") for one in found if isinstance(one.get("message"), dict)]
    plans += [one["delta"]["message"].get("tool_plan") for one in found if one.get("type") == "tool-plan-delta"]
    return "".join(plan or "" for plan in plans)


def run(body: bytes, *cuts: int) -> tuple[list[Delta], Reader]:
    splitter, reader = UPSTREAM.splitter(), UPSTREAM.reader()
    chunks = [body[one:other] for one, other in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    events = [found for chunk in chunks for found in splitter.feed(chunk)] + splitter.close()
    return [delta for one in events for delta in reader.feed(one)] + reader.end(), reader


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_recorded_answer(case: Any) -> None:
    body = body_of(case)
    if case["stream"]:
        deltas, reader = run(body)
        assert reader.error is None and reader.done_seen and reader.finished
        check_brackets(deltas)
        found = assemble(deltas)
    else:
        found = UPSTREAM.read_answer(body)
    assert summary(found, plan_of(body)) == neutral().of_case(case)
    assert found.id


@pytest.mark.skipif(not STREAMS, reason="the recorded traffic is not here")
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_recorded_stream_cut_anywhere(data: st.DataObject) -> None:
    body = body_of(data.draw(st.sampled_from(STREAMS)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    assert run(body, *cuts)[0] == run(body)[0]
