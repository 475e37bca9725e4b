"""Answers of Anthropic's Messages API: whole and streamed, read from upstreams, written for clients, and relayed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.counting import COUNTERS
from providers.dialects import sse, streams
from providers.dialects.answer_tool import ANSWER_TOOL
from providers.dialects.anthropic_messages.response import read_answer, write_answer
from providers.dialects.anthropic_messages.stream import Reader
from providers.dialects.anthropic_messages.tap import Tap
from providers.dialects.anthropic_messages.writer import Writer
from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Choice,
    Citation,
    Cited,
    Delta,
    Media,
    Opaque,
    Part,
    PartBegan,
    PartEnded,
    Refusal,
    Request,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.usage import Usage

OWN = "anthropic_messages"
ASKED = Request(dialect=OWN)
START = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 1},
}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


def said(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    grown = [said("content_block_delta", index=index, delta=delta) for delta in deltas]
    return b"".join(
        [said("content_block_start", index=index, content_block=begun), *grown, said("content_block_stop", index=index)]
    )


def json_delta(text: str) -> dict[str, Any]:
    return {"type": "input_json_delta", "partial_json": text}


def stop(word: str, **usage: Any) -> bytes:
    delta = {"stop_reason": word, "stop_sequence": None}
    return said("message_delta", delta=delta, usage=usage) + said("message_stop")


def told(body: bytes, reader: Reader | None = None) -> list[Delta]:
    reader = reader or Reader()
    splitter = sse.Splitter()
    found = [delta for one in (*splitter.feed(body), *splitter.close()) for delta in reader.feed(one)]
    return found + reader.end()


def streamed(answer: Answer) -> bytes:
    writer, order = Writer("public", ASKED), streams.OneAtATime()
    out = [writer.feed(delta) for found in streams.dissect(answer) for delta in order.feed(found)]
    return b"".join(out) + writer.end()


def both(answer: Answer) -> tuple[Answer, Answer]:
    """The answer after a way through a client's whole form, and its stream."""
    return read_answer(write_answer(answer, "public", ASKED)), streams.assemble(told(streamed(answer)))


def answer_of(*parts: Part, stop: Any = "end", **members: Any) -> Answer:
    return Answer(**{"dialect": "openai_chat", "choices": (Choice(parts, stop),), "id": "chatcmpl-7x", **members})


# --- read ------------------------------------------------------------------------------------------------------------


def test_a_stream_of_everything() -> None:
    body = b"".join(
        [
            said("message_start", message=START),
            said("ping"),
            block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "hm"},
                {"type": "signature_delta", "signature": "sig"},
            ),
            block(1, {"type": "redacted_thinking", "data": "secret"}),
            block(
                2,
                {**SEARCH, "input": {}},
                *({"type": "input_json_delta", "partial_json": p} for p in ('{"que', 'ry":"q"}')),
            ),
            block(3, FOUND),
            block(
                4,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "Hel"},
                {"type": "citations_delta", "citation": {"type": "page_location", "cited_text": "c"}},
                {"type": "unheard_of_delta", "x": 1},
                {"type": "text_delta", "text": "lo"},
            ),
            block(
                5,
                {"type": "tool_use", "id": "t", "name": "f", "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
            ),
            said("unheard_of", x=1),
            stop("tool_use", output_tokens=20, output_tokens_details={"thinking_tokens": 7}),
        ]
    )
    deltas = told(body)
    answer = streams.assemble(deltas)
    assert (answer.id, answer.model, answer.dialect) == ("msg_1", "claude-x", OWN)
    assert answer.choices == (
        Choice(
            (
                Thinking("hm", "sig", OWN),
                Thinking("", "secret", OWN, redacted=True),
                Opaque(OWN, SEARCH),
                Opaque(OWN, FOUND),
                Text("Hello", (Citation(quote="c", dialect=OWN, value={"type": "page_location", "cited_text": "c"}),)),
                ToolCall("t", "f", "{}"),
            ),
            "tool",
            word="tool_use",
        ),
    )
    assert answer.usage == Usage(input=17, output=20, cache_read=5, cache_write=2, reasoning=7)
    assert _bracketed(deltas)


def _bracketed(deltas: list[Delta]) -> bool:
    """Parts grow between their beginning and their end, and all end before the choice stops."""
    found: set[int] = set()
    for delta in deltas:
        if isinstance(delta, PartBegan):
            found.add(delta.index)
        elif isinstance(delta, PartEnded):
            found.remove(delta.index)
        elif isinstance(delta, Stopped):
            assert not found
        elif hasattr(delta, "index"):
            assert delta.index in found
    return not found


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("end_turn", "end"),
        ("max_tokens", "length"),
        ("stop_sequence", "sequence"),
        ("tool_use", "tool"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "length"),
        ("something_new", "end"),
    ],
)
def test_why_an_answer_stopped(word: str, expected: str) -> None:
    whole = read_answer(json.dumps({**START, "stop_reason": word}).encode())
    assert (whole.choices[0].stop, whole.choices[0].word) == (expected, word)
    in_pieces = streams.assemble(told(said("message_start", message=START) + stop(word)))
    assert in_pieces.choices[0] == whole.choices[0]
    again = json.loads(write_answer(whole, "public", ASKED))["stop_reason"]
    assert again == (word if word != "something_new" else "end_turn")


def test_the_tool_that_stands_in_for_a_format_is_the_text() -> None:
    call = {"type": "tool_use", "id": "t", "name": ANSWER_TOOL, "input": {"a": 1}}
    whole = read_answer(json.dumps({**START, "content": [call], "stop_reason": "tool_use"}).encode())
    deltas = {"type": "input_json_delta", "partial_json": '{"a":1}'}
    body = said("message_start", message=START) + block(0, {**call, "input": {}}, deltas) + stop("tool_use")
    for answer in (whole, streams.assemble(told(body))):
        assert answer.choices[0].parts == (Text('{"a":1}'),)
        assert answer.choices[0].stop == "end"


def test_a_stream_without_its_last_event() -> None:
    """Its last word is the stop reason; before that it was cut, and what is open is told to end."""
    reader = Reader()
    cut = said("message_start", message=START) + block(0, {"type": "text", "text": "a"})[:-60]
    assert not any(isinstance(delta, Stopped) for delta in told(cut, reader))
    assert not reader.finished
    told(stop("end_turn").partition(b"event: message_stop")[0], reader)
    assert reader.finished
    assert not reader.done_seen


@pytest.mark.parametrize(
    ("data", "malformed"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', False),
        (b'{"error":{"message":"busy"}}', False),
        (b"oops", True),
        (b"[1]", True),
        (b'{"type":"content_block_delta","delta":{}}', True),
        (b'{"type":"content_block_start","index":0,"content_block":{"type":"text"}}', True),
    ],
)
def test_errors_in_a_stream(data: bytes, malformed: bool) -> None:
    reader = Reader()
    assert told(said("message_start", message=START) + b"data: " + data + b"\n\n", reader)
    assert reader.error is not None
    assert (reader.error.body, reader.error.malformed) == (data, malformed)
    assert not reader.finished


BROKEN = [b"", b"[]", b"<html>", b'{"type":"error","error":{}}', b"{}", b'{"content":[{}]}', b'{"content":5}']


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_answer(body)
    with pytest.raises(BadAnswer):
        COUNTERS["anthropic-messages"].read(body)


# --- written ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        answer_of(Text("Hi"), usage=Usage(input=9, output=3, cache_read=4, cache_write=1, reasoning=2)),
        answer_of(Thinking("hm", "sig", "google_generate"), Text("a"), Text("b", (Citation("https://a", "A", "q"),))),
        answer_of(Thinking("hm"), ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "g", "{}"), stop="tool"),
        answer_of(Thinking("", "enc", "openai_responses", redacted=True, id="rs_1"), Text("a"), stop="length"),
        answer_of(Text("a"), stop="pause"),
        answer_of(
            Thinking("hm", "sig", OWN),
            Opaque(OWN, SEARCH),
            Opaque(OWN, FOUND),
            Text("a"),
            dialect=OWN,
            id="msg_9",
            extras={"container": {"id": "c"}, "usage": {"inference_geo": "global"}},
            service_tier="priority",
        ),
    ],
)
def test_an_answer_comes_back_from_a_client(answer: Answer) -> None:
    whole, in_pieces = both(answer)
    for again in (whole, in_pieces):
        assert again.choices[0].parts == answer.choices[0].parts
        assert again.choices[0].stop == answer.choices[0].stop
        assert again.usage == (answer.usage or Usage(input=0, output=0))
        assert again.id.startswith("msg_")
        assert (again.extras, again.service_tier) == (answer.extras, answer.service_tier)
    assert (whole.id, whole.model) == (in_pieces.id, in_pieces.model)


def test_what_this_dialect_cannot_say_is_left_out() -> None:
    parts = (Text(""), Opaque("google_generate", {"type": "x"}), Media("image", data="AA=="), Media("audio", text="so"))
    for again in both(answer_of(*parts, Refusal("No."), extras={"system_fingerprint": "f"})):
        assert again.choices[0].parts == (Text("so"), Text("No."))
        assert again.choices[0].stop == "refusal"
        assert again.extras == {}


def test_arguments_that_are_no_object_are_put_into_one() -> None:
    for call in (ToolCall("c", "f", "[1]"), ToolCall("c", "f", '{"a":')):
        (part,) = read_answer(write_answer(answer_of(call), "public", ASKED)).choices[0].parts
        assert isinstance(part, ToolCall)
        assert json.loads(part.arguments)["arguments"]


def test_the_first_event_has_the_usage_that_is_known_by_then() -> None:
    answer = streams.assemble(told(said("message_start", message=START) + stop("end_turn", output_tokens=4)))
    writer = Writer("public", ASKED)
    begun = said("message_start", message=START) + block(0, {"type": "text", "text": "a"})
    events = told_raw(b"".join(writer.feed(delta) for delta in told(begun)) + writer.end())
    assert events[0]["message"]["usage"] == START["usage"]
    assert events[0]["message"]["model"] == "public"
    assert [found["type"] for found in events[1:]] == [
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert answer.usage == Usage(input=17, output=4, cache_read=5, cache_write=2)


def told_raw(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(found.data) for found in sse.Splitter().feed(body) if found.data]


def test_an_answer_of_nothing_is_a_whole_stream() -> None:
    kinds = [found["type"] for found in told_raw(streamed(answer_of()))]
    assert kinds == ["message_start", "message_delta", "message_stop"]


# --- anything at all -------------------------------------------------------------------------------------------------

WORDS = ["type", "index", "delta", "content_block", "message", "text", "thinking", "tool_use", "input", "partial_json"]
WORDS += ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "usage"]
WORDS += [
    "text_delta",
    "input_json_delta",
    "citations_delta",
    "citation",
    "content",
    "stop_reason",
    "name",
    "id",
    "model",
]
SCALARS = st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.sampled_from(WORDS)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=10,
)
TYPED = st.fixed_dictionaries({"type": st.sampled_from(WORDS)}, optional=dict.fromkeys(WORDS[5:10], JSON))
EVENT = st.fixed_dictionaries(
    {"type": st.sampled_from(WORDS)},
    optional={
        "index": st.integers(0, 2) | JSON,
        "message": JSON,
        "usage": JSON,
        "delta": TYPED | JSON,
        "content_block": TYPED,
    },
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=st.lists(EVENT, max_size=8), body=JSON)
def test_any_json_is_read_or_refused(events: list[dict[str, Any]], body: Any) -> None:
    reader, tap = Reader(), Tap("public", False)
    deltas: list[Delta] = []
    for found in events:
        if reader.error is None:
            one = sse.Event(b"", None, _json(found), 6)
            deltas += reader.feed(one)
            tap.feed(one)
    assert _bracketed([*deltas, *reader.end()])
    for source in (body, {"content": body, "usage": body}):
        try:
            answer = read_answer(json.dumps(source).encode())
        except BadAnswer:
            continue
        both(answer)


def _json(found: Any) -> bytes:
    """The event's data, which is broken where the event holds what JSON cannot say."""
    try:
        return json.dumps(found, allow_nan=False).encode()
    except ValueError:
        return b"{"


def test_a_citation_is_told_where_it_comes() -> None:
    deltas = told(streamed(answer_of(Text("a", (Citation("https://a", "A", "q"),)))))
    assert [delta.citation.url for delta in deltas if isinstance(delta, Cited)] == ["https://a"]
