"""Writes a stream to a client: the events, in the order, that the official SDKs put together again. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects import signatures
from providers.dialects.anthropic_messages.response import usage_said
from providers.dialects.anthropic_messages.saying import carrier, citation, input_of
from providers.dialects.anthropic_messages.words import NAME, message_id, word_of
from providers.dialects.canon import (
    Began,
    Cited,
    Counted,
    Delta,
    Grew,
    Media,
    Noted,
    Opaque,
    Part,
    PartBegan,
    PartEnded,
    Refusal,
    Request,
    Served,
    Signed,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.usage import Usage

_encode: Final = msgspec.json.Encoder().encode
#: What `message_delta` says beside its `delta`; all else is of the message and goes into that.
_BESIDE: Final = ("context_management",)


class Writer:
    """Is fed deltas of one choice, of which one part is open at a time."""

    def __init__(self, public_model: str, request: Request) -> None:
        self._model = public_model
        self._began = Began()
        self._started = False
        self._usage: Usage | None = None
        self._extras: dict[str, Any] = {}
        self._stop = Stopped("")
        #: the index of the block that is open, or was last
        self._at = -1
        self._block_open = False
        self._part: Part | None = None
        self._signature = ("", "")
        self._text: list[str] = []
        self._parts: list[Part] = []

    def feed(self, delta: Delta) -> bytes:
        """The events that say this. Answers but the first cannot be said."""
        if getattr(delta, "choice", 0):
            return b""
        match delta:
            case Began():
                self._began = delta
            case Counted(usage):
                self._usage = usage
            case Served(tier):
                self._began = msgspec.structs.replace(self._began, service_tier=tier)
            case Noted(extras):
                self._extras.update(extras)
            case Stopped():
                self._stop = delta
            case PartBegan(_, part):
                return self._begin(part)
            case Grew(_, text):
                return self._grow(text)
            case Signed(_, signature, signer):
                return self._sign(signature, signer)
            case Cited(_, found):
                said = citation(found)
                return self._delta("citations_delta", citation=said) if said is not None else b""
            case PartEnded():
                return self._end()
        return b""

    def end(self) -> bytes:
        """Why it stopped, what it cost, and the last event."""
        out = self._end() if self._part is not None else b""
        own = self._own_extras()
        usage = usage_said(self._usage, self._began.service_tier, own)
        delta = {
            "stop_reason": word_of(self._stop.stop, self._stop.word, self._parts),
            "stop_sequence": self._stop.sequence or None,
            **{name: value for name, value in own.items() if name not in ("usage", *_BESIDE)},
        }
        beside = {name: own[name] for name in _BESIDE if name in own}
        last = _event("message_delta", delta=delta, usage=usage, **beside)
        return out + self._start() + last + _event("message_stop")

    def _own_extras(self) -> dict[str, Any]:
        return self._extras if self._began.dialect == NAME else {}

    def _start(self) -> bytes:
        """The first event, once: with the first block, when the upstream may have said what the request costs."""
        if self._started:
            return b""
        self._started = True
        return _event(
            "message_start",
            message={
                "id": message_id(self._began.id),
                "type": "message",
                "role": "assistant",
                "model": self._model,
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": usage_said(self._usage, self._began.service_tier, self._own_extras()),
            },
        )

    def _open(self, block: dict[str, Any]) -> bytes:
        self._at += 1
        self._block_open = True
        return self._start() + _event("content_block_start", index=self._at, content_block=block)

    def _delta(self, kind: str, **members: Any) -> bytes:
        """A piece of the open part, whose block begins with the first: one that stays empty is none."""
        out = b""
        if not self._block_open:
            thinks = isinstance(self._part, Thinking)
            empty = {"type": "thinking", "thinking": "", "signature": ""} if thinks else {"type": "text", "text": ""}
            out = self._open(empty)
        return out + _event("content_block_delta", index=self._at, delta={"type": kind, **members})

    def _close(self) -> bytes:
        if not self._block_open:
            return b""
        self._block_open = False
        return _event("content_block_stop", index=self._at)

    def _whole(self, block: dict[str, Any]) -> bytes:
        """A block that is told at once; what it was given comes as the API streams it."""
        given = block.get("input")
        if not isinstance(given, dict) or not given:
            return self._open(block) + self._close()
        told = self._open({**block, "input": {}})
        return told + self._delta("input_json_delta", partial_json=_encode(given).decode()) + self._close()

    def _begin(self, part: Part) -> bytes:
        out = self._end() if self._part is not None else b""
        self._part, self._signature, self._text = part, ("", ""), []
        self._parts.append(part)
        match part:
            case Text(text, citations):
                out += self._grow(text)
                said = [found for found in map(citation, citations) if found is not None]
                out += b"".join(self._delta("citations_delta", citation=found) for found in said)
            case Refusal(text) | Media(text=text):
                out += self._grow(text)
            case Thinking(text):
                out += self._grow(text) + self._sign(part.signature, part.signer)
            case ToolCall():
                call = {"type": "tool_use", "id": part.id, "name": part.name, "input": {}, **part.extras}
                self._signature = (part.signature, part.signer)
                out += self._open(call) + self._grow(part.arguments)
            case Opaque(dialect, value) if dialect == NAME:
                out += self._whole(value)
        return out

    def _grow(self, text: str) -> bytes:
        if not text:
            return b""
        match self._part:
            case Thinking(redacted=False):
                return self._delta("thinking_delta", thinking=text)
            case ToolCall(free=True):
                self._text.append(text)
            case ToolCall():
                return self._delta("input_json_delta", partial_json=text)
            case Text() | Refusal() | Media():
                return self._delta("text_delta", text=text)
        return b""

    def _sign(self, signature: str, signer: str) -> bytes:
        """The proof of a thought goes with it, if there is a thought; any other follows as a block of its own."""
        if not signature:
            return b""
        part = self._part
        if isinstance(part, Thinking) and not part.redacted and (self._block_open or signer == NAME):
            framed = signatures.framed(signature, signer, NAME, part.id)
            return self._delta("signature_delta", signature=framed)
        self._signature = (signature, signer)
        return b""

    def _end(self) -> bytes:
        part, (signature, signer) = self._part, self._signature
        out = b""
        if isinstance(part, ToolCall) and part.free:
            text = _encode(input_of(msgspec.structs.replace(part, arguments="".join(self._text)))).decode()
            out = self._delta("input_json_delta", partial_json=text)
        framed = signatures.framed(signature, signer, NAME, part.id) if isinstance(part, Thinking) else ""
        if framed and self._block_open:
            out += self._delta("signature_delta", signature=framed)
        out += self._close()
        if framed and not out:
            out += self._whole({"type": "redacted_thinking", "data": framed})
        elif isinstance(part, ToolCall):
            proof = carrier(part, signature, signer)
            out += self._whole(proof) if proof is not None else b""
        self._part = None
        return out


def _event(kind: str, **members: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + _encode({"type": kind, **members}) + b"\n\n"
