"""Writes a stream for a client as the official SDKs read it: responses with a piece each, calls whole. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Began,
    Choice,
    Citation,
    Cited,
    Counted,
    Delta,
    Grew,
    Logprobs,
    Noted,
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
from providers.dialects.google_generate.counts import write_usage
from providers.dialects.google_generate.logprobs import write_logprobs
from providers.dialects.google_generate.parts import call_part, proof, words_part
from providers.dialects.google_generate.response import answer_part, beside_of, ending, identity, refused_whole
from providers.dialects.google_generate.words import NAME
from providers.dialects.usage import Usage

_encode: Final = msgspec.json.Encoder().encode


class _Said:
    """One candidate: what was said of it, and its open part."""

    def __init__(self) -> None:
        self.written = 0
        self.part: Part | None = None
        self.words: list[str] = []
        self.citations: list[Citation] = []
        self.signature = ("", "")
        self.cited: list[tuple[int, Text]] = []
        self.logprobs: list[Any] = []
        self.stopped: Stopped | None = None

    def begin(self, part: Part) -> list[dict[str, Any]]:
        """The pieces that say the beginning of a part, or the whole of one that does not grow."""
        self.words, self.citations, self.signature = [], [], ("", "")
        self.part = part
        match part:
            case Text(words) | Thinking(words) | Refusal(words):
                if not isinstance(part, Refusal):
                    self.signature = (part.signature, part.signer)
                self.citations = list(part.citations) if isinstance(part, Text) else []
                return self.grow(words) if words else []
            case ToolCall(_, _, arguments):
                self.words, self.signature = [arguments], (part.signature, part.signer)
                return []
        self.part = None
        made = answer_part(part)
        self.written += made is not None
        return [made] if made is not None else []

    def grow(self, words: str) -> list[dict[str, Any]]:
        """The piece that says more of a text; a function call waits until it is whole."""
        self.words.append(words)
        if not words or isinstance(self.part, ToolCall) or self.part is None:
            return []
        return [words_part(words, self.part) if isinstance(self.part, Text | Thinking) else {"text": words}]

    def end(self) -> list[dict[str, Any]]:
        """The piece that says what is left of the open part."""
        part, self.part = self.part, None
        pieces: list[dict[str, Any]] = []
        if isinstance(part, ToolCall):
            pieces.append(call_part(part, "".join(self.words)) | proof(part, *self.signature))
        elif isinstance(part, Text | Thinking) and self.signature[0]:
            pieces.append(words_part("", part) | proof(part, *self.signature))
        if isinstance(part, Text) and self.citations:
            self.cited.append((self.written, Text("".join(self.words), tuple(self.citations))))
        self.written += bool(pieces or any(self.words))
        return pieces

    def choice(self, index: int) -> Choice:
        """How it ended."""
        stopped = self.stopped or Stopped("")
        logprobs = {"content": self.logprobs} if self.logprobs else None
        return Choice((), stopped.stop, index, stopped.word, stopped.sequence, logprobs)


class Writer:
    """Feed it deltas, send what it returns."""

    def __init__(self, public_model: str, request: Request) -> None:
        self._model = public_model
        self._began = Began()
        self._said: dict[int, _Said] = {}
        self._usage: Usage | None = None
        self._extras: dict[str, Any] = {}
        self._tier: dict[str, Any] = {}

    def feed(self, delta: Delta) -> bytes:
        """The events that say this."""
        match delta:
            case Began():
                self._began = delta
                if delta.service_tier and delta.dialect == NAME:
                    self._tier = {"usageMetadata": {"serviceTier": delta.service_tier}}
            case PartBegan(_, part, choice):
                return self._tell(choice, self._of(choice).begin(part))
            case Grew(_, words, choice):
                return self._tell(choice, self._of(choice).grow(words))
            case PartEnded(_, choice):
                return self._tell(choice, self._of(choice).end())
            case Counted(usage):
                self._usage = usage
            case Served(tier):
                self._began = msgspec.structs.replace(self._began, service_tier=tier)
            case Noted(extras):
                self._extras |= extras
            case _:
                self._note(delta)
        return b""

    def _note(self, delta: Delta) -> None:
        """Keep what is said later."""
        match delta:
            case Signed(_, signature, signer, choice):
                self._of(choice).signature = (signature, signer)
            case Cited(_, citation, choice):
                self._of(choice).citations.append(citation)
            case Logprobs(value, choice):
                content = value.get("content")
                self._of(choice).logprobs += content if isinstance(content, list) else []
            case Stopped():
                self._of(delta.choice).stopped = delta

    def _of(self, choice: int) -> _Said:
        return self._said.setdefault(choice, _Said())

    def _tell(self, choice: int, pieces: list[dict[str, Any]]) -> bytes:
        if not pieces:
            return b""
        said = self._of(choice)
        candidate: dict[str, Any] = {"content": {"parts": pieces, "role": "model"}, "index": choice}
        logprobs = write_logprobs({"content": said.logprobs})
        if logprobs is not None:
            candidate["logprobsResult"] = logprobs
            said.logprobs = []
        tier, self._tier = self._tier, {}
        return self._event({"candidates": [candidate], **tier})

    def end(self) -> bytes:
        """The last response: why each candidate stopped, and the usage."""
        native = self._began.dialect == NAME
        extras = dict(self._extras) if native else {}
        beside = extras.pop("candidates", None)
        choices = [(said, said.choice(index)) for index, said in sorted(self._said.items())]
        body: dict[str, Any] = {}
        if choices and (
            any(said.written for said, _ in choices)
            or not refused_whole(tuple(choice for _, choice in choices), extras)
        ):
            body["candidates"] = [
                {"content": {"parts": [{"text": ""}], "role": "model"}}
                | ending(choice, native, beside_of(beside, choice.index), said.cited)
                for said, choice in choices
            ]
        body |= extras
        if self._usage is not None:
            body["usageMetadata"] = write_usage(self._usage, self._began.service_tier if native else "")
        return self._event(body) if body else b""

    def _event(self, body: dict[str, Any]) -> bytes:
        began = self._began
        return b"data: " + _encode(body | identity(self._model, began.id, began.created)) + b"\n\n"
