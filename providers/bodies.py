"""Bodies of upstream answers, read piece by piece, counted against a cap and inflated within bounds."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import httpx

from providers.engine import ENGINE_ERRORS, as_httpx

#: Bytes of one complete answer and of one event stream.
MAX_BODY: Final = 64 * 1024 * 1024
MAX_STREAM: Final = 1024 * 1024 * 1024
_INFLATE_STEP: Final = 256 * 1024


class BodyTooLarge(httpx.ReadError):
    """The upstream sent more than is read of one answer."""

    code = "upstream_too_large"


class Body(httpx.AsyncByteStream):
    """The body as it arrives, counted against its cap. `aclose` before its end drops the connection."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request, cap: int, inflate: Any) -> None:
        self._answer = answer
        self._content = answer.content
        self._request = request
        self._left = cap
        self._inflate = inflate
        self._rest = b""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._next()
        if not chunk:
            self._answer.close()
            raise StopAsyncIteration
        return chunk

    async def read(self) -> bytes:
        """The whole body."""
        first = await self._next()
        following = await self._next() if first else b""
        if not following:
            self._answer.close()
            return first
        pieces = [first]
        while following:
            pieces.append(following)
            following = await self._next()
        self._answer.close()
        return b"".join(pieces)

    async def _next(self) -> bytes:
        """The next piece, empty at the end. Whatever goes wrong here, the connection is dropped first."""
        try:
            if self._inflate is None:
                piece = await self._content.readany()
            else:
                piece = await self._inflated()
        except ENGINE_ERRORS as error:
            self._answer.close()
            raise as_httpx(error, self._request) from None
        except (asyncio.CancelledError, httpx.HTTPError):
            self._answer.close()
            raise
        self._left -= len(piece)
        if self._left < 0:
            self._answer.close()
            raise BodyTooLarge("the upstream sent more than is read of one answer", request=self._request)
        return piece

    async def _inflated(self) -> bytes:
        """The next piece of a compressed body, at most a step of it in memory at a time."""
        inflate = self._inflate
        while True:
            if self._rest:
                await asyncio.sleep(0)  # a small piece may become a hundred megabytes: others have their turn meanwhile
            chunk = self._rest or await self._content.readany()
            if not chunk:
                if not inflate.eof:
                    raise httpx.DecodingError("the upstream's compression breaks off", request=self._request)
                return b""
            if inflate.eof:
                self._rest = b""
                continue
            try:
                piece: bytes = inflate.decompress(chunk, _INFLATE_STEP)
            except zlib.error as error:
                raise httpx.DecodingError("the upstream's compression is broken", request=self._request) from error
            self._rest = inflate.unconsumed_tail
            if piece:
                return piece

    async def aclose(self) -> None:
        """Give the connection back if the answer was read to its end; drop it at once if not."""
        self._answer.close()


def inflater(encoding: str) -> Any:
    if encoding in {"gzip", "x-gzip"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
    return zlib.decompressobj(zlib.MAX_WBITS) if encoding == "deflate" else None
