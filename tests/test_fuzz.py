"""Hostile bodies: what the fuzzer found once, and a short run of it. `make fuzz` looks further."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from fuzz.__main__ import fault, least, made
from fuzz.growth import MOST_BYTES, memory, verdict
from fuzz.targets import targets

TARGETS = targets(recorded=False)
SEED = "suite"


def sse(*found: object) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in found)


#: (target, body that it stumbled over)
FOUND = [
    # What the relays only look for is not all read: words that are no text stand where nobody looked.
    ("tap openai_chat", b'data: {"choices":[],"usage":{"\xff":1}}\n\n'),
    ("tap openai_chat", b'data: {"x_groq":{"usage":{"total_tokens":1e999}}}\n\n'),
    ("tap anthropic_messages", b'data: {"type":"message_start","message":{"usage":{"\xff":1}}}\n\n'),
    ("tap anthropic_messages", b'data: {"type":"message_delta","delta":{"\xff":1}}\n\n'),
    ("tap anthropic_messages", b'data: {"type":"message_delta","usage":{"output_tokens":1e999}}\n\n'),
    ("tap openai_responses", b'data: {"type":"response.completed","response":{"usage":{"\xff":1}}}\n\n'),
    ("tap openai_responses", b'data: {"type":"response.failed","response":{"error":{"\xff":1}}}\n\n'),
    ("tap google_generate", b'data: {"usageMetadata":{"\xff":1}}\n\n'),
    ("splice openai_chat", b'{"usage":{"\xff":1}}'),
    ("splice openai_chat", b'{"x_groq":{"\xff":1}}'),
    ("splice anthropic_messages", b'{"usage":{"\xff":1}}'),
    ("splice openai_responses", b'{"usage":{"\xff":1}}'),
    ("splice google_generate", b'{"usageMetadata":{"\xff":1}}'),
    # A key twice, where the model's name is to be replaced.
    ("tap openai_chat", b'data: {"a":1,"a":2,"b":[{"model":1}],"model":"m","c":[{"model":2}]}\n\n'),
    # Numbers beyond all range, in what a client asks.
    ("request openai_chat", b'{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":1e999}'),
    ("token", b'{"access_token":"t","expires_in":1' + b"0" * 400 + b"}"),
    ("token", b'{"token":"t","expires_at":1' + b"0" * 400 + b"}"),
    ("token", b'{"device_code":"d","user_code":"u","verification_uri":"https://["}'),
    # Words that are none, where one is looked up.
    ("stream anthropic_messages", sse({"type": "content_block_delta", "index": 0, "delta": {"type": {}}})),
    ("stream openai_responses", sse({"type": "response.output_item.added", "output_index": 0, "item": {"type": []}})),
    ("answer theta_infer", b'{"body":{"infer_requests":[{"state":{}}]}}'),
]


@pytest.mark.parametrize(("target", "body"), FOUND)
def test_what_was_found(target: str, body: bytes) -> None:
    for number in range(8):  # each cut elsewhere, with another at the other end
        assert fault(TARGETS[target], body, SEED, number) == ""


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_bodies(name: str) -> None:
    """A short run, the same each time."""
    for number in range(60):
        body = made(TARGETS[name], SEED, number, recorded=False)
        assert fault(TARGETS[name], body, SEED, number) == "", f"--only '{name}': {body!r}"


def test_the_same_seed_makes_the_same_bodies() -> None:
    part = TARGETS["tap openai_chat"]
    bodies = [made(part, "a", number, recorded=False) for number in range(20)]
    assert bodies == [made(part, "a", number, recorded=False) for number in range(20)]
    assert bodies != [made(part, "b", number, recorded=False) for number in range(20)]


def test_a_fault_is_seen() -> None:
    """The fuzzer itself: an undeclared error is a finding, and its input is made small."""

    def stumbles(body: bytes, _: random.Random) -> None:
        if b"error" in body:
            raise KeyError("error")

    part = TARGETS["verdict"]._replace(read=stumbles)
    assert fault(part, b"an error", SEED, 0).startswith("KeyError at test_fuzz.py")
    assert least(b"a longer text with an error in it", lambda body: b"error" in body) == b"error"


def events(*found: object) -> Callable[[int], bytes]:
    """The first of these, then the others again and again, `#` in them counted."""

    def make(size: int) -> bytes:
        first, *others = (json.dumps(one) for one in found)
        length = sum(len(other) + 8 for other in others)
        told = (other.replace('"#"', str(number)) for number in range(size // length) for other in others)
        return b"".join(b"data: " + one.encode() + b"\n\n" for one in (first, *told))

    return make


def chat(**delta: object) -> object:
    return {"choices": [{"index": 0, "delta": delta}]}


def called(arguments: str, **more: object) -> object:
    return chat(tool_calls=[{"index": 0, "function": {"arguments": arguments, **more}}])


def grounded(size: int) -> bytes:
    """A long text with many places in it."""
    supports = [
        {"segment": {"startIndex": 5, "endIndex": 9 + i}, "groundingChunkIndices": [0]} for i in range(size // 120)
    ]
    grounding = {"groundingChunks": [{"web": {"uri": "u"}}], "groundingSupports": supports}
    content = {"parts": [{"text": "é" * (size // 4)}]}
    body = {"candidates": [{"content": content, "finishReason": "STOP", "groundingMetadata": grounding}]}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


BEGUN = {"type": "message_start", "message": {"usage": {"input_tokens": 1}}}
#: (target, what makes a body of so many bytes): each once took time with the square of its size.
LARGE = [
    ("answer google_generate", grounded),
    ("stream anthropic_messages", events(BEGUN, {"type": "message_delta", "usage": {"output_tokens": 1}})),
    ("tap anthropic_messages", events(BEGUN, {"type": "message_delta", "usage": {"output_tokens": 1}})),
    (
        "stream openai_responses",
        events(
            {"type": "response.created", "response": {}},
            {"type": "response.output_text.delta", "output_index": 0, "content_index": "#", "delta": "a"},
        ),
    ),
    ("stream openai_chat", events(called('{"a": "' + "x" * 500_000, name="f"), chat(content="a"), chat(refusal="b"))),
]


@pytest.mark.parametrize(("target", "make"), LARGE)
def test_what_was_slow(target: str, make: Callable[[int], bytes]) -> None:
    """Half of what a body of a megabyte may take, and no more than in proportion."""
    assert verdict(TARGETS[target], make, SEED, size=400_000) == ""


def test_what_held_much() -> None:
    """An answer of many members, one of which is to be replaced."""
    body = b'{"model":"m",' + b",".join(b'"k%d":1' % number for number in range(80_000)) + b"}"
    assert memory(TARGETS["splice anthropic_messages"], body, SEED) < MOST_BYTES
