"""Finding a kept response again: in this process's memory, else in the database, else on its way there.

What memory lacks is looked up in a thread, which is the one place where a request on /v1 may wait for the database:
only those that name an earlier response do. What was not drained yet is in a file of this machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from django.conf import settings
from django.db import DatabaseError, connections

from api import keeping
from api.errors import ApiError, Fault
from api.keeping import Line, Turn
from api.models import StoredResponse
from keys.ring import Purpose
from keys.sealing import Unsealable, seal_blob

logger = logging.getLogger(__name__)

T = TypeVar("T")
W = TypeVar("W")
_line = msgspec.json.Decoder(Line).decode


async def recall(project: int, response_id: str) -> Turn | None:
    """A response that this project's requests were answered with, None if there is none. Raises ApiError."""
    if not 0 < len(response_id) <= keeping.LONGEST_ID or "\x00" in response_id:
        return None
    found = keeping.recent(project, response_id)
    if found is not None:
        return found
    return await asyncio.to_thread(_apart, _find, project, response_id)


async def is_anothers(response_id: str, others: Collection[int]) -> bool:
    """Whether a response was given to one of these projects, or was until it was deleted. Raises ApiError."""
    if not 0 < len(response_id) <= keeping.LONGEST_ID or "\x00" in response_id:
        return False
    return keeping.memory.knows(others, response_id) or await asyncio.to_thread(_apart, _is_of, others, response_id)


async def forget(project: int, response_id: str) -> bool:
    """Delete a response; False if there is none. Raises ApiError."""
    if await recall(project, response_id) is None:
        return False
    keeping.memory.drop(project, response_id)
    await asyncio.to_thread(_apart, _bury, project, response_id)
    return True


def forget_old() -> int:
    """Delete what is older than the setting says, graves included. Returns how many."""
    return int(StoredResponse.objects.filter(created_at__lt=_oldest()).delete()[0])


def _oldest() -> datetime:
    return datetime.now(UTC) - timedelta(days=settings.RESPONSES_DAYS)


def _apart(work: Callable[[W, str], T], whose: W, response_id: str) -> T:
    """Work with the database in a thread that keeps no connection. Raises ApiError."""
    try:
        return work(whose, response_id)
    except DatabaseError as problem:
        logger.error("kept responses cannot be reached: %s", type(problem).__name__)
        raise ApiError(Fault.RESPONSES_AWAY) from None
    finally:
        connections.close_all()


def _find(project: int, response_id: str) -> Turn | None:
    row = _row(project, response_id)
    if row is None or row.waiting:
        later = _undrained((project,), response_id)
        row = later or row or _row(project, response_id)
    if row is None or not row.sealed:
        return None
    try:
        return keeping.opened(project, response_id, row.sealed)
    except Unsealable as problem:
        logger.error("a kept response cannot be opened: %s", problem)
        return None


def _is_of(projects: Collection[int], response_id: str) -> bool:
    known = StoredResponse.objects.filter(project__in=projects, response_id=response_id)
    return known.exists() or _undrained(projects, response_id) is not None or known.exists()


def _row(project: int, response_id: str) -> Line | None:
    """What the database holds: nothing sealed where that is too old."""
    found = StoredResponse.objects.filter(project=project, response_id=response_id).first()
    if found is None:
        return None
    at = found.created_at
    sealed = bytes(found.sealed) if at >= _oldest() else b""
    return Line(response_id, project, at.timestamp(), sealed, waiting=found.waiting and bool(sealed))


def _undrained(projects: Collection[int], response_id: str) -> Line | None:
    """A line of one of these projects that is not drained yet; of several, one that tells the end."""
    folder = keeping.folder(settings.HOME.journal)
    start = b'{"id":' + msgspec.json.encode(response_id) + b","
    found: Line | None = None
    for path in sorted(folder.glob("*.jsonl")):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # drained this moment
        at = 0 if data.startswith(start) else data.find(b"\n" + start)
        while at >= 0:
            begin = at + (data[at : at + 1] == b"\n")
            end = data.find(b"\n", begin)
            if end < 0:
                break
            line = _line(data[begin:end])
            if line.project in projects:
                if not line.waiting:
                    return line
                found = line
            at = data.find(b"\n" + start, end)
    return found


def _bury(project: int, response_id: str) -> None:
    """A row that holds nothing stays, so that a line that is drained later does not bring them back."""
    nothing = seal_blob(Purpose.RESPONSE, b"")
    StoredResponse.objects.update_or_create(
        project=project,
        response_id=response_id,
        defaults={"sealed": nothing, "waiting": False},
        create_defaults={"sealed": nothing, "created_at": datetime.now(UTC)},
    )
