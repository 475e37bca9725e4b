"""The data plane's way into Django: no middleware, no thread hop, no request signals.

Stock ASGI hops to a thread several times per request; this handler resolves the URL, awaits the view and sends what it
returns, all in the server's own task. When the client leaves, that task is cancelled: the view's own clean-up closes
the upstream. The views also run on Django's stock handler, which project.urls includes them in.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import Http404, HttpResponseBase
from django.http.request import validate_host
from django.urls import ResolverMatch, get_resolver

from api import health, identity, journal, keeping
from api.answer import Answer, EventStream
from api.errors import ApiError, Fault
from api.pressure import pressure
from api.refusals import dialect_of, refusal
from api.room import WAIT
from providers.engine import shared_tls_context

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HOST = re.compile(rb"([A-Za-z0-9](?:[A-Za-z0-9.\-]{0,251}[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?\Z")
_KNOWN_HOSTS = 64
#: What META calls the headers of nearly every request.
_META_NAMES = {
    b"content-length": "CONTENT_LENGTH",
    b"content-type": "CONTENT_TYPE",
    b"host": "HTTP_HOST",
    b"authorization": "HTTP_AUTHORIZATION",
    b"accept": "HTTP_ACCEPT",
    b"user-agent": "HTTP_USER_AGENT",
    b"connection": "HTTP_CONNECTION",
    b"accept-encoding": "HTTP_ACCEPT_ENCODING",
}


class DataHandler(ASGIHandler):
    """ASGI application of the data plane."""

    def __init__(self) -> None:  # the base class would load the control plane's middleware
        self._resolver = get_resolver(settings.DATA_URLCONF)
        #: Paths without parameters resolve to the same every time.
        self._fixed: dict[str, ResolverMatch] = {}
        #: Host headers that were allowed: who sends others could fill any memory of those.
        self._hosts: set[bytes] = set()
        self._empty = BytesIO()

    def start(self) -> None:
        """Open what the first request would otherwise have to wait for. Blocks for some milliseconds.

        What is loaded by now lives as long as the process: the collector need not look at it again, and as requests
        leave no cycles behind, it may look less often.
        """
        shared_tls_context()
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        health.start()
        identity.via()
        journal.current()
        keeping.start()
        health.share()
        pressure.start()

    def stop(self) -> None:
        """Close what is written to, when the last request is over."""
        pressure.stop()
        health.unshare()
        journal.stop()
        keeping.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watchers = scope.get("jackfield.watchers")
        task = asyncio.current_task()
        assert task is not None
        if watchers is None:
            await self._watched_by_listening(scope, receive, send)
            return
        gone = scope["jackfield.gone"] = _Gone(task)
        watchers.add(gone)
        try:
            await self.serve(scope, receive, send)
        except asyncio.CancelledError:
            if not gone.called:
                raise
            task.uncancel()
        finally:
            watchers.discard(gone)

    async def _watched_by_listening(self, scope: Scope, receive: Receive, send: Send) -> None:
        """On a server whose protocol does not tell us that a client left, ask for its next message to learn it."""
        inbox: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(1)
        work = asyncio.ensure_future(self.serve(scope, inbox.get, send))

        async def listen() -> None:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    work.cancel()
                    return
                await inbox.put(message)

        listener = asyncio.ensure_future(listen())
        try:
            await asyncio.wait((work, listener), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((work,))
        finally:
            listener.cancel()
            work.cancel()
        if not work.cancelled():
            work.result()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request from its scope to the last byte of its answer."""
        try:
            if not self._host_is_ours(scope):
                raise ApiError(Fault.HOST_REFUSED)
            match = self._resolve(scope["path"])
            request = DataRequest(scope, self._empty)
        except ApiError as error:
            await self._send(refusal(error, path=scope["path"]), send, scope)
            return
        except UnicodeDecodeError:
            await self._send(refusal(ApiError(Fault.BAD_HTTP), path=scope["path"]), send, scope)
            return
        request.resolver_match = match
        request.jackfield_receive = receive  # type: ignore[attr-defined]  # of our own
        try:
            response = await match.func(request, *match.args, **match.kwargs)
        except asyncio.CancelledError:
            why = _why(scope)
            if why is None:
                raise
            # A client that is still there is told; to one that left, sending does nothing.
            response = refusal(why, getattr(request, "jackfield_request_id", ""), request.path)
        except Exception:  # the one boundary: docs/decisions/one-boundary.md
            logger.exception("a request of %s failed", match.route)
            response = refusal(ApiError(Fault.INTERNAL), getattr(request, "jackfield_request_id", ""), request.path)
        await self._send(response, send, scope)

    def _resolve(self, path: str) -> ResolverMatch:
        match = self._fixed.get(path)
        if match is None:
            try:
                match = self._resolver.resolve(path)
            except Http404:
                raise ApiError(Fault.PATH_NOT_FOUND) from None
            if not match.kwargs and not match.args:
                self._fixed[path] = match
        return match

    def _host_is_ours(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"host":
                if value in self._hosts:
                    return True
                allowed = _host_allowed(value)
                if allowed and len(self._hosts) < _KNOWN_HOSTS:
                    self._hosts.add(value)
                return allowed
        return False

    async def _send(self, response: HttpResponseBase, send: Send, scope: Scope) -> None:
        if isinstance(response, Answer):
            content = response.body
            headers = [*response.pairs, (b"content-length", b"%d" % len(content))]
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            await send({"type": "http.response.body", "body": content})
            return
        if isinstance(response, EventStream):
            headers = response.pairs
            try:  # what a client left unread before keeps even the headers waiting
                await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            except BaseException:
                await response.drop()
                raise
            last = b""
            try:
                async with aclosing(response.pieces) as pieces:
                    async for piece in pieces:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            except asyncio.CancelledError:
                why = _why(scope)
                if why is None:
                    raise
                last = why.event(dialect_of(scope["path"]))
            await send({"type": "http.response.body", "body": last})
            return
        content = response.content  # type: ignore[attr-defined]  # any other is whole
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
        headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class DataRequest(ASGIRequest):
    """Django's request, made from the scope in one pass and without what forms and proxies of WSGI need."""

    def __init__(self, scope: Scope, body_file: BytesIO) -> None:
        self.scope = scope
        self._post_parse_error = False
        self._read_started = False
        self.resolver_match = None
        self.script_name = ""
        self.path = self.path_info = scope["path"]
        self.method = scope["method"]
        meta = self.META = {
            "REQUEST_METHOD": scope["method"],
            "QUERY_STRING": scope["query_string"].decode("latin-1"),
            "SCRIPT_NAME": "",
            "PATH_INFO": scope["path"],
        }
        for name, value in scope["headers"]:
            key = _META_NAMES.get(name)
            if key is None:
                if b"_" in name:  # nobody's header may pass for another one
                    continue
                key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
            text = value.decode("latin-1")
            meta[key] = f"{meta[key]},{text}" if key in meta else text
        client = scope.get("client")
        if client:
            meta["REMOTE_ADDR"] = client[0]
        self.content_type = self.content_params = None
        self._stream = body_file


class _Gone:
    """Cancels the request's task when the client is gone, or must go, and remembers that it was for that."""

    __slots__ = ("called", "task", "why")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.called = False
        #: what its client is told; None: it left
        self.why: Fault | None = None

    def __call__(self, why: Fault | None = None) -> None:
        self.called = True
        self.why = self.why or why
        self.task.cancel()


def _why(scope: Scope) -> ApiError | None:
    """Why the request was cancelled, if it was not for its client's leaving: the grace of a stop is over, or more."""
    if health.stopping:
        return ApiError(Fault.STOPPING)
    gone: _Gone | None = scope.get("jackfield.gone")
    return None if gone is None or gone.why is None else ApiError(gone.why, headers=WAIT)


def _host_allowed(value: bytes) -> bool:
    """A Host header of the strict grammar that ALLOWED_HOSTS admits."""
    match = _HOST.match(value)
    if match is None or (match[2] is not None and not 0 < int(match[2]) < 65536):
        return False
    name = match[1].decode("ascii").lower()
    if name.startswith("["):
        try:
            ipaddress.IPv6Address(name[1:-1])
        except ValueError:
            return False
    return validate_host(name.rstrip("."), settings.ALLOWED_HOSTS)
