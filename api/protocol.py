"""The HTTP/1.1 protocol class uvicorn is given: its own, with the guards it lacks.

Headers have a deadline; what two servers could read in two ways is refused (R-HTTP-02); headers have limits, and so
have requests sent behind one another. A client that stops taking its answer is let go. Each scope gets
`jackfield.arrived` (perf_counter when the headers were complete) and `jackfield.watchers`, a set of callables that run
when the client is gone, or, with a fault, when its request must end; `jackfield.whole` once the body is here whole.
Who reads a body that is not says in `jackfield.held` how much of it there is.

A process that takes no more requests (api.room) says so from here: to refuse must cost a fraction of serving, or the
refused would take the time of those that are in hand.

A refusal is answered once and the connection is closed, so nothing after it can be taken for a request.

The parser ends a request that asks for an upgrade at its head and takes its body for another protocol's bytes; taken
for HTTP they would be a second request (R-HTTP-02). So such a head is parsed again without the wish where it may be
ignored (h2c), and refused otherwise.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api import health
from api.connections import connections
from api.errors import ApiError, Fault
from api.refusals import dialect_of, told
from api.room import WAIT, room
from api.usage import new_request_id
from routing.store import store

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
#: Headers that may come once only.
_SINGLE = frozenset((b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization"))
#: Their spellings with underscores are taken for them by some servers behind us, or by WSGI environments.
_GUARDED = _SINGLE | {
    b"x-api-key",
    b"api-key",
    b"x-goog-api-key",
    b"content-encoding",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-request-id",
}
#: What clients send that would like to speak HTTP/2 without TLS, and may be ignored (RFC 9110, 7.8).
_IGNORED_UPGRADE = b"h2c"
_HOP = frozenset((b"upgrade", b"http2-settings"))


#: Below these, what there is no room for is refused. What workers of fleets tell costs little, and is heard.
MODEL_PATHS: Final = (b"/v1/", b"/v1beta/", b"/v1alpha/")


class _Answered:
    """In place of uvicorn's cycle: a request that was answered without the application."""

    response_complete = True
    more_body = False
    disconnected = False
    message_event = asyncio.Event()


_ANSWERED: Any = _Answered()


class Refused(Exception):
    """Raised inside a parser callback to end the parsing of this connection."""


class GuardedProtocol(HttpToolsProtocol):
    """One client connection."""

    #: Seconds until a begun request's headers are complete, and until a new connection's first ones are.
    header_deadline: ClassVar[float] = 10.0
    #: Seconds a client may leave our bytes untaken.
    stall_deadline: ClassVar[float] = 120.0
    #: Bytes that wait for a client before its upstream has to wait as well; a last piece comes on top.
    most_unsent: ClassVar[int] = 16 * 1024
    #: Requests that may wait behind one that is being answered.
    most_behind: ClassVar[int] = 16
    #: Seconds for which the rest of a body is dropped after an early answer.
    linger: ClassVar[float] = 5.0
    max_headers: ClassVar[int] = 64
    max_header_bytes: ClassVar[int] = 32 * 1024

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.watchers: set[Callable[..., object]] = set()
        #: Its requests are refused: there were too many connections when it came.
        self._extra = False
        #: The body of a refused request is not here to its end.
        self._rest = False
        #: A request was refused with what was just read, or its body ended.
        self._settled = False
        self._in_head = False
        self._head_bytes = 0
        self._raw_head = 0
        self._singles: set[bytes] = set()
        self._refusal: ApiError | None = None
        #: The head of a request whose wish for an upgrade is ignored, as it is to be parsed instead.
        self._plain_head = b""
        #: What still comes is dropped: the connection is about to be closed.
        self._deaf = False
        self.url = b""  # of the request whose head is being read
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._rest_timer: asyncio.TimerHandle | None = None

    # --- the connection ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # typed for plain TCP
        self.transport.set_write_buffer_limits(high=self.most_unsent)
        self._head_timer = self.loop.call_later(self.header_deadline, self._head_late)
        self._extra = not connections.add(self)
        if self._extra and connections.crowded:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        connections.remove(self)
        super().connection_lost(exc)
        self._stop_timers()
        for watcher in tuple(self.watchers):
            watcher()
        self.watchers.clear()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        if self._in_head:
            self._raw_head += len(data)
            if self._raw_head > 2 * self.max_header_bytes:  # a header line without an end
                self._refusal = ApiError(Fault.HEADERS_TOO_LARGE)
                self.send_400_response("")
                return
        if self._settled:
            self._settled = False
            self._after_refusal()
        elif self._in_head or self.cycle is None or (self.cycle.response_complete and self._rest_timer is None):
            # Stray bytes between two requests count as the beginning of one.
            if self._head_timer is None and not self.transport.is_closing():
                self._head_timer = self.loop.call_later(self.header_deadline, self._head_late)
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _feed(self, data: bytes) -> None:
        """Parse what came. Raises httptools.HttpParserError."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            head, self._plain_head = self._plain_head, b""
            # It cannot stop here again: an upgrade behind a request that is being answered is refused.
            self.parser.feed_data(head + data[stopped.args[0] :])

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.stall_deadline, self._stalled)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall_timer is not None and not self.transport.is_closing():
            self._stall_timer.cancel()
            self._stall_timer = None

    def eof_received(self) -> None:
        self._end()

    def timeout_keep_alive_handler(self) -> None:
        self._end()

    def _end(self) -> None:
        """Close, which waits until all is sent: so little may be left that nobody was told to pause."""
        self.transport.close()
        if self._stall_timer is None and self.transport.get_write_buffer_size():
            self._stall_timer = self.loop.call_later(self.stall_deadline, self._stalled)

    def _head_late(self) -> None:
        self._head_timer = None
        self._end()

    def _rest_late(self) -> None:
        self._rest_timer = None
        self._deaf = True
        self._end()

    def _stalled(self) -> None:
        self._stall_timer = None
        self.transport.abort()

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._stall_timer, self._rest_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._stall_timer = self._rest_timer = None

    def holds(self) -> int:
        answered = self.cycle is None or self.cycle.response_complete
        scope: Any = self.scope
        body: int = 0 if answered else scope.get("jackfield.held", 0)
        return body + int(self.transport.get_write_buffer_size())

    def make_room(self) -> None:
        self._deaf = True
        self._end()

    def cut_off(self) -> None:
        self.transport.abort()

    def end_for_memory(self) -> None:
        told_to_end = tuple(self.watchers)
        for watcher in told_to_end:
            watcher(Fault.OUT_OF_MEMORY)
        if self.flow.write_paused or not told_to_end:  # who does not read would not be told
            self.transport.abort()

    def shutdown(self) -> None:
        """The server was told to stop: from this moment on the process is not ready."""
        health.stop()
        super().shutdown()

    # --- the parser's callbacks -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = self._raw_head = 0
        self._singles.clear()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if not self._in_head:  # a trailer of a chunked body: nobody asked for it
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self.max_header_bytes or len(self.headers) >= self.max_headers:
            raise self._refuse(Fault.HEADERS_TOO_LARGE)
        if name in _SINGLE:
            if name in self._singles:
                raise self._refuse(Fault.BAD_HTTP, f"The header {name.decode()} came more than once.")
            self._singles.add(name)
            if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                raise self._refuse(Fault.BAD_HTTP, "The only Transfer-Encoding is chunked.")
        elif b"_" in name and name.replace(b"_", b"-") in _GUARDED:
            raise self._refuse(Fault.BAD_HTTP, "A header name has an underscore where a hyphen belongs.")
        if _CONTROL.search(value):
            raise self._refuse(Fault.BAD_HTTP, "A header value holds a control character.")
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if b"transfer-encoding" in self._singles:
            if b"content-length" in self._singles:
                raise self._refuse(Fault.BAD_HTTP, "Transfer-Encoding and Content-Length exclude each other.")
            if self.parser.get_http_version() == "1.0":
                raise self._refuse(Fault.BAD_HTTP, "HTTP/1.0 has no Transfer-Encoding.")
        if b"host" not in self._singles and self.parser.get_http_version() != "1.0":
            raise self._refuse(Fault.BAD_HTTP, "The Host header is missing.")
        self._in_head = False
        if self.parser.should_upgrade():
            self._plain_head = self._without_upgrade()
            return
        behind = self.cycle is not None and not self.cycle.response_complete
        if behind and len(self.pipeline) >= self.most_behind:
            raise self._refuse(Fault.BAD_HTTP, "Too many requests wait behind one another.")
        connections.work(self)
        if (self._extra or (not behind and room.full)) and self.url.startswith(MODEL_PATHS) and self._shed(behind):
            return
        self.scope["jackfield.arrived"] = time.perf_counter()  # type: ignore[typeddict-unknown-key]  # of our own
        self.scope["jackfield.watchers"] = self.watchers  # type: ignore[typeddict-unknown-key]  # of our own
        super().on_headers_complete()

    def _without_upgrade(self) -> bytes:
        """The head without its wish for h2c. Raises Refused where it wishes for something else, or cannot be ignored.

        Names and values passed the parser and `on_header`: there is no line end in them.
        """
        wishes = [value.strip().lower() for name, value in self.headers if name == b"upgrade"]
        behind = self.cycle is not None and not self.cycle.response_complete
        if behind or wishes != [_IGNORED_UPGRADE]:
            raise self._refuse(Fault.BAD_HTTP, "Upgrade is not supported.")
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                kept = b", ".join(part for part in value.split(b",") if part.strip().lower() not in _HOP)
                lines.append(b"connection: " + kept)
            elif name not in _HOP:
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def _shed(self, behind: bool) -> bool:
        """Refuse a request that there is no room for; False: one that costs little, which the application answers."""
        if self._extra:
            self._refusal = room.refusal()
            raise Refused()
        if self.parser.get_method() != b"POST" or not self.parser.should_keep_alive():
            return False
        self.cycle = _ANSWERED
        self._rest = self._settled = True
        room.shed += 1
        # A request id of its own is all that tells one refusal from the next.
        head, tail = _refused(self.url, store.current.revision)
        self.transport.write(b"%s%s%s" % (head, new_request_id().encode(), tail))
        return True

    def _after_refusal(self) -> None:
        """What comes next is another request, unless the body of the refused one is still on its way."""
        if self._in_head:  # it has begun
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(self.header_deadline, self._head_late)
            return
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        connections.wait(self)
        if not self._rest:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif self._rest_timer is None:
            self._rest_timer = self.loop.call_later(self.linger, self._rest_late)

    def on_message_complete(self) -> None:
        if self._plain_head:  # the head that is about to be parsed again
            return
        super().on_message_complete()
        if self._rest:
            self._rest, self._settled = False, True
        self.scope["jackfield.whole"] = True  # type: ignore[typeddict-unknown-key]  # of our own
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    def on_response_complete(self) -> None:
        """After an answer that came before the request's body did, the rest of the body is dropped for a while.

        Closing at once would make the close a reset, because of the unread bytes, and that can take the answer along.
        """
        early = self.cycle.more_body and not self.pipeline
        if not self.pipeline:
            connections.wait(self)
        super().on_response_complete()
        if self.transport.is_closing():
            self._end()
        elif early:
            self._unset_keepalive_if_required()
            self._rest_timer = self.loop.call_later(self.linger, self._rest_late)

    # --- refusals ---------------------------------------------------------------------------------------------------

    def _refuse(self, fault: Fault, message: str = "") -> Refused:
        self._refusal = ApiError(fault, message)
        return Refused()

    def send_400_response(self, msg: str) -> None:
        """Answer what could not be parsed and close. Behind a request still being answered, only close."""
        error = self._refusal = self._refusal or ApiError(Fault.BAD_HTTP)
        self._in_head = False
        self._deaf = True
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_message(error, self.url, (b"connection", b"close")))
        self._end()


def _message(error: ApiError, target: bytes, *more: tuple[bytes, bytes], request_id: str = "") -> bytes:
    """A refusal as it goes on the wire, in the dialect of the path that was asked for."""
    body = error.body(dialect_of(target.partition(b"?")[0].decode("latin-1")))
    headers = b"".join(b"%s: %s\r\n" % pair for pair in (*told(error, request_id), *more))
    return b"%s%scontent-length: %d\r\n\r\n%s" % (STATUS_LINE[error.status_code], headers, len(body), body)


@lru_cache(maxsize=64)
def _refused(target: bytes, revision: int) -> tuple[bytes, bytes]:
    """What stands before and behind the request id where there is no room. The revision is a part of it."""
    head, _, tail = _message(ApiError(Fault.OVERLOADED, headers=WAIT), target, request_id="\0").partition(b"\0")
    return head, tail
