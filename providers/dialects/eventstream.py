"""AWS event streams (`application/vnd.amazon.eventstream`), cut out of a byte stream wherever its chunks end. Pure.

A frame is a prelude (its length, its headers' length, a checksum of the two), headers, a payload and a checksum of all
that. Each becomes one event, as server-sent events do: its name is what the frame says it is, its data the payload.

A frame that fails a checksum or cannot be read becomes an event `error` whose data is no JSON, and is the last one:
nothing says where the next frame begins.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import msgspec

from providers.dialects.sse import MAX_EVENT, Event, EventTooLong

_PRELUDE: Final = 12
_CHECKSUM: Final = 4
_SMALLEST: Final = _PRELUDE + _CHECKSUM
#: The name of the event that a broken frame, or a frame of the type "error", becomes.
ERROR: Final = "error"

Value = bool | int | str | bytes

_TRUE, _FALSE, _BYTES, _TEXT, _UUID = 0, 1, 6, 7, 9
#: Types of one size, which are all numbers: byte, short, int, long, timestamp (ms).
_NUMBERS: Final = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q"}


class _Broken(ValueError):
    """The headers are not what the format allows."""


class Splitter:
    """Feed it chunks, take events. The same stream gives the same events however it is cut.

    Raises EventTooLong.
    """

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._held = bytearray()
        #: the length of the frame that `_held` begins with, 0 while its prelude has not been read
        self._length = 0
        self._dead = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        if self._dead:
            return []
        held = self._held
        held += chunk
        events: list[Event] = []
        while not self._dead and self._ready(events):
            raw = bytes(memoryview(held)[: self._length])
            del held[: self._length]
            self._length = 0
            self._take(raw, events)
        return events

    def close(self) -> list[Event]:
        """Nothing: half a frame says nothing, and that the stream was cut shows in what it did not say."""
        self._held.clear()
        self._length = 0
        return []

    def _ready(self, events: list[Event]) -> bool:
        """Whether a whole frame is held. Its prelude is judged as soon as it is there."""
        held = self._held
        if not self._length:
            if len(held) < _PRELUDE:
                return False
            length, headers, checksum = struct.unpack_from(">III", held)
            if zlib.crc32(memoryview(held)[:8]) != checksum or headers + _SMALLEST > length:
                self._break(bytes(held), "the upstream's stream is not an AWS event stream", events)
                return False
            if length > self._max_event:
                raise EventTooLong("the upstream sent an event that is too long")
            self._length = length
        return len(held) >= self._length

    def _take(self, raw: bytes, events: list[Event]) -> None:
        (checksum,) = struct.unpack_from(">I", raw, len(raw) - _CHECKSUM)
        if zlib.crc32(memoryview(raw)[:-_CHECKSUM]) != checksum:
            self._break(raw, "a frame of the upstream's stream fails its checksum", events)
            return
        (size,) = struct.unpack_from(">I", raw, 4)
        start = _PRELUDE + size
        try:
            headers = read_headers(raw[_PRELUDE:start])
        except _Broken as problem:
            self._break(raw, str(problem), events)
            return
        events.append(_event(raw, headers, start))

    def _break(self, raw: bytes, message: str, events: list[Event]) -> None:
        self._dead = True
        self._held.clear()
        events.append(Event(raw, ERROR, message.encode(), -1))


def read_headers(block: bytes) -> dict[str, Value]:
    """The headers of a frame: bool, int (also of a timestamp, in ms), str, bytes, and a UUID as its 16 bytes."""
    found: dict[str, Value] = {}
    pos = 0
    try:
        while pos < len(block):
            end = pos + 1 + block[pos]
            if end >= len(block):
                raise _Broken("a frame of the upstream's stream has a header that is cut off")
            name = block[pos + 1 : end].decode()
            found[name], pos = _read_value(block, end + 1, block[end])
    except (struct.error, UnicodeDecodeError) as problem:
        raise _Broken("a frame of the upstream's stream has a header that cannot be read") from problem
    return found


def _read_value(block: bytes, pos: int, kind: int) -> tuple[Value, int]:
    """A header's value and where the next header begins."""
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, pos
    if kind in _NUMBERS:
        (number,) = struct.unpack_from(_NUMBERS[kind], block, pos)
        return int(number), pos + struct.calcsize(_NUMBERS[kind])
    if kind in (_BYTES, _TEXT):
        (size,) = struct.unpack_from(">H", block, pos)
        pos += 2
    elif kind == _UUID:
        size = 16
    else:
        raise _Broken(f"a frame of the upstream's stream has a header of the unknown type {kind}")
    value = block[pos : pos + size]
    if len(value) != size:
        raise _Broken("a frame of the upstream's stream has a header that is cut off")
    return value.decode() if kind == _TEXT else value, pos + size


def _event(raw: bytes, headers: dict[str, Value], start: int) -> Event:
    """`:event-type` names an event, `:exception-type` an exception; a frame of the type "error" has no payload."""
    kind = headers.get(":message-type")
    payload = raw[start:-_CHECKSUM]
    if kind == "error":
        said = {"code": str(headers.get(":error-code", "")), "message": str(headers.get(":error-message", ""))}
        return Event(raw, ERROR, msgspec.json.encode(said), -1)
    name = headers.get(":exception-type" if kind == "exception" else ":event-type")
    if not isinstance(name, str):
        name = ERROR if kind == "exception" else None
    return Event(raw, name, payload, start)
