"""Whole answers: read under a limit, and asked for again of upstreams that take their time over one."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urljoin

import httpx

from api.errors import Fault
from api.relay import Broken, read_some
from providers import transport
from providers.dialects.dialect import Upstream
from providers.exchange import Outgoing
from providers.hosts import origin_of

#: Bytes of an error's body that are read; those of an answer are the transport's to limit.
MOST_ERROR: Final = 1024 * 1024
#: Seconds from the first question on, after which nothing is asked again (C-43).
PATIENCE: Final = 120.0
#: Of the first request; the later ones have no body.
_OF_THE_BODY: Final = frozenset({"content-type"})


async def read_whole(response: httpx.Response) -> bytes:
    """The body of an answer, or enough of an error's. Raises httpx.HTTPError."""
    return await response.aread() if response.status_code < 300 else await read_some(response, MOST_ERROR)


async def whole_answer(request: Outgoing) -> tuple[httpx.Response, bytes]:
    """Send a request: its answer, closed, and the body of it. Raises httpx.HTTPError."""
    response = await transport.current().handle_async_request(request)
    try:
        return response, await read_whole(response)
    finally:
        await response.aclose()


async def settled(request: Outgoing, status: int, body: bytes, upstream: Upstream) -> tuple[int, bytes]:
    """Status and body of the answer that the upstream comes to, which may be what it said at once.

    It is asked at the place that called it, with the same credential. Raises Broken, httpx.HTTPError.
    """
    call = request.extensions["jackfield"]
    headers = [(name, value) for name, value in request.fields if name not in _OF_THE_BODY]
    try:
        async with asyncio.timeout(PATIENCE):
            while status < 300 and upstream.again is not None and (later := upstream.again(body)) is not None:
                await asyncio.sleep(later.seconds)
                url = urljoin(request.target, later.path)
                if origin_of(url) != origin_of(request.target):  # a body never chooses where the credential goes
                    raise Broken(Fault.BAD_ANSWER)
                response, body = await whole_answer(Outgoing("GET", url, headers, b"", call))
                status = response.status_code
    except TimeoutError:
        raise Broken(Fault.TIMEOUT) from None
    return status, body
