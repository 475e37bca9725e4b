"""What a dialect must be able to do for requests to be relayed in it. Pure.

A client speaks one, an upstream's family speaks one; a request goes to the families that speak the client's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from providers.dialects.canon import Usage
from providers.dialects.sse import Event


class StreamError(msgspec.Struct, frozen=True):
    """What an upstream said went wrong in the middle of a stream. `malformed`: what it sent is no JSON object."""

    body: bytes
    malformed: bool = False


class Tap(Protocol):
    """Is fed the events of one upstream stream; what it returns is relayed."""

    #: The stream's last event came.
    done_seen: bool
    #: Set by the event that reported an error, which is not relayed.
    error: StreamError | None

    @property
    def finished(self) -> bool:
        """The upstream said its last word, be it without the last event."""

    @property
    def has_usage(self) -> bool:
        """Whether any usage was reported."""

    @property
    def usage(self) -> Usage | None:
        """The usage as last reported."""

    def feed(self, event: Event) -> bytes | None:
        """The bytes to relay for one event; None where the client is to see nothing of it."""


class Dialect(msgspec.Struct, frozen=True):
    """`name` is that of its package. Error objects have `message`, `type`, `param` and `code`."""

    name: str
    #: (a whole answer, the public model) -> the answer with that model, and its usage. Raises jsonio.BadBody.
    splice: Callable[[bytes, str], tuple[bytes, Usage | None]]
    #: (the public model, whether the client asked for usage)
    tap: Callable[[str, bool], Tap]
    #: an error object -> a body
    envelope: Callable[[Mapping[str, Any]], bytes]
    #: an error object -> the event that ends a broken stream
    event: Callable[[Mapping[str, Any]], bytes]
    #: The last event, for upstreams that end without it.
    done: bytes = b""
    #: Whether the usage of a stream comes only if `stream_options` asks for it.
    stream_options: bool = False
