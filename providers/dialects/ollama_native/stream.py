"""Streams of Ollama's chat, read. Pure."""

from __future__ import annotations

from typing import Any

from providers.dialects.canon import (
    BadAnswer,
    Began,
    Counted,
    Delta,
    Grew,
    Logprobs,
    Noted,
    Part,
    PartBegan,
    PartEnded,
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
from providers.dialects.values import object_in


class Reader:
    """Feed it the lines of one stream."""

    def __init__(self) -> None:
        self.done_seen = False
        self.error: StreamError | None = None
        self._began = False
        self._parts = 0
        self._open: type[Part] | None = None
        self._called = False
        self._stopped = False

    @property
    def finished(self) -> bool:
        """The last line came."""
        return self.error is None and self.done_seen

    def feed(self, event: Event) -> list[Delta]:
        """What one line says."""
        data = (event.data or b"").strip()
        if not data or self._stopped:
            return []
        found = object_in(data)
        if found is None:
            self.error = StreamError(data, malformed=True)
            return []
        if found.get("error"):
            self.error = StreamError(data)
            return []
        try:
            message = message_of(found)
            calls = calls_of(found, message)
        except BadAnswer:
            self.error = StreamError(data, malformed=True)
            return []
        deltas = self._start(found)
        deltas += self._grow(Thinking(), text_of(message, "thinking"))
        deltas += self._grow(Text(""), text_of(message, "content"))
        whole: list[Part] = [*images_of(message), *calls]
        for part in whole:
            deltas += [*self._close(), *self._begin(part), *self._close()]
        self._called = self._called or bool(calls)
        logprobs = logprobs_of(found)
        if logprobs is not None:
            deltas.append(Logprobs(logprobs))
        return deltas + self._end(found) if found.get("done") is True else deltas

    def end(self) -> list[Delta]:
        """The ends of what is still open."""
        if self._stopped:
            return []
        self._stopped = True
        return [*self._start({}), *self._close(), Stopped("")]

    def _start(self, found: dict[str, Any]) -> list[Delta]:
        if self._began:
            return []
        self._began = True
        return [Began(model=text_of(found, "model"), created=created_of(found), dialect=NAME)]

    def _begin(self, part: Part) -> list[Delta]:
        self._open = type(part)
        self._parts += 1
        return [PartBegan(self._parts - 1, part)]

    def _close(self) -> list[Delta]:
        if self._open is None:
            return []
        self._open = None
        return [PartEnded(self._parts - 1)]

    def _grow(self, part: Part, text: str) -> list[Delta]:
        if not text:
            return []
        deltas: list[Delta] = []
        if self._open is not type(part):
            deltas = [*self._close(), *self._begin(part)]
        return [*deltas, Grew(self._parts - 1, text)]

    def _end(self, found: dict[str, Any]) -> list[Delta]:
        self.done_seen = self._stopped = True
        word = text_of(found, "done_reason")
        deltas = [*self._close(), Stopped(stop_of(word, self._called), word=word)]
        usage, extras = usage_of(found), extras_of(found)
        if usage is not None:
            deltas.append(Counted(usage))
        return [*deltas, Noted(extras)] if extras else deltas
