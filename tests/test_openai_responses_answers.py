"""Whole answers of the Responses API, read, written and relayed; and anything at all in place of one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Choice,
    Citation,
    Media,
    Misfit,
    Opaque,
    Refusal,
    Target,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.openai_responses.dialect import OPENAI_RESPONSES
from providers.dialects.openai_responses.reading import read_request
from providers.dialects.openai_responses.response import read_answer, splice, write_answer
from providers.dialects.openai_responses.writing import write_request
from providers.dialects.usage import Usage
from tests.responses_cases import FULL, answered, body_of, neutral, summary

NAME = "openai_responses"
TARGET = Target(model="up")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", answered(stream=False))
def test_a_recorded_answer_says_what_the_neutral_reader_says(case):
    body = body_of(case)
    expected = neutral().of_case(case)
    status = json.loads(body)["status"]
    expected["stop"] = {"complete": "end", "queued": "pause"}.get(status, expected["stop"])
    del expected["error"]

    assert summary(read_answer(body)) == expected


def nameless(choice: Choice) -> Choice:
    """Without the upstream's word, and the ids of thoughts, which xAI gives to several items at once."""
    parts = [msgspec.structs.replace(part, id="") if isinstance(part, Thinking) else part for part in choice.parts]
    return msgspec.structs.replace(choice, word="", parts=tuple(parts))


@pytest.mark.parametrize("case", answered(stream=False))
def test_a_recorded_answer_survives_being_written(case):
    answer = read_answer(body_of(case))
    request = read_request(case["request_body"])

    again = read_answer(write_answer(answer, answer.model, request))

    if answer.choices[0].stop == "pause":
        return  # a response in the background has no form that is an answer
    assert nameless(again.choices[0]) == nameless(answer.choices[0])
    assert (again.id, again.created, again.usage, again.extras) == (
        answer.id, answer.created, answer.usage, answer.extras,
    )  # fmt: skip


def test_an_answer_of_another_api_in_the_form_of_this_one():
    answer = Answer(
        dialect="google_generate",
        id="abc",
        created=7,
        choices=(
            Choice(
                (
                    Thinking("I think", "sig", "anthropic_messages"),
                    Thinking("", "data", "anthropic_messages", redacted=True),
                    Text("Bern", (Citation(url="https://x.test", title="X"), Citation(quote="no page"))),
                    ToolCall("c1", "f", "", signature="mark", signer="google_generate"),
                    Media("image", data="AAAA", media_type="image/webp"),
                    Opaque("google_generate", {"x": 1}),
                ),
                "tool",
            ),
        ),
        usage=Usage(10, 5, cache_read=4, reasoning=2),
    )
    request = read_request({"model": "pub", "input": "?", "temperature": 0.2, "instructions": "I"})

    body = json.loads(write_answer(answer, "pub", request))

    assert body["id"] == "resp_jfabc"
    assert (body["object"], body["status"], body["model"], body["created_at"]) == ("response", "completed", "pub", 7)
    assert (body["temperature"], body["top_p"], body["instructions"], body["tools"]) == (0.2, 1.0, "I", [])
    assert body["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 15,
    }
    kinds = [item["type"] for item in body["output"]]
    assert kinds == ["reasoning", "reasoning", "message", "function_call", "reasoning", "image_generation_call"]
    assert body["output"][0] == {
        "id": "rs_jfabc_0",
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "I think"}],
        "encrypted_content": "jf1:anthropic_messages::sig",
    }
    assert body["output"][2]["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 0, "end_index": 4}
    ]
    assert body["output"][3]["arguments"] == "{}"

    # The next turn brings it all back: the thoughts to who made them, the call with its signature.
    result = {"type": "function_call_output", "call_id": "c1", "output": "1"}
    following = read_request({"model": "pub", "input": [*body["output"], result]})
    turn = following.messages[0].parts
    assert turn[0] == Thinking("I think", "sig", "anthropic_messages", id="rs_jfabc_0")
    assert turn[1] == Thinking("", "data", "anthropic_messages", redacted=True, id="rs_jfabc_1")
    assert turn[3] == ToolCall("c1", "f", "{}", signature="mark", signer="google_generate", item_id="fc_jfabc_3")
    # An upstream of this API hears nothing of thoughts and ids that are not its own.
    done = write_request(following, TARGET)
    assert done.dropped == ("thinking",)
    assert done.body["input"][2:] == [
        {"type": "message", "role": "user", "content": [
            {"type": "input_image", "image_url": "data:image/webp;base64,AAAA"}]},
        result,
    ]  # fmt: skip
    assert "jf" not in json.dumps(done.body)


def test_who_asks_for_summaries_gets_the_thoughts_of_others_as_such():
    answer = Answer(dialect="other", id="x", choices=(Choice((Thinking("hm", "sig", "other"),), "end"),))
    request = read_request({"input": "?", "reasoning": {"summary": "auto"}})

    (item,) = json.loads(write_answer(answer, "pub", request))["output"]

    assert item["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert "content" not in item


def answer_of(*parts: Any, **members: Any) -> Answer:
    choice = Choice(parts, members.pop("stop", "end"), logprobs=members.pop("logprobs", None))
    return Answer(dialect=NAME, id="resp_1", model="m", choices=(choice,), **members)


def test_what_the_dialect_can_say_comes_back_the_same():
    cited = Citation("https://x", "T", start=0, end=1)
    value = {"type": "url_citation", "url": "https://x", "title": "T", "start_index": 0, "end_index": 1}
    answer = answer_of(
        Thinking("a", id="rs_1", summary=True),
        Thinking("b", "enc", NAME, id="rs_1", summary=True),
        Thinking("", "enc", NAME, id="rs_2", redacted=True),
        Thinking("raw", id="rs_3"),
        Text("x", (msgspec.structs.replace(cited, dialect=NAME, value=value),)),
        Refusal("no"),
        ToolCall("c1", "f", '{"a": 1}', item_id="fc_1", extras={"namespace": "n"}),
        ToolCall("c2", "p", "free text", free=True, item_id="ctc_1"),
        Opaque(NAME, {"type": "web_search_call", "id": "ws_1", "status": "completed"}),
        stop="tool",
        usage=Usage(3, 4, 1, 1, 2),
        logprobs={"content": [{"token": "x", "logprob": -1.0, "bytes": [120], "top_logprobs": []}]},
        extras={"tool_usage": {"web_search": {"num_requests": 1}}},
        service_tier="flex",
    )

    again = read_answer(write_answer(answer, "m", read_request({"input": "x"})))

    word = msgspec.structs.replace(again.choices[0], word="")
    assert msgspec.structs.replace(again, choices=(word,)) == answer


@pytest.mark.parametrize(
    ("stop", "status", "reason", "read"),
    [
        ("end", "completed", None, "end"),
        ("length", "incomplete", "max_output_tokens", "length"),
        ("filter", "incomplete", "content_filter", "filter"),
        ("refusal", "incomplete", "content_filter", "filter"),
        ("sequence", "completed", None, "end"),
        ("", "completed", None, "end"),
    ],
)
def test_why_it_stopped(stop, status, reason, read):
    body = write_answer(answer_of(Text("x"), stop=stop), "m", read_request({"input": "x"}))

    said = json.loads(body)
    assert said["status"] == status
    assert (said["incomplete_details"] or {}).get("reason") == reason
    assert said["output"][0]["status"] == ("incomplete" if stop in ("length", "filter") else "completed")
    assert read_answer(body).choices[0].stop == read


def test_a_failed_response_is_a_bad_answer_with_its_error():
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    with pytest.raises(BadAnswer, match="slow down") as caught:
        read_answer(json.dumps({"object": "response", "status": "failed", "error": error, "output": []}).encode())

    assert caught.value.error == error
    for body in (b"", b"[]", b"{}", b"<html>", b"[" * 100_000, b'{"error": {"message": "x"}}', b"\xff"):
        with pytest.raises(BadAnswer):
            read_answer(body)


def test_an_answer_is_relayed_with_the_public_name_and_nothing_else_changed():
    body = b'{"id":"resp_1", "model" : "up","output":[{"model":"up"}],"usage":{"input_tokens":1,"output_tokens":2}}'

    assert splice(body, "pub") == (body.replace(b'"model" : "up"', b'"model" : "pub"'), Usage(1, 2))
    assert splice(b"{}", "pub") == (b"{}", None)


def test_errors_in_the_words_of_this_api():
    error = {"message": "m", "type": "invalid_request_error", "param": None, "code": "c", "status": 400, "more": 1}
    client = OPENAI_RESPONSES.client
    assert client is not None

    said = json.loads(client.envelope(error))
    assert said == {"error": {"message": "m", "type": "invalid_request_error", "param": None, "code": "c", "more": 1}}


# --- anything ---------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["type", "role", "content", "id", "call_id", "name", "arguments", "output", "text", "summary", "encrypted_content",
     "image_url", "file_data", "input_audio", "annotations", "url", "tools", "mode", "format", "status", "error",
     "usage", "incomplete_details", "parameters", "model", "delta", "item", "part", "response", "logprobs"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["message", "user", "assistant", "reasoning", "function_call", "custom_tool_call", "function_call_output", "text",
     "input_text", "output_text", "input_image", "input_file", "input_audio", "refusal", "function", "custom",
     "web_search", "allowed_tools", "json_schema", "item_reference", "jf1:a:call-x:s", "data:a;base64,A", "f"]
)  # fmt: skip
ALIKE = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(-1, 2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
MEMBERS = st.sampled_from(sorted(FULL))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(MEMBERS, ALIKE | JSON, max_size=5), st.sampled_from([NAME, "other"]))
def test_any_request_is_read_or_a_misfit(body, dialect):
    try:
        request = msgspec.structs.replace(read_request(body), dialect=dialect)
        write_request(request, TARGET)
    except Misfit:
        return
    write_answer(answer_of(Text("x")), "m", request)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["output", "status", "usage", "error", "id", "incomplete_details"]), ALIKE | JSON)
)
def test_any_answer_is_read_or_bad(body):
    try:
        answer = read_answer(json.dumps(body).encode())
    except BadAnswer:
        return
    write_answer(answer, "m", read_request({"input": "x"}))
