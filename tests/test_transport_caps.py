"""Bodies are bounded, also compressed; TLS fails closed; the seam for tests."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import time
import zlib

import httpx
import pytest
import trustme

from providers import transport as module
from providers.engine import tls_context
from providers.entries import Timeouts
from providers.exchange import Call, Outgoing
from providers.transport import BodyTooLarge, TlsFailed, TlsStalled, Transport
from tests.wires import (
    OK,
    Upstream,
    answering,
    gone,
    on_both_loops,
    post,
)


@on_both_loops
async def test_r_rel_11_a_body_is_capped_as_announced_and_as_sent():
    big = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] + [b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 64
    for parts in ([b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n"], big):
        async with Upstream(answering(*parts)) as upstream:
            transport = Transport(max_body=1_000_000)
            with pytest.raises(BodyTooLarge):
                await (await transport.handle_async_request(post(upstream))).aread()
            assert transport.stats() == {"in_use": 0, "idle": 0}
            await transport.aclose()


def compressed(encoding: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body)) + body


@on_both_loops
async def test_compression_nobody_asked_for_is_undone():
    text = b'{"a":"' + b"y" * 3_000_000 + b'"}'
    for reply in (compressed(b"gzip", gzip.compress(text)), compressed(b"deflate", zlib.compress(text))):
        async with Upstream(answering(reply)) as upstream:
            transport = Transport()
            answer = await transport.handle_async_request(post(upstream))
            assert await answer.aread() == text
            assert "content-encoding" not in answer.headers
            await transport.aclose()


@on_both_loops
async def test_r_rel_11_a_bomb_is_not_inflated():
    bomb = gzip.compress(b"\0" * 100_000_000)
    async with Upstream(answering(compressed(b"gzip", bomb))) as upstream:
        transport = Transport(max_body=5_000_000)
        answer = await transport.handle_async_request(post(upstream))
        sizes, turns, over = [], 0, False

        async def others() -> None:
            nonlocal turns
            while not over:
                turns += 1
                await asyncio.sleep(0)

        meanwhile = asyncio.create_task(others())
        with pytest.raises(BodyTooLarge):
            async for piece in answer.stream:
                sizes.append(len(piece))
        over = True
        await meanwhile
        assert max(sizes) <= 1024 * 1024 and sum(sizes) <= 5_000_000
        assert turns >= len(sizes) - 1, "the loop has others to serve"
        await transport.aclose()


@on_both_loops
async def test_broken_and_unknown_compression():
    replies = (
        compressed(b"gzip", b"nonsense"), compressed(b"gzip", gzip.compress(b"x" * 1000)[:-9]), compressed(b"br", b"x"),
        compressed(b"gzip, gzip", b"x"),
    )  # fmt: skip
    for reply in replies:
        async with Upstream(answering(reply)) as upstream:
            transport = Transport()
            with pytest.raises(httpx.DecodingError):
                await (await transport.handle_async_request(post(upstream))).aread()
            assert transport.stats()["in_use"] == 0
            await transport.aclose()


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


class TlsUpstream(Upstream):
    def __init__(self, cert: trustme.LeafCert) -> None:
        super().__init__(answering(OK))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cert.configure_cert(self.tls)


async def over_tls(cert: trustme.LeafCert, authority: trustme.CA) -> tuple[httpx.Response, TlsUpstream]:
    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    trusted = tls_context()  # of its own: it will trust more than others do
    authority.configure_trust(trusted)
    async with TlsUpstream(cert) as upstream:
        transport = Transport(tls=trusted, lookup=lookup)
        call = Call(private_network=True)
        request = Outgoing("POST", f"https://api.vendor.example:{upstream.port}/x", [("A", "secret")], b"{}", call)
        try:
            answer = await transport.handle_async_request(request)
            await answer.aread()
            return answer, upstream
        except TlsFailed:
            assert upstream.requests == []
            raise
        finally:
            await transport.aclose()


@on_both_loops
async def test_tls_is_made_with_the_name_of_the_url(authority):
    answer, upstream = await over_tls(authority.issue_cert("api.vendor.example"), authority)
    assert answer.status_code == 200
    assert b"host: api.vendor.example:%d" % upstream.port in upstream.requests[0].lower()


@on_both_loops
async def test_r_rel_03_tls_fails_closed(authority):
    """R-REL-03: wrong name, unknown authority, expired; nothing is sent."""
    import datetime

    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    for cert in (
        authority.issue_cert("other.example"),
        authority.issue_cert("127.0.0.1"),
        trustme.CA().issue_cert("api.vendor.example"),
        authority.issue_cert("api.vendor.example", not_before=past, not_after=past + datetime.timedelta(days=1)),
    ):
        with pytest.raises(TlsFailed) as caught:
            await over_tls(cert, authority)
        assert "vendor" not in str(caught.value)


@on_both_loops
async def test_r_rel_03_a_stalled_handshake_is_ended():
    async def stall(upstream, reader, writer):
        await gone(reader)

    async with Upstream(stall) as upstream:
        transport = Transport()
        call = Call(private_network=True, timeouts=Timeouts(connect=0.2))
        started = time.monotonic()
        with pytest.raises(TlsStalled):
            await transport.handle_async_request(Outgoing("POST", f"https://127.0.0.1:{upstream.port}/", [], b"", call))
        assert time.monotonic() - started < 4, "the default is 5 s"
        await transport.aclose()


@on_both_loops
async def test_the_seam():
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), request.headers["authorization"], request.content, request.headers["host"]))
        return httpx.Response(200, json={"ok": True})

    module.install(httpx.MockTransport(handler))
    try:
        request = Outgoing("POST", "https://a.example/x", [("Authorization", "Bearer k")], b"{}", Call())
        answer = await module.current().handle_async_request(request)
        assert json.loads(await answer.aread()) == {"ok": True}
    finally:
        module.install(None)
    assert seen == [("https://a.example/x", "Bearer k", b"{}", "a.example")]
    assert module.stats() == {"in_use": 0, "idle": 0}
    assert isinstance(module.current(), Transport)
    assert module.current() is module.current()
    await module.aclose()
