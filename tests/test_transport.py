"""Requests go out as given, connections are reused, streams come as they come."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from providers.exchange import Call, CallClock, Outgoing
from providers.transport import EgressRefused, Transport
from tests.wires import (
    OK,
    STREAM,
    Upstream,
    answering,
    on_both_loops,
    post,
)


@on_both_loops
async def test_a_request_goes_out_as_given():
    async with Upstream(answering(OK)) as upstream:
        transport = Transport()
        body = json.dumps({"é": "x" * 300_000}).encode()
        headers = [
            ("Authorization", "Bearer k"), ("Content-Type", "application/json"), ("Cookie", "a=b"), ("Host", "evil"),
            ("Transfer-Encoding", "chunked"), ("Accept-Encoding", "gzip"), ("Connection", "close"), ("X-Twice", "1"),
            ("X-Twice", "2"),
        ]  # fmt: skip
        answer = await transport.handle_async_request(post(upstream, body, headers, path="/a%2Fb/c:d@e?x=%20y&z"))
        assert answer.status_code == 200 and await answer.aread() == b'{"a":1}'
        head, _, sent = upstream.requests[0].partition(b"\r\n\r\n")
        assert sent == body
        lines = head.split(b"\r\n")
        assert lines[0] == b"POST /a%2Fb/c:d@e?x=%20y&z HTTP/1.1"
        fields = sorted(line.lower() for line in lines[1:])
        assert fields == sorted(
            [b"host: 127.0.0.1:%d" % upstream.port, b"authorization: bearer k", b"content-type: application/json",
             b"x-twice: 1", b"x-twice: 2", b"accept: */*", b"accept-encoding: identity",
             b"content-length: %d" % len(body)]
        )  # fmt: skip
        assert transport.stats() == {"in_use": 0, "idle": 1}
        await transport.aclose()


@on_both_loops
async def test_plain_httpx_requests_work_too():
    async with Upstream(answering(OK)) as upstream:
        transport = Transport()
        call = Call(private_network=True)
        request = httpx.Request(
            "POST", f"http://127.0.0.1:{upstream.port}/x", json={"a": 1}, extensions={"jackfield": call}
        )
        answer = await transport.handle_async_request(request)
        assert answer.json() if await answer.aread() else None
        assert answer.headers["content-type"] == "application/json"
        assert upstream.requests[0].endswith(b'{"a":1}')
        await transport.aclose()


@on_both_loops
async def test_connections_are_reused_and_timed():
    async with Upstream(answering(OK)) as upstream:
        transport, clocks = Transport(), [CallClock() for _ in range(3)]
        for clock in clocks:
            await (await transport.handle_async_request(post(upstream, clock=clock))).aread()
        assert upstream.connections == 1
        assert [clock.reused for clock in clocks] == [False, True, True]
        assert clocks[0].connect_us > 0 and clocks[1].connect_us is None
        await transport.aclose()
        assert transport.stats() == {"in_use": 0, "idle": 0}


@on_both_loops
async def test_a_private_connection_never_serves_a_public_account():
    async with Upstream(answering(OK)) as upstream:
        transport = Transport()
        await (await transport.handle_async_request(post(upstream))).aread()
        request = Outgoing("POST", f"http://127.0.0.1:{upstream.port}/v1/x", [], b"{}", Call(private_network=False))
        with pytest.raises(EgressRefused):
            await transport.handle_async_request(request)
        assert len(upstream.requests) == 1
        await transport.aclose()


@on_both_loops
async def test_redirects_are_not_followed_and_cookies_not_kept():
    moved = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nSet-Cookie: s=1\r\nContent-Length: 0\r\n\r\n"
    async with Upstream(answering(moved)) as upstream:
        transport = Transport()
        for _ in range(2):
            answer = await transport.handle_async_request(post(upstream))
            assert answer.status_code == 307 and await answer.aread() == b""
        assert all(b"ookie" not in request for request in upstream.requests)
        await transport.aclose()


@on_both_loops
async def test_no_proxy_from_the_environment(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with Upstream(answering(OK)) as upstream:
        transport = Transport()
        assert (await transport.handle_async_request(post(upstream))).status_code == 200
        await transport.aclose()


@on_both_loops
async def test_a_stream_is_given_on_as_it_comes():
    chunk = b'f\r\ndata: {"n":1}\n\n\r\n'
    seen = asyncio.Event()

    async def script(upstream, reader, writer):
        await upstream.request(reader)
        writer.write(STREAM + chunk)
        await seen.wait()  # what comes next is sent only when the first piece has arrived
        writer.write(chunk + b"0\r\n\r\n")

    async with Upstream(script) as upstream:
        transport = Transport()
        answer = await transport.handle_async_request(post(upstream))
        got = b""
        async with asyncio.timeout(10):
            async for piece in answer.stream:
                got += piece
                seen.set()
        assert got == b'data: {"n":1}\n\n' * 2
        assert transport.stats() == {"in_use": 0, "idle": 1}
        await transport.aclose()


@on_both_loops
@pytest.mark.parametrize(
    "parts",
    [
        (STREAM, b'f\r\ndata: {"n":1}\n\n\r\n'),
        (STREAM, b"ff\r\ndata:"),
        (STREAM, b"zz\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",),
    ],
)
async def test_a_cut_body_is_told_from_a_complete_one(parts):
    async with Upstream(answering(*parts, close=True)) as upstream:
        transport = Transport()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await (await transport.handle_async_request(post(upstream))).aread()
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()


@on_both_loops
@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n"]
)
async def test_a_broken_head_is_an_httpx_error(reply):
    async with Upstream(answering(reply, close=True)) as upstream:
        transport = Transport()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await transport.handle_async_request(post(upstream))
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()


class Closing:
    """A transport that began to close after the pool had looked at it."""

    def __init__(self, transport):
        self.transport = transport

    def is_closing(self):
        return True

    def __getattr__(self, name):
        return getattr(self.transport, name)


@on_both_loops
async def test_a_post_that_was_never_written_is_sent_on_a_new_connection(monkeypatch):
    """The pooled connection is closing, and the pool has not noticed."""
    monkeypatch.setattr("aiohttp.client_proto.ResponseHandler.is_connected", lambda self: True)
    async with Upstream(answering(OK)) as upstream:
        transport = Transport()
        first = await asyncio.gather(*(transport.handle_async_request(post(upstream)) for _ in range(3)))
        for answer in first:
            await answer.aread()
        connector = transport._sessions[True].connector
        for held in connector._conns.values():
            for protocol, _ in held:
                protocol.transport = Closing(protocol.transport)
        answer = await transport.handle_async_request(post(upstream, b'{"n":2}'))
        assert await answer.aread() == b'{"a":1}'
        assert [request[-7:] for request in upstream.requests].count(b'{"n":2}') == 1
        assert upstream.connections == 4
        await transport.aclose()
