"""Pooled connections that their peers close or talk on: what is repeated, what is not, and whose answer is whose."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from providers.exchange import Call
from providers.transport import Transport
from tests.wires import OK, Upstream, answering, on_both_loops, post

PRIVATE = Call(private_network=True)
#: What a request meets where its connection is lost.
LOST = (httpx.RemoteProtocolError, httpx.ReadError)


def losing(lose: set[int], pause: float = 0.0, said: bytes = b""):
    """A script that takes these requests, counted from 1, and hangs up on them."""

    async def script(upstream, reader, writer):
        await upstream.request(reader)
        if len(upstream.requests) in lose:
            await asyncio.sleep(pause)
            writer.write(said)
            await writer.drain()
            raise ConnectionError
        writer.write(OK)

    return script


async def asked(transport: Transport, upstream: Upstream, body: bytes = b"{}", **more: object) -> bytes:
    request = post(upstream, body)
    if more:
        call = request.extensions["jackfield"]
        request.extensions["jackfield"] = call.__class__(True, call.timeouts, call.clock, **more)
    return await (await transport.handle_async_request(request)).aread()


@on_both_loops
async def test_a_request_lost_to_a_closing_connection_is_repeated_once():
    async with Upstream(losing({2})) as upstream:
        transport = Transport()
        assert await asked(transport, upstream) == b'{"a":1}'
        assert await asked(transport, upstream, b'{"n":2}') == b'{"a":1}'
        assert [request[-7:] for request in upstream.requests[1:]] == [b'{"n":2}'] * 2
        assert upstream.connections == 2, "the second time on a connection of its own"
        assert transport.stats() == {"in_use": 0, "idle": 1}
        await transport.aclose()


@on_both_loops
async def test_one_clock_serves_many_requests():
    """As plain requests share one, and those that ask until a job is done."""
    async with Upstream(losing({2, 4, 6})) as upstream:
        transport = Transport()
        for _ in range(4):
            request = httpx.Request("POST", f"http://127.0.0.1:{upstream.port}/x", content=b"{}")
            request.extensions["jackfield"] = PRIVATE
            assert await (await transport.handle_async_request(request)).aread() == b'{"a":1}'
            assert PRIVATE.clock.reused is False
        assert len(upstream.requests) == 7 and upstream.connections == 4
        await transport.aclose()


@on_both_loops
async def test_it_is_not_repeated_a_second_time():
    async with Upstream(losing({4, 5})) as upstream:
        transport = Transport()
        await asyncio.gather(*(asked(transport, upstream) for _ in range(3)))
        assert transport.stats()["idle"] == 3
        with pytest.raises(LOST):
            await asked(transport, upstream)
        assert len(upstream.requests) == 5 and upstream.connections == 4
        await transport.aclose()


@on_both_loops
@pytest.mark.parametrize("case", ["new", "late", "spoke", "once"])
async def test_what_may_have_been_acted_on_is_not_repeated(case, monkeypatch):
    """A new connection, one that took its time, one that began to answer; and what must not be done twice."""
    monkeypatch.setattr("providers.transport.LOST_WITHIN", 0.1 if case == "late" else 5.0)
    lose = {1} if case == "new" else {2}
    said = b"HTTP/1.1 2" if case == "spoke" else b""
    async with Upstream(losing(lose, 0.3 if case == "late" else 0.0, said)) as upstream:
        transport = Transport()
        if case != "new":
            await asked(transport, upstream)
        with pytest.raises(LOST):
            await asked(transport, upstream, twice=case != "once")
        assert len(upstream.requests) == max(lose)
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()


@on_both_loops
async def test_idle_connections_that_close_fail_no_request():
    """The most frequent false failure there is: the peer's close and the next request cross each other on the way."""

    async def script(upstream, reader, writer):
        await upstream.request(reader)
        writer.write(OK)
        while True:
            try:
                async with asyncio.timeout(0.03):
                    await upstream.request(reader)
            except TimeoutError:
                await asyncio.sleep(0.01)  # as long as the close is on its way: what comes meanwhile is not read
                raise ConnectionError from None
            writer.write(OK)

    async with Upstream(script) as upstream:
        transport = Transport()

        async def client(number: int) -> None:
            for turn in range(12):
                await asyncio.sleep(0.025 + (number * 12 + turn) % 17 / 1000)
                await asked(transport, upstream)

        await asyncio.gather(*(client(number) for number in range(10)))
        assert len(upstream.requests) == 120, "each was acted on once"
        await transport.aclose()


@on_both_loops
@pytest.mark.parametrize("extra", [OK.replace(b'"a":1', b'"b":2'), b"HTTP/1.1 200", b"\r\n"])
async def test_what_nobody_asked_for_is_nobodys_answer(extra):
    """R-REL-08 in its worst form: what came late on a pooled connection would be the next caller's answer."""

    async def script(upstream, reader, writer):
        await upstream.request(reader)
        writer.write(OK)
        await asyncio.sleep(0.02)
        writer.write(extra)

    async with Upstream(script) as upstream:
        transport = Transport()
        for _ in range(3):
            assert await asked(transport, upstream) == b'{"a":1}'
            await asyncio.sleep(0.06)
        assert upstream.connections == 3
        await transport.aclose()


@on_both_loops
async def test_two_answers_at_once_are_one():
    async with Upstream(answering(OK + OK.replace(b'"a":1', b'"b":2'))) as upstream:
        transport = Transport()
        assert [await asked(transport, upstream) for _ in range(3)] == [b'{"a":1}'] * 3
        await transport.aclose()


@on_both_loops
async def test_interim_answers_are_passed_over_and_bounded():
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    async with Upstream(answering(interim + OK)) as upstream:
        transport = Transport()
        assert [await asked(transport, upstream) for _ in range(2)] == [b'{"a":1}'] * 2
        assert upstream.connections == 1
        await transport.aclose()

    async def flood(upstream, reader, writer):
        await upstream.request(reader)
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)
            await writer.drain()

    async with Upstream(flood) as upstream:
        transport = Transport()
        began = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            await asked(transport, upstream)
        assert time.monotonic() - began < 5, "the first byte may take 60 s"
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()
