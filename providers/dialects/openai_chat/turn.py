"""One choice of a stream: which of its parts are open, and what a delta adds to them. Pure.

A chat stream does not say where a part ends: one ends when another kind begins. Tool calls are told apart by `index`
and may grow side by side; one whose arguments are whole JSON ends when the next begins, so that nobody waits for it.
"""

from __future__ import annotations

import base64
from collections import deque
from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    BadAnswer,
    Citation,
    Cited,
    Delta,
    Grew,
    Part,
    PartEnded,
    Refusal,
    Signed,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.openai_chat.messages import arguments_of, audio_of, google_signature
from providers.dialects.openai_chat.parts import image_of, read_annotations, read_content
from providers.dialects.openai_chat.thoughts import Detail, Open, plain, read_detail
from providers.dialects.openai_chat.words import stop_of
from providers.dialects.stream_reader import Parts
from providers.dialects.values import UNREADABLE

_WORDS: Final = Text("")


class _Call(msgspec.Struct):
    """A tool call that may still grow. `at`: which part it is, -1 until its name is known."""

    id: str
    given: str
    free: bool = False
    at: int = -1
    texts: list[str] = []
    number: int = 0
    ended: bool = False
    signed: bool = False


class Turn:
    """Feed it the deltas of one choice."""

    def __init__(self, index: int, seed: str) -> None:
        self.index = index
        self.stopped = False
        self._seed = seed
        #: tool calls are open beside the part that text goes to
        self._parts = Parts(index)
        self._thought: Open | None = None
        self._calls: dict[Any, _Call] = {}
        self._order: list[_Call] = []
        #: those that grew since it was last looked which are whole; those that may yet be signed
        self._grew: dict[int, _Call] = {}
        self._unsigned: deque[_Call] = deque()
        self._audio: dict[str, Any] = {}
        self._cited = False
        self._spoke = False

    def feed(self, delta: dict[str, Any]) -> list[Delta]:
        """What a delta says. Raises BadAnswer, or Misfit for parts of content that make no sense."""
        out: list[Delta] = []
        self._think(delta, out)
        content = delta.get("content")
        if isinstance(content, str):
            self._say(_WORDS, content, out)
        elif content:
            self._content(content, out)
        refusal = delta.get("refusal")
        if isinstance(refusal, str):
            self._say(Refusal(""), refusal, out)
        if annotations := delta.get("annotations"):
            self._annotate(annotations, out)
        for entry in found if isinstance(found := delta.get("images"), list) else ():
            image = image_of(entry)
            if image is not None:
                self._whole(image, out)
        if sound := delta.get("audio"):
            self._hear(sound)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._called(call, out)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            self._called({"index": "legacy", "function": legacy}, out)
        self._sign(delta, out)
        return out

    def stop(self, word: str, sources: list[Citation]) -> list[Delta]:
        """The end of the choice, and of every part that is open."""
        out: list[Delta] = []
        if sources and self._spoke and not self._cited:
            self._cite(sources, out)
        self._close(out)
        for call in self._order:
            self._end_call(call, out)
        sound = audio_of(_whole_sound(self._audio)) if self._audio else None
        if sound is not None:
            self._whole(sound, out)
        self.stopped = True
        out.append(Stopped(stop_of(word), self.index, word))
        return out

    # --- text, thoughts, refusals -----------------------------------------------------------------------------------

    def _whole(self, part: Part, out: list[Delta]) -> None:
        self._thought = None
        out += self._parts.whole(part)

    def _close(self, out: list[Delta]) -> None:
        self._thought = None
        out += self._parts.close()

    def _say(self, part: Part, text: str, out: list[Delta]) -> None:
        if text:
            self._open(part, out)
            out.append(Grew(self._parts.index, text, self.index))

    def _open(self, part: Part, out: list[Delta]) -> None:
        if self._parts.kind is not type(part):
            self._close(out)
            self._settle(out)
            out += self._parts.open(part)
            self._spoke = self._spoke or isinstance(part, Text)

    def _think(self, delta: dict[str, Any], out: list[Delta]) -> None:
        entries = delta.get("reasoning_details")
        details = [read_detail(entry) for entry in entries] if isinstance(entries, list) else []
        if not any(detail.text for detail in details if detail is not None) and (text := plain(delta)):
            self._reason(Detail("text", text), out)
        for detail in details:
            if detail is not None:
                self._reason(detail, out)

    def _reason(self, detail: Detail, out: list[Delta]) -> None:
        if self._thought is None or not self._thought.takes(detail):
            self._close(out)
            self._open(detail.begins(), out)
            self._thought = Open(detail.kind, detail.index)
        if detail.text:
            out.append(Grew(self._parts.index, detail.text, self.index))
        if detail.signature and self._thought is not None:
            self._thought.signed = True
            out.append(Signed(self._parts.index, detail.signature, detail.signer, self.index))

    def _content(self, content: Any, out: list[Delta]) -> None:
        """Content in parts (Mistral)."""
        for part in read_content(content, "delta.content"):
            match part:
                case Text(text) | Refusal(text):
                    self._say(type(part)(""), text, out)
                case Thinking(text):
                    if text:
                        self._reason(Detail("text", text), out)
                case _:
                    self._whole(part, out)

    def _annotate(self, entries: Any, out: list[Delta]) -> None:
        citations, others = read_annotations(entries)
        if citations:
            self._cite(citations, out)
        for other in others:
            self._whole(other, out)

    def _cite(self, citations: list[Citation], out: list[Delta]) -> None:
        self._open(Text(""), out)
        self._cited = True
        out += [Cited(self._parts.index, citation, self.index) for citation in citations]

    def _hear(self, sound: Any) -> None:
        if not isinstance(sound, dict):
            return
        for name, value in sound.items():
            if name in ("data", "transcript"):
                if isinstance(value, str):
                    self._audio.setdefault(name, []).append(value)
            elif value is not None:
                self._audio[name] = value

    def _sign(self, delta: dict[str, Any], out: list[Delta]) -> None:
        """Google's signature of what was said or called."""
        signature, signer = google_signature(delta)
        if not signature:
            return
        while self._unsigned and (self._unsigned[0].ended or self._unsigned[0].signed):
            self._unsigned.popleft()
        if self._unsigned:
            call = self._unsigned[0]
            call.signed = True
            out.append(Signed(call.at, signature, signer, self.index))
        else:
            self._open(Text(""), out)
            out.append(Signed(self._parts.index, signature, signer, self.index))

    # --- tool calls -------------------------------------------------------------------------------------------------

    def _called(self, entry: dict[str, Any], out: list[Delta]) -> None:
        free = entry.get("type") == "custom" or (entry.get("custom") is not None and entry.get("function") is None)
        body = entry.get("custom" if free else "function")
        body = body if isinstance(body, dict) else {}
        name, given = body.get("name"), entry.get("id")
        name, given = name if isinstance(name, str) else "", given if isinstance(given, str) else ""
        more = body.get("input" if free else "arguments")
        text = "" if more is None or more == "" else arguments_of(more, free=True)
        signature, signer = google_signature(entry)
        if not (name or given or text or signature):
            return
        call = self._find(entry.get("index"), given, name, free)
        if name and call.at < 0:
            self._close(out)
            self._settle(out)
            begun = self._parts.begin(ToolCall(call.id, name, "", call.free))
            call.at = begun.index
            self._unsigned.append(call)
            out.append(begun)
            text = "".join(call.texts) + text
            call.texts.clear()
        if call.ended and text.strip():
            raise BadAnswer("The upstream went on with a tool call that was whole.")
        if text and not call.ended:
            call.texts.append(text)
            self._grew[call.number] = call
            if call.at >= 0:
                out.append(Grew(call.at, text, self.index))
        if signature and call.at >= 0 and not call.ended:
            call.signed = True
            out.append(Signed(call.at, signature, signer, self.index))

    def _find(self, index: Any, given: str, name: str, free: bool) -> _Call:
        """The call that an entry speaks of. Some upstreams give every call the index 0, some give none."""
        key: Any = index if isinstance(index, int | str) else given or (None if name else "last")
        call = self._order[-1] if key == "last" and self._order else self._calls.get(key) if key is not None else None
        if call is None or (name and given and call.given and given != call.given):
            number = len(self._order)
            call = _Call(given or f"call_{self._seed}_{number}", given, free, number=number)
            self._order.append(call)
            if key is not None:
                self._calls[key] = call
        return call

    def _settle(self, out: list[Delta]) -> None:
        """Ends the calls that are whole."""
        for _, call in sorted(self._grew.items()):
            if not call.ended and not call.free and _is_json("".join(call.texts)):
                self._end_call(call, out)
        self._grew.clear()

    def _end_call(self, call: _Call, out: list[Delta]) -> None:
        if call.at >= 0 and not call.ended:
            out.append(PartEnded(call.at, self.index))
        call.ended = True


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return True


def _whole_sound(found: dict[str, Any]) -> dict[str, Any]:
    """What was heard, with its data and its transcript in one piece each."""
    words = {"transcript": "".join(found["transcript"])} if "transcript" in found else {}
    return {**found, **words, "data": _joined(found.get("data", []))}


def _joined(pieces: list[str]) -> str:
    """Base64 that came in pieces, each of which may be padded."""
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece, validate=True) for piece in pieces)).decode()
    except ValueError:
        return "".join(pieces)
