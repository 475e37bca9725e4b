"""Django responses as the data plane makes them: with headers that are bytes from the start.

Django's own response builds a case-insensitive table, a cookie jar and more for each answer, which together cost as
much as finding the model does. This one builds them when somebody looks, as middleware on the stock handler does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.http.response import ResponseHeaders

Pairs = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class _Lazy(HttpResponseBase):
    """What Django's response has, made on demand from `pairs`: headers in lower case, without content-length."""

    def __init__(self, pairs: Pairs, status: int) -> None:
        self.pairs = pairs
        self.status_code = status
        self.closed = False
        self._resource_closers: list[Any] = []
        self._handler_class = None
        self._charset = None
        self._reason_phrase = None

    @property
    def headers(self) -> ResponseHeaders:  # type: ignore[override]  # Django: an attribute
        found: ResponseHeaders | None = self.__dict__.get("_headers")
        if found is None:
            found = self.__dict__["_headers"] = ResponseHeaders(
                {name.decode("ascii"): value.decode("latin-1") for name, value in self.pairs}
            )
        return found

    @property
    def cookies(self) -> Any:
        found = self.__dict__.get("_cookies")
        if found is None:
            found = self.__dict__["_cookies"] = SimpleCookie()
        return found

    @cookies.setter
    def cookies(self, value: Any) -> None:
        self.__dict__["_cookies"] = value


class Answer(_Lazy, HttpResponse):
    """A whole answer."""

    def __init__(self, body: bytes, pairs: Pairs, status: int = 200) -> None:
        _Lazy.__init__(self, pairs, status)
        self.body = body
        self._container = [body]


class EventStream(_Lazy, StreamingHttpResponse):
    """A streamed answer. `pieces` is its source, which api.handler iterates and closes itself.

    A source that was never begun has nothing to close: `drop` is called instead where the answer could not begin.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None], drop: Callable[[], Awaitable[None]], pairs: Pairs) -> None:
        _Lazy.__init__(self, [*STREAM, *pairs], 200)
        self.pieces = pieces
        self.drop = drop
        self.is_async = True
        self._iterator = pieces
