"""Signs of life of gateway processes, and whether all of them serve the newest revision."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import OperationalError, connection, models
from django.utils import timezone

from routing.models import GatewayProcess
from routing.revisions import latest

#: Seconds after which a process that was not seen is taken off the list.
GONE_AFTER: Final = 60.0
#: Seconds between two signs of life.
BEAT: Final = 5.0
#: A process that has not been seen for so long is not counted.
PROCESS_GONE: Final = timedelta(seconds=10)
#: How a sign of life begins where keys could not be exchanged for access tokens; the snapshot is well then.
NO_TOKEN: Final = "no access token"  # noqa: S105 - words
#: Milliseconds that a sign of life waits for SQLite's one writer; the next one comes anyway.
_PATIENCE_MS: Final = 100


@dataclass(frozen=True)
class Standing:
    """One running process: the revision it serves, and whether that is the newest."""

    name: str
    revision: int
    current: bool
    applied_at: datetime | None
    seen_at: datetime
    problem: str


def process_name() -> str:
    """What this process is called among those of the installation."""
    return f"{socket.gethostname()}:{os.getpid()}"[:120]


def show(name: str, revision: int, applied_at: datetime | None, problem: str, places: str | None = None) -> bool:
    """Write one process's sign of life, with what it tells of places, and remove the rows of those long silent.
    False: try again soon."""
    now = timezone.now()
    sqlite = connection.vendor == "sqlite"
    try:
        with connection.cursor() as cursor:
            if sqlite:
                cursor.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
        values = {"revision": revision, "applied_at": applied_at, "seen_at": now, "problem": problem[:300]}
        values["places"] = places
        if not GatewayProcess.objects.filter(name=name).update(**values):
            GatewayProcess.objects.bulk_create([GatewayProcess(name=name, **values)], ignore_conflicts=True)
        GatewayProcess.objects.filter(seen_at__lt=now - timedelta(seconds=GONE_AFTER)).delete()
    except OperationalError as error:
        if sqlite and "locked" in str(error):
            return False
        raise
    return True


def forget(name: str) -> None:
    """Take a process that ends off the list."""
    GatewayProcess.objects.filter(name=name).delete()


def convergence() -> list[Standing]:
    """Every process seen lately, by name: what makes "live everywhere" a fact that can be shown."""
    newest = latest()
    since = timezone.now() - timedelta(seconds=GONE_AFTER)
    return [
        Standing(row.name, row.revision, row.revision >= newest, row.applied_at, row.seen_at, row.problem)
        for row in GatewayProcess.objects.filter(seen_at__gte=since)
    ]


def without_token() -> list[str]:
    """What running processes say of keys that could not be exchanged, each thing once."""
    found = {part for process in convergence() for part in process.problem.split("; ") if part.startswith(NO_TOKEN)}
    return sorted(found)


@dataclass(frozen=True)
class Reach:
    """How far a revision has come: `live` of `total` processes serve it or a newer one."""

    live: int
    total: int


def processes() -> models.QuerySet[GatewayProcess]:
    """The gateway processes that were seen just now."""
    return GatewayProcess.objects.filter(seen_at__gte=timezone.now() - PROCESS_GONE)


def serving() -> models.QuerySet[GatewayProcess]:
    """Those of them that serve requests: they tell of places."""
    return processes().exclude(places=None)


def reach(number: int, wait: float = 0.0) -> Reach:
    """How many processes serve the revision, waiting up to `wait` seconds until all do."""
    until = time.monotonic() + wait
    while True:
        revisions = list(processes().values_list("revision", flat=True))
        live = sum(1 for revision in revisions if revision >= number)
        if live == len(revisions) or time.monotonic() >= until:
            return Reach(live, len(revisions))
        time.sleep(0.05)
