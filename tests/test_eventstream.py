"""AWS event streams: frames of every kind, cut anywhere, broken in every way."""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.eventstream import Splitter, read_headers
from providers.dialects.sse import Event, EventTooLong
from tests.recordings import body_of, neutral, recorded


def header(name: str, kind: int, value: bytes) -> bytes:
    return bytes([len(name)]) + name.encode() + bytes([kind]) + value


def text(name: str, value: str) -> bytes:
    return header(name, 7, struct.pack(">H", len(value.encode())) + value.encode())


def frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(name: str, payload: bytes) -> bytes:
    return frame(text(":event-type", name) + text(":message-type", "event"), payload)


def split(*chunks: bytes) -> list[Event]:
    splitter = Splitter()
    return [found for chunk in chunks for found in splitter.feed(chunk)] + splitter.close()


def test_a_frame_becomes_an_event() -> None:
    raw = event("messageStart", b'{"role":"assistant"}')
    (found,) = split(raw)
    assert (found.name, found.data, found.raw) == ("messageStart", b'{"role":"assistant"}', raw)
    assert raw[found.at : found.at + len(found.data or b"")] == found.data


def test_a_frame_may_be_empty() -> None:
    (found,) = split(frame(b"", b""))
    assert (found.name, found.data) == (None, b"")


def test_an_exception_is_an_event_of_its_name() -> None:
    headers = text(":exception-type", "throttlingException") + text(":message-type", "exception")
    (found,) = split(frame(headers, b'{"message":"slow down"}'))
    assert (found.name, found.data) == ("throttlingException", b'{"message":"slow down"}')


def test_an_exception_without_a_name_is_an_error() -> None:
    (found,) = split(frame(text(":message-type", "exception"), b"{}"))
    assert found.name == "error"


def test_an_error_says_its_code_and_message() -> None:
    headers = text(":message-type", "error") + text(":error-code", "Internal") + text(":error-message", "no")
    (found,) = split(frame(headers, b""))
    assert found.name == "error"
    assert json.loads(found.data or b"") == {"code": "Internal", "message": "no"}


def test_every_type_of_header_is_read() -> None:
    block = b"".join(
        [
            header("yes", 0, b""),
            header("no", 1, b""),
            header("byte", 2, struct.pack(">b", -5)),
            header("short", 3, struct.pack(">h", -300)),
            header("int", 4, struct.pack(">i", -70_000)),
            header("long", 5, struct.pack(">q", -(2**40))),
            header("bytes", 6, struct.pack(">H", 3) + b"\x00\xff\x01"),
            text("text", "grün"),
            header("time", 8, struct.pack(">q", 1_700_000_000_000)),
            header("uuid", 9, bytes(range(16))),
        ]
    )
    assert read_headers(block) == {
        "yes": True,
        "no": False,
        "byte": -5,
        "short": -300,
        "int": -70_000,
        "long": -(2**40),
        "bytes": b"\x00\xff\x01",
        "text": "grün",
        "time": 1_700_000_000_000,
        "uuid": bytes(range(16)),
    }


@pytest.mark.parametrize(
    "block",
    [
        header("odd", 10, b""),
        header("cut", 7, b"\x00"),
        header("cut", 7, b"\x00\x09abc"),
        header("cut", 5, b"\x00"),
        header("cut", 9, b"\x00"),
        b"\x09abc",
        b"\x03abc",
        header("bad", 7, struct.pack(">H", 1) + b"\xff"),
    ],
)
def test_headers_that_cannot_be_read_end_the_stream(block: bytes) -> None:
    found = split(frame(block, b"{}") + event("after", b"{}"))
    assert [one.name for one in found] == ["error"]


@pytest.mark.parametrize("at", [0, 5, 9, 14, 40, -6, -1])
def test_a_changed_byte_is_an_error_and_the_last_event(at: int) -> None:
    raw = bytearray(event("messageStop", b'{"stopReason":"end_turn"}'))
    raw[at] ^= 0x01
    first = event("messageStart", b"{}")
    found = split(first, bytes(raw), first)
    assert [one.name for one in found] == ["messageStart", "error"]
    with pytest.raises(ValueError):
        json.loads(found[1].data or b"")


def test_what_is_no_event_stream_is_an_error() -> None:
    (found,) = split(b'{"message": "The security token included in the request is expired"}')
    assert found.name == "error"


def test_headers_longer_than_their_frame_are_an_error() -> None:
    prelude = struct.pack(">II", 20, 8)
    (found,) = split(prelude + struct.pack(">I", zlib.crc32(prelude)) + bytes(8))
    assert found.name == "error"


def test_a_long_frame_is_refused_before_it_has_come() -> None:
    raw = event("chunk", b"x" * 1000)
    assert len(Splitter(max_event=len(raw)).feed(raw)) == 1
    with pytest.raises(EventTooLong):
        Splitter(max_event=len(raw) - 1).feed(raw[:12])


def test_a_frame_that_was_cut_off_says_nothing() -> None:
    whole = event("messageStart", b"{}")
    assert [one.name for one in split(whole + whole[:-1])] == ["messageStart"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_cuts_do_not_matter(data: st.DataObject) -> None:
    payloads = data.draw(st.lists(st.binary(max_size=40), max_size=5))
    stream = b"".join(event(f"e{index}", payload) for index, payload in enumerate(payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[one:other] for one, other in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = split(*chunks)
    assert [one.data for one in found] == payloads
    assert b"".join(one.raw for one in found) == stream


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_surprise_it(noise: bytes, framed: bool) -> None:
    with contextlib.suppress(EventTooLong):
        split(frame(noise, b"{}") if framed else noise)


RECORDED = recorded("bedrock", "bedrock:converse-stream", "bedrock:invoke-with-response-stream")


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["id"])
def test_a_recorded_stream_is_read_as_it_was(case: dict[str, Any]) -> None:
    body = body_of(case)
    wanted = [(headers[":event-type"], payload) for headers, payload in neutral().frames(body)]
    assert [(one.name, one.data) for one in split(body)] == wanted
