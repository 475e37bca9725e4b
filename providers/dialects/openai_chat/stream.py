"""The tap on a chat stream: relays each event with the public model name, and reads what it must know. Pure.

It answers four questions: what goes to the client, what did it cost, did the upstream finish, did it report an error.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.dialect import StreamError
from providers.dialects.jsonio import BadBody, Fields, quote, read_trusting
from providers.dialects.sse import Event, rebuilt
from providers.dialects.usage import Usage, read_openai_usage
from providers.dialects.values import UNREADABLE, value_in

_MODEL: Final = b'"model"'
DONE: Final = b"data: [DONE]\n\n"
_NO_USAGE: Final = b',"usage":null'
_SPACE: Final = b" \t\n\r"
_WORDS: Final = (b"[DONE]", b"")


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    choices: list[_Choice] | None = None
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    x_groq: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_chunk: Final = msgspec.json.Decoder(_Chunk).decode


class Tap:
    """Feed it the events of one upstream stream, relay what it returns."""

    __slots__ = (
        "_asked_usage",
        "_model",
        "_open",
        "_seen",
        "_usage",
        "_usage_raw",
        "done_seen",
        "error",
    )

    def __init__(self, public_model: str, asked_usage: bool) -> None:
        self._model = quote(public_model)
        #: whether the client itself asked for the usage chunk
        self._asked_usage = asked_usage
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._usage_raw: bytes | None = None
        self._usage: Usage | None = None
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        """The upstream said its last word: `[DONE]`, or a finish reason for every choice it began."""
        return self.error is None and (self.done_seen or (bool(self._seen) and not self._open))

    def end(self) -> bytes:
        """The last event, which some upstreams never send and clients of this API wait for."""
        return DONE

    @property
    def has_usage(self) -> bool:
        """Whether any usage was reported."""
        return self._usage_raw is not None or self._usage is not None

    @property
    def usage(self) -> Usage | None:
        """The usage as last reported; providers that report it in every chunk count up."""
        if self._usage_raw is not None:
            raw, self._usage_raw = self._usage_raw, None
            found = value_in(raw)
            if isinstance(found, dict) and isinstance(found.get("usage"), dict):
                found = found["usage"]  # x_groq
            self._usage = read_openai_usage(found) or self._usage
        return self._usage

    def feed(self, event: Event) -> bytes | None:
        """The bytes to relay for one event; None where the client is to see nothing of it.

        An error event is not relayed: it is kept in `error`, for the relay to say in its own words.
        """
        data = event.data
        if not data:
            return event.raw
        if data[0] != 0x7B:
            word = data.strip()
            if word in _WORDS:
                self.done_seen = self.done_seen or word == b"[DONE]"
                return event.raw
        chunk = _read(data)
        if chunk is None or event.name == "error" or (chunk.error is not msgspec.UNSET and not _is_null(chunk.error)):
            self.error = StreamError(data, malformed=chunk is None)
            return None
        if chunk.choices:
            for choice in chunk.choices:
                self._see(choice)
        drop_usage = self._note_usage(chunk)
        if drop_usage and not chunk.choices and not _is_null(chunk.usage):
            return None
        model = self._model if chunk.model is not msgspec.UNSET else None
        if model is None and not drop_usage:
            return event.raw
        try:
            return _rewrite(event, data, model, drop_usage)
        except BadBody:
            self.error = StreamError(data, malformed=True)
            return None

    def _note_usage(self, chunk: _Chunk) -> bool:
        """Keep the usage of a chunk; whether it is one that only we asked for."""
        usage = chunk.usage
        if usage is not msgspec.UNSET:
            if _is_null(usage):
                return not self._asked_usage
            self._usage_raw = bytes(usage)
            return not self._asked_usage and not chunk.choices
        if chunk.x_groq is not msgspec.UNSET:
            raw = bytes(chunk.x_groq)
            if b'"usage"' in raw:
                self._usage_raw = raw
        return False

    def _see(self, choice: _Choice) -> None:
        index = choice.index or 0
        if index not in self._seen:
            self._seen.add(index)
            self._open.add(index)
        if choice.finish_reason:
            self._open.discard(index)


def _is_null(raw: Any) -> bool:
    return bytes(raw) == b"null"


def _read(data: bytes) -> _Chunk | None:
    """A chunk; None if it is no JSON object."""
    try:
        return _decode_chunk(data)
    except msgspec.ValidationError:
        return _read_loosely(data)
    except UNREADABLE:
        return None


def _read_loosely(data: bytes) -> _Chunk | None:
    """A chunk whose members have other types than OpenAI's; None if it is no object at all."""
    try:
        found = msgspec.json.decode(data)
        fields = read_trusting(data)
    except (*UNREADABLE, BadBody):
        return None
    chunk = _Chunk()
    for name in ("model", "usage", "x_groq", "error"):
        raw = fields.get(name)
        if raw is not None:
            setattr(chunk, name, msgspec.Raw(raw))
    choices = found.get("choices")
    if isinstance(choices, list):
        chunk.choices = [
            _Choice(
                choice["index"] if isinstance(choice.get("index"), int) else 0,
                choice["finish_reason"] if isinstance(choice.get("finish_reason"), str) else None,
            )
            for choice in choices
            if isinstance(choice, dict)
        ]
    return chunk


def _rewrite(event: Event, data: bytes, model: bytes | None, drop_usage: bool) -> bytes:
    """The event with the model replaced and, if asked, the null usage left out. Raises BadBody."""
    new: bytes | None = data
    if drop_usage:
        new = _cut_null_usage(data)
    if new is not None and model is not None:
        new = _put_model(new, model)
    if new is None:
        new = _rewrite_slowly(read_trusting(data), model, drop_usage)
    return rebuilt(event, new)


def _put_model(data: bytes, model: bytes) -> bytes | None:
    """Replace the top-level model where it is cheap to prove that the first `"model"` in the text is that one.

    A quoted word cannot stand inside a JSON string, where quotes are escaped. If only the outermost brace opened
    before it, or only that one closes after it, it stands at the top level. None: not proved.
    """
    at = data.find(_MODEL)
    if at < 0:
        return None
    start = at + 7
    if data[start] != 0x3A:
        return None
    start += 1
    if data[start] in _SPACE:
        start += 1
    if data[start] != 0x22:
        return None
    end = data.find(b'"', start + 1) + 1
    if b"\\" in data[start:end]:
        return None
    if data.count(b"{", 0, at) == 1 and data.find(b"[", 0, at) < 0:
        return data[:start] + model + data[end:]
    if data.find(_MODEL, end) < 0 and _is_flat_tail(data, end):
        return data[:start] + model + data[end:]
    return None


def _cut_null_usage(data: bytes) -> bytes | None:
    """Leave out `,"usage":null` where it is cheap to prove that it stands at the top level. None: not proved."""
    at = data.rfind(_NO_USAGE)
    if at < 0 or not _is_flat_tail(data, at + 13):
        return None
    return data[:at] + data[at + 13 :]


def _is_flat_tail(data: bytes, start: int) -> bool:
    """Whether nothing after `start` opens or closes but the outermost brace."""
    return (
        data.count(b"}", start) == 1
        and data.find(b"{", start) < 0
        and data.find(b"]", start) < 0
        and data.find(b"[", start) < 0
    )


def _rewrite_slowly(fields: Fields, model: bytes | None, drop_usage: bool) -> bytes:
    if drop_usage:
        fields.remove("usage")
    if model is not None:
        fields.set("model", model)
    return fields.body()
