"""The tap on a stream: relays each event with the public model name, and reads what it must know. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from providers.dialects.dialect import StreamError
from providers.dialects.jsonio import BadBody, quote, read_trusting
from providers.dialects.openai_responses.response import stream_error
from providers.dialects.sse import Event, rebuilt
from providers.dialects.usage import Usage, read_openai_usage
from providers.dialects.values import UNREADABLE, object_in, value_in

_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_FAILS: Final = frozenset({"response.failed", "response.cancelled", "error"})


class _Seen(msgspec.Struct, gc=False):
    type: str = ""
    response: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode: Final = msgspec.json.Decoder(_Seen).decode


class Tap:
    """Feed it the events of one upstream stream, relay what it returns.

    `response` is the response object as the client got it, once the last event came.
    """

    __slots__ = ("_model", "_usage", "done_seen", "error", "response")

    def __init__(self, public_model: str, asked_usage: bool = True) -> None:
        self._model = quote(public_model)
        self._usage: Usage | None = None
        self.done_seen = False
        self.error: StreamError | None = None
        self.response: bytes | None = None

    @property
    def finished(self) -> bool:
        """The upstream said its last word."""
        return self.error is None and self.done_seen

    def end(self) -> bytes:
        """Nothing follows the last event of this API."""
        return b""

    @property
    def has_usage(self) -> bool:
        """Whether any usage was reported."""
        return self._usage is not None

    @property
    def usage(self) -> Usage | None:
        """The usage as the last event reported it."""
        return self._usage

    def feed(self, event: Event) -> bytes | None:
        """The bytes to relay for one event. An error event is not relayed but kept in `error`."""
        data = event.data
        if not data or data.strip() == b"[DONE]":
            return event.raw
        try:
            seen = _decode(data)
        except UNREADABLE:
            self.error = StreamError(data, malformed=True)
            return None
        kind = seen.type or event.name or ""
        if kind in _FAILS or (seen.error is not msgspec.UNSET and bytes(seen.error) != b"null"):
            response = seen.response
            self.error = stream_error(data, None if response is msgspec.UNSET else object_in(bytes(response)))
            return None
        if seen.response is msgspec.UNSET:
            return event.raw
        try:
            return self._respond(event, data, bytes(seen.response), ends=kind in _ENDS)
        except BadBody:
            self.error = StreamError(data, malformed=True)
            return None

    def _respond(self, event: Event, data: bytes, response: bytes, *, ends: bool) -> bytes:
        """An event with a response object in it. Raises BadBody."""
        fields = read_trusting(response)
        relayed = fields.replace("model", self._model) if "model" in fields else response
        if ends:
            raw = fields.get("usage")
            self._usage = None if raw is None else read_openai_usage(value_in(raw))
            self.response = relayed
            self.done_seen = True
        if relayed is response:
            return event.raw
        return rebuilt(event, read_trusting(data).replace("response", relayed))
