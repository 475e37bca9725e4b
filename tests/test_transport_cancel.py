"""A cancelled request drops its upstream socket at once and leaks nothing."""

from __future__ import annotations

import asyncio
import gc
import random
import time

import pytest

from providers.transport import Transport
from tests.promises import within
from tests.wires import (
    STREAM,
    Upstream,
    closes,
    dripping,
    hanging,
    on_both_loops,
    post,
)


@on_both_loops
@pytest.mark.parametrize("script", [hanging, dripping], ids=["before", "within"])
async def test_cancelling_drops_the_upstream_socket_at_once(script):
    """R-REL-18: the socket is gone within 250 ms, before the first byte and after it."""
    for took in within(0.25):
        async with Upstream(script) as upstream:
            transport = Transport()

            async def call(transport=transport, upstream=upstream):
                answer = await transport.handle_async_request(post(upstream, b"x" * 3_000_000))
                await answer.aread()

            task = asyncio.create_task(call())
            while not upstream.requests:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
            cancelled = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await task
            await closes(upstream)
            took.append(upstream.closed_at[-1] - cancelled)
            assert transport.stats() == {"in_use": 0, "idle": 0}
            await transport.aclose()


@on_both_loops
async def test_closing_an_answer_half_read_drops_the_socket():
    async with Upstream(dripping) as upstream:
        transport = Transport()
        answer = await transport.handle_async_request(post(upstream))
        assert await anext(aiter(answer.stream)) == b"data:"
        await answer.aclose()
        await closes(upstream)
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()


@on_both_loops
async def test_cancelling_an_upload_drops_the_socket():
    async def deaf(upstream, reader, writer):
        upstream.requests.append(await reader.readexactly(10))
        await asyncio.sleep(30)

    async with Upstream(deaf) as upstream:
        transport = Transport()
        task = asyncio.create_task(transport.handle_async_request(post(upstream, b"x" * 20_000_000)))
        while not upstream.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transport.stats() == {"in_use": 0, "idle": 0}
        await transport.aclose()


@on_both_loops
async def test_two_thousand_cancels_leak_no_connection():
    """The pool is whole after cancels at random moments: while connecting, sending, waiting and reading."""

    async def script(upstream, reader, writer):
        await upstream.request(reader)
        await asyncio.sleep(random.choice([0, 0.005, 0.02]))
        writer.write(STREAM)
        for _ in range(10):
            writer.write(b"5\r\ndata:\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)
        writer.write(b"0\r\n\r\n")

    async with Upstream(script) as upstream:
        transport = Transport()

        async def call():
            answer = await transport.handle_async_request(post(upstream))
            try:
                async for _ in answer.stream:
                    pass
            finally:
                await answer.aclose()

        cancelled, loop = 0, asyncio.get_running_loop()
        for _ in range(40):
            tasks = [asyncio.create_task(call()) for _ in range(50)]
            for task in tasks:
                loop.call_later(random.choice([0, random.uniform(0, 0.05)]), task.cancel)
            done = await asyncio.gather(*tasks, return_exceptions=True)
            cancelled += sum(isinstance(one, asyncio.CancelledError) for one in done)
            assert all(one is None or isinstance(one, asyncio.CancelledError) for one in done)
        assert cancelled > 1500
        gc.collect()
        assert transport.stats()["in_use"] == 0
        results = await asyncio.gather(*(call() for _ in range(50)))
        assert results == [None] * 50
        assert transport.stats()["in_use"] == 0
        await transport.aclose()
        await closes(upstream)
