"""The journal: one append per request to a file of this process, from which api.drain makes UsageRecords.

An append is one write() to a file that only this process writes, so it survives the process's death at any moment; the
page cache keeps what a killed process wrote. A lock held on the file says that its writer lives. Trouble with the disk
never fails a request: lines wait in a bounded queue and are tried again with the next one.

File names are <writer>-<number>.jsonl, with <writer> = <pid>-<start in ns>. A file is made under another suffix, locked
and then renamed, so that a drainer never sees one that is not locked yet.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from pathlib import Path
from typing import ClassVar

from django.conf import settings

from api.inflight import InFlight, open_locked
from api.usage import Row, encode_row

logger = logging.getLogger(__name__)

#: A segment is closed and a new one begun at this size and at this age (seconds).
SEGMENT_BYTES = 16 * 1024 * 1024
SEGMENT_AGE = 300.0
#: Lines kept while the disk refuses them; older ones are given up, counted and logged.
QUEUE_LINES = 100_000


class Lines:
    """The append side of one folder. Not for threads: the event loop's thread is the only writer."""

    most_queued: ClassVar[int] = QUEUE_LINES

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        self.folder = folder
        self.fsync = fsync
        self.writer = f"{os.getpid()}-{time.time_ns()}"
        self.appended = 0
        self.failed = 0
        self.lost = 0
        self.queue: deque[bytes] = deque()
        self._number = 0
        self._fd = -1
        self._size = 0
        self._opened = 0.0
        self._torn = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def close(self) -> None:
        """End this writer: what it wrote can be drained to the end."""
        self._flush_queue()
        self._close_segment()

    def put(self, line: bytes) -> None:
        """Write one line, its end included. Never raises for the disk's sake."""
        if self.queue:
            self._keep(line)
            self._flush_queue()
        elif not self._write(line):
            self._keep(line)

    def _flush_queue(self) -> None:
        while self.queue and self._write(self.queue[0]):
            self.queue.popleft()

    def _keep(self, line: bytes) -> None:
        if len(self.queue) >= self.most_queued:
            self.queue.popleft()
            self.lost += 1
            if self.lost == 1 or self.lost % 1000 == 0:
                logger.error("the journal cannot be written: %d lines given up", self.lost)
        self.queue.append(line)

    def _write(self, line: bytes) -> bool:
        try:
            if self._fd < 0 or self._size >= SEGMENT_BYTES or time.monotonic() - self._opened >= SEGMENT_AGE:
                self._close_segment()
                self._open_segment()
            if self._torn:
                line = b"\n" + line
            written = os.write(self._fd, line)
            self._size += written
            # A short write (a full disk) leaves half a line: the next write begins with a line end, so that only
            # the half is unreadable, and the whole line comes after it.
            self._torn = written < len(line)
            if self._torn:
                self.failed += 1
                return False
            if self.fsync:
                os.fsync(self._fd)
        except OSError as problem:
            self.failed += 1
            if self.failed == 1 or self.failed % 1000 == 0:
                logger.error("the journal cannot be written (%d times): %s", self.failed, problem.strerror)
            return False
        self.appended += 1
        return True

    def _open_segment(self) -> None:
        self._number += 1
        name = self.folder / f"{self.writer}-{self._number:06d}.jsonl"
        self._fd = open_locked(name)
        self._size = 0
        self._torn = False
        self._opened = time.monotonic()

    def _close_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def mark_of(segment: Path) -> Path:
    """The file that says how much of a segment is in the database."""
    return segment.with_suffix(".pos")


def drained(segment: Path) -> int:
    """Bytes of a segment that are in the database: whole lines."""
    try:
        return int(mark_of(segment).read_text() or 0)
    except FileNotFoundError:
        return 0


class Journal(Lines):
    """The usage rows of this process, and what it has in flight."""

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        super().__init__(folder, fsync=fsync)
        self.inflight = InFlight(folder, self.writer)

    def append(self, row: Row) -> None:
        """Write one row. Never raises for the disk's sake."""
        self.put(encode_row(row) + b"\n")
        self.inflight.clear(row.request_id)

    def close(self) -> None:
        """End this writer: what it wrote can be drained to the end."""
        super().close()
        self.inflight.close()


_journal: Journal | None = None


def current() -> Journal:
    """This process's journal, opened at the first use, and anew in a forked child."""
    global _journal  # noqa: PLW0603 - one per process is the point
    if _journal is None or not _journal.writer.startswith(f"{os.getpid()}-"):
        _journal = Journal(settings.HOME.journal, fsync=settings.JOURNAL_FSYNC)
    return _journal


def stop() -> None:
    """Close this process's journal; another use opens a new one."""
    global _journal
    before, _journal = _journal, None
    if before is not None and before.writer.startswith(f"{os.getpid()}-"):
        before.close()
