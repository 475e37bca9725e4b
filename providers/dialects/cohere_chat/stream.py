"""Streams of Cohere's chat, read. Pure.

Citations may come after the text that they are for has ended, so a text stays open until something else begins.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.answer_tool import ANSWER_TOOL, stop_without
from providers.dialects.canon import (
    BadAnswer,
    Began,
    Cited,
    Counted,
    Delta,
    Grew,
    Logprobs,
    Noted,
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
from providers.dialects.stream_reader import Parts, StreamReader


class Reader(StreamReader):
    """Feed it the events of one stream."""

    ends_with_done = True

    def __init__(self) -> None:
        super().__init__()
        #: kinds: "plan", "thinking", "text", "call"
        self._parts = Parts()
        #: the text that citations without a place belong to, and those by their place in the content
        self._text: int | None = None
        self._texts: dict[int, int] = {}
        self._place: int | None = None
        self._unplaced: list[dict[str, Any]] = []
        self._calls = 0
        self._answered = False

    def _told(self, event: Event, data: bytes, found: dict[str, Any]) -> list[Delta]:
        kind = found.get("type") or event.name
        # An error is of that type, or has a message and no type.
        if kind == "error" or (kind is None and ("message" in found or "error" in found)):
            return self._failed(StreamError(data))
        handle = _HANDLERS.get(kind) if isinstance(kind, str) else None
        return [] if handle is None or self._stopped else handle(self, found)

    def _head(self, found: dict[str, Any]) -> Began:
        return Began(id=_text(found.get("id")), dialect=NAME)

    def _close(self) -> list[Delta]:
        return self._parts.close()

    def _plan(self, found: dict[str, Any]) -> list[Delta]:
        plan = _text(_message(found).get("tool_plan"))
        return self._start({}) + self._parts.grow(Thinking(), plan, "plan")

    def _content(self, found: dict[str, Any]) -> list[Delta]:
        """A piece of content. One at another place than the last is another part."""
        deltas, place = self._start({}), found.get("index")
        place = place if type(place) is int else 0
        if place != self._place and self._parts.kind in ("text", "thinking"):
            deltas += self._close()
        self._place = place
        content = _message(found).get("content")
        if isinstance(content, dict):
            deltas += self._parts.grow(Thinking(), _text(content.get("thinking")), "thinking")
            deltas += self._parts.grow(Text(""), _text(content.get("text")), "text")
        if self._parts.kind == "text":
            self._text = self._texts[place] = self._parts.index
        logprobs = logprobs_of([found.get("logprobs")])
        return [*deltas, Logprobs(logprobs)] if logprobs else deltas

    def _call(self, found: dict[str, Any]) -> list[Delta]:
        value = _message(found).get("tool_calls")
        function = value.get("function") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(function, dict):
            raise BadAnswer("a call without a function")
        given, name = value.get("id"), function.get("name")
        if not isinstance(given, str) or not isinstance(name, str):
            raise BadAnswer("a call without an id or a name")
        if name == ANSWER_TOOL:
            self._answered = True
            deltas = self._parts.open(Text(""), "call")
        else:
            self._calls += 1
            deltas = self._parts.open(ToolCall(given, name, ""), "call")
        return [*self._start({}), *deltas, *self._more(found)]

    def _more(self, found: dict[str, Any]) -> list[Delta]:
        value = _message(found).get("tool_calls")
        function = value.get("function") if isinstance(value, dict) else None
        text = _text(function.get("arguments")) if isinstance(function, dict) else ""
        if not text:
            return []
        if self._parts.kind != "call":
            raise BadAnswer("more of a call that has not begun")
        return [Grew(self._parts.index, text)]

    def _call_end(self, _: dict[str, Any]) -> list[Delta]:
        return self._close() if self._parts.kind == "call" else []

    def _cite(self, found: dict[str, Any]) -> list[Delta]:
        given = _message(found).get("citations")
        deltas: list[Delta] = []
        for value in given if isinstance(given, list) else [given]:
            if not isinstance(value, dict):
                continue
            at = value.get("content_index")
            index = self._texts.get(at) if type(at) is int else self._text
            if is_of_text(value) and index is not None and self._parts.is_open(index):
                deltas += [Cited(index, citation) for citation in citations_of(value)]
            else:
                self._unplaced.append(value)
        return deltas

    def _end(self, found: dict[str, Any]) -> list[Delta]:
        delta = _inner(found, "delta")
        broken, reason = delta.get("error"), delta.get("finish_reason")
        if isinstance(broken, str) and broken:
            said = {"message": broken, "type": reason.lower() if isinstance(reason, str) else "error"}
            return self._failed(StreamError(msgspec.json.encode({"error": said})))
        stop, word = stop_of(reason)
        deltas = [*self._start({}), *self._close()]
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


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _inner(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _message(found: dict[str, Any]) -> dict[str, Any]:
    return _inner(_inner(found, "delta"), "message")
