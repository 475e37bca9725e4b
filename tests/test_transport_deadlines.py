"""Every phase of an upstream request has its deadline."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback

import httpx
import pytest

from providers import engine
from providers import transport as module
from providers.transport import Transport
from tests.wires import (
    STREAM,
    Upstream,
    answering,
    closes,
    dripping,
    hanging,
    on_both_loops,
    post,
)


@on_both_loops
async def test_r_rel_04_no_first_byte_in_time():
    async with Upstream(hanging) as upstream:
        transport = Transport()
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await transport.handle_async_request(post(upstream, first_byte=0.2))
        assert 0.15 < time.monotonic() - started < 10
        await closes(upstream)
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()


@on_both_loops
async def test_headers_that_trickle_in_are_ended():
    head = b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000
    parts = [part for place in range(len(head)) for part in (head[place : place + 1], 0.05)]
    async with Upstream(answering(*parts)) as upstream:
        transport = Transport()
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            await transport.handle_async_request(post(upstream, connect=0.2, first_byte=0.2))
        assert time.monotonic() - started < 10
        await transport.aclose()


@on_both_loops
async def test_no_connection_in_time():
    """A listener whose queue is full never answers the handshake."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        transport = Transport()
        started = time.monotonic()
        with pytest.raises(httpx.ConnectTimeout):
            await transport.handle_async_request(post(port, connect=0.2))
        assert time.monotonic() - started < 4, "the kernel would try for two minutes, the default is 5 s"
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()
        for filler in fillers:
            filler.close()


@on_both_loops
async def test_a_refused_connection():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        transport = Transport()
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(post(port))
        await transport.aclose()


@on_both_loops
@pytest.mark.parametrize("script", [hanging, answering(b"", close=True), answering(b"HTTP/1.1 200", close=True), None])
async def test_x06_a_key_in_the_url_shows_in_no_failure(script):
    """X-06: one scheme puts the key into the query string, and engines put URLs into their messages."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with Upstream(script or hanging) as upstream:
            transport = Transport()
            port = upstream.port if script else closed.getsockname()[1]
            request = post(port, path="/x?key=canary-1234", first_byte=0.1)
            assert "canary" not in repr(request)
            with pytest.raises(httpx.HTTPError) as caught:
                await transport.handle_async_request(request)
            shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caught.value.request)
            assert "canary" not in shown
            await transport.aclose()


@on_both_loops
async def test_silence_in_a_stream_is_ended(monkeypatch):
    monkeypatch.setattr(module, "BACKSTOP", 0.1)
    async with Upstream(dripping) as upstream:
        transport = Transport()
        answer = await transport.handle_async_request(post(upstream, gap=0.2, first_byte=0.1))
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            async for _ in answer.stream:
                pass
        assert 0.2 < time.monotonic() - started < 10
        await closes(upstream)
        await transport.aclose()


@on_both_loops
async def test_a_drip_does_not_go_on_for_ever(monkeypatch):
    monkeypatch.setattr(engine, "BACKSTOP", 0.1)
    parts = [part for _ in range(1000) for part in (b"1\r\n:\r\n", 0.03)]
    async with Upstream(answering(STREAM, *parts)) as upstream:
        transport = Transport()
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            async for _ in (await transport.handle_async_request(post(upstream, total=0.31, gap=1))).stream:
                pass
        assert time.monotonic() - started < 10
        await transport.aclose()


@on_both_loops
async def test_an_upstream_that_does_not_read_is_left():
    async def deaf(upstream, reader, writer):
        reader._transport.pause_reading()
        await asyncio.sleep(30)

    async with Upstream(deaf) as upstream:
        transport = Transport()
        with pytest.raises(httpx.ReadTimeout):
            await transport.handle_async_request(post(upstream, b"x" * 20_000_000, connect=0.1, first_byte=0.2))
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()
