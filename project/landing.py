"""The page at `/`: what this is, what runs where, and the first request. It needs no login, so it names no account."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

import project
from routing.presence import processes
from routing.revisions import latest


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What runs where, without a secret and without a name that an operator gave. Also when the database is down."""
    origin = f"{request.scheme}://{request.get_host()}"
    try:
        newest: int | None = latest()
        revisions = list(processes().values_list("revision", flat=True))
    except DatabaseError:
        newest, revisions = None, []
    current = sum(1 for revision in revisions if newest is not None and revision >= newest)
    context = {
        "origin": origin,
        "version": project.__version__,
        "revision": newest,
        "running": len(revisions),
        "current": current,
        "database": connection.vendor,
        "redis": bool(settings.REDIS_URL),
        "broker": settings.CELERY_BROKER_URL.split(":", 1)[0] or "files in the home directory",
        "sandbox": bool(settings.SANDBOX_PORT),
    }
    return render(request, "landing.html", context)
