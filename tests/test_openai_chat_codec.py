"""The OpenAI chat dialect, read and written anew: what recorded upstreams said is what the hub understands."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from providers.dialects.canon import Answer, Choice, Refusal, Text, Thinking, ToolCall
from providers.dialects.streams import assemble
from tests.chat_wire import CLIENT, UPSTREAM, asked, chunks, deltas_of, exchanges, heard, sent, streamed, told
from tests.recordings import body_of, neutral

COUNTS = ("input", "output", "cache_read", "reasoning")


def meaning(answer: Answer) -> dict[str, Any]:
    """What the first choice means, as the judge of recordings puts it."""
    choice = next((choice for choice in answer.choices if choice.index == 0), Choice())
    counts = {name: getattr(answer.usage, name) for name in COUNTS} if answer.usage else {}
    return {
        "text": "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal)),
        "reasoning": "".join(part.text for part in choice.parts if isinstance(part, Thinking)),
        "tools": [
            {"name": part.name, "args": neutral().args(part.arguments)}
            for part in choice.parts
            if isinstance(part, ToolCall)
        ],
        "stop": choice.stop or None,
        "usage": {name: count for name, count in counts.items() if count is not None},
    }


def judged(case: dict[str, Any], body: bytes | None = None) -> dict[str, Any]:
    found = neutral().summary("chat.completions", 200, body_of(case) if body is None else body)
    usage = {name: count for name, count in found["usage"].items() if name in COUNTS}
    return {**{name: found[name] for name in ("text", "reasoning", "tools")}, "stop": found["stop"] or None} | {
        "usage": usage
    }


def signatures(answer: Answer) -> list[str]:
    found = [getattr(part, "signature", "") for choice in answer.choices for part in choice.parts]
    return sorted(signature for signature in found if signature)


@pytest.mark.parametrize("case", exchanges(), ids=lambda case: case["id"])
def test_a_recorded_reply_is_understood(case: Any) -> None:
    if case["stream"]:
        said, reader = deltas_of(body_of(case))
        if reader.error is not None:
            assert neutral().of_case(case)["error"] and not reader.finished
            return
        assert reader.finished
        answer = assemble(said)
    else:
        answer = UPSTREAM.read_answer(body_of(case))
    found, expected = meaning(answer), judged(case)
    if case["provider"] == "snowflake" and case["stream"]:
        expected["reasoning"] = found["reasoning"]  # in `reasoning_details` alone, where the judge does not look
    said, thought = expected["usage"].get("output"), expected["usage"].get("reasoning")
    if case["provider"] in ("xai", "vercel") and thought and found["usage"]["output"] == said + thought:
        expected["usage"]["output"] += thought  # they count it apart, the hub does not
    assert found == expected


@pytest.mark.parametrize("case", exchanges(False), ids=lambda case: case["id"])
def test_a_recorded_answer_means_the_same_written_and_streamed(case: Any) -> None:
    answer = UPSTREAM.read_answer(body_of(case))
    request = asked(stream_options={"include_usage": True})
    again = UPSTREAM.read_answer(CLIENT.write_answer(answer, "public", request))
    # An upstream that does not say why it stopped has its client told.
    silent = {"stop": meaning(answer)["stop"] or meaning(again)["stop"]}
    assert meaning(again) == meaning(answer) | silent and signatures(again) == signatures(answer)
    assert again.id == answer.id or not answer.id
    assert (again.created, again.service_tier, again.extras) == (answer.created, answer.service_tier, answer.extras)
    over = heard(streamed(answer, request))
    assert meaning(over) == meaning(answer) | silent and signatures(over) == signatures(answer)


@pytest.mark.parametrize("case", exchanges(True), ids=lambda case: case["id"])
def test_a_recorded_stream_means_the_same_written_anew(case: Any) -> None:
    said, reader = deltas_of(body_of(case))
    if reader.error is not None:
        return
    answer = assemble(said)
    over = heard(streamed(answer, asked(stream_options={"include_usage": True})))
    silent = {"stop": meaning(answer)["stop"] or meaning(over)["stop"]}
    assert meaning(over) == meaning(answer) | silent
    whole = UPSTREAM.read_answer(CLIENT.write_answer(answer, "public", asked()))
    assert meaning(whole) == meaning(answer) | silent and signatures(whole) == signatures(over) == signatures(answer)


@pytest.mark.parametrize("case", exchanges(True)[::7], ids=lambda case: case["id"])
def test_however_a_stream_is_cut_it_says_the_same(case: Any) -> None:
    body = body_of(case)[:20_000]
    expected, _ = deltas_of(body)

    @settings(max_examples=8, deadline=None, database=None)
    @given(cuts=st.lists(st.integers(0, len(body)), max_size=12))
    def check(cuts: list[int]) -> None:
        assert deltas_of(body, tuple(cuts))[0] == expected

    check()


@pytest.mark.parametrize("case", exchanges(), ids=lambda case: case["id"])
def test_a_recorded_request_goes_out_as_it_came(case: Any) -> None:
    body = case["request_body"]
    body = json.loads(body) if isinstance(body, str) else body
    if not isinstance(body, dict):
        pytest.skip("the recording has no request")
    request = CLIENT.read_request(body)
    out = sent(request, body["model"], stream=request.stream)
    assert plain(out) == plain(body)
    assert plain(sent(CLIENT.read_request(out), body["model"], stream=request.stream)) == plain(out)


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """The request without what has two spellings or says nothing."""
    body = {name: value for name, value in copy.deepcopy(body).items() if value not in (None, [])}
    if body.pop("stream", False):
        body["stream_options"] = {"include_usage": True}
    else:
        body.pop("stream_options", None)
    for old, new in (("function_call", "tool_choice"), ("max_completion_tokens", "max_tokens")):
        if old in body:
            body[new] = body.pop(old)
    if "functions" in body:
        body["tools"] = [{"type": "function", "function": each} for each in body.pop("functions")]
        body["parallel_tool_calls"] = False
    if body.get("tool_choice") == "any":
        body["tool_choice"] = "required"
    body["stop"] = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop")
    for tool in body.get("tools", []):
        tool.setdefault("type", "function")
        if tool.get("function", {}).get("description") == "":
            del tool["function"]["description"]
    body.get("response_format", {}).get("json_schema", {}).setdefault("name", "answer")
    body["messages"] = [plain_message(message) for message in body["messages"]]
    return body


def plain_message(message: dict[str, Any]) -> dict[str, Any]:
    message = {name: value for name, value in message.items() if value not in (None, [], "")}
    for call in message.get("tool_calls", []):
        call.pop("index", None)
        call.setdefault("type", "function")
    content, mark = message.pop("content", []), message.pop("cache_control", None)
    content = [{"type": "text", "text": content}] if isinstance(content, str) else content
    thoughts = [part for part in content if part["type"] == "thinking"]
    content = [part for part in content if part["type"] != "thinking"]
    if mark:
        content[-1]["cache_control"] = mark
    for part in content:
        if isinstance(part.get("image_url"), str):
            part["image_url"] = {"url": part["image_url"]}
    details = message.pop("reasoning_details", [])
    words = "".join(each.get("text") or each.get("summary") or "" for each in details)
    words = words or "".join(piece["text"] for each in thoughts for piece in each["thinking"])
    words = words or message.pop("reasoning", "") or message.pop("reasoning_content", "")
    message.pop("reasoning", None)
    message.pop("reasoning_content", None)
    proofs = [proof for each in details if (proof := each.get("signature") or each.get("data"))]
    return {**message, "content": content, "thoughts": words, "proofs": proofs}


CHOICE = ("index", "delta", "message", "finish_reason", "logprobs", "choices", "usage")
MESSAGE = ("content", "role", "tool_calls", "audio", "refusal", "images", "annotations", "reasoning_details")
INNER = ("text", "type", "id", "name", "function", "custom", "arguments", "url_citation", "data")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(CHOICE + MESSAGE + INNER), inner, max_size=4)
    ),
    max_leaves=14,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["id", "choices", "usage", "created", "x"]), json_values, max_size=5),
    st.lists(json_values, max_size=3),
)
@example({}, [{"audio": {"data": False, "transcript": 0}}])
def test_whatever_an_upstream_sends_it_is_read_or_refused(body: dict[str, Any], choices: list[Any]) -> None:
    for sent_body in (
        body,
        {**body, "choices": choices},
        {"choices": [{"index": 0, "delta": each} for each in choices]},
    ):
        raw = json.dumps(sent_body).encode()
        stream = b"data: " + raw + b"\n\n"
        said, reader = deltas_of(stream + stream)
        if reader.error is None:
            assemble(said)
        else:
            assert reader.error.malformed or sent_body.get("error") is not None
        try:
            answer = UPSTREAM.read_answer(raw)
        except ValueError as problem:
            assert type(problem).__name__ == "BadAnswer"
        else:
            told(answer)
            chunks(streamed(answer))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"{}", b'{"choices":[]}', b'{"choices":[1]}', b'{"error":{}}', b"\xff"]
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="upstream"):
        UPSTREAM.read_answer(body)


@pytest.mark.parametrize("data", ["{", "[1]", "17", "nonsense", '{"a":1}x', "[" * 3000])
def test_an_event_that_is_no_chunk_is_malformed(data: str) -> None:
    _, reader = deltas_of(f"data: {data}\n\n".encode())
    assert reader.error == msgspec.structs.replace(reader.error, body=data.encode(), malformed=True)
    assert not reader.finished


def test_an_error_in_a_stream_says_no_more() -> None:
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    said, reader = deltas_of(chunk + b'data: {"error":{"message":"boom"}}\n\n' + chunk)
    assert reader.error is not None and not reader.error.malformed and b"boom" in reader.error.body
    assert "".join(getattr(delta, "text", "") for delta in said) == "a"
