"""Converse answers and streams: read as they were meant, whole or in pieces, and as they were recorded."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.answer_tool import ANSWER_TOOL
from providers.dialects.bedrock_converse.dialect import BEDROCK_CONVERSE
from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Citation,
    Delta,
    Grew,
    Media,
    Opaque,
    PartEnded,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.sse import Event
from providers.dialects.streams import assemble
from providers.dialects.usage import Usage
from tests.recordings import check_brackets

UPSTREAM = BEDROCK_CONVERSE.upstream
CITED = {"location": {"web": {"url": "https://x/", "domain": "x"}}, "title": "X"}
USAGE = {"inputTokens": 3, "outputTokens": 121, "cacheReadInputTokens": 1712, "cacheWriteInputTokens": 236}


def answer(*content: Any, stop: str = "end_turn", **more: Any) -> Answer:
    body = {"output": {"message": {"role": "assistant", "content": list(content)}}, "stopReason": stop, **more}
    return UPSTREAM.read_answer(json.dumps(body).encode())


def event(name: str, **said: Any) -> Event:
    data = json.dumps(said).encode()
    return Event(data, name, data, 0)


def piece(at: int, **delta: Any) -> Event:
    return event("contentBlockDelta", contentBlockIndex=at, delta=delta)


def stop(at: int) -> Event:
    return event("contentBlockStop", contentBlockIndex=at)


def start(at: int, **said: Any) -> Event:
    return event("contentBlockStart", contentBlockIndex=at, start=said)


def told(*events: Event, word: str = "end_turn", usage: Any = None) -> tuple[list[Delta], Any]:
    reader = UPSTREAM.reader()
    last = [event("messageStop", stopReason=word), event("metadata", usage=usage or {}, metrics={"latencyMs": 5})]
    deltas = [delta for one in (event("messageStart", role="assistant"), *events, *last) for delta in reader.feed(one)]
    return deltas + reader.end(), reader


def parts(*events: Event, word: str = "end_turn") -> tuple[Any, ...]:
    deltas, reader = told(*events, word=word)
    assert reader.error is None
    assert reader.done_seen
    return assemble(deltas).choices[0].parts


# --- both ------------------------------------------------------------------------------------------------------------

SAME = [
    ([{"text": "hi"}], [piece(0, text="h"), piece(0, text="i"), stop(0)], (Text("hi"),)),
    (
        [{"text": ""}, {"text": "b"}],
        [piece(0, text=""), stop(0), piece(1, text="b"), piece(1, text=""), stop(1)],
        (Text("b"),),
    ),
    (
        [{"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}, {"text": "a"}],
        [
            piece(0, reasoningContent={"text": "hm"}),
            piece(0, reasoningContent={"signature": "sig"}),
            stop(0),
            piece(1, text="a"),
            stop(1),
        ],
        (Thinking("hm", "sig", "bedrock_converse"), Text("a")),
    ),
    (
        [{"reasoningContent": {"redactedContent": "QUFB"}}],
        [piece(0, reasoningContent={"redactedContent": "QUFB"}), stop(0)],
        (Thinking(signature="QUFB", signer="bedrock_converse", redacted=True),),
    ),
    (
        [{"toolUse": {"toolUseId": "a", "name": "f", "input": {"x": 1}}}, {"toolUse": {"toolUseId": "b", "name": "g"}}],
        [
            start(0, toolUse={"toolUseId": "a", "name": "f", "type": "tool_use"}),
            piece(0, toolUse={"input": '{"x"'}),
            start(1, toolUse={"toolUseId": "b", "name": "g"}),
            piece(0, toolUse={"input": ":1}"}),
            stop(1),
            stop(0),
        ],
        (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}")),
    ),
    (
        [{"citationsContent": {"content": [{"text": "cited"}], "citations": [CITED]}}],
        [piece(0, citation=CITED), piece(0, text="ci"), piece(0, text="ted"), stop(0)],
        (Text("cited", (Citation("https://x/", "X", start=0, end=5, dialect="bedrock_converse", value=CITED),)),),
    ),
    (
        [{"citationsContent": {"citations": [CITED]}}],
        [piece(3, citation=CITED), stop(3)],
        (Text("", (Citation("https://x/", "X", dialect="bedrock_converse", value=CITED),)),),
    ),
    (
        [
            {"toolUse": {"toolUseId": "a", "name": "nova", "type": "server_tool_use", "input": {"q": 1}}},
            {"toolResult": {"toolUseId": "a", "status": "success", "content": [{"text": "r"}, {"json": {}}]}},
        ],
        [
            start(0, toolUse={"toolUseId": "a", "name": "nova", "type": "server_tool_use"}),
            piece(0, toolUse={"input": '{"q":'}),
            piece(0, toolUse={"input": "1}"}),
            stop(0),
            start(1, toolResult={"toolUseId": "a", "status": "success"}),
            piece(1, toolResult=[{"text": "r"}]),
            piece(1, toolResult=[{"json": {}}]),
            stop(1),
        ],
        (
            Opaque(
                "bedrock_converse",
                {"toolUse": {"toolUseId": "a", "name": "nova", "type": "server_tool_use", "input": {"q": 1}}},
            ),
            Opaque(
                "bedrock_converse",
                {"toolResult": {"toolUseId": "a", "status": "success", "content": [{"text": "r"}, {"json": {}}]}},
            ),
        ),
    ),
    (
        [{"image": {"format": "png", "source": {"bytes": base64.b64encode(b"abcd").decode()}}}],
        [
            start(0, image={"format": "png"}),
            piece(0, image={"source": {"bytes": base64.b64encode(b"a").decode()}}),
            piece(0, image={"source": {"bytes": base64.b64encode(b"bcd").decode()}}),
            stop(0),
        ],
        (Media("image", data=base64.b64encode(b"abcd").decode(), media_type="image/png"),),
    ),
]


@pytest.mark.parametrize(("content", "events", "wanted"), SAME)
def test_whole_and_in_pieces_are_the_same(content: Any, events: Any, wanted: Any) -> None:
    assert answer(*content).choices[0].parts == wanted
    assert parts(*events) == wanted


def test_the_answer_tool_is_no_call() -> None:
    call = {"toolUseId": "a", "name": ANSWER_TOOL}
    found = answer({"toolUse": {**call, "input": {"x": 1}}}, stop="tool_use").choices[0]
    assert (found.parts, found.stop, found.word) == ((Text('{"x":1}'),), "end", "tool_use")
    events = (start(0, toolUse=call), piece(0, toolUse={"input": '{"x":1}'}), stop(0))
    deltas, _ = told(*events, word="tool_use")
    assert assemble(deltas).choices[0] == found
    other = {"toolUse": {"toolUseId": "b", "name": "f", "input": {}}}
    assert answer({"toolUse": {**call, "input": {}}}, other, stop="tool_use").choices[0].stop == "tool"


@pytest.mark.parametrize(
    ("word", "stop"),
    [
        ("end_turn", "end"),
        ("tool_use", "tool"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "sequence"),
        ("guardrail_intervened", "filter"),
        ("content_filtered", "filter"),
        ("malformed_tool_use", "error"),
        ("something_new", "end"),
    ],
)
def test_why_it_stopped(word: str, stop: str) -> None:
    found = answer({"text": "x"}, stop=word, additionalModelResponseFields={"stop_sequence": "END"}).choices[0]
    assert (found.stop, found.word, found.sequence) == (stop, word, "END")
    deltas, _ = told(piece(0, text="x"), word=word)
    assert [delta for delta in deltas if isinstance(delta, Stopped)] == [Stopped(stop, word=word)]  # type: ignore[arg-type]


def test_cached_tokens_are_part_of_the_input() -> None:
    wanted = Usage(input=1951, output=121, cache_read=1712, cache_write=236)
    assert answer(usage=USAGE).usage == wanted
    assert assemble(told(usage=USAGE)[0]).usage == wanted
    assert answer(usage={"inputTokens": 3}).usage == Usage(input=3)
    assert answer(usage={"cacheReadInputTokens": 3}).usage == Usage(cache_read=3)
    assert answer(usage={"totalTokens": 3}).usage is None


def test_what_only_converse_tells() -> None:
    found = answer(metrics={"latencyMs": 5}, trace={"guardrail": {}}, serviceTier={"type": "flex"}, odd=1)
    assert found.extras == {"metrics": {"latencyMs": 5}, "trace": {"guardrail": {}}}
    assert found.service_tier == "flex"
    assert assemble(told()[0]).extras == {"metrics": {"latencyMs": 5}}


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b"[" * 9999, b'{"output":{"message":{"content":[1]}}}', b'{"message":"no"}']
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        UPSTREAM.read_answer(body)


@pytest.mark.parametrize(
    ("name", "status"),
    [("throttlingException", 429), ("validationException", 400), ("newException", 502), ("modelTimeoutException", 504)],
)
def test_an_exception_is_an_error(name: str, status: int) -> None:
    reader = UPSTREAM.reader()
    assert reader.feed(event(name, message="no")) == []
    assert reader.error is not None and not reader.error.malformed and not reader.finished
    assert json.loads(reader.error.body) == {"error": {"type": name, "code": status, "message": "no"}}


def test_an_error_frame_and_a_broken_one() -> None:
    reader = UPSTREAM.reader()
    reader.feed(event("error", code="InternalFailure", message="no"))
    assert reader.error is not None
    assert json.loads(reader.error.body)["error"]["type"] == "InternalFailure"
    reader = UPSTREAM.reader()
    reader.feed(Event(b"", "error", b"a frame is broken", -1))
    assert reader.error is not None and reader.error.malformed


@pytest.mark.parametrize(
    "one",
    [
        event("contentBlockDelta", delta={"text": "x"}),
        event("contentBlockDelta", contentBlockIndex=0),
        event("contentBlockStart", contentBlockIndex=0, start={"toolUse": {}}),
        piece(0, toolUse={"input": "{}"}),
        Event(b"", "messageStop", b"[]", 0),
        Event(b"", "messageStop", None, 0),
    ],
)
def test_events_that_are_not_what_was_promised(one: Event) -> None:
    reader = UPSTREAM.reader()
    assert reader.feed(one) == []
    assert reader.error is not None and reader.error.malformed


def test_a_stream_that_ends_early_is_not_finished_and_is_closed() -> None:
    reader = UPSTREAM.reader()
    deltas = [*reader.feed(piece(0, text="a")), *reader.feed(piece(1, text="b"))]
    assert not reader.finished
    deltas += reader.end()
    assert deltas[-3:] == [PartEnded(0), PartEnded(1), Stopped("")]


def test_without_its_last_event_it_is_finished() -> None:
    reader = UPSTREAM.reader()
    reader.feed(event("messageStop", stopReason="end_turn"))
    assert reader.finished and not reader.done_seen
    assert reader.end() == []
    assert reader.feed(piece(0, text="late")) == []


NAMES = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "x"]
KEYS = st.sampled_from(
    [
        "contentBlockIndex",
        "delta",
        "start",
        "text",
        "toolUse",
        "toolResult",
        "image",
        "citation",
        "reasoningContent",
        "toolUseId",
        "name",
        "input",
        "type",
        "source",
        "bytes",
        "format",
        "usage",
        "stopReason",
        "signature",
        "content",
        "output",
        "message",
        "citationsContent",
        "reasoningText",
        "redactedContent",
        "location",
        "web",
        "sourceContent",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | st.sampled_from(["", "a", "png"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.dictionaries(KEYS, JSON, max_size=4)), max_size=6))
def test_no_event_surprises_it(events: Any) -> None:
    reader = UPSTREAM.reader()
    deltas: list[Delta] = []
    for name, said in events:
        data = json.dumps(said).encode()
        deltas += reader.feed(Event(data, name, data, 0))
    check_brackets(deltas + reader.end())


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_no_answer_surprises_it(content: Any) -> None:
    for body in (content, {"output": {"message": {"content": content}}, "usage": content, "stopReason": content}):
        try:
            UPSTREAM.read_answer(json.dumps(body).encode())
        except BadAnswer:
            continue


def test_pieces_are_told_as_they_come() -> None:
    deltas, _ = told(piece(0, text="a"), piece(0, text="b"))
    assert [delta.text for delta in deltas if isinstance(delta, Grew)] == ["a", "b"]
