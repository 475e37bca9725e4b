"""What a dialect must be able to do. Pure.

Where client and upstream speak the same one, `splice` and `tap` relay its bytes. Otherwise the client's request is
read and written anew for the upstream, and the upstream's answer or stream is read and written anew for the client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from providers.dialects import sse
from providers.dialects.canon import Answer, Delta, Request, Target, Written
from providers.dialects.sse import Event
from providers.dialects.usage import Usage


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

    def end(self) -> bytes:
        """What is still to be said to the client where the upstream was `finished` and sent no last event."""


class Reader(Protocol):
    """Reads one upstream stream. `done_seen` and `error` as a Tap has them; an event that sets `error` says no more."""

    done_seen: bool
    error: StreamError | None

    @property
    def finished(self) -> bool:
        """As a Tap has it."""

    def feed(self, event: Event) -> list[Delta]:
        """What one event says. Unknown events and members say nothing; malformed ones set `error`."""

    def end(self) -> list[Delta]:
        """What a stream that ended without its last event left unsaid: parts and choices that are still open end."""


class Writer(Protocol):
    """Writes one stream to a client. Deltas come as `canon` says; at most one part of a choice is open at a time."""

    def feed(self, delta: Delta) -> bytes:
        """The events that say this; often none yet."""

    def end(self) -> bytes:
        """The events that end the stream; usage that is known goes into them."""


class Splitter(Protocol):
    """Cuts a response's bytes into events."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completed. Raises sse.EventTooLong."""

    def close(self) -> list[Event]:
        """What is left at the end of the message."""


class Later(msgspec.Struct, frozen=True):
    """The answer is not made yet: ask for it at this path of the same host, after so many seconds."""

    path: str
    seconds: float


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream is asked, and understood."""

    #: Raises canon.Misfit.
    write_request: Callable[[Request, Target], Written]
    #: Raises canon.BadAnswer.
    read_answer: Callable[[bytes], Answer]
    reader: Callable[[], Reader]
    splitter: Callable[[], Splitter] = sse.Splitter
    #: What a stream is asked for as.
    accept: str = "text/event-stream"
    #: (a whole answer) -> where to ask for it again, None where it is final. Only of those that answer by and by.
    again: Callable[[bytes], Later | None] | None = None
    #: The dialect that this one is an envelope of: what only its clients know is said to such an upstream too.
    inside: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around another dialect's requests and answers. `providers.dialects.envelope` puts the two together.

    `inside` is the name of that dialect, `family` the kind of host that its requests are written for.
    """

    inside: str
    family: str
    write: Callable[[Written], Written]
    #: (a whole answer, or the data of an event) -> what is in it, or None where nothing is. What is no envelope comes
    #: back as it is, errors among it: the dialect inside knows what to make of them.
    read: Callable[[bytes], bytes | None]


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """How a client is understood, and answered. Error objects have `message`, `type`, `param`, `code` and `status`."""

    #: (the decoded body) Raises canon.Misfit.
    read_request: Callable[[dict[str, Any]], Request]
    #: (answer, public model, the client's request)
    write_answer: Callable[[Answer, str, Request], bytes]
    #: (public model, the client's request)
    writer: Callable[[str, Request], Writer]
    #: an error object -> a body
    envelope: Callable[[Mapping[str, Any]], bytes]
    #: an error object -> the event that ends a broken stream
    event: Callable[[Mapping[str, Any]], bytes]
    #: Of an upstream of the same dialect: (a whole answer, the public model) -> the answer with that model, and its
    #: usage. Raises jsonio.BadBody.
    splice: Callable[[bytes, str], tuple[bytes, Usage | None]]
    #: The same for its stream: (the public model, whether the client asked for usage)
    tap: Callable[[str, bool], Tap]
    #: Whether the usage of a stream comes only if `stream_options` asks for it.
    stream_options: bool = False


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is that of its package. Without `client` only upstreams speak it, without `upstream` only clients.

    One that is another in an envelope has `envelope` in place of `upstream`.
    """

    name: str
    upstream: Upstream | None = None
    envelope: Envelope | None = None
    client: Client | None = None
