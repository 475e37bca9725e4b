"""Recorded exchanges with both hosts of Gemini: read as the neutral reader reads them, written as they were meant."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.canon import Request, Target, Text, Thinking, ToolCall
from providers.dialects.google_generate.dialect import GOOGLE_GENERATE
from providers.dialects.google_generate.members import camel
from providers.dialects.google_generate.schema import json_schema
from providers.dialects.streams import assemble, dissect
from tests.google_exchanges import PUBLIC, answered, neutral, read, recorded, tapped, told, told_in

ASKED = Request(dialect=GOOGLE_GENERATE.name)
pytestmark = pytest.mark.skipif(not recorded(), reason="no recordings here")


def test_recorded_answers_agree_with_the_neutral_reader():
    summaries = neutral()
    for case in answered(False) + answered(True):
        answer, expected = read(case), summaries.of_case(case)
        choice = answer.choices[0]
        assert "".join(part.text for part in choice.parts if isinstance(part, Text)) == expected["text"]
        assert "".join(part.text for part in choice.parts if isinstance(part, Thinking)) == expected["reasoning"]
        calls = [part for part in choice.parts if isinstance(part, ToolCall)]
        assert [{"name": call.name, "args": json.loads(call.arguments)} for call in calls] == expected["tools"]
        assert choice.stop == expected["stop"], case["id"]
        counted = expected["usage"]
        thoughts = counted.get("reasoning")
        spoken = [count for count in (counted.get("output"), thoughts) if count is not None]
        bodies = [body["usageMetadata"] for body in summaries.decode(case["response_body"].encode())]
        given = counted["input"] + bodies[-1].get("toolUsePromptTokenCount", 0)
        output = sum(spoken) if spoken else None
        found = answer.usage
        assert (found.input, found.output, found.reasoning) == (given, output, thoughts)
        assert found.cache_read == counted.get("cache_read")


def test_recorded_answers_are_written_as_they_were_meant():
    for case in answered(False) + answered(True):
        answer = read(case)
        body = GOOGLE_GENERATE.client.write_answer(answer, answer.model, ASKED)
        assert GOOGLE_GENERATE.upstream.read_answer(body) == answer
        writer = GOOGLE_GENERATE.client.writer(answer.model, ASKED)
        events = b"".join(writer.feed(delta) for delta in dissect(answer)) + writer.end()
        assert assemble(told(events)) == answer


def test_recorded_streams_are_relayed_with_the_public_model():
    for case in answered(True):
        body = case["response_body"].encode()
        out, tap = tapped(body)
        upstream = read(case)
        assert out == body.replace(
            b'"modelVersion": "%s"' % upstream.model.encode(), b'"modelVersion": "%s"' % PUBLIC.encode()
        )
        assert tap.finished
        assert tap.usage == upstream.usage
        assert tapped(body, 7)[0] == out


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_recorded_streams_say_the_same_however_they_are_cut(data):
    body = data.draw(st.sampled_from(answered(True)))["response_body"].encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    chunks = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    assert told_in(chunks) == told(body)


FREE = ("args", "response", "parametersJsonSchema", "responseJsonSchema")
SCHEMAS = {"parameters": "parametersJsonSchema", "responseSchema": "responseJsonSchema"}


def one_spelling(value, name: str = ""):
    """A recorded body with the names we write; a user's own values stay."""
    if isinstance(value, list):
        return [one_spelling(item, name) for item in value]
    if not isinstance(value, dict) or name in FREE:
        return value
    if name in SCHEMAS:
        return json_schema(value, name)
    named = {camel(key): one_spelling(member, camel(key)) for key, member in value.items()}
    return {SCHEMAS.get(key, key): member for key, member in named.items()}


def one_way(body: dict) -> dict:
    """Without what is the same to the API: empty members, orders, cases and alphabets, ids that we give."""
    body = one_spelling(copy.deepcopy(body))
    body.get("systemInstruction", {}).pop("role", None)
    tools = [{name: member} for tool in body.get("tools", ()) for name, member in tool.items()]
    functions = [one for tool in tools for one in tool.get("functionDeclarations", ())]
    others = [tool for tool in tools if "functionDeclarations" not in tool]
    functions = [{key: value for key, value in one.items() if value != ""} for one in functions]
    body["tools"] = [functions, others]
    for part in [part for content in body["contents"] for part in content["parts"]]:
        for kind in ("functionCall", "functionResponse"):
            if str(part.get(kind, {}).get("id", "")).startswith("call_"):
                del part[kind]["id"]
        if "inlineData" in part:
            part["inlineData"]["data"] = part["inlineData"]["data"].translate(str.maketrans("-_", "+/"))
    config = body.setdefault("generationConfig", {})
    if "thinkingLevel" in config.get("thinkingConfig", {}):
        config["thinkingConfig"]["thinkingLevel"] = config["thinkingConfig"]["thinkingLevel"].upper()
    return body


def test_recorded_requests_come_back_out():
    for case in recorded():
        if case["request_body"]:
            request = GOOGLE_GENERATE.client.read_request(copy.deepcopy(case["request_body"]))
            written = GOOGLE_GENERATE.upstream.write_request(request, Target(model=case["model"]))
            assert one_way(written.body) == one_way(case["request_body"]), case["id"]
            assert not written.dropped
