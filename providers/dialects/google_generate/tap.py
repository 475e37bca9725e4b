"""The tap on a stream between two ends of this dialect. Pure.

It puts in the public model's name, and reads what it cost, whether it ended and whether it failed. Events that do not
name a model go on as they came.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.dialect import StreamError
from providers.dialects.google_generate.counts import read_usage
from providers.dialects.google_generate.response import MODEL
from providers.dialects.google_generate.stream import is_silent, stray_error
from providers.dialects.google_generate.words import UNSPECIFIED
from providers.dialects.jsonio import BadBody, quote, read_trusting
from providers.dialects.sse import Event, rebuilt
from providers.dialects.usage import Usage
from providers.dialects.values import UNREADABLE, object_in, value_in

_KEY: Final = b'"modelVersion"'
_SPACE: Final = b" \t"
_NULL: Final = b"null"


class _Candidate(msgspec.Struct, gc=False):
    index: int | None = None
    finishReason: str | None = None


class _Feedback(msgspec.Struct, gc=False):
    blockReason: str | None = None


class _Response(msgspec.Struct, gc=False):
    candidates: list[_Candidate] | None = None
    promptFeedback: _Feedback | None = None
    usageMetadata: msgspec.Raw | None = None
    modelVersion: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode: Final = msgspec.json.Decoder(_Response).decode


class Tap:
    """Feed it the events of one upstream stream, relay what it returns."""

    def __init__(self, public_model: str, asked_usage: bool) -> None:
        self._model = quote(public_model)
        self._ended: dict[int, bool] = {}
        self._blocked = False
        self._usage_raw: bytes | None = None
        self._usage: Usage | None = None
        #: This dialect has no last event.
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        """Every candidate has its finish reason, or the prompt was refused."""
        return self.error is None and (self._blocked or (bool(self._ended) and all(self._ended.values())))

    @property
    def has_usage(self) -> bool:
        """Whether any usage was reported."""
        return self.usage is not None

    @property
    def usage(self) -> Usage | None:
        """The usage as last reported; every event counts from the beginning."""
        if self._usage_raw is not None:
            raw, self._usage_raw = self._usage_raw, None
            self._usage = read_usage(value_in(raw)) or self._usage
        return self._usage

    def end(self) -> bytes:
        """Nothing: clients take the end of the body for the end."""
        return b""

    def feed(self, event: Event) -> bytes | None:
        """The bytes to relay for one event; None where it reported an error."""
        data = event.data
        if data is None:
            self.error = stray_error(event.raw)
            return event.raw if self.error is None else None
        if is_silent(data):
            return event.raw
        response = _read(data)
        if response is None or event.name == "error" or not _absent(response.error):
            self.error = StreamError(data, malformed=response is None)
            return None
        for at, candidate in enumerate(response.candidates or ()):
            self._see(candidate, at)
        if response.promptFeedback is not None and response.promptFeedback.blockReason:
            self._blocked = True
        if response.usageMetadata is not None:
            self._usage_raw = bytes(response.usageMetadata)
        if response.modelVersion is msgspec.UNSET:
            return event.raw
        return rebuilt(event, _put_model(data, self._model))

    def _see(self, candidate: _Candidate, at: int) -> None:
        index = at if candidate.index is None else candidate.index
        ended = bool(candidate.finishReason) and candidate.finishReason != UNSPECIFIED
        self._ended[index] = self._ended.get(index, False) or ended


def _absent(raw: Any) -> bool:
    return raw is msgspec.UNSET or bytes(raw) == _NULL


def _read(data: bytes) -> _Response | None:
    """A response; None if it is no JSON object."""
    try:
        return _decode(data)
    except msgspec.ValidationError:
        return _read_loosely(data)
    except UNREADABLE:
        return None


def _read_loosely(data: bytes) -> _Response | None:
    """A response whose members have other types than Google's; None if it is no object at all."""
    found = object_in(data)
    if found is None:
        return None
    candidates, feedback, usage = (found.get(name) for name in ("candidates", "promptFeedback", "usageMetadata"))
    return _Response(
        [
            _Candidate(_whole(candidate.get("index")), _word(candidate.get("finishReason")))
            for candidate in (candidates if isinstance(candidates, list) else ())
            if isinstance(candidate, dict)
        ],
        _Feedback(_word(feedback.get("blockReason"))) if isinstance(feedback, dict) else None,
        msgspec.Raw(msgspec.json.encode(usage)),
        msgspec.Raw(b"0") if MODEL in found else msgspec.UNSET,
        msgspec.Raw(_NULL if found.get("error") is None else b"0"),
    )


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _put_model(data: bytes, model: bytes) -> bytes:
    """The response with its model replaced.

    A quoted word cannot stand inside a JSON string, where quotes are escaped. If only the outermost brace closes after
    the last one in the text, it stands at the top level, and nothing needs to be read to find it.
    """
    at = data.rfind(_KEY)
    start = data.find(b":", at) + 1
    while data[start : start + 1] in (b" ", b"\t") and start < len(data):
        start += 1
    end = data.find(b'"', start + 1) + 1
    tail = data[end:]
    simple = data[start : start + 1] == b'"' and b"\\" not in data[start:end] and end > 0
    if simple and tail.count(b"}") == 1 and not any(bracket in tail for bracket in (b"{", b"[", b"]")):
        return data[:start] + model + tail
    try:
        return read_trusting(data).replace(MODEL, model)
    except BadBody:
        return data
