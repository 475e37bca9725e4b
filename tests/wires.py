"""An upstream at the level of bytes, scripted, and what tests of the transport share."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from providers.entries import Timeouts
from providers.exchange import Call, CallClock, Outgoing

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def on_both_loops(test):
    """Run an async test on asyncio's loop and on uvloop."""

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    @functools.wraps(test)
    def wrapper(run, **fixtures):
        run(asyncio.wait_for(test(**fixtures), 60))

    wrapper.__signature__ = _with_run(test)
    return wrapper


def _with_run(test):
    import inspect

    signature = inspect.signature(test)
    run = inspect.Parameter("run", inspect.Parameter.KEYWORD_ONLY)
    return signature.replace(parameters=[*signature.parameters.values(), run])


class Upstream:
    """A server that answers as its script says, and notes what came and which connections live."""

    def __init__(
        self, script: Callable[[Upstream, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.closed_at: list[float] = []

    async def __aenter__(self) -> Upstream:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=getattr(self, "tls", None))
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                await self.script(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self.closed_at.append(time.monotonic())
            writer.close()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        return whole


def answering(*parts: bytes | float, close: bool = False):
    """A script: read a request, then send the parts; numbers are pauses in seconds."""

    async def script(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upstream.request(reader)
        for part in parts:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            else:
                await asyncio.sleep(part)
        if close:
            raise ConnectionError

    return script


async def gone(reader: asyncio.StreamReader) -> None:
    """Wait until the peer hangs up."""
    await reader.read()
    raise ConnectionError


async def hanging(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await upstream.request(reader)
    await gone(reader)


async def dripping(upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await upstream.request(reader)
    writer.write(STREAM + b"5\r\ndata:\r\n")
    await gone(reader)


def post(
    upstream: Upstream | int, body: bytes = b"{}", headers=(), *, path: str = "/v1/x", clock=None, **timeouts
) -> Outgoing:
    port = upstream if isinstance(upstream, int) else upstream.port
    call = Call(private_network=True, timeouts=Timeouts(**timeouts), clock=clock or CallClock())
    return Outgoing("POST", f"http://127.0.0.1:{port}{path}", list(headers), body, call)


async def closes(upstream: Upstream) -> None:
    """Every script here hangs until its peer hangs up: what is never closed is told after ten seconds."""
    deadline = time.monotonic() + 10
    while upstream.open:
        assert time.monotonic() < deadline, "the upstream's socket is still open"
        await asyncio.sleep(0.005)
