"""Gemini's streams: what is relayed, errors, and whatever else may come in."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.canon import BadAnswer, Misfit, Request, Target
from providers.dialects.google_generate.dialect import GOOGLE_GENERATE
from providers.dialects.jsonio import BadBody
from providers.dialects.sse import Splitter
from providers.dialects.streams import assemble, dissect
from providers.dialects.usage import Usage
from tests.google_exchanges import PUBLIC, bracketed, sse, tapped, told

ASKED = Request(dialect=GOOGLE_GENERATE.name)
FAILURE = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
STREAM = sse(
    {
        "candidates": [{"content": {"parts": [{"text": "Grüße"}]}}],
        "usageMetadata": {"promptTokenCount": 1},
        "modelVersion": "gemini-x",
        "responseId": "r",
    },
    {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"modelVersion": "gemini-y"}}}]}}]},
    {
        "candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP"}],
        "modelVersion": "gemini-x",
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
    },
)


def failed(body: bytes):
    reader, splitter = GOOGLE_GENERATE.upstream.reader(), Splitter()
    for event in splitter.feed(body) + splitter.close():
        reader.feed(event)
    return reader


# --- relayed ---------------------------------------------------------------------------------------------------------


def test_a_relayed_stream_names_the_public_model_and_changes_nothing_else():
    out, tap = tapped(STREAM)
    assert out == STREAM.replace(b'"gemini-x"', json.dumps(PUBLIC).encode())
    assert tap.finished
    assert not tap.done_seen
    assert tap.usage == Usage(1, 2)
    assert tap.end() == b""


def test_a_stream_that_is_cut_is_not_finished():
    out, tap = tapped(STREAM[: STREAM.rindex(b"data:")])
    assert out
    assert not tap.finished
    assert not failed(STREAM[: STREAM.rindex(b"data:")]).finished
    default = sse({"candidates": [{"finishReason": "FINISH_REASON_UNSPECIFIED"}]})
    assert not tapped(default)[1].finished
    assert not failed(default).finished


@pytest.mark.parametrize(
    ("tail", "malformed"),
    [
        (sse(FAILURE), False),
        (json.dumps([FAILURE], indent=2).encode(), True),
        (json.dumps(FAILURE, indent=2).encode(), False),
        (b"data: {nonsense\n\n", True),
        (b'data: {"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}\n\n', True),
    ],
)
def test_errors_in_the_middle(tail, malformed):
    reader = failed(STREAM + tail)
    assert reader.error.malformed is malformed
    assert not reader.finished
    if b"functionCall" not in tail:
        out, tap = tapped(STREAM + tail)
        assert tap.error.malformed is malformed
        assert not tap.finished
        assert out.endswith(b"\r\n\r\n")
        assert b"overloaded" not in out


def test_comments_and_the_last_word_of_others_say_nothing():
    quiet = b": keep alive\n\nevent: ping\n\ndata: [DONE]\n\n"
    assert assemble(told(quiet + STREAM + quiet)) == assemble(told(STREAM))
    assert tapped(quiet + STREAM)[1].error is None


def test_splice():
    body = b'{"modelVersion" : "gemini-x", "usageMetadata":{"promptTokenCount":1}, "x": {"modelVersion": "y"}}'
    out, usage = GOOGLE_GENERATE.client.splice(body, PUBLIC)
    assert out == body.replace(b'"gemini-x"', json.dumps(PUBLIC).encode())
    assert usage == Usage(1)
    assert GOOGLE_GENERATE.client.splice(b'{"a": 1}', PUBLIC) == (b'{"a": 1}', None)
    with pytest.raises(BadBody):
        GOOGLE_GENERATE.client.splice(b"[]", PUBLIC)


def test_a_model_that_stands_before_other_objects_is_replaced_too():
    event = b'data: {"modelVersion":"gemini-x","candidates":[{"finishReason":"STOP"}]}\n\n'
    assert tapped(event)[0] == event.replace(b"gemini-x", PUBLIC.encode())
    lines = b'data: {"candidates":[],\ndata: "modelVersion":"gemini-x"}\n\n'
    assert tapped(lines)[0] == lines.replace(b"gemini-x", PUBLIC.encode())


@pytest.mark.parametrize(
    ("status", "word"),
    [
        *((400, "INVALID_ARGUMENT"), (404, "NOT_FOUND"), (418, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED")),
        *((502, "UNAVAILABLE"), (504, "DEADLINE_EXCEEDED"), (599, "INTERNAL")),
    ],
)
def test_errors_for_clients(status, word):
    error = {"message": "m", "type": "t", "param": "contents", "code": "some_code", "status": status}
    body = json.loads(GOOGLE_GENERATE.client.envelope(error))
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "some_code",
        "metadata": {"param": "contents"},
    }
    assert body == {"error": {"code": status, "message": "m", "status": word, "details": [info]}}
    # The SDKs look for exactly this beginning.
    assert GOOGLE_GENERATE.client.event(error).startswith(b'data: {"error":')
    assert failed(GOOGLE_GENERATE.client.event(error)).error is not None


# --- anything at all -------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
BODY = {
    "contents": [
        {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
        {
            "role": "model",
            "parts": [{"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"output": "x"}, "parts": []}}],
        },
        {"role": "user", "parts": [{"fileData": {"fileUri": "gs://b", "mimeType": "video/mp4", "displayName": "n"}}]},
    ],
    "systemInstruction": {"parts": [{"text": "s"}]},
    "tools": [
        {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {}}}}]},
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "temperature": 1.0,
        "topK": 1,
        "stopSequences": ["x"],
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "anyOf": [{}]},
        "responseFormat": [{"text": {"mimeType": "application/json", "schema": {}}}],
        "responseModalities": ["TEXT"],
        "thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW", "includeThoughts": True},
    },
}
RESPONSE = {
    "candidates": [
        {
            "content": {
                "parts": [{"text": "ab", "thought": False, "thoughtSignature": "s"}, *BODY["contents"][1]["parts"]]
            },
            "finishReason": "STOP",
            "index": 0,
            "groundingMetadata": {
                "groundingChunks": [{"web": {"uri": "u", "title": "t"}}],
                "groundingSupports": [
                    {"segment": {"startIndex": 0, "endIndex": 1, "text": "a"}, "groundingChunkIndices": [0]}
                ],
            },
            "citationMetadata": {"citations": [{"startIndex": 1, "endIndex": 2, "uri": "u"}]},
            "logprobsResult": {
                "chosenCandidates": [{"token": "a"}],
                "topCandidates": [{"candidates": [{"token": "a"}]}],
            },
        }
    ],
    "promptFeedback": {"blockReason": ""},
    "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO"}]},
    "modelVersion": "m",
    "responseId": "r",
    "createTime": "2026-01-01T00:00:00Z",
}


def places(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def changed(draw, source):
    """A copy with arbitrary JSON at an arbitrary place."""
    path = draw(st.sampled_from(list(places(source))))
    value, made = draw(JSON), copy.deepcopy(source)
    if not path:
        return value
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_request_is_read_or_refused(data):
    body = changed(data.draw, BODY)
    if not isinstance(body, dict):
        return
    for target in (Target(model="gemini-2.5-flash"), Target(model="gemini-3.8-flash")):
        try:
            request = GOOGLE_GENERATE.client.read_request(body)
            json.dumps(GOOGLE_GENERATE.upstream.write_request(request, target).body)
        except Misfit as misfit:
            assert misfit.message


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_answer_is_read_or_refused(data):
    body = json.dumps(changed(data.draw, RESPONSE)).encode()
    try:
        answer = GOOGLE_GENERATE.upstream.read_answer(body)
    except BadAnswer:
        pass
    else:
        GOOGLE_GENERATE.client.write_answer(answer, "m", ASKED)
        writer = GOOGLE_GENERATE.client.writer("m", ASKED)
        assert b"".join(writer.feed(delta) for delta in dissect(answer)) + writer.end()
    tapped(b"data: " + body + b"\n\n")
    reader = GOOGLE_GENERATE.upstream.reader()
    deltas = [delta for event in Splitter().feed(b"data: " + body + b"\n\n") for delta in reader.feed(event)]
    if reader.error is None:
        assemble(bracketed([*deltas, *reader.end()]))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(noise):
    tapped(b"data: " + noise + b"\n\n")
    failed(b"data: " + noise + b"\n\n" + noise)
    with pytest.raises(BadAnswer):
        GOOGLE_GENERATE.upstream.read_answer(noise)


def test_what_is_nested_too_deeply_is_refused():
    deep: dict = {}
    for _ in range(3000):
        deep = {"items": deep}
    for body in (
        {"contents": [{"parts": [{"text": "a"}]}], "generationConfig": {"responseSchema": deep}},
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": deep}}]}]},
    ):
        with pytest.raises(Misfit):
            GOOGLE_GENERATE.client.read_request(body)
    nested = b'{"candidates":' + b"[" * 5000 + b"]" * 5000 + b"}"
    assert failed(b"data: " + nested + b"\n\n").error.malformed
    with pytest.raises(BadAnswer):
        GOOGLE_GENERATE.upstream.read_answer(nested)
