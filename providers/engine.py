"""aiohttp as the transport uses it: its sessions and connector, its timeouts and its errors in httpx's words."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import time
from contextvars import ContextVar
from typing import Any, Final, cast

import aiohttp
import certifi
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from providers.entries import Timeouts
from providers.exchange import CallClock
from providers.resolving import EgressRefused, GuardedResolver, Lookup
from providers.sips import SIP, Sips

KEEPALIVE: Final = 60.0
#: Bytes of one answer that wait here for a client that reads slowly: the engine pauses the upstream at twice as many.
_READ_BUFFER: Final = 8 * 1024
_MAX_HEADER: Final = 32 * 1024
#: Interim answers before one final answer.
_MOST_INTERIM: Final = 32
#: Seconds by which the engine's deadlines for silence and for the whole stay behind the relay's, which are exact and
#: know events from bytes.
BACKSTOP: Final = 1.0

#: The clock of the request that the running task makes.
clock_of_call: ContextVar[CallClock | None] = ContextVar("jackfield_clock", default=None)


class TlsFailed(httpx.ConnectError):
    """The peer's certificate did not verify, or TLS could not be agreed on. Nothing was sent."""

    code = "upstream_tls"


class TlsStalled(httpx.ConnectTimeout):
    """The peer took the connection and did not finish the TLS handshake in time. Nothing was sent."""

    code = "upstream_tls_timeout"


class NoAddress(httpx.ConnectError):
    """The host's name could not be resolved."""

    code = "upstream_dns"


class Handler(ResponseHandler):
    """One connection, as aiohttp reads it. Interim answers (1xx) are bounded: nobody waits through thousands.

    `heard`: whether anything came since it was last taken from the pool or given back.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.heard = False
        self._interim = 0
        clock = clock_of_call.get()
        if clock is not None:
            clock.stage = "tls"  # TCP has connected; what is left, if anything, is the handshake

    def data_received(self, data: bytes) -> None:
        if data:  # nothing is what the engine itself calls with, to read on
            self.heard = True
        super().data_received(data)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        if 100 <= data[0].code < 200:
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                self.set_exception(HttpProcessingError(message="too many interim answers"))
                if self.transport is not None:
                    self.transport.abort()
                return
        else:
            self._interim = 0
        super().feed_data(data, size)


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, with the time of each connect taken and abandoned connections dropped, not drained.

    A pooled connection on which something came that nobody asked for is not used again: the next request would take it
    for its own answer.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory: Any = functools.partial(Handler, loop=self._loop)
        self._sip = memoryview(bytearray(SIP))

    async def _get(self, key: Any, traces: Any) -> Any:
        clock = clock_of_call.get()
        if clock is not None and clock.alone:
            return None
        while True:
            found = await super()._get(key, traces)
            if found is None:
                return None
            handler = cast(Handler, found.protocol)
            if not handler.heard and not handler.should_close:
                break
            found.close()
        if clock is not None:
            clock.heard = lambda: handler.heard
        return found

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
        clock = clock_of_call.get()
        if clock is not None:
            clock.stage = "name"
        found = await super()._resolve_host(host, port, traces)
        if clock is not None:
            clock.stage = "connect"
        return found

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ASYNC109 - aiohttp's own
        started = time.perf_counter_ns()
        protocol = await super()._create_connection(req, traces, timeout)
        transport = protocol.transport
        if transport is not None:
            transport.set_protocol(Sips(protocol, self._sip))
        clock = clock_of_call.get()
        if clock is not None:
            clock.connect_us = (time.perf_counter_ns() - started) // 1000
        return protocol

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        if should_close:
            # close() would first flush what is still unsent, and over TLS wait for the peer's farewell.
            protocol.abort()
        else:
            cast(Handler, protocol).heard = False
        super()._release(key, protocol, should_close=should_close)

    def counts(self) -> tuple[int, int]:
        """Connections in use (those being made included) and idle."""
        return len(self._acquired), sum(map(len, self._conns.values()))


def _socket(info: Any) -> socket.socket:
    family, kind, proto, _, _ = info
    made = socket.socket(family, kind, proto)
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


@functools.cache
def shared_tls_context() -> ssl.SSLContext:
    """The one of all connections to upstreams of this process. Nobody else is given it: some clients change what they
    are given, and urllib3 switches the check of names off, because it makes that check itself."""
    return tls_context()


def tls_context() -> ssl.SSLContext:
    """Verification against the system's roots and certifi's. To read them blocks for a tenth of a second."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def session(private: bool, tls: ssl.SSLContext, lookup: Lookup, *, keeps: bool = True) -> aiohttp.ClientSession:
    """A session for one kind of account; its pool is never shared with the other kind. `keeps`: connections are used
    again."""
    connector = Connector(
        limit=0,
        **({"keepalive_timeout": KEEPALIVE} if keeps else {"force_close": True}),
        ssl=tls,
        resolver=GuardedResolver(private, lookup),
        use_dns_cache=False,
        socket_factory=_socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_BUFFER,
        max_line_size=_MAX_HEADER,
        max_field_size=_MAX_HEADER,
        headers={"Accept-Encoding": "identity"},
        skip_auto_headers=("User-Agent", "Content-Type"),
    )


@functools.lru_cache(maxsize=256)
def client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    """aiohttp's deadlines for one set of ours."""
    return aiohttp.ClientTimeout(
        total=timeouts.total + BACKSTOP, connect=timeouts.connect, sock_read=timeouts.first_byte, ceil_threshold=1e9
    )


#: What a connection that was not there in time was waiting for.
_STALLED: Final[dict[str, tuple[type[httpx.RequestError], str]]] = {
    "name": (NoAddress, "the name was not resolved in time"),
    "tls": (TlsStalled, "the TLS handshake did not end in time"),
}
ENGINE_ERRORS: Final = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)
_EXCEPTIONS: Final[tuple[tuple[tuple[type[Exception], ...], type[httpx.RequestError], str], ...]] = (
    ((aiohttp.ConnectionTimeoutError,), httpx.ConnectTimeout, "no connection in time"),
    ((TimeoutError,), httpx.ReadTimeout, "no answer in time"),
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError), TlsFailed, "TLS failed"),
    ((aiohttp.ClientConnectorDNSError,), NoAddress, "the name could not be resolved"),
    ((aiohttp.ClientConnectorError,), httpx.ConnectError, "the connection was refused or failed"),
    ((aiohttp.InvalidURL,), EgressRefused, "the URL is not allowed"),
    (
        (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError, HttpProcessingError),
        httpx.RemoteProtocolError,
        "the upstream broke off or broke the protocol",
    ),
)


def was_lost(error: Exception, clock: CallClock) -> bool:
    """Whether a pooled connection closed before it said a word: most likely its peer was closing it already."""
    closed = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    return closed and clock.heard is not None and not clock.heard()


def nothing_was_sent(error: Exception) -> bool:
    """Whether the connection was closing when the request was to be written, which is one write, body included."""
    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientConnectionResetError) and str(cause) == "Cannot write to closing transport"


def as_httpx(error: Exception, request: httpx.Request, clock: CallClock | None = None) -> httpx.RequestError:
    """An engine's exception as httpx's, to be raised `from None`. `clock`: of a request that has no answer yet.

    The engine's texts hold whole URLs, where one scheme puts the key: only the name of the exception is kept.
    """
    stage = clock.stage if clock is not None else ""
    if isinstance(error, aiohttp.ConnectionTimeoutError) and stage in _STALLED:
        made, text = _STALLED[stage]
        return made(f"{text} ({type(error).__name__})", request=request)
    if isinstance(error, aiohttp.ClientConnectorError) and stage == "tls" and request.url.scheme == "https":
        return TlsFailed(f"TLS failed ({type(error).__name__})", request=request)
    for kinds, made, text in _EXCEPTIONS:
        if isinstance(error, kinds):
            return made(f"{text} ({type(error).__name__})", request=request)
    return httpx.ReadError(f"the connection broke ({type(error).__name__})", request=request)
