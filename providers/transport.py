"""The only upstream I/O: an httpx transport whose engine is aiohttp.

httpx's own pool loses a slot for good when a request is cancelled, and cancelling is what a gateway does all day.
What this transport promises:

- Cancelling the task that waits, or closing an answer not fully read, drops the upstream socket at once.
- No redirects, no cookies, no proxy from the environment; TLS is always verified; every address is checked
  (`providers.egress`, `providers.resolving`). Connections that may lead to private networks have a pool of their own.
- Where a caller of this gateway chose the URL, names are looked up apart from all others and no connection is kept.
- Deadlines for connecting, for the first byte, between reads and for the whole; caps on what is read and inflated.
- A request is written to a connection that the peer is just closing for idleness about as often as connections are
  idle: it is repeated once, on a new connection, if the pooled one closed at once and without a word
  (docs/decisions/lost-requests.md). Any other loss is RemoteProtocolError or ReadError, and the attempt loop decides.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
import weakref
from typing import Any, Final, cast

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from providers.bodies import MAX_BODY, MAX_STREAM, Body, BodyTooLarge, inflater
from providers.egress import check_url
from providers.engine import (
    BACKSTOP,
    ENGINE_ERRORS,
    Connector,
    NoAddress,
    TlsFailed,
    TlsStalled,
    as_httpx,
    client_timeout,
    clock_of_call,
    nothing_was_sent,
    session,
    shared_tls_context,
    was_lost,
)
from providers.entries import Timeouts
from providers.exchange import Call, CallClock, Incoming, Outgoing
from providers.resolving import EgressRefused, Lookup, strangers_lookup, system_lookup, workers_lookup

__all__ = (
    "BodyTooLarge",
    "Call",
    "CallClock",
    "EgressRefused",
    "NoAddress",
    "Outgoing",
    "TlsFailed",
    "TlsStalled",
    "Transport",
    "current",
    "install",
)

#: Hop-by-hop, or the engine's to set.
_NOT_SENT: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


#: Seconds in which a pooled connection that its peer was closing breaks, at most: a round trip, and no model's answer.
LOST_WITHIN: Final = 0.5

_PLAIN_CALL: Final = Call()

#: Characters of URLs that are remembered: longer ones come from callers of this gateway only.
_SHORT: Final = 512

#: Of accounts without and with private networks, and of URLs that callers chose.
#: Of accounts, by whether they reach private networks; of workers, by the same; of strangers.
_Sessions = tuple[aiohttp.ClientSession, ...]


class Transport(httpx.AsyncBaseTransport):
    """One per event loop. Raises httpx exceptions only; those of this module carry a stable `code`."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, lookup: Lookup = system_lookup, max_body: int = MAX_BODY
    ) -> None:
        self._tls = tls
        self._lookup = lookup
        self._max_body = max_body
        self._sessions: _Sessions | None = None

    def _open(self) -> _Sessions:
        tls = self._tls or shared_tls_context()
        own = self._lookup is not system_lookup
        theirs, apart = (self._lookup, self._lookup) if own else (workers_lookup, strangers_lookup)
        self._sessions = (
            session(False, tls, self._lookup),
            session(True, tls, self._lookup),
            session(False, tls, theirs),
            session(True, tls, theirs),
            session(False, tls, apart, keeps=False),
        )
        return self._sessions

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return as soon as the answer's headers are there.

        Raises EgressRefused, TlsFailed, NoAddress, httpx.ConnectError, ConnectTimeout, ReadTimeout (no first byte in
        time), ReadError, RemoteProtocolError, BodyTooLarge, DecodingError.
        """
        call: Call = request.extensions.get("jackfield", _PLAIN_CALL)
        if isinstance(request, Outgoing):
            url, fields, body = request.target, request.fields, request.content
        else:
            url, body = str(request.url), await request.aread()
            fields = [(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw]
        place = url.partition("?")[0]
        judge = check_url if call.stranger or len(place) > _SHORT else _refusal
        reason = judge(place, call.private_network and not call.stranger)
        if reason is not None:
            raise EgressRefused(f"the URL is not allowed: {reason}", request=request)
        engine = (self._sessions or self._open())[4 if call.stranger else call.private_network + 2 * call.worker]
        headers = CIMultiDict([field for field in fields if field[0].lower() not in _NOT_SENT])
        timeouts, clock = call.timeouts, call.clock
        clock.alone, clock.connect_us = False, None
        clock_of_call.set(clock)
        while True:
            started = time.monotonic()
            clock.heard, clock.stage = None, ""
            try:
                # aiohttp's deadline for silence is exact; this one also ends headers that trickle in for ever.
                async with asyncio.timeout(timeouts.connect + timeouts.first_byte):
                    answer = await engine.request(
                        request.method,
                        URL(url, encoded=True),
                        headers=headers,
                        data=body or None,
                        allow_redirects=False,
                        timeout=client_timeout(timeouts),
                    )
                break
            except ENGINE_ERRORS as error:
                if clock.heard is not None:  # a pooled connection
                    # Each turn takes one dead connection out of the pool; a new connection ends it.
                    if nothing_was_sent(error):
                        continue
                    if call.twice and was_lost(error, clock) and time.monotonic() - started < LOST_WITHIN:
                        clock.alone = True
                        continue
                raise as_httpx(error, request, clock) from None
        clock.reused = clock.connect_us is None
        clock.heard = None
        if isinstance(request, Outgoing):
            request.sent()
        return self._response(request, answer, timeouts)

    def _response(self, request: httpx.Request, answer: aiohttp.ClientResponse, timeouts: Timeouts) -> httpx.Response:
        streamed = answer.headers.get("Content-Type", "").startswith("text/event-stream")
        cap = MAX_STREAM if streamed else self._max_body
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        raw: Any = answer.raw_headers
        inflate = None
        if encoding not in {"", "identity"}:
            raw = [item for item in raw if item[0].lower() not in {b"content-encoding", b"content-length"}]
            inflate = inflater(encoding)
            if inflate is None:
                answer.close()
                raise httpx.DecodingError(
                    "the upstream compressed its answer in a way nobody asked for", request=request
                )
        elif (answer.content_length or 0) > cap:
            answer.close()
            raise BodyTooLarge("the upstream announced more than is read of one answer", request=request)
        if answer.connection is not None and answer.connection.protocol is not None:
            # More is to come: from here on silence is measured between reads, not until the first byte.
            # The relay's own deadline for a gap is exact; this one keeps behind it.
            answer.connection.protocol.read_timeout = max(timeouts.gap, timeouts.first_byte) + BACKSTOP
            answer.connection.protocol.start_timeout()
        return Incoming(answer.status, raw, Body(answer, request, cap, inflate), request)

    def stats(self) -> dict[str, int]:
        """Connections now: `in_use` and `idle`, over all pools."""
        counts = [cast(Connector, one.connector).counts() for one in self._sessions or ()]
        return {"in_use": sum(used for used, _ in counts), "idle": sum(idle for _, idle in counts)}

    async def aclose(self) -> None:
        """Close every connection. The transport opens anew if it is used again."""
        sessions, self._sessions = self._sessions, None
        for one in sessions or ():
            await one.close()


@functools.lru_cache(maxsize=4096)
def _refusal(url: str, private: bool) -> str | None:
    """`check_url`, remembered. It is given no query string, which may hold a key."""
    return check_url(url, private)


_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Transport] = weakref.WeakKeyDictionary()
_installed: list[httpx.AsyncBaseTransport] = []


def current() -> httpx.AsyncBaseTransport:
    """The transport of the running loop, or the one that was installed in its place."""
    if _installed:
        return _installed[-1]
    loop = asyncio.get_running_loop()
    transport = _by_loop.get(loop)
    if transport is None:
        transport = _by_loop[loop] = Transport()
    return transport


def install(transport: httpx.AsyncBaseTransport | None) -> None:
    """Put a transport in the place of all others, as tests do; None takes it away again."""
    _installed.clear()
    if transport is not None:
        _installed.append(transport)


async def aclose() -> None:
    """Close the running loop's transport."""
    transport = _by_loop.pop(asyncio.get_running_loop(), None)
    if transport is not None:
        await transport.aclose()


def stats() -> dict[str, int]:
    """The running loop's connections; zeros where there is no transport yet."""
    transport = _by_loop.get(asyncio.get_running_loop())
    return transport.stats() if transport is not None else {"in_use": 0, "idle": 0}
