"""Streams of the Responses API, written; and what the official client makes of them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import openai
import pytest

from providers.dialects.canon import (
    Answer,
    Began,
    Choice,
    Citation,
    Delta,
    Grew,
    Media,
    Opaque,
    PartBegan,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.openai_responses.errors import event as error_event
from providers.dialects.openai_responses.reading import read_request
from providers.dialects.openai_responses.response import write_answer
from providers.dialects.openai_responses.stream import Reader
from providers.dialects.openai_responses.writer import Writer
from providers.dialects.sse import Splitter
from providers.dialects.streams import Translation, assemble, dissect
from providers.dialects.usage import Usage
from tests.responses_cases import FULL, answered, bare, body_of, read, response_in

ASKED = read_request({"model": "pub", "input": "x"})


def told(deltas: list[Delta], model: str = "pub", request: Any = ASKED) -> bytes:
    writer = Writer(model, request)
    return b"".join(map(writer.feed, deltas)) + writer.end()


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", answered(stream=True))
def test_a_recorded_stream_survives_being_told_anew(case):
    request = read_request(case["request_body"])
    reader, splitter = Reader(), Splitter()
    writer = Writer("pub", request)
    translation = Translation(reader, writer)
    out = b"".join(translation.feed(event) or b"" for event in splitter.feed(body_of(case)))

    assert translation.done_seen
    assert bare(assemble(read(out))) == bare(msgspec.structs.replace(assemble(read(body_of(case))), model="pub"))
    assert response_in(out) == writer.response


ANSWER = Answer(
    dialect="other",
    id="x1",
    created=9,
    choices=(
        Choice(
            (
                Thinking("Sum one", summary=True),
                Thinking("Sum two", "sig", "other", summary=True),
                Thinking("raw", "sig2", "other"),
                Thinking("", "data", "other", redacted=True),
                Text("Hello ", (Citation(url="https://x.test", title="X", start=0, end=5),)),
                Text("you"),
                Refusal("but no"),
                ToolCall("c1", "f", '{"a": 1}', signature="mark", signer="other"),
                ToolCall("c2", "p", "text", free=True),
                ToolCall("c3", "g", ""),
                Media("image", data="AAAA", media_type="image/png"),
                Opaque("other", {"x": 1}),
                Text("done"),
            ),
            "tool",
        ),
    ),
    usage=Usage(3, 4, cache_read=1, reasoning=2),
)


def test_a_stream_and_a_whole_answer_end_in_the_same_response():
    stream = told(list(dissect(ANSWER)))

    assert response_in(stream) == json.loads(write_answer(ANSWER, "pub", ASKED))


def test_the_sequence_of_events_is_the_apis_own():
    events = [json.loads(event.data or b"") for event in Splitter().feed(told(list(dissect(ANSWER))))]

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:2] == ["created", "in_progress"]
    thought = ["reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done",
               "reasoning_summary_part.done"]  # fmt: skip
    raw = ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"]
    begun, done = ["output_item.added"], ["output_item.done"]
    text = ["content_part.added", "output_text.delta", "output_text.done", "content_part.done"]
    cited = [*text[:2], "output_text.annotation.added", *text[2:]]
    refused = ["content_part.added", "refusal.delta", "refusal.done", "content_part.done"]
    call = ["function_call_arguments.delta", "function_call_arguments.done"]
    free = ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
    assert kinds[2:] == [
        *begun, *thought, *thought, *done, *begun, *raw, *done, *begun, *done,
        *begun, *cited, *text, *refused, *done,
        *begun, *call, *done, *begun, *done, *begun, *free, *done, *begun, *call, *done,
        *begun, *done, *begun, *text, *done, "completed",
    ]  # fmt: skip
    for event in events:
        if "item_id" in event:
            opened = next(one for one in events if one.get("output_index") == event["output_index"])
            assert event["item_id"] == opened["item"]["id"]


def test_the_words_of_an_answer_are_told_as_they_come():
    writer = Writer("pub", ASKED)
    out = writer.feed(Began("x", "m", 1)) + writer.feed(PartBegan(0, Text("")))

    assert b'"delta":"Hi"' in writer.feed(Grew(0, "Hi"))
    assert b'"status":"in_progress"' in out


@pytest.mark.parametrize(("stop", "kind"), [("length", "incomplete"), ("end", "completed"), ("error", "failed")])
def test_the_last_event_says_how_it_ended(stop, kind):
    answer = Answer(id="x", choices=(Choice((Text("x"),), stop),))
    events = Splitter().feed(told(list(dissect(answer))))

    assert events[-1].name == f"response.{kind}"


# --- the official client ----------------------------------------------------------------------------------------------


def client_of(stream: bytes) -> openai.OpenAI:
    headers = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=stream, headers=headers))
    return openai.OpenAI(api_key="k", base_url="http://h.test/v1", http_client=httpx.Client(transport=transport))


def test_the_official_clients_helper_follows_the_stream():
    request = read_request(FULL)
    client = client_of(told(list(dissect(ANSWER)), "pub", request))

    with client.responses.stream(model="pub", input="x") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()

    assert "response.output_text.delta" in kinds
    assert final.output_text == "Hello youdone"
    assert [item.type for item in final.output] == [
        "reasoning", "reasoning", "reasoning", "message", "function_call", "reasoning", "custom_tool_call",
        "function_call", "image_generation_call", "message",
    ]  # fmt: skip
    assert final.usage is not None
    assert final.usage.output_tokens_details.reasoning_tokens == 2


def test_every_event_is_one_of_the_official_types():
    from openai._models import TypeAdapter  # the SDK's own: it depends on pydantic, we do not
    from openai.types.responses import ResponseStreamEvent

    check = TypeAdapter(ResponseStreamEvent)
    counted = msgspec.structs.replace(ANSWER, usage=Usage(3, 4, 1, 0, 2))
    for event in Splitter().feed(told(list(dissect(counted)), "pub", read_request(FULL))):
        check.validate_json(event.data or b"")


def test_the_official_client_raises_on_a_broken_stream():
    error = {"message": "gone", "type": "server_error", "param": None, "code": None, "status": 502}
    writer = Writer("pub", ASKED)
    client = client_of(writer.feed(Began("x")) + error_event(error))

    with pytest.raises(openai.APIError, match="gone"), client.responses.stream(model="pub", input="x") as stream:
        stream.until_done()

    failed = json.loads(Splitter().feed(error_event(error))[-1].data or b"")
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "gone"}
    assert b"rate_limit_exceeded" in error_event(error | {"status": 429})
