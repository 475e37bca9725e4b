"""Streams of ConverseStream, read. Pure.

A block of text, thought or citations begins with its first piece; only calls, results and images have a start of their
own. What only Converse knows, and media, are told whole at their end.
"""

from __future__ import annotations

import base64
import contextlib
from typing import Any, Final

import msgspec

from providers.dialects.answer_tool import ANSWER_TOOL, stop_without
from providers.dialects.bedrock_converse.content import NAME
from providers.dialects.bedrock_converse.reading import (
    citation_of,
    extras_of,
    media_of,
    sequence_of,
    stop_of,
    tier_of,
    usage_of,
)
from providers.dialects.canon import (
    BadAnswer,
    Began,
    Cited,
    Counted,
    Delta,
    Grew,
    Noted,
    Opaque,
    Part,
    PartBegan,
    PartEnded,
    Served,
    Signed,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.dialect import StreamError
from providers.dialects.sse import Event
from providers.dialects.stream_reader import StreamReader
from providers.dialects.values import UNREADABLE

#: The status that each exception in a stream stands for.
_EXCEPTIONS: Final = {
    "internalServerException": 500,
    "modelStreamErrorException": 502,
    "modelTimeoutException": 504,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}


class _Block(msgspec.Struct):
    """A block that is open. `index`: of its part, once that has begun. `whole`: what is told at the end."""

    kind: str
    index: int | None = None
    length: int = 0
    signature: list[str] = msgspec.field(default_factory=list)
    citations: list[dict[str, Any]] = msgspec.field(default_factory=list)
    whole: dict[str, Any] | None = None
    pieces: list[str] = msgspec.field(default_factory=list)


class Reader(StreamReader):
    """Feed it the events of one stream."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: dict[int, _Block] = {}
        self._parts = 0
        self._calls = 0
        self._answered = False

    def feed(self, event: Event) -> list[Delta]:
        """What one event says. Its name, which stands before its data, tells what kind it is."""
        name = event.name or ""
        return self._hear(event, event.data or b"") if name in _HANDLERS or _is_failure(name) else []

    def _told(self, event: Event, data: bytes, found: dict[str, Any]) -> list[Delta]:
        name = event.name or ""
        if _is_failure(name):
            return self._failed(StreamError(_error(name, found)))
        return [] if self._stopped and name != "metadata" else _HANDLERS[name](self, found)

    def _head(self, found: dict[str, Any]) -> Began:
        return Began(dialect=NAME)

    def _close(self) -> list[Delta]:
        deltas: list[Delta] = []
        for at in list(self._blocks):
            with contextlib.suppress(BadAnswer):
                deltas += self._end(at)
        return deltas

    def _block_start(self, found: dict[str, Any]) -> list[Delta]:
        at, start = _at(found), found.get("start")
        if not isinstance(start, dict):
            raise BadAnswer("a block starts with no object")
        deltas = [*self._start(found), *self._end(at)]
        tool = start.get("toolUse")
        if isinstance(tool, dict) and tool.get("type") != "server_tool_use":
            return deltas + self._begin_call(at, tool)
        for kind in ("toolUse", "toolResult", "image"):
            if isinstance(start.get(kind), dict):
                self._blocks[at] = _Block(kind, whole=dict(start[kind]))
        return deltas

    def _begin_call(self, at: int, tool: dict[str, Any]) -> list[Delta]:
        given, name = tool.get("toolUseId"), tool.get("name")
        if not isinstance(given, str) or not isinstance(name, str):
            raise BadAnswer("a call without an id or a name")
        block = self._blocks[at] = _Block("toolUse")
        if name == ANSWER_TOOL:
            self._answered = True
            return [self._begin(block, Text(""))]
        self._calls += 1
        return [self._begin(block, ToolCall(given, name, ""))]

    def _begin(self, block: _Block, part: Part) -> PartBegan:
        block.index, self._parts = self._parts, self._parts + 1
        return PartBegan(block.index, part)

    def _block_delta(self, found: dict[str, Any]) -> list[Delta]:
        at, delta = _at(found), found.get("delta")
        if not isinstance(delta, dict):
            raise BadAnswer("a delta is no object")
        deltas = self._start(found)
        block = self._blocks.get(at)
        if block is not None and block.whole is not None:
            _collect(block, block.whole, delta)
        elif isinstance(delta.get("toolUse"), dict):
            deltas += self._grow_call(block, delta["toolUse"].get("input"))
        elif isinstance(delta.get("reasoningContent"), dict):
            deltas += self._grow_thought(at, block, delta["reasoningContent"])
        elif isinstance(delta.get("citation"), dict):
            block, begun = self._open(at, block, Text(""))
            block.citations.append(delta["citation"])
            deltas += begun
        elif isinstance(delta.get("text"), str):
            deltas += self._grow(at, block, Text(""), delta["text"])
        return deltas

    def _open(self, at: int, block: _Block | None, part: Text | Thinking) -> tuple[_Block, list[Delta]]:
        """The block that holds this kind of part, begun if it is new."""
        kind = type(part).__name__
        if block is None:
            block = self._blocks[at] = _Block(kind)
        if block.kind != kind:
            raise BadAnswer("a block holds parts of two kinds")
        return block, [] if block.index is not None else [self._begin(block, part)]

    def _grow(self, at: int, block: _Block | None, part: Text | Thinking, text: str) -> list[Delta]:
        if not text:
            return []
        block, deltas = self._open(at, block, part)
        assert block.index is not None
        block.length += len(text)
        return [*deltas, Grew(block.index, text)]

    def _grow_thought(self, at: int, block: _Block | None, value: dict[str, Any]) -> list[Delta]:
        text, signature, hidden = value.get("text"), value.get("signature"), value.get("redactedContent")
        if isinstance(text, str):
            return self._grow(at, block, Thinking(), text)
        if isinstance(signature, str) and signature:
            block, deltas = self._open(at, block, Thinking())
            block.signature.append(signature)
            return deltas
        if isinstance(hidden, str) and hidden:
            block, deltas = self._open(at, block, Thinking(redacted=True))
            block.signature.append(hidden)
            return deltas
        return []

    def _grow_call(self, block: _Block | None, text: Any) -> list[Delta]:
        if block is None or block.kind != "toolUse" or block.index is None or not isinstance(text, str):
            raise BadAnswer("more of a call that has not begun")
        return [Grew(block.index, text)] if text else []

    def _block_stop(self, found: dict[str, Any]) -> list[Delta]:
        return [*self._start(found), *self._end(_at(found))]

    def _end(self, at: int) -> list[Delta]:
        block = self._blocks.pop(at, None)
        if block is None:
            return []
        if block.whole is not None:
            part = _whole(block)
            return [] if part is None else [begun := self._begin(block, part), PartEnded(begun.index)]
        if block.index is None:
            return []
        deltas: list[Delta] = [Cited(block.index, citation_of(citation, block.length)) for citation in block.citations]
        if block.signature:
            deltas.append(Signed(block.index, "".join(block.signature), NAME))
        return [*deltas, PartEnded(block.index)]

    def _message_stop(self, found: dict[str, Any]) -> list[Delta]:
        deltas = self._start(found)
        for at in list(self._blocks):
            deltas += self._end(at)
        self._stopped = True
        stop, word = stop_of(found.get("stopReason"))
        fields = found.get("additionalModelResponseFields")
        stop = stop_without(stop, self._calls, self._answered)
        deltas.append(Stopped(stop, word=word, sequence=sequence_of(fields)))
        extras = extras_of(found)
        return [*deltas, Noted(extras)] if extras else deltas

    def _metadata(self, found: dict[str, Any]) -> list[Delta]:
        deltas = self._start(found)
        usage = usage_of(found.get("usage"))
        if usage is not None:
            deltas.append(Counted(usage))
        extras = extras_of(found)
        tier = tier_of(found)
        if tier:
            deltas.append(Served(tier))
        if extras:
            deltas.append(Noted(extras))
        # It is the last event, but the counts alone are no end of an answer.
        self.done_seen = self._stopped
        return deltas


_HANDLERS: Final = {
    "messageStart": Reader._start,
    "contentBlockStart": Reader._block_start,
    "contentBlockDelta": Reader._block_delta,
    "contentBlockStop": Reader._block_stop,
    "messageStop": Reader._message_stop,
    "metadata": Reader._metadata,
}


def _at(found: dict[str, Any]) -> int:
    at = found.get("contentBlockIndex")
    if type(at) is not int:
        raise BadAnswer("an event of a block without its place")
    return at


def _is_failure(name: str) -> bool:
    return name == "error" or name.endswith("Exception")


def _error(name: str, found: dict[str, Any]) -> bytes:
    """An error object that says the kind and the status beside the message."""
    message, code = found.get("message"), found.get("code")
    kind = name if name != "error" else code
    error = {
        "type": kind if isinstance(kind, str) and kind else "error",
        "code": _EXCEPTIONS.get(name, 502),
        "message": message if isinstance(message, str) else "",
    }
    return msgspec.json.encode({"error": error})


def _collect(block: _Block, whole: dict[str, Any], delta: dict[str, Any]) -> None:
    """More of a block that is told at its end."""
    given = delta.get(block.kind)
    if block.kind == "toolUse" and isinstance(given, dict) and isinstance(given.get("input"), str):
        block.pieces.append(given["input"])
    elif block.kind == "toolResult" and isinstance(given, list):
        if not isinstance(whole.get("content"), list):
            whole["content"] = []
        whole["content"] += given
    elif block.kind == "image" and isinstance(given, dict) and isinstance(given.get("source"), dict):
        data = given["source"].get("bytes")
        if isinstance(data, str):
            block.pieces.append(data)
        else:
            whole.update(given)


def _whole(block: _Block) -> Part | None:
    """The part that a block has become."""
    whole = block.whole or {}
    if block.kind == "image" and block.pieces:
        whole["source"] = {"bytes": _joined(block.pieces)}
    elif block.kind == "toolUse":
        text = "".join(block.pieces)
        try:
            whole["input"] = msgspec.json.decode(text) if text else {}
        except UNREADABLE:
            whole["input"] = text
    found = {block.kind: whole}
    return media_of(found) or Opaque(NAME, found)


def _joined(pieces: list[str]) -> str:
    """Base64 that came in pieces, each of which is whole by itself."""
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece) for piece in pieces)).decode()
    except ValueError as error:
        raise BadAnswer("an image that is not base64") from error
