"""Streams of Cohere's chat, read. Pure.

Citations may come after the text that they are for has ended, so a text stays open until something else begins.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.answer_tool import ANSWER_TOOL, stop_without
from providers.dialects.canon import (
    Began,
    Cited,
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
    ToolCall,
)
from providers.dialects.cohere_chat.messages import NAME
from providers.dialects.cohere_chat.reading import (
    billed_of,
    citations_of,
    is_of_text,
    logprobs_of,
    stop_of,
    usage_of,
)
from providers.dialects.dialect import StreamError
from providers.dialects.sse import Event
from providers.dialects.values import object_in

_DONE: Final = b"[DONE]"


class _Malformed(ValueError):
    """An event is not what the API promises."""


class Reader:
    """Feed it the events of one stream."""

    def __init__(self) -> None:
        self.done_seen = False
        self.error: StreamError | None = None
        self._began = False
        self._parts = 0
        #: the part that is open: its index and the kind of its growth
        self._open: tuple[int, str] | None = None
        #: the text that citations without a place belong to, and those by their place in the content
        self._text: int | None = None
        self._texts: dict[int, int] = {}
        self._place: int | None = None
        self._unplaced: list[dict[str, Any]] = []
        self._calls = 0
        self._answered = False
        self._stopped = False

    @property
    def finished(self) -> bool:
        """The upstream said why it stopped."""
        return self.error is None and (self.done_seen or self._stopped)

    def feed(self, event: Event) -> list[Delta]:
        """What one event says."""
        data = (event.data or b"").strip()
        if not data or data == _DONE:
            self.done_seen = self.done_seen or bool(data)
            return []
        found = object_in(data)
        if found is None:
            self.error = StreamError(data, malformed=True)
            return []
        kind = found.get("type") or event.name
        if _is_error(kind, found):
            self.error = StreamError(data)
            return []
        broken = _inner(found, "delta").get("error")
        if kind == "message-end" and isinstance(broken, str) and broken:
            reason = _inner(found, "delta").get("finish_reason")
            said = {"message": broken, "type": reason.lower() if isinstance(reason, str) else "error"}
            self.error = StreamError(msgspec.json.encode({"error": said}))
            return []
        handle = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handle is None or self._stopped:
            return []
        try:
            return handle(self, found)
        except _Malformed:
            self.error = StreamError(data, malformed=True)
            return []

    def end(self) -> list[Delta]:
        """The ends of what is still open."""
        deltas = [*self._start({}), *self._close()]
        if not self._stopped:
            self._stopped = True
            deltas.append(Stopped(""))
        return deltas

    def _start(self, found: dict[str, Any]) -> list[Delta]:
        if self._began:
            return []
        self._began = True
        given = found.get("id")
        return [Began(id=given if isinstance(given, str) else "", dialect=NAME)]

    def _begin(self, part: Part, kind: str) -> list[Delta]:
        deltas = self._close()
        self._open = (self._parts, kind)
        self._parts += 1
        return [*deltas, PartBegan(self._open[0], part)]

    def _close(self) -> list[Delta]:
        if self._open is None:
            return []
        index, self._open = self._open[0], None
        return [PartEnded(index)]

    def _grow(self, kind: str, part: Part, text: Any) -> list[Delta]:
        """More of the part that is open if it is of this kind, or of a new one."""
        if not isinstance(text, str) or not text:
            return []
        deltas: list[Delta] = []
        if self._open is None or self._open[1] != kind:
            deltas = self._begin(part, kind)
        assert self._open is not None
        return [*deltas, Grew(self._open[0], text)]

    def _plan(self, found: dict[str, Any]) -> list[Delta]:
        return self._start({}) + self._grow("plan", Thinking(), _message(found).get("tool_plan"))

    def _content(self, found: dict[str, Any]) -> list[Delta]:
        """A piece of content. One at another place than the last is another part."""
        deltas, place = self._start({}), found.get("index")
        place = place if type(place) is int else 0
        if place != self._place and self._open is not None and self._open[1] in ("text", "thinking"):
            deltas += self._close()
        self._place = place
        content = _message(found).get("content")
        if isinstance(content, dict):
            deltas += self._grow("thinking", Thinking(), content.get("thinking"))
            deltas += self._grow("text", Text(""), content.get("text"))
        if self._open is not None and self._open[1] == "text":
            self._text = self._texts[place] = self._open[0]
        logprobs = logprobs_of([found.get("logprobs")])
        return [*deltas, Logprobs(logprobs)] if logprobs else deltas

    def _call(self, found: dict[str, Any]) -> list[Delta]:
        value = _message(found).get("tool_calls")
        function = value.get("function") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(function, dict):
            raise _Malformed
        given, name = value.get("id"), function.get("name")
        if not isinstance(given, str) or not isinstance(name, str):
            raise _Malformed
        if name == ANSWER_TOOL:
            self._answered = True
            deltas = self._begin(Text(""), "call")
        else:
            self._calls += 1
            deltas = self._begin(ToolCall(given, name, ""), "call")
        return [*self._start({}), *deltas, *self._more(found)]

    def _more(self, found: dict[str, Any]) -> list[Delta]:
        value = _message(found).get("tool_calls")
        function = value.get("function") if isinstance(value, dict) else None
        text = function.get("arguments") if isinstance(function, dict) else None
        if not isinstance(text, str) or self._open is None or self._open[1] != "call":
            if isinstance(text, str) and text:
                raise _Malformed
            return []
        return [Grew(self._open[0], text)] if text else []

    def _call_end(self, _: dict[str, Any]) -> list[Delta]:
        return self._close() if self._open is not None and self._open[1] == "call" else []

    def _cite(self, found: dict[str, Any]) -> list[Delta]:
        given = _message(found).get("citations")
        deltas: list[Delta] = []
        for value in given if isinstance(given, list) else [given]:
            if not isinstance(value, dict):
                continue
            at = value.get("content_index")
            index = self._texts.get(at) if type(at) is int else self._text
            if is_of_text(value) and self._open is not None and self._open[0] == index:
                deltas += [Cited(index, citation) for citation in citations_of(value)]
            else:
                self._unplaced.append(value)
        return deltas

    def _end(self, found: dict[str, Any]) -> list[Delta]:
        deltas = [*self._start({}), *self._close()]
        delta = _inner(found, "delta")
        stop, word = stop_of(delta.get("finish_reason"))
        self._stopped = True
        deltas.append(Stopped(stop_without(stop, self._calls, self._answered), word=word))
        usage = usage_of(delta.get("usage"))
        if usage is not None:
            deltas.append(Counted(usage))
        extras = billed_of(delta.get("usage")) | ({"citations": self._unplaced} if self._unplaced else {})
        return [*deltas, Noted(extras)] if extras else deltas


_HANDLERS: Final = {
    "message-start": Reader._start,
    "content-start": Reader._content,
    "content-delta": Reader._content,
    "tool-plan-delta": Reader._plan,
    "tool-call-start": Reader._call,
    "tool-call-delta": Reader._more,
    "tool-call-end": Reader._call_end,
    "citation-start": Reader._cite,
    "message-end": Reader._end,
}


def _is_error(kind: Any, found: dict[str, Any]) -> bool:
    """An error is of that type, or has a message and no type."""
    return kind == "error" or (kind is None and ("message" in found or "error" in found))


def _inner(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _message(found: dict[str, Any]) -> dict[str, Any]:
    return _inner(_inner(found, "delta"), "message")
