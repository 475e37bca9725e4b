"""A true body made hostile: its bytes, its events, or the JSON in it."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

from fuzz.seeds import frame
from providers.dialects.eventstream import Splitter

_TOKENS = (
    b"NaN", b"Infinity", b"1e999", b"-1e-999", b"1" * 70, b"1" * 5000, b"\\ud800", b"\\udc00\\ud800", b"\xff",
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x00", b"\r", b"\r\n\r\n", b"\n\n", b"\n", b"data:", b"data: [DONE]\n\n",
    b"event: error\n", b": c\n\n", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"[" * 70, b"[" * 5000,
    b'{"a":' * 2000, b"null", b"true", b'"error":', b'"model":"x",', b'"usage":null,', b'"type":', b'"type":[],',
    b"x" * 3000, b"\xc3\xa9",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 10**60, 10**400,
    1e308, -0.0, 0.5, "", " ", "x", "é", "\u2028", "\x00",
    "[DONE]", "{", "{}", "[1]", '{"a":1', "data:image/png;base64,AAAA", "AAA", "=", "https://a.example/", "https://[",
    "jf1:anthropic_messages:AAAA", "error", "0", "x" * 2000, [], {}, [[]], [{}], [None], {"": ""}, {"type": []},
    {"type": "text"}, {"error": {}}, ["a", 1, None],
)  # fmt: skip


def mutated(body: bytes, pool: list[bytes], rng: random.Random) -> bytes:
    """The body with one to four things wrong; `pool` are bodies to take other things from."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        body = rng.choice((_bytes, _events, _json, _json, _json))(body, pool, rng)
    return body


def _bytes(body: bytes, pool: list[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    end = min(len(body), at + rng.choice((1, 1, 2, 8, 64, 512)))
    match rng.randrange(7):
        case 0:
            return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
        case 1:
            return body[:at]
        case 2:
            return body[:at] + body[end:]
        case 3:
            return body[:end] + body[at:end] * rng.choice((1, 2, 40)) + body[end:]
        case 4:
            other = rng.choice(pool)
            start = rng.randrange(len(other) + 1)
            return body[:at] + other[start : start + rng.choice((1, 20, 400))] + body[at:]
        case _:
            return body[:at] + rng.choice(_TOKENS) + body[at:]


def events_of(body: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(what stands before the JSON, the JSON, what follows) of each event, line or frame."""
    if body[:1] == b"\x00":
        splitter = Splitter()
        return [(b"\x00" + (event.name or "").encode(), event.data or b"", b"") for event in splitter.feed(body)]
    if body[:1] not in (b"{", b"[", b'"') or b"}\n{" in body:
        return [
            (found[1], found[2], found[3])
            for found in re.finditer(rb"([^{\n]*(?:\n[^{\n]+)*?)([^\n]*)(\r?\n+|\Z)", body)
            if found[0]
        ]
    return [(b"", body, b"")]


def joined(events: list[tuple[bytes, bytes, bytes]]) -> bytes:
    """`events_of`, back."""
    return b"".join(frame(a[1:].decode("utf-8", "replace"), b) if a[:1] == b"\x00" else a + b + c for a, b, c in events)


def _events(body: bytes, pool: list[bytes], rng: random.Random) -> bytes:
    events = events_of(body)
    if not events:
        return body
    at, to = rng.randrange(len(events)), rng.randrange(len(events))
    match rng.randrange(4):
        case 0:
            del events[at]
        case 1:
            events[at:at] = [events[to]] * rng.choice((1, 2, 30))
        case 2:
            events[at], events[to] = events[to], events[at]
        case _:
            others = events_of(rng.choice(pool))
            events.insert(at, rng.choice(others) if others else events[to])
    return joined(events)


def _json(body: bytes, pool: list[bytes], rng: random.Random) -> bytes:
    events = events_of(body)
    if not events:
        return body
    at = rng.randrange(len(events))
    before, data, after = events[at]
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return _bytes(body, pool, rng)
    changed, plain = _changed(found, found, rng, pool), rng.random() < 0.5
    try:
        text = json.dumps(changed, separators=(",", ":"), ensure_ascii=plain)
    except RecursionError:  # nested anew in what was nested already: deeper than the encoder goes
        return _bytes(body, pool, rng)
    events[at] = (before, text.encode("utf-8", "replace"), after)
    return joined(events)


def _changed(value: Any, whole: Any, rng: random.Random, pool: list[bytes]) -> Any:
    if value and isinstance(value, dict | list) and rng.random() < 0.85:
        value = copy.copy(value)
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        match rng.randrange(12):
            case 0:
                del value[key]
            case 1 if isinstance(value, dict):
                value[rng.choice(("type", "index", "error", "role", "id", "content", "name", "x", ""))] = rng.choice(
                    _VALUES
                )
            case 1 | 2 if isinstance(value, list):
                value.insert(key, value[key])
            case _:
                value[key] = _changed(value[key], whole, rng, pool)
        return value
    match rng.randrange(8):
        case 0:
            return _anywhere(whole, rng)
        case 1 if isinstance(value, str):
            return [value]
        case 2:
            return {"a": value}
        case 3:
            deep: Any = value
            for _ in range(rng.choice((5, 70, 400))):
                deep = [deep] if rng.random() < 0.5 else {"properties": deep, "items": []}
            return deep
        case _:
            return rng.choice(_VALUES)


def _anywhere(value: Any, rng: random.Random) -> Any:
    while value and isinstance(value, dict | list) and rng.random() < 0.7:
        value = rng.choice(list(value.values()) if isinstance(value, dict) else value)
    return value
