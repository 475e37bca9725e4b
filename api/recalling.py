"""Finding a kept response, or an item of one, again: in this process's memory, else in the database, else on its way.

What memory lacks is looked up in a thread, which is the one place where a request on /v1 may wait for the database:
only those that name an earlier response, or items of earlier ones, do. What was not drained yet is in a file of this
machine. Items are found by a digest of their id, which is written beside the response that says them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from django.conf import settings
from django.db import DatabaseError, connections, transaction

from api import keeping
from api.errors import ApiError, Fault
from api.journal import drained
from api.keeping import Line, Turn
from api.models import StoredItem, StoredResponse
from keys.ring import Purpose
from keys.sealing import Unsealable, seal_blob
from providers.dialects.values import UNREADABLE

logger = logging.getLogger(__name__)

T = TypeVar("T")
V = TypeVar("V")
W = TypeVar("W")

#: Bytes of kept responses that are looked through for the items of one request.
MOST_READ: Final = 512 * 1024 * 1024

_line = msgspec.json.Decoder(Line).decode


class _Index(msgspec.Struct):
    """Of a line, what it is found by."""

    id: str
    project: int
    at: float
    items: list[bytes] = []


_index = msgspec.json.Decoder(_Index).decode


async def recall(project: int, response_id: str) -> Turn | None:
    """A response that this project's requests were answered with, None if there is none. Raises ApiError."""
    if not 0 < len(response_id) <= keeping.LONGEST_ID or "\x00" in response_id:
        return None
    found = keeping.recent(project, response_id)
    if found is not None:
        return found
    return await asyncio.to_thread(_apart, _find, project, response_id)


async def recall_items(project: int, item_ids: Iterable[str]) -> dict[str, bytes]:
    """Items that this project's requests were answered with, encoded, by their ids: as many as there are.

    Raises ApiError, also for one that is another project's: an upstream that knows the key would put it in.
    """
    found: dict[str, bytes] = {}
    missing: list[str] = []
    for name in item_ids:
        item = keeping.memory.item(project, name)
        if item is None:
            missing.append(name)
        else:
            found[name] = item
    if missing:
        found |= await asyncio.to_thread(_apart, _find_items, project, missing)
    return _bounded(found)


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
    # Their contents are not read: only what the deletion of their items needs.
    old = StoredResponse.objects.filter(created_at__lt=_oldest()).only("pk")
    return int(old.delete()[1].get(StoredResponse._meta.label, 0))


def _oldest() -> datetime:
    return datetime.now(UTC) - timedelta(days=settings.RESPONSES_DAYS)


def _apart(work: Callable[[W, V], T], whose: W, wanted: V) -> T:
    """Work with the database in a thread that keeps no connection. Raises ApiError."""
    try:
        return work(whose, wanted)
    except DatabaseError as problem:
        logger.error("kept responses cannot be reached: %s", type(problem).__name__)
        raise ApiError(Fault.RESPONSES_AWAY) from None
    finally:
        connections.close_all()


def _find(project: int, response_id: str) -> Turn | None:
    row = _row(project, response_id)
    if row is None or row.waiting:
        later = _undrained((project,), response_id)
        row = later or _row(project, response_id)  # it may have come there meanwhile
    return None if row is None else _opened(row)


def _opened(line: Line) -> Turn | None:
    if not line.sealed:
        return None
    try:
        return keeping.opened(line.project, line.id, line.sealed)
    except Unsealable as problem:
        logger.error("a kept response cannot be opened: %s", problem)
        return None


def _is_of(projects: Collection[int], response_id: str) -> bool:
    known = StoredResponse.objects.filter(project__in=projects, response_id=response_id)
    return known.exists() or _undrained(projects, response_id) is not None or known.exists()


def _find_items(project: int, item_ids: list[str]) -> dict[str, bytes]:
    """Raises ApiError for more than a request may hold, or can be looked through, and for what is another's."""
    wanted = {keeping.digest_of(name): name for name in item_ids}
    found: dict[str, bytes] = {}
    read = 0
    for line, digests in _saying(project, set(wanted)):
        read += len(line.sealed)
        turn = _opened(line)
        items = keeping.items_of(turn) if turn is not None else {}
        found |= {wanted[digest]: items[wanted[digest]] for digest in digests if wanted[digest] in items}
        if read > MOST_READ:
            raise _too_large()
        _bounded(found)
    _refuse_anothers(project, {digest: name for digest, name in wanted.items() if name not in found})
    return found


def _refuse_anothers(project: int, wanted: dict[bytes, str]) -> None:
    """Raises ApiError if another project was given an item of one of these digests."""
    rows = StoredItem.objects.filter(digest__in=wanted).exclude(project=project).values_list("digest", flat=True)
    theirs = [bytes(digest) for digest in rows[:1]]
    if not theirs and wanted:
        lines = (seen for seen, _ in _undrained_index() if seen.project != project)
        theirs = [digest for seen in lines for digest in seen.items if digest in wanted]
    if theirs:
        raise ApiError(Fault.ITEM_NOT_FOUND, f"Item with id '{wanted[theirs[0]]}' not found.", param="input")


def _bounded(items: dict[str, bytes]) -> dict[str, bytes]:
    """Raises ApiError for more items than a request may hold."""
    if sum(map(len, items.values())) > settings.MAX_BODY:
        raise _too_large()
    return items


def _too_large() -> ApiError:
    text = "The items that `input` names by their ids are too large together."
    return ApiError(Fault.BODY_TOO_LARGE, text, param="input", step="Name fewer of them.")


def _saying(project: int, digests: set[bytes]) -> Iterator[tuple[Line, list[bytes]]]:
    """The kept responses that have items of these digests, with those, one by one: each may be large."""
    named = _drained_saying(project, digests)
    missing = digests - named.keys()
    lines = _undrained_saying(project, missing) if missing else {}
    if missing:
        named |= _drained_saying(project, missing)  # drained this moment
    named = {digest: line.id for digest, line in lines.items()} | named
    by_id = {line.id: line for line in lines.values()}
    for response_id in dict.fromkeys(named.values()):
        row = _row(project, response_id)
        row = by_id.get(response_id) if row is None or row.waiting else row
        if row is not None:
            yield row, [digest for digest, name in named.items() if name == response_id]


def _drained_saying(project: int, digests: set[bytes]) -> dict[bytes, str]:
    """By digests, the ids of the responses in the database that have such items."""
    rows = StoredItem.objects.filter(project=project, digest__in=digests)
    return {bytes(digest): name for digest, name in rows.values_list("digest", "response__response_id")}


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
            data = _rest_of(path)
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


def _undrained_saying(project: int, digests: set[bytes]) -> dict[bytes, Line]:
    """By digests, lines that are not drained yet and have such items: of several, the last."""
    found: dict[bytes, Line] = {}
    for seen, line in _undrained_index():
        here = digests.intersection(seen.items) if seen.project == project else ()
        newer = [digest for digest in here if digest not in found or found[digest].at < seen.at]
        if newer:
            found |= dict.fromkeys(newer, _line(line))
    return found


def _undrained_index() -> Iterator[tuple[_Index, bytes]]:
    """Every line that is not drained yet, and what it is found by."""
    for path in sorted(keeping.folder(settings.HOME.journal).glob("*.jsonl")):
        try:
            data = _rest_of(path)
        except FileNotFoundError:
            continue  # drained this moment
        for line in data.split(b"\n")[:-1]:
            try:
                yield _index(line), line
            except UNREADABLE:
                continue  # the drainer sets it aside


def _rest_of(segment: Path) -> bytes:
    """What of a segment is not in the database yet: all that follows the drainer's mark."""
    done = drained(segment)
    with segment.open("rb") as file:
        file.seek(done)
        return file.read()


def _bury(project: int, response_id: str) -> None:
    """A row that holds nothing stays, so that a line that is drained later does not bring them back."""
    nothing = seal_blob(Purpose.RESPONSE, b"")
    with transaction.atomic():
        grave, _ = StoredResponse.objects.update_or_create(
            project=project,
            response_id=response_id,
            defaults={"sealed": nothing, "waiting": False},
            create_defaults={"sealed": nothing, "created_at": datetime.now(UTC)},
        )
        grave.items.all().delete()
