"""What workers say, told to and heard from other processes through the database, beside the requests.

The thread that follows the database calls `look` in each of its rounds: it writes what workers said to this process and
reads what they said to others, by the database's clock. A process that starts reads all of it: it knows its workers
again before they speak to it. Where the database is away each process knows those that speak to it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.db import OperationalError, connection
from django.db.models.functions import Now

from routing.fleet import FORGOTTEN, Fleet, Share, State, Word, fleet
from routing.fleet_words import Told, heard, told
from routing.models import Worker
from routing.presence import process_name, serving

#: Seconds between two looks at how many processes send jobs, and between two sweeps of rows.
COUNT_EVERY: Final = 5.0
SWEEP_EVERY: Final = 60.0
#: Words that the loop takes in without a break.
_AT_ONCE: Final = 50
#: A row may be seen so long after the moment that it was written by.
_LATE: Final = timedelta(seconds=5)
_COLUMNS: Final = ("account_id", "token_id", "url", "serves", "capacity", "running", "queued", "leaves", "sealed")
#: What a worker says anew; what an operator wants stays.
_SAID: Final = [*_COLUMNS, "heard_at", "changed_at"]


class Rows:
    """The fleet of a process and the table of workers, kept alike."""

    def __init__(self, known: Fleet) -> None:
        self._known = known
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: deque[str] = deque()
        #: what was read and the loop has not learned yet, oldest first
        self._found: deque[tuple[Word, float, str]] = deque()
        self._since: datetime | None = None
        self._count_at = self._sweep_at = 0.0

    def start(self) -> None:
        """From now on what is heard is known to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._outbox, self._found = self._known.new_outbox(), deque()
        self._since, self._count_at, self._sweep_at = None, 0.0, time.monotonic() + SWEEP_EVERY

    def stop(self) -> None:
        self._loop = None
        self._known.outboxes.remove(self._outbox)

    def look(self) -> None:
        """Called often, in a thread that may ask the database."""
        loop = self._loop
        if loop is None:
            return
        self._write()
        self._found.extend(self._read())
        if self._found:
            loop.call_soon_threadsafe(self._learn_some)
        self._count()

    def load(self) -> None:
        """All that is known to anybody, for a process that serves nothing; nothing new for one that does."""
        if self._loop is not None:
            return
        self._since = None
        self._learn(self._read())

    def _learn_some(self) -> None:
        """A slice of what was read, and the rest after what else the loop has to do: requests in between."""
        self._learn([self._found.popleft() for _ in range(min(_AT_ONCE, len(self._found)))])
        if self._found and self._loop is not None:
            self._loop.call_soon(self._learn_some)

    def _learn(self, found: list[tuple[Word, float, str]]) -> None:
        for word, age, drained_by in found:
            self._known.learn(word, age)
            self._known.drain(word.worker_id, drained_by)

    def _write(self) -> None:
        """What workers said to this process since the last time, unless they have fallen silent meanwhile."""
        ids: list[str] = []
        while self._outbox:
            ids.append(self._outbox.popleft())
        workers = [worker for pk in dict.fromkeys(ids) if (worker := self._known.get(pk)) is not None]
        rows = [
            Worker(id=worker.id, **_columns(told(worker.word)), heard_at=Now(), changed_at=Now())
            for worker in workers
            if self._known.state(worker) is not State.SILENT
        ]
        if not rows:
            return
        try:
            Worker.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=_SAID)
        except OperationalError as error:
            self._outbox.extend(ids)
            if connection.vendor != "sqlite" or "locked" not in str(error):
                raise
        except BaseException:
            self._outbox.extend(ids)
            raise

    def _read(self) -> list[tuple[Word, float, str]]:
        """Words, seconds since they were said, and who wants the worker to get no more jobs."""
        rows = Worker.objects.all()
        if self._since is not None:
            rows = rows.filter(changed_at__gt=self._since - _LATE)
        found: list[tuple[Word, float, str]] = []
        fields = ("id", *_COLUMNS, "heard_at", "changed_at", "drained_by")
        for pk, *said, heard_at, changed_at, drained_by, now in rows.order_by().values_list(*fields, Now()):
            self._since = max(self._since or changed_at, changed_at)
            word = _word(pk, said)
            if word is not None:
                found.append((word, max((now - heard_at).total_seconds(), 0.0), drained_by))
        return found

    def _count(self) -> None:
        """How many processes send jobs, and which of them this is; and the rows of workers that nobody waits for."""
        now = time.monotonic()
        if now >= self._count_at and any(self._known):
            self._count_at = now + COUNT_EVERY
            names = list(serving().order_by("name").values_list("name", flat=True))
            own = process_name()
            self._known.share = Share(names.index(own) if own in names else 0, max(1, len(names)))
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
            Worker.objects.filter(changed_at__lt=Now() - timedelta(seconds=FORGOTTEN)).delete()


def _columns(said: Told) -> dict[str, Any]:
    values = msgspec.structs.asdict(said)
    values["serves"] = list(values.pop("models"))
    return values


def _word(worker_id: str, said: list[Any]) -> Word | None:
    """The word in a row; None if nothing of ours wrote it."""
    account, token, url, serves, capacity, running, queued, leaves, sealed = said
    try:
        row = msgspec.convert(
            (account, str(token), url, serves, capacity, running, queued, leaves, bytes(sealed)), _Row
        )
    except msgspec.ValidationError:
        return None
    return heard(Told(*row), worker_id)


_Row = tuple[int, str, str, tuple[str, ...], int, int, int, bool, bytes]


def drain(worker_id: str, by: str) -> bool:
    """An operator ends a worker's work, or lets it go on (`by` empty). False: there is no such worker."""
    return bool(Worker.objects.filter(pk=worker_id).update(drained_by=by[:150], changed_at=Now()))


#: Of this process.
rows = Rows(fleet)
