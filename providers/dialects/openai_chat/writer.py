"""A chat stream, written for a client. Pure.

The usage chunk comes only if the client's request asked for it: `stream_options.include_usage` in `Request.notes`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Began,
    Citation,
    Cited,
    Counted,
    Delta,
    Grew,
    Logprobs,
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
from providers.dialects.openai_chat.answering import annotation, google, image, is_legacy, sound, wants_thoughts
from providers.dialects.openai_chat.request import wants_usage
from providers.dialects.openai_chat.stream import DONE
from providers.dialects.openai_chat.thoughts import proof_detail, text_detail
from providers.dialects.openai_chat.words import NAME, own_id, usage_words, word_of
from providers.dialects.usage import Usage

_encode: Final = msgspec.json.Encoder().encode


class _Turn(msgspec.Struct):
    """One choice: what was said of it, and its open part."""

    part: Part | None = None
    #: length of the text so far, and where the open part began in it
    said: int = 0
    start: int = 0
    thoughts: int = 0
    calls: int = 0
    annotations: int = 0
    #: of the open text, whose length they need
    citations: list[Citation] = []
    images: int = 0
    refused: bool = False
    grew: bool = False


class Writer:
    """Feed it deltas, send what it returns."""

    def __init__(self, public_model: str, request: Request) -> None:
        self._asked_usage = wants_usage(request)
        self._think = wants_thoughts(request)
        self._legacy = is_legacy(request)
        self._base: dict[str, Any] = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0}
        self._base["model"] = public_model
        self._own = False
        self._turns: dict[int, _Turn] = {}
        #: choices whose first chunk, with the role, is out
        self._opened: set[int] = set()
        self._usage: Usage | None = None
        self._extras: dict[str, Any] = {}

    def feed(self, delta: Delta) -> bytes:
        """The chunks that say this; often none."""
        match delta:
            case Began():
                self._began(delta)
            case PartBegan():
                return self._part_began(delta)
            case Grew(_, text, choice):
                return self._grew(text, choice)
            case Signed():
                return self._signed(delta)
            case Cited(_, citation, choice):
                self._turns[choice].citations.append(citation)
            case PartEnded():
                return self._part_ended(delta.choice)
            case Logprobs(value, choice):
                return self._chunk(choice, {}, logprobs={"content": None, "refusal": None, **value})
            case Stopped():
                return self._stopped(delta)
            case Counted(usage):
                self._usage = usage
            case Served(tier):
                self._base["service_tier"] = tier
            case Noted(extras):
                self._noted(extras)
        return b""

    def end(self) -> bytes:
        """The usage, if it was asked for, and the end."""
        if not self._asked_usage or self._usage is None:
            return DONE
        return _event({**self._base, "choices": [], "usage": usage_words(self._usage)}) + DONE

    # --- the answer -------------------------------------------------------------------------------------------------

    def _began(self, began: Began) -> None:
        self._own = began.dialect == NAME
        self._base["id"] = own_id(began.id, began.dialect, "chatcmpl-")
        self._base["created"] = began.created
        if began.service_tier:
            self._base["service_tier"] = began.service_tier

    def _noted(self, extras: dict[str, Any]) -> None:
        if not self._own:
            return
        self._extras |= extras
        if "system_fingerprint" in extras:
            self._base["system_fingerprint"] = extras["system_fingerprint"]

    def _stopped(self, stopped: Stopped) -> bytes:
        turn = self._turn(stopped.choice)
        word = stopped.word if self._own else ""
        word = word or word_of(stopped.stop, called=turn.calls > 0, refused=turn.refused)
        if self._legacy and word == "tool_calls":
            word = "function_call"
        out = self._chunk(stopped.choice, {}, finish=word, more=self._extras)
        self._extras = {}
        return out

    # --- parts ------------------------------------------------------------------------------------------------------

    def _turn(self, choice: int) -> _Turn:
        turn = self._turns.get(choice)
        if turn is None:
            turn = self._turns[choice] = _Turn()
        return turn

    def _part_began(self, began: PartBegan) -> bytes:
        turn, part = self._turn(began.choice), began.part
        turn.part, turn.grew, turn.start = part, False, turn.said
        turn.citations = [*getattr(part, "citations", ())]
        match part:
            case ToolCall():
                turn.calls += 1
                return self._call(turn, began.choice, part) + self._grew(part.arguments, began.choice)
            case Media():
                return self._shown(turn, began.choice, part)
            case Opaque(dialect, value):
                return self._annotated(value if dialect == NAME else None, began.choice)
            case Text(text) | Refusal(text) | Thinking(text):
                return self._grew(text, began.choice)
            case _:
                return b""

    def _call(self, turn: _Turn, choice: int, call: ToolCall) -> bytes:
        kind = "custom" if call.free else "function"
        body = {"name": call.name, "input" if call.free else "arguments": ""}
        if not self._legacy:
            entry = {"index": turn.calls - 1, "id": call.id, "type": kind, kind: body}
            return self._chunk(choice, {"tool_calls": [entry]})
        return self._chunk(choice, {"function_call": body}) if turn.calls == 1 else b""

    def _annotated(self, entry: dict[str, Any] | None, choice: int) -> bytes:
        """An entry of a list bears an index in a stream: OpenAI's own clients refuse a second one without."""
        if entry is None:
            return b""
        turn = self._turns[choice]
        turn.annotations += 1
        return self._chunk(choice, {"annotations": [{**entry, "index": turn.annotations - 1}]})

    def _shown(self, turn: _Turn, choice: int, media: Media) -> bytes:
        shown, heard = image(media), sound(media)
        if shown is not None:
            turn.images += 1
            return self._chunk(choice, {"images": [{**shown, "index": turn.images - 1}]})
        return self._chunk(choice, {"audio": heard}) if heard is not None else b""

    def _grew(self, text: str, choice: int) -> bytes:
        turn = self._turns[choice]
        if not text:
            return b""
        first, turn.grew = not turn.grew, True
        match turn.part:
            case Text():
                turn.said += len(text)
                return self._chunk(choice, {"content": text})
            case Refusal():
                turn.refused = True
                return self._chunk(choice, {"refusal": text})
            case Thinking() if self._think:
                entry = text_detail(turn.part, text, turn.thoughts, first=first)
                return self._chunk(choice, {"reasoning_content": text, "reasoning_details": [entry]})
            case ToolCall():
                return self._argued(turn, text, choice, turn.part.free)
            case _:
                return b""

    def _argued(self, turn: _Turn, text: str, choice: int, free: bool) -> bytes:
        if self._legacy:
            return self._chunk(choice, {"function_call": {"arguments": text}}) if turn.calls == 1 else b""
        body = {"custom": {"input": text}} if free else {"function": {"arguments": text}}
        return self._chunk(choice, {"tool_calls": [{"index": turn.calls - 1, **body}]})

    def _signed(self, signed: Signed) -> bytes:
        turn = self._turns[signed.choice]
        proof = google(signed.signature, signed.signer)
        match turn.part:
            case Thinking() if self._think:
                thought = msgspec.structs.replace(turn.part, signature=signed.signature, signer=signed.signer)
                entry = proof_detail(thought, turn.thoughts)
                return self._chunk(signed.choice, {"reasoning_details": [entry]})
            case ToolCall() if not self._legacy:
                # OpenAI's streaming helper refuses a call's piece that grows nothing.
                grown = {"custom": {"input": ""}} if turn.part.free else {"function": {"arguments": ""}}
                entry = {"index": turn.calls - 1, **grown, "extra_content": proof}
                return self._chunk(signed.choice, {"tool_calls": [entry]})
            case Text():
                return self._chunk(signed.choice, {"extra_content": proof})
            case _:
                return b""

    def _part_ended(self, choice: int) -> bytes:
        turn = self._turns[choice]
        out = b""
        match turn.part:
            case ToolCall(free=False) if not turn.grew:
                out = self._argued(turn, "{}", choice, False)
            case Thinking():
                turn.thoughts += 1
            case Text():
                length = turn.said - turn.start
                out = b"".join(
                    self._annotated(annotation(citation, turn.start, length), choice) for citation in turn.citations
                )
                turn.citations.clear()
            case _:
                pass
        turn.part = None
        return out

    # --- chunks -----------------------------------------------------------------------------------------------------

    def _chunk(
        self,
        choice: int,
        delta: dict[str, Any],
        *,
        finish: str | None = None,
        logprobs: dict[str, Any] | None = None,
        more: dict[str, Any] | None = None,
    ) -> bytes:
        """One event, before it the one that opens the choice if this is its first."""
        opening = b""
        if choice not in self._opened:
            self._opened.add(choice)
            opening = self._said(choice, {"role": "assistant", "content": "", "refusal": None}, None, None, {})
        return opening + self._said(choice, delta, finish, logprobs, more or {})

    def _said(
        self,
        choice: int,
        delta: dict[str, Any],
        finish: str | None,
        logprobs: dict[str, Any] | None,
        more: dict[str, Any],
    ) -> bytes:
        said = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        usage = {"usage": None} if self._asked_usage else {}
        return _event({**more, **self._base, "choices": [said], **usage})


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _encode(chunk) + b"\n\n"
