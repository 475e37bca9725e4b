"""Messages as `contents` and `systemInstruction`. Pure.

System messages go before everything, wherever they stood: Google knows one instruction. All calls of one turn stand in
one content and all their results in the next, as the API demands. Gemini 3 refuses calls of the current turn without
the proof it gave for them: calls of other models get the word that it takes in its place.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import (
    Media,
    Message,
    Misfit,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.dialects.google_generate.contents import JOINED, response_of
from providers.dialects.google_generate.members import encoded
from providers.dialects.google_generate.models import Gemini
from providers.dialects.google_generate.parts import call_part, media_part, proof, words_part
from providers.dialects.google_generate.words import NAME

#: "We know that the proof is missing": documented for calls that no Gemini model made.
_NO_PROOF: Final = encoded("skip_thought_signature_validator")
#: What a function's response may hold itself; anything else stands beside it.
_IN_RESPONSES: Final = ("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain")


class Turns:
    """The contents for one request, as they grow."""

    def __init__(self, request: Request, model: Gemini, dropped: dict[str, None]) -> None:
        self._model = model
        self._native = request.dialect == NAME
        self._dropped = dropped
        self._names = {
            part.call_id: part.name
            for said in request.messages
            for part in said.parts
            if isinstance(part, ToolResult) and part.name
        }
        self.contents: list[dict[str, Any]] = []
        self.system: list[dict[str, Any]] = []
        self._last: str = ""

    def add(self, message: Message) -> None:
        """One more message."""
        if message.name:
            self._dropped["name"] = None
        if message.role in ("system", "developer"):
            self.system += [{"text": words} for words in self._instructions(message) if words]
            return
        made = self._answered(message) if message.role == "tool" else self._said(message)
        if made:
            self._append(message, made)

    def _append(self, message: Message, parts: list[dict[str, Any]]) -> None:
        role = "model" if message.role == "assistant" else "user"
        last = self.contents[-1] if self.contents else {}
        if last.get("role") == role and self._is_joined(message):
            last["parts"] += parts
        else:
            last = {"role": role, "parts": parts}
            self.contents.append(last)
        self._last = message.role
        if self._model.is_recent and role == "model" and not self._began_before():
            calls = [part for part in last["parts"] if "functionCall" in part]
            for first in calls[:1]:
                first.setdefault("thoughtSignature", _NO_PROOF)

    def _began_before(self) -> bool:
        """Whether the calls of this turn began in the content before the last: Google's SDK keeps each event of a
        stream as a content of its own, and the proof is on the first call alone."""
        before = self.contents[-2] if len(self.contents) > 1 else {}
        return before.get("role") == "model" and any("functionCall" in part for part in before["parts"])

    def _is_joined(self, message: Message) -> bool:
        """Whether it goes on in the content before it, as the calls and the results of one turn must."""
        if self._native and message.extras.get(JOINED):
            return True
        turns = ("tool",) if self._native else ("tool", "assistant")
        return message.role == self._last and message.role in turns

    def _instructions(self, message: Message) -> list[str]:
        words = []
        for part in message.parts:
            if isinstance(part, Media):
                raise Misfit("System messages can only hold text for this model.", "messages", unsupported=True)
            made = self._part(part) or {}
            words.append(made.get("text", ""))
        return words

    def _said(self, message: Message) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        for part in message.parts:
            made = self._part(part)
            if made is not None:
                parts.append(made)
        return parts

    def _part(self, part: Part) -> dict[str, Any] | None:
        self._marks(part)
        match part:
            case Text():
                return self._words(part)
            case Thinking():
                return self._thought(part)
            case ToolCall():
                self._names[part.id] = part.name
                return call_part(part, part.arguments) | self._proof(part)
            case Media():
                return media_part(part, "messages", self._native)
            case Refusal(text):
                return {"text": text} if text else None
            case Opaque(dialect, value):
                if dialect == NAME:
                    return value
                kind = value.get("type")
                self._dropped[f"opaque:{kind}" if isinstance(kind, str) else "opaque"] = None
        return None

    def _words(self, part: Text) -> dict[str, Any] | None:
        proven = self._proof(part)
        return {"text": part.text} | proven if part.text or proven else None

    def _thought(self, part: Thinking) -> dict[str, Any] | None:
        """A thought of a Gemini model; those of others would be taken for its own."""
        if part.signer != NAME and not (self._native and not part.signature):
            self._dropped["thinking"] = None
            return None
        return words_part(part.text, part) | self._proof(part)

    def _proof(self, part: Text | Thinking | ToolCall) -> dict[str, str]:
        return proof(part, part.signature, part.signer) if part.signer == NAME else {}

    def _answered(self, message: Message) -> list[dict[str, Any]]:
        """The results of calls; media that no response may hold stand after them all."""
        parts: list[dict[str, Any]] = []
        beside: list[dict[str, Any]] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._marks(part)
                parts.append(self._result(part, beside))
        return parts + beside

    def _result(self, part: ToolResult, beside: list[dict[str, Any]]) -> dict[str, Any]:
        words = "\n".join(piece.text for piece in part.parts if isinstance(piece, Text))
        name = part.name or self._names.get(part.call_id) or part.call_id
        made: dict[str, Any] = {"name": name, "response": response_of(words, part.failed)}
        if part.call_id:
            made["id"] = part.call_id
        if self._native:
            made |= part.extras
        inside: list[dict[str, Any]] = []
        for piece in part.parts:
            if isinstance(piece, Media):
                self._marks(piece)
                held = self._model.is_recent and piece.media_type in _IN_RESPONSES
                (inside if held else beside).append(media_part(piece, "messages", self._native))
        if inside:
            made["parts"] = inside
        return {"functionResponse": made}

    def _marks(self, part: Part) -> None:
        """Name what is left out of a part."""
        if getattr(part, "cache", None) is not None:
            self._dropped["cache_control"] = None
        if isinstance(part, Text) and part.citations:
            self._dropped["citations"] = None
        if isinstance(part, Media) and part.detail not in ("", "auto"):
            self._dropped["detail"] = None
