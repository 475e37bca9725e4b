"""Reading one request body under a size limit, at a minimum speed, before a deadline: the data plane's JSON after
authentication, and what project.asgi lets through to the control plane."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIRequest
from rest_framework.request import Request

from api.errors import BY_CODE, ApiError, Fault
from providers.dialects.jsonio import BadBody, Fields, read_object

#: A body may be slow for so many seconds; from then on it must keep up with so many bytes a second (R-REL-23).
GRACE = 10.0
SLOWEST = 1024.0

#: The members that this gateway reads or replaces. Some upstreams match names without regard to case, and would take
#: `Model` in place of the `model` that was resolved, paid for and allowed.
_OURS = frozenset(("model", "models", "stream", "stream_options"))

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Scope = MutableMapping[str, Any]

_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?\Z", re.IGNORECASE)


async def read_json(request: Request, limit: int | None = None) -> Fields:
    """The body's top-level members. Raises ApiError with one of the body codes, ConnectionResetError."""
    http: Any = request._request
    meta = http.META
    if meta.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise ApiError(Fault.CONTENT_ENCODING_REFUSED)
    kind = meta.get("CONTENT_TYPE", "")
    if kind != "application/json" and not _JSON.match(kind):
        raise ApiError(Fault.CONTENT_TYPE_REFUSED)
    body = await read(http, settings.MAX_BODY if limit is None else limit)
    try:
        fields = read_object(body)
    except BadBody as problem:
        raise unreadable(problem) from None
    refuse_lookalikes(fields, _OURS)
    return fields


def unreadable(problem: BadBody) -> ApiError:
    """What the client is told of a body that cannot be read."""
    return ApiError(BY_CODE.get(problem.code, Fault.INVALID_JSON), problem.message)


def decoded(fields: Fields) -> dict[str, Any]:
    """The request as it came, as Python's: for what is translated. Raises ApiError."""
    fields.restore()
    try:
        return fields.decoded()
    except BadBody as problem:
        raise unreadable(problem) from None


def refuse_lookalikes(fields: Fields, names: frozenset[str]) -> None:
    """Raise ApiError if a member has one of these names in another case: it is the same key for some parsers."""
    for name in fields:
        if name not in names and (meant := name.casefold()) in names:
            raise ApiError(
                Fault.DUPLICATE_KEY,
                f"A key reads as `{meant}` without regard to case. Spell it `{meant}`.",
                param=meant,
            )


async def read(request: ASGIRequest, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. On Django's own handler it has been read already."""
    length = request.META.get("CONTENT_LENGTH", "")
    if length.isdigit():
        refuse_larger(int(length), limit)
    receive = getattr(request, "jackfield_receive", None)
    if receive is None:
        try:
            body = request.read(limit + 1)
        except RequestDataTooBig:
            raise _too_large(limit) from None
        refuse_larger(len(body), limit)
        return body
    if "jackfield.whole" in request.scope:  # it is all here: nothing to wait for
        body = bytes((await receive()).get("body", b""))
        refuse_larger(len(body), limit)
        return body
    return await _receive(receive, limit, cast(Scope, request.scope))


def refuse_larger(size: int, limit: int) -> None:
    """Raise ApiError if a body of `size` bytes is over the limit."""
    if size > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> ApiError:
    return ApiError(Fault.BODY_TOO_LARGE, f"The request body is larger than {limit} bytes.")


async def _receive(receive: Receive, limit: int, scope: Scope) -> bytes:
    guarded = limited(receive, limit, scope)
    parts: list[bytes] = []
    while True:
        message = await guarded()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the client left while sending its body")
        part: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if not parts:
                return part
            parts.append(part)
            return b"".join(parts)
        if part:
            parts.append(part)


def limited(receive: Receive, limit: int, scope: Scope) -> Receive:
    """The same `receive`, for one request's body of at most `limit` bytes and of no less than the least speed.

    What it returns raises ApiError with BODY_TOO_LARGE or BODY_TIMEOUT. After the body it only passes on.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    deadline = settings.BODY_DEADLINE
    size = 0
    whole = False

    async def guarded() -> MutableMapping[str, Any]:
        nonlocal size, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(start + min(deadline, GRACE + size / SLOWEST)):
                message = await receive()
        except TimeoutError:
            raise ApiError(Fault.BODY_TIMEOUT) from None
        size += len(message.get("body", b""))
        scope["jackfield.held"] = size
        refuse_larger(size, limit)
        whole = not message.get("more_body", False)
        return message

    return guarded
