"""Reads the stream of an upstream. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects import signatures
from providers.dialects.anthropic_messages.blocks import read_block, read_citation
from providers.dialects.anthropic_messages.counting import merge_reports, read_usage
from providers.dialects.anthropic_messages.response import (
    answered,
    leftovers,
    stop_for,
    text_of,
    tier_of,
    usage_leftovers,
)
from providers.dialects.anthropic_messages.words import NAME
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

_decode: Final = msgspec.json.Decoder().decode
#: What carries on where a block was never begun, as some copies of this API do.
_BEGUN_BY: Final[dict[str, Part]] = {"text_delta": Text(""), "thinking_delta": Thinking("")}
_GROWING: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class Reader(StreamReader):
    """Feed it events, take deltas."""

    def __init__(self) -> None:
        super().__init__()
        #: what was reported of the usage, the later over the earlier
        self._usage: dict[str, Any] = {}
        #: the parts so far, whether still open or not
        self._parts: dict[int, Part] = {}
        self._open: set[int] = set()
        #: blocks of this dialect alone, which are told when they are whole, and the JSON text of their input
        self._held: dict[int, tuple[dict[str, Any], list[str]]] = {}

    def end(self) -> list[Delta]:
        """The ends of what is still open."""
        return self._close()

    def _told(self, event: Event, data: bytes, found: dict[str, Any]) -> list[Delta]:
        kind = found.get("type") or event.name
        if "error" in (kind, event.name) or (kind is None and found.get("error")):
            return self._failed(StreamError(data))
        match kind:
            case "content_block_delta":
                return self._grow(_index(found), found.get("delta"))
            case "message_start":
                return self._message(found.get("message"))
            case "content_block_start":
                return self._begin(_index(found), found.get("content_block"))
            case "content_block_stop":
                return self._stop(_index(found))
            case "message_delta":
                return self._delta(found)
            case "message_stop":
                self.done_seen = True
                return self._close()
        return []

    def _message(self, message: Any) -> list[Delta]:
        if not isinstance(message, dict):
            raise BadAnswer("message_start without a message")
        if self._began:
            return []
        self._began = True
        usage = message.get("usage")
        told: list[Delta] = [
            Began(text_of(message.get("id")), text_of(message.get("model")), 0, tier_of(usage), NAME),
            *self._count(usage),
        ]
        extras = {**leftovers(message), **usage_leftovers(self._usage)}
        return [*told, Noted(extras)] if extras else told

    def _count(self, usage: Any) -> list[Delta]:
        if not isinstance(usage, dict):
            return []
        merge_reports(self._usage, usage)
        counted = read_usage(self._usage)
        return [Counted(counted)] if counted is not None else []

    def _begin(self, index: int, block: Any) -> list[Delta]:
        read = read_block(block, "content_block")
        told = self._stop(index) if index in self._open or index in self._held else []
        if isinstance(read, Opaque):
            self._held[index] = (dict(read.value), [])
            return told
        self._parts[index] = read
        self._open.add(index)
        match read:
            case Text(text, citations):
                told += [PartBegan(index, Text("")), *_more(index, text)]
                told += [Cited(index, citation) for citation in citations]
            case Thinking(text, signature, signer):
                bare = msgspec.structs.replace(read, text="", signature="", signer="")
                told += [PartBegan(index, bare), *_more(index, text)]
                told += [Signed(index, signature, signer)] if signature else []
            case ToolCall():
                bare_call = answered(msgspec.structs.replace(read, arguments=""))
                told += [PartBegan(index, bare_call), *_more(index, read.arguments if block.get("input") else "")]
            case _:
                told.append(PartBegan(index, read))
        return told

    def _grow(self, index: int, delta: Any) -> list[Delta]:
        if not isinstance(delta, dict):
            raise BadAnswer("a delta that is no object")
        kind = text_of(delta.get("type"))
        told: list[Delta] = []
        if index not in self._open:
            if index in self._held:
                _join(*self._held[index], delta)
                return []
            if kind not in _BEGUN_BY or index in self._parts:
                return []
            self._parts[index] = _BEGUN_BY[kind]
            self._open.add(index)
            told.append(PartBegan(index, _BEGUN_BY[kind]))
        if kind in _GROWING:
            return told + _more(index, text_of(delta.get(_GROWING[kind])))
        if kind == "signature_delta":
            signature, signer, _ = signatures.unframed(text_of(delta.get("signature")), NAME)
            return [*told, Signed(index, signature, signer)] if signature else told
        if kind == "citations_delta":
            citation = read_citation(delta.get("citation"))
            return [*told, Cited(index, citation)] if citation is not None else told
        return told

    def _stop(self, index: int) -> list[Delta]:
        if index in self._held:
            whole = Opaque(NAME, _whole(*self._held.pop(index)))
            self._parts[index] = whole
            return [PartBegan(index, whole), PartEnded(index)]
        if index not in self._open:
            return []
        self._open.discard(index)
        return [PartEnded(index)]

    def _close(self) -> list[Delta]:
        indices = sorted(self._open | self._held.keys())
        return [delta for index in indices for delta in self._stop(index)]

    def _delta(self, found: dict[str, Any]) -> list[Delta]:
        delta = found.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        told: list[Delta] = []
        word = text_of(delta.get("stop_reason"))
        if word and not self._stopped:
            self._stopped = True
            stop = stop_for(word, tuple(self._parts.values()))
            told = [*self._close(), Stopped(stop, 0, word, text_of(delta.get("stop_sequence")))]
        told += self._count(found.get("usage"))
        tier = tier_of(found.get("usage"))
        told += [Served(tier)] if tier else []
        more = {name: value for name, value in found.items() if name not in ("type", "delta", "usage")}
        extras = {**leftovers(delta), **leftovers(more), **usage_leftovers(self._usage)}
        return [*told, Noted(extras)] if extras else told


def _index(found: dict[str, Any]) -> int:
    index = found.get("index")
    if type(index) is not int:
        raise BadAnswer("an event of a block without its index")
    return index


def _more(index: int, text: str) -> list[Delta]:
    return [Grew(index, text)] if text else []


def _join(block: dict[str, Any], inputs: list[str], delta: dict[str, Any]) -> None:
    """Add a delta to a block that only this dialect knows: by the member's name, whatever it is."""
    for name, value in delta.items():
        if name == "partial_json" and isinstance(value, str):
            inputs.append(value)
        elif name == "citation":
            if not isinstance(block.get("citations"), list):
                block["citations"] = []
            block["citations"].append(value)
        elif name != "type":
            before = block.get(name)
            block[name] = before + value if isinstance(before, str) and isinstance(value, str) else value


def _whole(block: dict[str, Any], inputs: list[str]) -> dict[str, Any]:
    if not inputs:
        return block
    text = "".join(inputs)
    try:
        given = _decode(text) if text.strip() else block.get("input")
    except UNREADABLE as error:
        raise BadAnswer("the input of a tool is no JSON") from error
    return {**block, "input": given}
