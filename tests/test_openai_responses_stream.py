"""Streams of the Responses API, read and relayed; and anything at all in place of one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.canon import (
    BadAnswer,
    Began,
    Delta,
    Grew,
    PartBegan,
    PartEnded,
    Stopped,
)
from providers.dialects.openai_responses.reading import read_request
from providers.dialects.openai_responses.response import read_answer
from providers.dialects.openai_responses.stream import Reader
from providers.dialects.openai_responses.tap import Tap
from providers.dialects.openai_responses.writer import Writer
from providers.dialects.sse import Event, Splitter
from providers.dialects.streams import Translation, assemble
from tests.responses_cases import answered, bare, body_of, neutral, read, response_in, summary

NAME = "openai_responses"
ASKED = read_request({"model": "pub", "input": "x"})
STREAMS = answered(stream=True)


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in events)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", STREAMS)
def test_a_recorded_stream_says_what_the_neutral_reader_says(case):
    expected = neutral().of_case(case)
    del expected["error"]

    assert summary(assemble(read(body_of(case)))) == expected


@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_means_what_the_response_at_its_end_does(case):
    body = body_of(case)

    assert bare(assemble(read(body))) == bare(read_answer(json.dumps(response_in(body)).encode()))


@pytest.mark.parametrize("case", STREAMS)
def test_the_deltas_of_a_recorded_stream_are_well_bracketed(case):
    deltas = read(body_of(case))

    assert isinstance(deltas[0], Began)
    opened: set[int] = set()
    for delta in deltas:
        if isinstance(delta, PartBegan):
            opened.add(delta.index)
        elif isinstance(delta, PartEnded):
            opened.remove(delta.index)
        elif isinstance(delta, Stopped):
            assert not opened
        elif hasattr(delta, "index"):
            assert delta.index in opened
    assert sum(isinstance(delta, Stopped) for delta in deltas) == 1


SHORT = sorted((case.values[0] for case in STREAMS if case.values[0]), key=lambda case: len(body_of(case)))[:4]


@pytest.mark.skipif(not SHORT, reason="no recordings here")
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_stream_says_the_same_however_it_is_cut(data):
    body = body_of(data.draw(st.sampled_from(SHORT)))
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))

    assert read(body, *cuts) == read(body)


MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
    {"type": "output_text", "text": "Hi", "annotations": []}]}  # fmt: skip
CALL = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "S"}], "content": None,
           "encrypted_content": "enc"}  # fmt: skip
OUTPUT = [THOUGHT, MESSAGE, CALL]
DONE = {"type": "response.completed", "response": {
    "id": "resp_1", "object": "response", "status": "completed", "model": "m", "created_at": 5, "output": OUTPUT,
    "usage": {"input_tokens": 1, "output_tokens": 2}}}  # fmt: skip
WHOLE = read_answer(json.dumps(DONE["response"]).encode())


@pytest.mark.parametrize(
    "events",
    [
        (DONE,),
        ({"type": "response.created", "response": DONE["response"] | {"status": "in_progress", "output": []}}, DONE),
        (
            *({"type": "response.output_item.done", "output_index": i, "item": one} for i, one in enumerate(OUTPUT)),
            {"type": "response.completed", "response": DONE["response"] | {"output": []}},
        ),
        (
            {"type": "response.output_item.done", "output_index": 0, "item": THOUGHT},
            {"type": "response.output_text.delta", "output_index": 1, "content_index": 1, "delta": "Hi"},
            {"type": "response.output_item.done", "output_index": 1, "item": MESSAGE},
            DONE,
        ),
        (
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1"}},
            {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "S"},
            {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "H"},
            {"type": "response.brand_new", "output_index": 1},
            {"type": "response.output_item.added", "output_index": 2, "item": CALL},
            {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{"},
            {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "i"},
            DONE,
        ),
    ],
    ids=["the end alone", "no items", "items at once", "counted from 1", "no done events"],
)
def test_what_the_pieces_leave_out_is_taken_from_what_comes_whole(events):
    found = assemble(read(sse(*events)))

    assert (found.choices, found.usage) == (WHOLE.choices, WHOLE.usage)


FLAT = {"type": "error", "code": "server_error", "message": "m", "sequence_number": 3}
INNER = {"error": {"code": "x", "message": "m"}}


@pytest.mark.parametrize(
    ("event", "body"),
    [
        (FLAT, FLAT),
        (INNER, INNER),
        ({"type": "response.failed", "response": {"status": "failed", "instructions": "long", **INNER}}, INNER),
    ],
)
def test_an_error_in_a_stream_is_kept(event, body):
    for feeding in (Reader(), Tap("pub")):
        data = json.dumps(event).encode()

        assert not feeding.feed(Event(b"data: " + data + b"\n\n", None, data, 6))

        assert feeding.error is not None
        assert json.loads(feeding.error.body) == body
        assert not feeding.finished


def test_what_is_no_json_is_malformed_and_a_stream_that_breaks_off_is_not_finished():
    for feeding in (Reader(), Tap("pub")):
        feeding.feed(Event(b"data: {\n\n", None, b"{", 6))
        assert feeding.error is not None
        assert feeding.error.malformed

    reader = Reader()
    deltas = []
    events = ({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "H"},)
    for event in Splitter().feed(sse(*events)):
        deltas += reader.feed(event)
    assert not reader.finished
    assert [type(delta) for delta in [*deltas, *reader.end()]] == [Began, PartBegan, Grew, PartEnded, Stopped]


# --- relaying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", STREAMS)
def test_a_relayed_stream_differs_in_the_models_name_only(case):
    body = body_of(case)
    model = response_in(body)["model"]
    tap, splitter = Tap("pub"), Splitter()
    events = splitter.feed(body) + splitter.close()

    out = b"".join(tap.feed(event) or b"" for event in events)

    assert tap.finished
    assert tap.end() == b""
    assert tap.usage == assemble(read(body)).usage
    assert json.loads(tap.response or b"")["model"] == "pub"
    assert out.count(b'"pub"') == 3
    for spaced in (b'"model":"%s"', b'"model": "%s"'):
        out = out.replace(spaced % b"pub", spaced % model.encode())
    assert out == b"".join(event.raw for event in events)


def test_events_without_a_response_are_relayed_as_they_are():
    raw = b'event: response.output_item.done\r\ndata: {"type" : "x", "item": {"model":"m"}}\r\n\r\n'
    tap = Tap("pub")

    assert [tap.feed(event) for event in Splitter().feed(raw + b": ping\n\n")] == [raw, b": ping\n\n"]
    (event,) = Splitter().feed(b'data: {"response":\ndata: {"model":"m"}}\n\n')
    assert tap.feed(event) == b'data: {"response":\ndata: {"model":"pub"}}\n\n'


# --- anything ---------------------------------------------------------------------------------------------------------

KINDS = st.sampled_from(
    ["response.created", "response.completed", "response.output_item.added", "response.output_item.done",
     "response.content_part.added", "response.content_part.done", "response.output_text.delta",
     "response.output_text.annotation.added", "response.refusal.delta", "response.reasoning_summary_text.delta",
     "response.reasoning_text.delta", "response.function_call_arguments.delta", "response.incomplete"]
)  # fmt: skip
THINGS = st.recursive(
    st.sampled_from(["message", "reasoning", "function_call", "output_text", "refusal", "reasoning_text", "a", "enc"])
    | st.none() | st.integers(-1, 2) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "id", "call_id", "content", "summary", "text", "arguments", "encrypted_content",
                         "annotations", "logprobs", "output", "usage", "model", "refusal", "incomplete_details"]),
        inner, max_size=5),
    max_leaves=8,
)  # fmt: skip
EVENTS = st.fixed_dictionaries(
    {"type": KINDS},
    optional={"output_index": st.integers(0, 2) | THINGS, "content_index": st.integers(0, 2) | THINGS,
              "summary_index": THINGS, "delta": THINGS, "item": THINGS, "part": THINGS, "response": THINGS,
              "annotation": THINGS, "logprobs": THINGS},
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=5))
def test_any_stream_is_read_told_and_relayed_without_a_fall(events):
    reader, tap = Reader(), Tap("pub")
    translation = Translation(reader, Writer("pub", ASKED))
    deltas: list[Delta] = []
    for event in Splitter().feed(sse(*events)):
        tap.feed(event)
        try:
            translation.feed(event)
        except BadAnswer:
            return
    translation.end()
    reader = Reader()
    for event in Splitter().feed(sse(*events)):
        deltas += reader.feed(event)
    assemble([*deltas, *reader.end()])
