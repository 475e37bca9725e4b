"""Converse as it was recorded: requests, answers and streams mean what they meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.bedrock_converse.dialect import BEDROCK_CONVERSE
from providers.dialects.canon import Answer, Delta, Text, Thinking, ToolCall
from providers.dialects.dialect import Reader
from providers.dialects.streams import assemble
from providers.dialects.usage import Usage
from tests.converse import read_request, written
from tests.recordings import body_of, check_brackets, neutral, recorded

UPSTREAM = BEDROCK_CONVERSE.upstream

WHOLE = recorded("bedrock", "bedrock:converse")
STREAMS = recorded("bedrock", "bedrock:converse-stream")


def summary(found: Answer) -> dict[str, Any]:
    (choice,) = found.choices
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    usage = found.usage or Usage()
    counts = {
        "input": (usage.input or 0) - (usage.cache_read or 0) - (usage.cache_write or 0),
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
    }
    return {
        "text": "".join(part.text for part in choice.parts if isinstance(part, Text)),
        "reasoning": "".join(part.text for part in choice.parts if isinstance(part, Thinking)),
        "tools": [{"name": call.name, "args": json.loads(call.arguments)} for call in calls],
        "stop": choice.stop,
        "usage": {name: count for name, count in counts.items() if count is not None},
        "error": None,
    }


def run(body: bytes, *cuts: int) -> tuple[list[Delta], Reader]:
    splitter, reader = UPSTREAM.splitter(), UPSTREAM.reader()
    chunks = [body[one:other] for one, other in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    events = [found for chunk in chunks for found in splitter.feed(chunk)] + splitter.close()
    return [delta for one in events for delta in reader.feed(one)] + reader.end(), reader


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case["id"])
def test_a_recorded_answer(case: Any) -> None:
    assert summary(UPSTREAM.read_answer(body_of(case))) == neutral().of_case(case)


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case["id"])
def test_a_recorded_stream(case: Any) -> None:
    deltas, reader = run(body_of(case))
    assert reader.error is None and reader.done_seen and reader.finished
    check_brackets(deltas)
    assert summary(assemble(deltas)) == neutral().of_case(case)


@pytest.mark.skipif(not STREAMS, reason="the recorded traffic is not here")
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_recorded_stream_cut_anywhere(data: st.DataObject) -> None:
    body = body_of(data.draw(st.sampled_from(STREAMS)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    assert run(body, *cuts)[0] == run(body)[0]


def settled(body: dict[str, Any]) -> dict[str, Any]:
    """A recorded request without what says nothing: empty members, defaults said aloud."""
    made = {name: value for name, value in body.items() if value not in ({}, [])}
    if "toolConfig" in made and "auto" in made["toolConfig"].get("toolChoice", {}):
        made["toolConfig"] = {"tools": made["toolConfig"]["tools"]}
    text = json.dumps(made).replace(', "status": "success"', "")
    return dict(json.loads(text))


@pytest.mark.parametrize("case", [*WHOLE, *STREAMS], ids=lambda case: case["id"])
def test_a_recorded_request(case: Any) -> None:
    body = case["request_body"]
    request = read_request(body, case["model"])
    made, dropped = written(request, case["model"])
    if len(body["messages"]) > 1 and all(message["role"] == "user" for message in body["messages"]):
        body = {
            **body,
            "messages": [{"role": "user", "content": [block for m in body["messages"] for block in m["content"]]}],
        }
    assert settled(made) == settled(body)
    assert dropped == ()
