"""Reads an upstream's stream: each event is a whole response with the next piece of the answer, and none is the last.

Pure. An upstream that fails in the middle says so in an event, or in bare JSON with no `data:` before it.
"""

from __future__ import annotations

from typing import Any

from providers.dialects.canon import Delta
from providers.dialects.dialect import StreamError
from providers.dialects.google_generate.gathering import Gathering
from providers.dialects.sse import Event
from providers.dialects.stream_reader import StreamReader
from providers.dialects.values import object_in


class Reader(StreamReader):
    """Feed it the events of one stream."""

    def __init__(self) -> None:
        super().__init__()
        self._gathering = Gathering()

    @property
    def finished(self) -> bool:
        """Every candidate has its finish reason, or the prompt was refused."""
        return self.error is None and self._gathering.finished

    def feed(self, event: Event) -> list[Delta]:
        """What one event says."""
        if event.data is None:
            self.error = stray_error(event.raw)
            return []
        return super().feed(event)

    def end(self) -> list[Delta]:
        """The ends of all candidates."""
        return self._gathering.end()

    def _told(self, event: Event, data: bytes, found: dict[str, Any]) -> list[Delta]:
        if event.name == "error" or found.get("error") is not None:
            return self._failed(StreamError(data))
        return self._gathering.feed(found)


def is_silent(data: bytes) -> bool:
    """Whether an event's data says nothing: it is empty, or the last word that copies of OpenAI's API say."""
    return data.strip() in (b"", b"[DONE]")


def stray_error(raw: bytes) -> StreamError | None:
    """The error that an event without data is; None if it is a comment or the like."""
    bare = raw.strip()
    if bare[:1] not in (b"{", b"["):
        return None
    return StreamError(bare, malformed=object_in(bare) is None)
