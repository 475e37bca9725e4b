"""The ASGI application: the data plane on its hop-free handler, the control plane on stock Django, one lifespan.

JACKFIELD_PLANE=data or =control starts one of them alone, on a listener of its own (R-HTTP-04).
"""

# ruff: noqa: E402 - Django must be set up before most of what is imported

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import connections

from api.body import limited, refuse_larger
from api.errors import ApiError, Fault
from api.handler import DataHandler
from api.refusals import refusal
from api.tickets import tickets
from keys.pool import pool
from project import checks
from providers import transport
from routing.fleet_rows import rows as workers
from routing.minting import minter
from routing.notices import notices
from routing.presence import process_name
from routing.store import store
from routing.talk import talk

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

#: What an orchestrator asks of every process, whichever plane it serves.
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
# WhiteNoise hands files over as synchronous iterators. They are small, and only the control plane's own.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
#: Below these is the data plane; Google's SDKs ask below the second and third, workers register below the last.
DATA_PATHS = ("/v1/", "/v1beta/", "/v1alpha/", "/fleet/")
data_plane = DataHandler()
control_plane = ASGIHandler()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Route by path; nothing of a request but its path decides which plane answers it."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    path: str = scope["path"]
    probe = path in PROBES
    if probe or path == "/v1" or path.startswith(DATA_PATHS):
        if probe or settings.PLANE != "control":
            await data_plane(scope, receive, send)
            return
    elif settings.PLANE != "data":
        await _control(scope, receive, send)
        return
    await _refuse(ApiError(Fault.PATH_NOT_FOUND), scope, send)


async def _control(scope: Scope, receive: Receive, send: Send) -> None:
    """Stock Django reads the whole body before it looks at who sent it: so size and time are limited here."""
    limit: int = settings.CONTROL_MAX_BODY
    length = dict(scope["headers"]).get(b"content-length", b"0")
    try:
        if length.isdigit():
            refuse_larger(int(length), limit)
        await control_plane(scope, limited(receive, limit, scope), send)
    except ApiError as error:
        await _refuse(error, scope, send)


async def _refuse(error: ApiError, scope: Scope, send: Send) -> None:
    answer = refusal(error, path=scope["path"])
    headers = [*answer.pairs, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _refusals() -> list[checks.Problem]:
    """What forbids this start. The thread that asks keeps no connection open for it."""
    try:
        return checks.refusals()
    finally:
        connections.close_all()


async def _found() -> list[checks.Problem]:
    """The refusals. A database that does not answer in time is no reason not to start: what needs it is not asked."""
    asking = asyncio.ensure_future(sync_to_async(_refusals)())
    done, _ = await asyncio.wait((asking,), timeout=store.patience)
    return asking.result() if done else checks.problems(settings.PRODUCTION)


async def lifespan(receive: Receive, send: Send) -> None:
    """Start the snapshot store before the first request, stop it and the transport after the last."""
    await receive()
    if found := await _found():
        lines = "\n".join(f"  - {problem}" for problem in found)
        await send({"type": "lifespan.startup.failed", "message": f"Jackfield does not start:\n{lines}"})
        return
    await store.start()
    await pool.start(settings.REDIS_URL)
    talk.start(settings.REDIS_URL, process_name() if settings.PLANE != "control" else "")
    notices.start()
    workers.start()
    store.lookers += [notices.look, workers.look]
    store.followers.append(minter.wake)
    minter.start()
    if settings.REDIS_URL:
        tickets.start(settings.REDIS_URL)
    data_plane.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    data_plane.stop()
    store.followers.remove(minter.wake)
    store.lookers.remove(notices.look)
    store.lookers.remove(workers.look)
    notices.stop()
    workers.stop()
    await sync_to_async(minter.stop)()
    await store.stop()
    await talk.stop()
    await tickets.stop()
    await pool.stop()
    await transport.aclose()
    await send({"type": "lifespan.shutdown.complete"})
