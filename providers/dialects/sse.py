"""Server-sent events, cut out of a byte stream wherever its chunks happen to end. Pure.

The bytes of each event are kept as they came, so that an event nobody changes is relayed unchanged. LF, CRLF and CR
may be mixed; a byte order mark before the first event and comments are let through. Lines and events are bounded.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

MAX_LINE: Final = 1024 * 1024
MAX_EVENT: Final = 8 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
#: An empty line after a line: the end of an event. `\r` counts only if no `\n` follows.
_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


class EventTooLong(ValueError):
    """A line or an event is longer than allowed: the stream is not read further."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event. `raw` ends with its empty line; `data` is None where there is none (comments, ids, retries).

    `at` is where `data` lies in `raw`, or -1 where it came in several lines.
    """

    raw: bytes
    name: str | None
    data: bytes | None
    at: int


def rebuilt(event: Event, data: bytes) -> bytes:
    """The event's bytes with other data; every other line stays where its data came in one."""
    if event.at >= 0 and event.data is not None:
        return event.raw[: event.at] + data + event.raw[event.at + len(event.data) :]
    lines = [b"event: " + event.name.encode()] if event.name else []
    lines += [b"data: " + line for line in data.split(b"\n")]
    return b"\n".join(lines) + b"\n\n"


class Splitter:
    """Feed it chunks, take events. The same stream gives the same events however it is cut.

    Raises EventTooLong.
    """

    def __init__(self, max_event: int = MAX_EVENT, max_line: int = MAX_LINE) -> None:
        self._max_event = max_event
        self._max_line = max_line
        self._held = bytearray()
        #: no event ends before this position of `_held`
        self._seen = 0
        #: where the last line of `_held` begins, as far as was looked
        self._line = 0
        self._looked = 0
        self._fresh = True
        self._has_cr = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        if self._fresh:
            if not chunk:
                return []
            self._fresh = False
        if b"\r" in chunk:
            self._has_cr = True
        if self._has_cr:
            return self._feed_mixed(chunk)
        held = self._held
        if not held and chunk[-2:] == b"\n\n" and len(chunk) <= self._max_line:
            parts = chunk.split(b"\n\n")
            if not parts.pop():
                return [_simple(part) for part in parts]
        held += chunk
        end = held.rfind(b"\n\n", self._seen)
        if end < 0:
            self._seen = max(0, len(held) - 1)
            self._check_rest()
            return []
        whole = bytes(memoryview(held)[: end + 2])
        # "\n\n\n" ends an event at its first pair, and so does every cut of the text from the left.
        parts = whole.split(b"\n\n")
        rest = parts.pop()
        del held[: len(whole) - len(rest)]
        self._seen = max(0, len(held) - 1)
        self._line = self._looked = 0
        self._check_rest()
        return [self._checked(part) for part in parts]

    def close(self) -> list[Event]:
        """What the stream ended with, if it did not end with an empty line; its missing line ends are added."""
        rest = bytes(self._held)
        self._held.clear()
        self._seen = self._line = self._looked = 0
        if not rest.strip(b"\r\n"):
            return []
        return [_event(rest.rstrip(b"\r\n") + b"\n\n")]

    def _feed_mixed(self, chunk: bytes) -> list[Event]:
        held = self._held
        held += chunk
        events: list[Event] = []
        start, look = 0, self._seen
        size = len(held)
        while True:
            match = _EVENT_END.search(held, look)
            # A final "\r" may be the first half of "\r\n": it is looked at again when more has come.
            if match is None or (match.end() == size and held[-1] == 0x0D):
                break
            raw = bytes(memoryview(held)[start : match.end()])
            self._check_lines(raw)
            events.append(_event(raw))
            start = look = match.end()
        if start:
            del held[:start]
            self._line = self._looked = 0
        self._seen = max(0, len(held) - 4)
        self._check_rest()
        return events

    def _checked(self, part: bytes) -> Event:
        if len(part) > self._max_line:
            self._check_lines(part)
        return _simple(part)

    def _check_lines(self, raw: bytes) -> None:
        if len(raw) > self._max_event:
            raise EventTooLong("the upstream sent an event that is too long")
        if len(raw) > self._max_line and max(map(len, _LINE_END.split(raw))) > self._max_line:
            raise EventTooLong("the upstream sent a line that is too long")

    def _check_rest(self) -> None:
        held = self._held
        if len(held) <= self._max_line:
            return
        if len(held) > self._max_event:
            raise EventTooLong("the upstream sent an event that is too long")
        newest = max(held.rfind(b"\n", self._looked), held.rfind(b"\r", self._looked))
        self._looked = len(held)
        if newest >= 0:
            self._line = newest + 1
        if len(held) - self._line > self._max_line:
            raise EventTooLong("the upstream sent a line that is too long")


def _simple(part: bytes) -> Event:
    """The event of `part` + two LF, where no CR can be."""
    if part[:6] == b"data: " and b"\n" not in part:
        return Event(part + b"\n\n", None, part[6:], 6)
    return _event(part + b"\n\n")


def _event(raw: bytes) -> Event:
    """The event that `raw` is, read line by line."""
    name: str | None = None
    data: list[bytes] = []
    at = -1
    pos = 3 if raw[:3] == _BOM else 0
    while pos < len(raw):
        match = _LINE_END.search(raw, pos)
        end, following = (match.start(), match.end()) if match else (len(raw), len(raw))
        field, colon, value = raw[pos:end].partition(b":")
        if field in (b"data", b"event"):
            skip = 1 if value[:1] == b" " else 0
            if field == b"event":
                name = value[skip:].decode("utf-8", "replace")
            else:
                at = pos + len(field) + len(colon) + skip
                data.append(value[skip:])
        pos = following
    if not data:
        return Event(raw, name, None, -1)
    if len(data) == 1:
        return Event(raw, name, data[0], at)
    return Event(raw, name, b"\n".join(data), -1)
