"""The tap on a stream between a client and an upstream that both speak this dialect. Pure.

The model's name stands in `message_start` alone; every other event goes on as it came.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.anthropic_messages.counting import merge_reports, read_usage
from providers.dialects.dialect import StreamError
from providers.dialects.jsonio import BadBody, quote, read_trusting
from providers.dialects.sse import Event, rebuilt
from providers.dialects.usage import Usage
from providers.dialects.values import UNREADABLE, object_in, value_in

LAST: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_WORDS: Final = (b"", b"[DONE]")


class _Head(msgspec.Struct, gc=False):
    type: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_head: Final = msgspec.json.Decoder(_Head).decode


class Tap:
    """Feed it the events of one upstream stream, relay what it returns."""

    __slots__ = ("_model", "_stopped", "_usage", "done_seen", "error")

    def __init__(self, public_model: str, asked_usage: bool) -> None:
        self._model = quote(public_model)
        self._usage: dict[str, Any] | None = None
        self._stopped = False
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        """The upstream said why it stopped, be it without the last event."""
        return self.error is None and (self.done_seen or self._stopped)

    @property
    def has_usage(self) -> bool:
        """Whether any usage was reported."""
        return self._usage is not None

    @property
    def usage(self) -> Usage | None:
        """The usage so far: what the last event reports, and what the first one does beside that."""
        return read_usage(self._usage)

    def end(self) -> bytes:
        """The last event, which clients wait for."""
        return LAST

    def feed(self, event: Event) -> bytes | None:
        """The bytes to relay; None for an error, which is kept for the relay to say in its own words."""
        data = event.data
        if data is None or data.strip() in _WORDS:
            return event.raw
        try:
            head = _decode_head(data)
        except UNREADABLE:
            self.error = StreamError(data, malformed=True)
            return None
        name = _name(head, event)
        if "error" in (name, event.name):
            self.error = StreamError(data)
            return None
        if name == "message_start":
            return self._start(event, data)
        if name == "message_delta":
            self._delta(object_in(data) or {})
        elif name == "message_stop":
            self.done_seen = True
        return event.raw

    def _delta(self, found: dict[str, Any]) -> None:
        delta = found.get("delta")
        if isinstance(delta, dict) and delta.get("stop_reason"):
            self._stopped = True
        if isinstance(found.get("usage"), dict):
            self._count(found["usage"])

    def _count(self, report: Any) -> None:
        self._usage = {} if self._usage is None else self._usage
        merge_reports(self._usage, report)

    def _start(self, event: Event, data: bytes) -> bytes | None:
        """The first event with the public name in it."""
        try:
            fields = read_trusting(data)
            message = read_trusting(fields.get("message") or b"{}")
            usage = message.get("usage")
            if usage is not None and usage != b"null":
                self._count(value_in(usage))
            if "model" not in message:
                return event.raw
            new = fields.replace("message", message.replace("model", self._model))
        except BadBody:
            self.error = StreamError(data, malformed=True)
            return None
        return rebuilt(event, new)


def _name(head: _Head, event: Event) -> str:
    """What kind of event it is. Some copies of this API say nothing but an `error`."""
    if head.type is not msgspec.UNSET:
        return bytes(head.type).strip(b'"').decode("utf-8", "replace")
    return event.name or ("error" if head.error is not msgspec.UNSET else "")
