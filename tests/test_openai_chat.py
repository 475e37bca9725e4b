"""The OpenAI chat dialect: what an upstream said reaches the client whole, under the public name, and is metered."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.jsonio import BadBody
from providers.dialects.openai_chat import errors
from providers.dialects.openai_chat.response import splice
from providers.dialects.openai_chat.stream import Tap
from providers.dialects.sse import Splitter
from providers.dialects.usage import Usage

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).resolve().parents[2] / "shared"
FILES = ("openai-completions.jsonl", "openai-compatible.jsonl")
PUBLIC = "best/of:all-names@1"


def recorded(stream: bool) -> list[dict]:
    """Recorded chat exchanges, where the recordings are at hand."""
    cases = []
    for name in FILES:
        path = SHARED / "cassettes" / name
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                case = json.loads(line)
                if case["api"] == "chat.completions" and case["stream"] is stream and case["status"] < 400:
                    cases.append(case)
    return cases


def body_of(case: dict) -> bytes:
    body = case["response_body"] or ""
    return base64.b64decode(body) if case["response_encoding"] == "base64" else body.encode()


@pytest.fixture(scope="session")
def neutral():
    path = SHARED / "tools" / "neutral.py"
    if not path.exists():
        pytest.skip("no recordings here")
    spec = importlib.util.spec_from_file_location("neutral", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(body: bytes, *, asked: bool = True, cut: int | None = None, public: str = PUBLIC) -> tuple[bytes, Tap]:
    """The stream through splitter and tap, in chunks of `cut` bytes; an error event as the relay would send it."""
    tap, splitter, out = Tap(public, asked), Splitter(), []

    def relay(events):
        for event in events:
            data = tap.feed(event)
            if data is not None:
                out.append(data)
            elif tap.error:
                error = json.loads(tap.error.body)["error"]
                out.append(
                    errors.event({"param": None} | {name: error.get(name) for name in ("message", "type", "code")})
                )

    for start in range(0, len(body), cut or len(body) or 1):
        relay(splitter.feed(body[start : start + (cut or len(body))]))
    relay(splitter.close())
    return b"".join(out), tap


def counts(usage: Usage | None, expected: dict) -> bool:
    """Whether these are the counts, the reasoning among the output also where an upstream counts it apart."""
    found, apart = named(usage), expected.get("output", 0) + expected.get("reasoning", 0)
    return all(
        found.get(name) == value or (name == "output" and found.get(name) == apart) for name, value in expected.items()
    )


def named(usage: Usage | None) -> dict:
    return {name: value for name, value in msgspec.structs.asdict(usage).items() if value is not None} if usage else {}


@pytest.mark.parametrize("case", recorded(True), ids=lambda case: case["id"])
def test_a_recorded_stream_comes_through_with_the_public_name_alone_changed(case, neutral):
    body = body_of(case)
    before = neutral.summary("chat.completions", 200, body)
    out, tap = run(body)
    after = neutral.summary("chat.completions", 200, out)
    assert after == before
    sent, got = neutral.decode(body), neutral.decode(out)
    if tap.error is None:
        assert [{**o, "model": None} for o in got] == [{**o, "model": None} for o in sent]
        for before_chunk, after_chunk in zip(sent, got, strict=True):
            assert ("model" in after_chunk) == ("model" in before_chunk)
            assert after_chunk.get("model", PUBLIC) == PUBLIC
    assert tap.done_seen == (b"[DONE]" in body)
    assert tap.finished == (tap.error is None)
    assert counts(tap.usage, before["usage"])
    for cut in (1, 7, 1000):
        assert run(body, cut=cut)[0] == out


@pytest.mark.parametrize("case", recorded(True), ids=lambda case: case["id"])
def test_a_recorded_stream_shows_no_usage_chunk_to_a_client_that_did_not_ask(case, neutral):
    body = body_of(case)
    out, tap = run(body, asked=False)
    before, after = neutral.summary("chat.completions", 200, body), neutral.summary("chat.completions", 200, out)
    for part in ("text", "reasoning", "tools", "stop", "error"):
        assert after[part] == before[part]
    assert counts(tap.usage, before["usage"])
    for chunk in neutral.decode(out):
        assert chunk.get("choices") or not chunk.get("usage")
        assert chunk.get("usage", ...) is not None


@pytest.mark.parametrize("case", recorded(False), ids=lambda case: case["id"])
def test_a_recorded_answer_comes_through_with_the_public_name_alone_changed(case, neutral):
    body = body_of(case)
    out, usage = splice(body, PUBLIC)
    assert neutral.summary("chat.completions", 200, out) == neutral.summary("chat.completions", 200, body)
    before, after = json.loads(body), json.loads(out)
    assert after == ({**before, "model": PUBLIC} if "model" in before else before)
    assert list(after) == list(before)
    assert counts(usage, neutral.summary("chat.completions", 200, body)["usage"])


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("chat_*.sse")), ids=lambda path: path.stem)
@pytest.mark.parametrize("asked", [True, False], ids=["asked", "unasked"])
def test_golden_streams(path, asked):
    expected = path.with_suffix(".asked" if asked else ".unasked").read_bytes()
    body = path.read_bytes()
    for cut in (None, 1, 13):
        assert run(body, asked=asked, cut=cut, public="public")[0] == expected


def event(data: str, name: str | None = None) -> bytes:
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"model":"up","choices":[]}', '{"model":"P","choices":[]}'),
        ('{"model": "up", "choices": []}', '{"model": "P", "choices": []}'),
        ('{ "choices":[] , "model"\t:  "up" }', '{ "choices":[] , "model"\t:  "P" }'),
        ('{"model":null,"choices":[]}', '{"model":"P","choices":[]}'),
        ('{"model":7,"choices":[]}', '{"model":"P","choices":[]}'),
        ('{"model":"u\\"p","choices":[]}', '{"model":"P","choices":[]}'),
        ('{"mod\\u0065l":"up","choices":[]}', '{"mod\\u0065l":"P","choices":[]}'),
        ('{"choices":[]}', '{"choices":[]}'),
        (
            '{"choices":[{"delta":{"content":"{\\"model\\":\\"up\\"}"}}],"model":"up"}',
            '{"choices":[{"delta":{"content":"{\\"model\\":\\"up\\"}"}}],"model":"P"}',
        ),
        ('{"x":{"model":"up"},"model":"up","choices":[]}', '{"x":{"model":"up"},"model":"P","choices":[]}'),
        ('{"x":{"model":"up"},"model": "up","y":{}}', '{"x":{"model":"up"},"model": "P","y":{}}'),
        ('{"x":{"model":"up"},"choices":[]}', '{"x":{"model":"up"},"choices":[]}'),
        ('{"object":"model","model":"up"}', '{"object":"model","model":"P"}'),
        ('{"id":"a{b","model":"up"}', '{"id":"a{b","model":"P"}'),
        (
            '{"choices":[{"delta":{"content":"}]"}}],"model":"up","z":"}"}',
            '{"choices":[{"delta":{"content":"}]"}}],"model":"P","z":"}"}',
        ),
    ],
)
def test_only_the_top_level_model_is_replaced(data, expected):
    out, _ = run(event(data), public="P")
    assert out == event(expected)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ('{"choices":[{"index":0}],"usage":null}', '{"choices":[{"index":0}]}'),
        ('{"usage":null,"choices":[{"index":0}]}', '{"choices":[{"index":0}]}'),
        ('{"choices":[{"index":0}], "usage": null, "a":1}', '{"choices":[{"index":0}], "a":1}'),
        (
            '{"choices":[{"index":0,"delta":{"x":{"b":1,"usage":null}}}],"usage":null}',
            '{"choices":[{"index":0,"delta":{"x":{"b":1,"usage":null}}}]}',
        ),
        ('{"choices":[{"index":0}],"usage":{"prompt_tokens":1}}',) * 2,
        ('{"choices":[],"prompt_filter_results":[]}',) * 2,
    ],
)
def test_null_usage_is_hidden_from_a_client_that_did_not_ask(data, expected):
    assert run(event(data), asked=False)[0] == event(expected)
    assert run(event(data), asked=True)[0] == event(data)


def test_the_usage_chunk_is_read_and_hidden():
    body = event('{"choices":[{"index":0,"finish_reason":"stop"}]}') + event(
        '{"choices":[],"model":"up","usage":{"prompt_tokens":5,"completion_tokens":7}}'
    )
    out, tap = run(body, asked=False)
    assert b"usage" not in out
    assert tap.usage == Usage(input=5, output=7)
    assert tap.finished


@pytest.mark.parametrize("word", ["data: [DONE]", "data:[DONE]", "data:  [DONE] ", "event: done\ndata: [DONE]"])
def test_done_in_every_spacing(word):
    out, tap = run(f"{word}\n\n".encode())
    assert tap.done_seen and tap.finished
    assert out == f"{word}\n\n".encode()


@pytest.mark.parametrize(
    ("finishes", "finished"),
    [
        ([(0, None)], False),
        ([(0, "stop")], True),
        ([(0, None), (1, None), (0, "stop")], False),
        ([(0, None), (1, None), (1, "length"), (0, "stop")], True),
        ([(0, "")], False),
        ([], False),
    ],
)
def test_a_stream_without_done_is_finished_when_every_choice_is(finishes, finished):
    body = b"".join(
        event(json.dumps({"choices": [{"index": index, "delta": {}, "finish_reason": reason}]}))
        for index, reason in finishes
    )
    assert run(body)[1].finished is finished


@pytest.mark.parametrize(
    "body",
    [
        event('{"error":{"message":"boom","type":"server_error","code":null}}'),
        event('{"error":{"message":"boom"}}', "error"),
        event('{"message":"boom"}', "error"),
        event('{"choices":[{"index":0,"finish_reason":"error"}],"error":{"message":"boom"}}'),
    ],
)
def test_an_error_event_is_kept_and_not_relayed(body):
    tap = Tap("P", True)
    (only,) = Splitter().feed(body)
    assert tap.feed(only) is None
    assert b"boom" in tap.error.body and not tap.error.malformed
    assert not tap.finished


@pytest.mark.parametrize("data", ["{", "[1]", "17", '"text"', "nonsense", '{"a":1}x', "{" * 3000, "\\"])
def test_an_event_that_is_no_object_is_malformed(data):
    tap = Tap("P", True)
    (only,) = Splitter().feed(event(data))
    assert tap.feed(only) is None
    assert tap.error.malformed


def test_a_null_error_is_none():
    out, tap = run(event('{"error":null,"choices":[]}'))
    assert tap.error is None and out


@pytest.mark.parametrize(
    "data",
    [
        '{"model":"up","choices":null}',
        '{"model":"up","choices":"odd"}',
        '{"model":"up","choices":[{"index":"0","finish_reason":5}]}',
        '{"model":"up","choices":[null]}',
    ],
)
def test_odd_types_are_relayed(data):
    out, tap = run(event(data), public="P")
    assert out == event(data.replace('"up"', '"P"'))
    assert tap.error is None


def test_comments_ids_and_crlf_are_kept():
    body = b': hi\r\n\r\nid: 4\r\ndata: {"model":"up"}\r\n\r\nretry: 10\n\n'
    assert run(body, public="P")[0] == body.replace(b'"up"', b'"P"')


def test_data_in_several_lines():
    out, _ = run(b'event: x\ndata: {"model":\ndata: "up"}\n\n', public="P")
    assert out == b'event: x\ndata: {"model":\ndata: "P"}\n\n'


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, Usage(3, 4)),
        ({"input_tokens": 3, "output_tokens": 4}, Usage(3, 4)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2}},
            Usage(9, None, 5, 2),
        ),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 5}, Usage(9, None, 5)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 5}}, Usage(output=9, reasoning=5)),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "total_tokens": 12,
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(3, 9, reasoning=5),
        ),
        ({"prompt_tokens": 3.0, "completion_tokens": None}, Usage(3)),
        ({"prompt_tokens": -3, "completion_tokens": "4"}, None),
        ({"prompt_tokens": True, "completion_tokens": 10**30}, None),
        ({"prompt_tokens": 1, "prompt_tokens_details": [1], "completion_tokens_details": None}, Usage(1)),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_usage_in_every_spelling(usage, expected):
    assert splice(json.dumps({"model": "up", "usage": usage}).encode(), "P")[1] == expected
    assert run(event(json.dumps({"choices": [], "usage": usage})))[1].usage == expected


def test_usage_of_groq():
    data = json.dumps({"choices": [{"index": 0}], "x_groq": {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}})
    assert run(event(data))[1].usage == Usage(1, 2)
    assert splice(data.encode(), "P")[1] == Usage(1, 2)


def test_usage_in_every_chunk_counts_the_last():
    body = b"".join(
        event(json.dumps({"choices": [{"index": 0}], "usage": {"prompt_tokens": 1, "completion_tokens": n}}))
        for n in range(5)
    )
    assert run(body)[1].usage == Usage(1, 4)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"a":1', b"null"])
def test_an_answer_that_is_no_object_is_refused(body):
    with pytest.raises(BadBody):
        splice(body, "P")


def test_errors_are_in_openais_envelope():
    assert json.loads(errors.envelope({"message": "m", "type": "t", "code": "c", "param": "p"})) == {
        "error": {"message": "m", "type": "t", "code": "c", "param": "p"}
    }
    sent = errors.event({"message": "line\nbreak", "type": "t", "code": None})
    assert sent.startswith(b"data: {") and sent.endswith(b"}\n\n") and sent.count(b"\n") == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.just("model"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    members=st.dictionaries(
        st.sampled_from(["id", "model", "object", "choices", "x", "usage", "service"]), json_values, max_size=6
    ),
    compact=st.booleans(),
    ascii_only=st.booleans(),
)
def test_whatever_a_chunk_holds_only_its_model_changes(members, compact, ascii_only):
    data = json.dumps(members, separators=(",", ":") if compact else None, ensure_ascii=ascii_only)
    out, tap = run(event(data), public="P")
    assert tap.error is None
    (got,) = Splitter().feed(out)
    assert json.loads(got.data) == ({**members, "model": "P"} if "model" in members else members)
