"""Reads an upstream's stream: each event is a whole response with the next piece of the answer, and none is the last.

Pure. An upstream that fails in the middle says so in an event, or in bare JSON with no `data:` before it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.dialects.canon import BadAnswer, Delta
from providers.dialects.dialect import StreamError
from providers.dialects.google_generate.gathering import Gathering
from providers.dialects.sse import Event


class Reader:
    """Feed it the events of one stream."""

    def __init__(self) -> None:
        self._gathering = Gathering()
        #: This dialect has no last event.
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        """Every candidate has its finish reason, or the prompt was refused."""
        return self.error is None and self._gathering.finished

    def feed(self, event: Event) -> list[Delta]:
        """What one event says."""
        data = event.data
        if data is None:
            self.error = stray_error(event.raw)
            return []
        if is_silent(data):
            return []
        response = decoded_object(data)
        if response is None or response.get("error") is not None or event.name == "error":
            self.error = StreamError(data, malformed=response is None)
            return []
        try:
            return self._gathering.feed(response)
        except BadAnswer:
            self.error = StreamError(data, malformed=True)
            return []

    def end(self) -> list[Delta]:
        """The ends of all candidates."""
        return self._gathering.end()


def is_silent(data: bytes) -> bool:
    """Whether an event's data says nothing: it is empty, or the last word that copies of OpenAI's API say."""
    return data.strip() in (b"", b"[DONE]")


def stray_error(raw: bytes) -> StreamError | None:
    """The error that an event without data is; None if it is a comment or the like."""
    bare = raw.strip()
    if bare[:1] not in (b"{", b"["):
        return None
    return StreamError(bare, malformed=decoded_object(bare) is None)


def decoded_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object that the bytes are; None if they are none."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
