"""Streams of Ollama's chat, read. Pure."""

from __future__ import annotations

from typing import Any

from providers.dialects.canon import (
    Began,
    Counted,
    Delta,
    Logprobs,
    Noted,
    Part,
    Stopped,
    Text,
    Thinking,
)
from providers.dialects.dialect import StreamError
from providers.dialects.ollama_native.messages import NAME
from providers.dialects.ollama_native.reading import (
    calls_of,
    created_of,
    extras_of,
    images_of,
    logprobs_of,
    message_of,
    stop_of,
    text_of,
    usage_of,
)
from providers.dialects.sse import Event
from providers.dialects.stream_reader import Parts, StreamReader


class Reader(StreamReader):
    """Feed it the lines of one stream."""

    def __init__(self) -> None:
        super().__init__()
        self._parts = Parts()
        self._called = False

    def feed(self, event: Event) -> list[Delta]:
        """What one line says; nothing after the last one."""
        data = (event.data or b"").strip()
        return [] if self._stopped or not data else self._hear(event, data)

    def _told(self, event: Event, data: bytes, found: dict[str, Any]) -> list[Delta]:
        if found.get("error"):
            return self._failed(StreamError(data))
        message = message_of(found)
        calls = calls_of(found, message)
        deltas = self._start(found)
        deltas += self._parts.grow(Thinking(), text_of(message, "thinking"))
        deltas += self._parts.grow(Text(""), text_of(message, "content"))
        whole: list[Part] = [*images_of(message), *calls]
        for part in whole:
            deltas += self._parts.whole(part)
        self._called = self._called or bool(calls)
        logprobs = logprobs_of(found)
        if logprobs is not None:
            deltas.append(Logprobs(logprobs))
        return deltas + self._end(found) if found.get("done") is True else deltas

    def _head(self, found: dict[str, Any]) -> Began:
        return Began(model=text_of(found, "model"), created=created_of(found), dialect=NAME)

    def _close(self) -> list[Delta]:
        return self._parts.close()

    def _end(self, found: dict[str, Any]) -> list[Delta]:
        self.done_seen = self._stopped = True
        word = text_of(found, "done_reason")
        deltas = [*self._close(), Stopped(stop_of(word, self._called), word=word)]
        usage, extras = usage_of(found), extras_of(found)
        if usage is not None:
            deltas.append(Counted(usage))
        return [*deltas, Noted(extras)] if extras else deltas
