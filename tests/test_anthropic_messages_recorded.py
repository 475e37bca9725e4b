"""Anthropic's Messages API on real traffic: every recorded exchange is understood, and said again unchanged.

The recordings lie beside the project, not in it; without them this file has nothing to read and says so.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.counting import COUNTERS
from providers.dialects import sse, streams
from providers.dialects.anthropic_messages.count_tokens import write_count, write_count_request
from providers.dialects.anthropic_messages.dialect import ANTHROPIC_MESSAGES
from providers.dialects.anthropic_messages.reading import read_request
from providers.dialects.anthropic_messages.response import read_answer, splice, write_answer
from providers.dialects.anthropic_messages.stream import Reader
from providers.dialects.anthropic_messages.tap import Tap
from providers.dialects.anthropic_messages.writer import Writer
from providers.dialects.anthropic_messages.writing import write_request
from providers.dialects.canon import Answer, Delta, Request, Target, Text, Thinking, ToolCall

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
APIS = ("messages", "messages.count_tokens", "vertex:rawPredict", "vertex:streamRawPredict")


def _cases() -> list[dict[str, Any]]:
    found = []
    for name in ("anthropic-messages.jsonl", "vertex.jsonl"):
        path = SHARED / "cassettes" / name
        if path.exists():
            with path.open(encoding="utf-8") as lines:
                found += [case for case in map(json.loads, lines) if case["api"] in APIS]
    return found


CASES = _cases()
ASKED = [case for case in CASES if case["status"] == 200]
CHATS = [case for case in ASKED if case["api"] != "messages.count_tokens"]
WHOLE = [case for case in CHATS if not case["stream"]]
STREAMED = [case for case in CHATS if case["stream"]]

pytestmark = pytest.mark.skipif(not CASES, reason="the recordings are not here")


def _ids(case: dict[str, Any]) -> str:
    return str(case["id"])


@pytest.fixture(scope="module")
def neutral() -> ModuleType:
    """The reader of any family's reply that lies beside the recordings."""
    spec = importlib.util.spec_from_file_location("neutral", SHARED / "tools" / "neutral.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def events(body: bytes, *cuts: int) -> list[sse.Event]:
    splitter = sse.Splitter()
    found = []
    edges = [0, *sorted(cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        found += splitter.feed(body[start:end])
    return found + splitter.close()


def heard(body: bytes, *cuts: int) -> list[Delta]:
    reader = Reader()
    deltas = [delta for event in events(body, *cuts) for delta in reader.feed(event)]
    assert reader.error is None
    assert reader.finished
    return deltas + reader.end()


def written(answer: Answer) -> bytes:
    """The answer as a client's stream."""
    writer, order = Writer("public", Request(dialect="anthropic_messages")), streams.OneAtATime()
    out = [writer.feed(delta) for told in streams.dissect(answer) for delta in order.feed(told)]
    return b"".join(out) + writer.end()


def summed_up(answer: Answer) -> dict[str, Any]:
    """The answer in the words of the neutral reader."""
    (choice,) = answer.choices
    usage = answer.usage
    assert usage is not None
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    counts = {
        "input": (usage.input or 0) - cached,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
    }
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    return {
        "text": "".join(part.text for part in choice.parts if isinstance(part, Text)),
        "reasoning": "".join(part.text for part in choice.parts if isinstance(part, Thinking)),
        "tools": [{"name": call.name, "args": json.loads(call.arguments)} for call in calls],
        "stop": choice.stop,
        "usage": {name: count for name, count in counts.items() if count is not None},
        "error": None,
    }


@pytest.mark.parametrize("case", CHATS, ids=_ids)
def test_an_answer_means_what_was_recorded(case: dict[str, Any], neutral: ModuleType) -> None:
    body = case["response_body"].encode()
    answer = streams.assemble(heard(body)) if case["stream"] else read_answer(body)
    assert summed_up(answer) == neutral.of_case(case)


@pytest.mark.parametrize("case", CHATS, ids=_ids)
def test_an_answer_comes_back_from_both_forms(case: dict[str, Any]) -> None:
    """What is read, written whole or as a stream, and read again is the same."""
    body = case["response_body"].encode()
    answer = streams.assemble(heard(body)) if case["stream"] else read_answer(body)
    request = Request(dialect="anthropic_messages")
    expected = _spaced(answer)
    for again in (read_answer(write_answer(answer, "public", request)), streams.assemble(heard(written(answer)))):
        assert again.model == "public"
        assert _spaced(msgspec.structs.replace(again, model=answer.model)) == expected


def _spaced(answer: Answer) -> Any:
    """The answer with the arguments of its calls as values: only the words of JSON count, not its spaces."""
    found = msgspec.to_builtins(answer)
    for part in found["choices"][0]["parts"]:
        if "arguments" in part:
            part["arguments"] = json.loads(part["arguments"])
    return found


@pytest.mark.parametrize("case", WHOLE, ids=_ids)
def test_a_whole_answer_keeps_every_member(case: dict[str, Any]) -> None:
    """Written anew it is what the upstream said, but for what null and nothing both say."""
    said = json.loads(case["response_body"])
    answer = read_answer(case["response_body"].encode())
    again = json.loads(write_answer(answer, said["model"], Request(dialect="anthropic_messages")))
    assert _plain(again) == _plain(said)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        direct = {"type": "direct"}
        return {name: _plain(inner) for name, inner in value.items() if inner is not None and inner != direct}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_stream_is_heard_the_same_however_it_is_cut(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(STREAMED))
    body = case["response_body"].encode()
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))
    assert heard(body, *cuts) == heard(body)


@pytest.mark.parametrize("case", STREAMED, ids=_ids)
def test_the_tap_changes_nothing_but_the_model(case: dict[str, Any]) -> None:
    body = case["response_body"].encode()
    tap = Tap("pub/lic", False)
    out = b"".join(tap.feed(event) or b"" for event in events(body))
    assert out.replace(b"pub/lic", b"") == b"".join(event.raw for event in events(body)).replace(
        json.loads(next(event.data for event in events(body) if event.name == "message_start"))["message"][  # type: ignore[arg-type]
            "model"
        ].encode(),
        b"",
    )
    assert tap.done_seen
    assert tap.finished
    assert tap.error is None
    assert tap.usage == streams.assemble(heard(body)).usage


@pytest.mark.parametrize("case", WHOLE, ids=_ids)
def test_a_relayed_answer_changes_nothing_but_the_model(case: dict[str, Any]) -> None:
    body = case["response_body"].encode()
    spliced, usage = splice(body, "public")
    assert {**json.loads(body), "model": "public"} == json.loads(spliced)
    assert usage == read_answer(body).usage


@pytest.mark.parametrize("case", CASES, ids=_ids)
def test_a_request_goes_out_as_it_came_in(case: dict[str, Any]) -> None:
    body = case["request_body"]
    request = read_request(body)
    target = Target(model=body.get("model", "claude-3-7-sonnet"), stream=bool(body.get("stream")))
    if case["api"] == "messages.count_tokens":
        sent = write_count_request(request, target)
    else:
        sent = write_request(request, target)
    assert sent.dropped == ()
    assert _settled(sent.body, body) == _settled(body, body)


def _settled(body: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing: explicit defaults, lists of one text, a member's former name."""
    body = json.loads(json.dumps(body))
    if "output_format" in body:
        body.setdefault("output_config", {})["format"] = body.pop("output_format")
    if "model" not in asked:
        body.pop("model", None)
    for name in ("stream",):
        if not body.get(name):
            body.pop(name, None)
    body["system"] = _blocks(body.get("system") or [])
    turns: list[dict[str, Any]] = []
    for message in body["messages"]:
        content = _blocks(message["content"])
        for block in content:
            if block["type"] == "tool_result":
                block["content"] = _blocks(block.get("content") or [])
                if not block.get("is_error"):
                    block.pop("is_error", None)
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] += content
        elif content:
            turns.append({**message, "content": content})
    body["messages"] = turns
    for tool in body.get("tools", ()):
        if tool.get("type") == "custom":
            del tool["type"]
        if not tool.get("description"):
            tool.pop("description", None)
    return body


def _blocks(content: Any) -> list[dict[str, Any]]:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [block for block in blocks if block.get("text", "?").strip()]


@pytest.mark.parametrize("case", [case for case in ASKED if case["api"] == "messages.count_tokens"], ids=_ids)
def test_a_count_of_tokens_is_read_and_written(case: dict[str, Any]) -> None:
    count = COUNTERS["anthropic-messages"].read(case["response_body"].encode())
    assert json.loads(write_count(count)) == json.loads(case["response_body"])


@pytest.mark.parametrize("case", [case for case in CASES if case["status"] >= 400], ids=_ids)
def test_errors_have_the_words_of_the_recorded_ones(case: dict[str, Any]) -> None:
    said = json.loads(case["response_body"])
    client = ANTHROPIC_MESSAGES.client
    assert client is not None
    error = {"message": said["error"]["message"], "status": case["status"], "type": "x", "code": "y", "param": None}
    assert json.loads(client.envelope(error)) == {"type": "error", "error": {**said["error"], "code": "y"}}
