"""Streams of one JSON value a line, cut out of a byte stream wherever its chunks happen to end. Pure."""

from __future__ import annotations

from providers.dialects.sse import MAX_EVENT, Event, EventTooLong


class Splitter:
    """Feed it chunks, take lines. The same stream gives the same lines however it is cut.

    Raises EventTooLong.
    """

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._held = bytearray()

    def feed(self, chunk: bytes) -> list[Event]:
        """The lines that this chunk completes; empty ones say nothing."""
        held = self._held
        looked = len(held)
        held += chunk
        end = held.rfind(b"\n", looked) + 1
        whole = bytes(memoryview(held)[:end])
        del held[:end]
        lines = whole.split(b"\n")
        return self._checked(lines, len(held))

    def close(self) -> list[Event]:
        """The last line, if it did not end with a line end."""
        rest = bytes(self._held)
        self._held.clear()
        return self._checked([rest], 0)

    def _checked(self, lines: list[bytes], rest: int) -> list[Event]:
        if rest > self._max_event or any(len(line) > self._max_event for line in lines):
            raise EventTooLong("the upstream sent a line that is too long")
        return [Event(line + b"\n", None, line.strip(), -1) for line in lines if line.strip()]
