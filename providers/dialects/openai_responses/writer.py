"""A stream, written for a client. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import Delta, Request
from providers.dialects.openai_responses.composer import Composer

_encode: Final = msgspec.json.Encoder().encode


class Writer:
    """Takes deltas, gives events. `response` is the response object once the stream has ended."""

    def __init__(self, model: str, request: Request) -> None:
        self._composer = Composer(model, request)
        self._count = 0
        self.response: dict[str, Any] | None = None

    def feed(self, delta: Delta) -> bytes:
        """The events that say this."""
        return b"".join(map(self._event, self._composer.feed(delta)))

    def end(self) -> bytes:
        """The events that end the response."""
        events = self._composer.end()
        self.response = events[-1]["response"]
        return b"".join(map(self._event, events))

    def _event(self, event: dict[str, Any]) -> bytes:
        name: str = event["type"]
        numbered = {"type": name, "sequence_number": self._count, **event}
        self._count += 1
        return b"event: " + name.encode() + b"\ndata: " + _encode(numbered) + b"\n\n"
