"""One request to an upstream and its answer, as httpx's types without their cost.

`httpx.Request` parses its URL and rebuilds its headers several times: 25 microseconds that say nothing new. These
subclasses keep what they are given and build httpx's objects when somebody looks at them, which tests do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import httpx
import msgspec

from providers.entries import Timeouts

#: How far a new connection has come.
Stage = Literal["", "name", "connect", "tls"]


class CallClock(msgspec.Struct):
    """What the transport measured. `connect_us` is None where a pooled connection was used.

    `alone`: only a new connection will do; `heard`: whether the pooled one in use has said anything since.
    """

    connect_us: int | None = None
    reused: bool = False
    stage: Stage = ""
    alone: bool = False
    heard: Callable[[], bool] | None = None


class Call(msgspec.Struct, frozen=True):
    """What the transport must know of a request beyond HTTP: `request.extensions["jackfield"]`.

    `stranger`: a caller of this gateway chose the URL; `worker`: a worker that registered itself did. `twice`: whether
    it does little harm if the upstream acts on it twice, as where it costs the tokens of one answer; a second job that
    goes on by itself does.
    """

    private_network: bool = False
    timeouts: Timeouts = Timeouts()
    clock: CallClock = msgspec.field(default_factory=CallClock)
    stranger: bool = False
    worker: bool = False
    twice: bool = True


class Outgoing(httpx.Request):
    """A request that is complete as given. Header names and values are ASCII and latin-1 text."""

    def __init__(self, method: str, url: str, headers: list[tuple[str, str]], content: bytes, call: Call) -> None:
        self.method = method
        self.target = url
        self.fields = headers
        self.extensions = {"jackfield": call}
        self.stream = httpx.ByteStream(content)
        self._content = content
        self._url: httpx.URL | None = None
        self._headers: httpx.Headers | None = None

    def sent(self) -> None:
        """Drop the body, which nobody sends again: an answer may take long, and bodies are large."""
        self._content = b""
        self.stream = httpx.ByteStream(b"")

    def __repr__(self) -> str:
        # Without the query string, where one scheme puts the key.
        return f"<Outgoing {self.method} {self.target.partition('?')[0]}>"

    @property
    def url(self) -> httpx.URL:  # type: ignore[override]  # httpx: an attribute
        if self._url is None:
            self._url = httpx.URL(self.target)
        return self._url

    @property
    def headers(self) -> httpx.Headers:  # type: ignore[override]  # httpx: an attribute
        if self._headers is None:
            added = [("Host", self.url.netloc.decode("ascii")), ("Content-Length", str(len(self._content)))]
            self._headers = httpx.Headers(added + self.fields)
        return self._headers


class Incoming(httpx.Response):
    """A response whose body is read through `aread`, or chunk by chunk by iterating over `stream`."""

    def __init__(self, status: int, raw_headers: Any, stream: Any, request: httpx.Request) -> None:
        self.status_code = status
        self.stream = stream
        self.raw_headers = raw_headers
        self.extensions = {}
        self.history = []
        self.next_request = None
        self.is_closed = False
        self.is_stream_consumed = False
        self.default_encoding = "utf-8"
        self._request = request
        self._headers: httpx.Headers | None = None
        self._num_bytes_downloaded = 0

    @property
    def headers(self) -> httpx.Headers:  # type: ignore[override]  # httpx: an attribute
        if self._headers is None:
            self._headers = httpx.Headers(self.raw_headers)
        return self._headers

    async def aread(self) -> bytes:
        """The whole body; the connection is then given back."""
        if not hasattr(self, "_content"):
            self._content: bytes = await self.stream.read()  # type: ignore[union-attr]  # always its own stream
            self.is_stream_consumed = self.is_closed = True
        return self._content

    async def aclose(self) -> None:
        """Drop what was not read, and its connection with it, at once."""
        self.is_closed = True
        await self.stream.aclose()  # type: ignore[union-attr]  # always its own stream
