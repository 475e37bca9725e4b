"""An answer as it comes in, in one object or in many: each is a GenerateContentResponse. Pure.

Whole answers and streams are read by the same code, so that they cannot mean different things. Texts and thoughts that
follow each other are one part, as the pieces of a stream are; a proof in a part without words belongs to the part
before it. How the answer ends is told by `end`: proofs and grounding may come after the finish reason.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    BadAnswer,
    Began,
    Cited,
    Counted,
    Delta,
    Grew,
    Logprobs,
    Misfit,
    Noted,
    Opaque,
    Part,
    Served,
    Signed,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.google_generate.citations import Told, read_citations
from providers.dialects.google_generate.counts import read_usage
from providers.dialects.google_generate.dates import seconds_of
from providers.dialects.google_generate.logprobs import read_logprobs
from providers.dialects.google_generate.partial_calls import PartialCall, begins
from providers.dialects.google_generate.parts import arguments_of, media_of, proof_of, said
from providers.dialects.google_generate.words import NAME, UNSPECIFIED, stop_of
from providers.dialects.stream_reader import Parts

#: Members of a candidate and of an answer that the hub has words for.
_CANDIDATE: Final = frozenset({"content", "finishReason", "index", "logprobsResult"})
_ANSWER: Final = frozenset(
    {"candidates", "usageMetadata", "modelVersion", "responseId", "createTime", "promptFeedback"}
)


class _Candidate:
    """One candidate: its parts so far, and what is to be said when it ends."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.word = ""
        self.extras: dict[str, Any] = {}
        self._parts = Parts(index)
        self._calls = 0
        self._signature = ("", "")
        #: the call whose arguments come in pieces, and the id of the answer
        self._growing: PartialCall | None = None
        self._answer = ""
        self._pieced = False
        self._told: dict[int, list[str]] = {}

    def take(self, part: dict[str, Any], answer: str) -> list[Delta]:
        """What one part says. `answer`: the id of the answer."""
        if "functionCall" in part:
            return self._piece_of_call(part, answer)
        return self._finish_call() + self._take(part)

    def _take(self, part: dict[str, Any]) -> list[Delta]:
        if part.get("thought") is not True and ("inlineData" in part or "fileData" in part):
            return self._whole(media_of(part, "parts"))
        if "text" in part and isinstance(part["text"], str):
            return self._words(said(part))
        if part.keys() <= {"thoughtSignature", "thought"}:
            return self._words(said({**part, "text": ""}))
        return self._whole(Opaque(NAME, part))

    def _words(self, piece: Text | Thinking) -> list[Delta]:
        if not piece.text and not piece.signature:
            return []
        out: list[Delta] = []
        if self._parts.kind is not type(piece) or (piece.signature and self._signature[0]):
            out += self._close()
            out += self._parts.open(msgspec.structs.replace(piece, text="", signature="", signer=""))
        index = self._parts.index
        if piece.text:
            out.append(Grew(index, piece.text, self.index))
            if isinstance(piece, Text):
                self._told.setdefault(index, []).append(piece.text)
        if piece.signature:
            self._signature = (piece.signature, piece.signer)
        return out

    def _piece_of_call(self, part: dict[str, Any], answer: str) -> list[Delta]:
        """A call, or a piece of one: that without a name goes on with the one before it, and ends it if it is empty."""
        call = part["functionCall"]
        if not isinstance(call, dict) or call.get("name"):
            out = self._finish_call()
            if isinstance(call, dict) and begins(call):
                self._growing, self._answer, self._pieced = PartialCall(part), answer, True
                return out
            return out + self._call(part, answer)
        if self._growing is not None:
            self._growing.take(part)
        elif call or not self._pieced:
            raise BadAnswer("a function call without a name")
        goes_on = call.get("willContinue") is True or ("partialArgs" in call and "willContinue" not in call)
        return [] if goes_on else self._finish_call()

    def _finish_call(self) -> list[Delta]:
        """The call that came in pieces, if there is one."""
        growing, self._growing = self._growing, None
        return [] if growing is None else self._call(growing.whole(), self._answer)

    def _call(self, part: dict[str, Any], answer: str) -> list[Delta]:
        call = part["functionCall"]
        name = call.get("name") if isinstance(call, dict) else None
        if not isinstance(name, str):
            raise BadAnswer("a function call without a name")
        arguments = arguments_of(call, "functionCall")
        given, (signature, signer, _) = call.get("id"), proof_of(part)
        call_id = given if isinstance(given, str) and given else self._made_id(answer, name, arguments)
        self._calls += 1
        made = ToolCall(call_id, name, "")
        out = [*self._close(), *self._parts.open(made), *self._parts.grow(made, arguments)]
        self._signature = (signature, signer)
        return out + self._close()

    def _made_id(self, answer: str, name: str, arguments: str) -> str:
        """An id for a call that came without: the same each time it is read, another in every answer."""
        seed = f"{answer or arguments}\n{self.index}\n{self._calls}\n{name}"
        return "call_" + hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    def _whole(self, part: Part) -> list[Delta]:
        return [*self._close(), *self._parts.whole(part)]

    def _close(self) -> list[Delta]:
        """The end of the open part, with its proof."""
        (signature, signer), self._signature = self._signature, ("", "")
        signed: list[Delta] = [Signed(self._parts.index, signature, signer, self.index)] if signature else []
        return signed + self._parts.close()

    def note(self, name: str, value: Any) -> None:
        """Keep what only this dialect knows. Grounding may come in several pieces, of which the fullest counts."""
        held = self.extras.get(name)
        if not (name == "groundingMetadata" and _has_sources(held) and not _has_sources(value)):
            self.extras[name] = value

    def end(self, whole: bool) -> list[Delta]:
        """What is left to say. `whole`: parts that are over may still be cited."""
        out = self._finish_call()
        told = [Told(index, "".join(words)) for index, words in self._told.items()]
        growing = self._parts.index if self._parts.kind is Text else -1
        for index, citation in read_citations(self.extras, told):
            if whole or index == growing:
                out.append(Cited(index, citation, self.index))
            elif growing >= 0:
                placeless = msgspec.structs.replace(citation, start=None, end=None)
                out.append(Cited(growing, placeless, self.index))
        out += self._close()
        stop = stop_of(self.word, self._calls > 0) if self.word else ""
        out.append(Stopped(stop, self.index, self.word))
        return out


def _has_sources(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("groundingChunks"))


def _tier(response: dict[str, Any]) -> str:
    usage = response.get("usageMetadata")
    return _text(usage, "serviceTier") if isinstance(usage, dict) else ""


class Gathering:
    """Feed it decoded responses. Raises BadAnswer for what is none."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._candidates: dict[int, _Candidate] = {}
        self._extras: dict[str, Any] = {}
        self._blocked = ""
        self._tier = ""

    @property
    def finished(self) -> bool:
        """Every candidate has its finish reason, or the prompt was refused."""
        candidates = self._candidates.values()
        return bool(self._blocked) or (bool(candidates) and all(candidate.word for candidate in candidates))

    def feed(self, response: dict[str, Any]) -> list[Delta]:
        """What one response says."""
        out: list[Delta] = []
        usage = read_usage(response.get("usageMetadata"))
        if self._id is None:
            self._id = _text(response, "responseId")
            out.append(self._began(response))
        elif (tier := _tier(response)) != self._tier and tier:
            self._tier = tier
            out.append(Served(tier))
        self._feedback(response.get("promptFeedback"))
        self._extras |= {name: value for name, value in response.items() if name not in _ANSWER}
        candidates = response.get("candidates")
        if candidates is not None and not isinstance(candidates, list):
            raise BadAnswer("candidates is no list")
        try:
            for at, candidate in enumerate(candidates or ()):
                out += self._take(candidate, at)
        except Misfit as error:
            raise BadAnswer(error.message) from error
        if usage is not None:
            out.append(Counted(usage))
        return out

    def _began(self, response: dict[str, Any]) -> Began:
        self._tier = _tier(response)
        created = seconds_of(_text(response, "createTime"))
        return Began(self._id or "", _text(response, "modelVersion"), created, self._tier, NAME)

    def _feedback(self, feedback: Any) -> None:
        if isinstance(feedback, dict):
            self._extras["promptFeedback"] = feedback
            self._blocked = _text(feedback, "blockReason") or self._blocked

    def _take(self, found: Any, at: int) -> list[Delta]:
        if not isinstance(found, dict):
            raise BadAnswer("a candidate is no object")
        index = found.get("index", at)
        index = index if type(index) is int else at
        candidate = self._candidates.setdefault(index, _Candidate(index))
        content = found.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        out: list[Delta] = []
        for part in parts if isinstance(parts, list) else ():
            if not isinstance(part, dict):
                raise BadAnswer("a part is no object")
            out += candidate.take(part, self._id or "")
        logprobs = read_logprobs(found.get("logprobsResult"))
        if logprobs is not None:
            out.append(Logprobs(logprobs, candidate.index))
        word = _text(found, "finishReason")
        candidate.word = candidate.word if word in ("", UNSPECIFIED) else word
        for name, value in found.items():
            if name not in _CANDIDATE:
                candidate.note(name, value)
        return out

    def end(self, *, whole: bool = False) -> list[Delta]:
        """How it ended; nothing if it never began. `whole`: it came in one piece."""
        if self._id is None:
            return []
        out = [delta for _, candidate in sorted(self._candidates.items()) for delta in candidate.end(whole)]
        if self._blocked and not self._candidates:
            out.append(Stopped("filter", 0, self._blocked))
        beside = {str(index): found.extras for index, found in sorted(self._candidates.items()) if found.extras}
        extras = {**self._extras, **({"candidates": beside} if beside else {})}
        return [*out, Noted(extras)] if extras else out


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""
