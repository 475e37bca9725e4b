"""aiohttp as the transport uses it: its sessions and connector, its timeouts and its errors in httpx's words."""

from __future__ import annotations

import functools
import socket
import ssl
import time
from contextvars import ContextVar
from typing import Any, Final

import aiohttp
import certifi
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from providers.entries import Timeouts
from providers.exchange import CallClock
from providers.resolving import EgressRefused, GuardedResolver, Lookup

KEEPALIVE: Final = 60.0
_READ_BUFFER: Final = 128 * 1024
_MAX_HEADER: Final = 32 * 1024
#: Seconds by which the engine's deadlines for silence and for the whole stay behind the relay's, which are exact and
#: know events from bytes.
BACKSTOP: Final = 1.0

#: The clock of the request that the running task makes.
clock_of_call: ContextVar[CallClock | None] = ContextVar("jackfield_clock", default=None)


class TlsFailed(httpx.ConnectError):
    """The peer's certificate did not verify, or TLS could not be agreed on. Nothing was sent."""

    code = "upstream_tls"


class NoAddress(httpx.ConnectError):
    """The host's name could not be resolved."""

    code = "upstream_dns"


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, with the time of each connect taken and abandoned connections dropped, not drained."""

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ASYNC109 - aiohttp's own
        started = time.perf_counter_ns()
        protocol = await super()._create_connection(req, traces, timeout)
        clock = clock_of_call.get()
        if clock is not None:
            clock.connect_us = (time.perf_counter_ns() - started) // 1000
        return protocol

    def _release(self, key: Any, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        if should_close:
            # close() would first flush what is still unsent, and over TLS wait for the peer's farewell.
            protocol.abort()
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


def tls_context() -> ssl.SSLContext:
    """Verification against the system's roots and certifi's."""
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


def nothing_was_sent(error: Exception) -> bool:
    """Whether the connection was closing when the request was to be written, which is one write, body included."""
    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientConnectionResetError) and str(cause) == "Cannot write to closing transport"


def as_httpx(error: Exception, request: httpx.Request) -> httpx.RequestError:
    """An engine's exception as httpx's, to be raised `from None`.

    The engine's texts hold whole URLs, where one scheme puts the key: only the name of the exception is kept.
    """
    for kinds, made, text in _EXCEPTIONS:
        if isinstance(error, kinds):
            return made(f"{text} ({type(error).__name__})", request=request)
    return httpx.ReadError(f"the connection broke ({type(error).__name__})", request=request)
