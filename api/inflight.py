"""Which requests of this process have gone upstream and have no journal line yet: a table in a memory-mapped file.

Its pages are allocated at once: to touch one that a full disk has no room for would end the process (SIGBUS). It
outlives a SIGKILL, and api.drain then books each request in it as `interrupted`, once. A slot is a state byte, a
length, a checksum and the row as JSON; the head is written after the row, so a slot that was half written is not read.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from api.usage import Row, encode_row

logger = logging.getLogger(__name__)

SLOT = 1024
SLOTS = 8192
_HEAD = struct.Struct("<BxHI")
_ROOM = SLOT - _HEAD.size
_FREE, _USED = 0, 1


def open_locked(name: Path) -> int:
    """A new file of mode 0600, locked before it gets its name. The lock ends with the process. Raises OSError."""
    draft = name.with_suffix(".new")
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(name)
    except OSError:
        os.close(fd)
        raise
    return fd


def open_mapped(name: Path, size: int) -> tuple[int, mmap.mmap]:
    """A new locked file and its map, every page of it on the disk. Raises OSError, and then leaves no file behind."""
    fd = open_locked(name)
    try:
        os.posix_fallocate(fd, 0, size)
        return fd, mmap.mmap(fd, size)
    except OSError:
        name.unlink(missing_ok=True)
        os.close(fd)
        raise


class InFlight:
    """The table of one process. A request that finds no free slot goes on without one (counted); without room on the
    disk there is none at all."""

    def __init__(self, folder: Path, writer: str) -> None:
        self.path = folder / f"{writer}.inflight"
        self.unbooked = 0
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._fd = -1
        self._map: mmap.mmap | None = None
        try:
            self._fd, self._map = open_mapped(self.path, SLOT * SLOTS)
        except OSError as problem:
            logger.error("requests are not booked while in flight: %s: %s", self.path.name, problem.strerror)
        else:
            self._free.extend(range(SLOTS - 1, -1, -1))

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, row: Row) -> None:
        """Book the request, or write its slot anew with what is known now."""
        table = self._map
        if table is None or not self._free:
            self.unbooked += 1
            return
        data = encode_row(row)
        if len(data) > _ROOM:
            data = encode_row(_short(row))
        slot = self._free.pop()
        at = slot * SLOT
        table[at + _HEAD.size : at + _HEAD.size + len(data)] = data
        _HEAD.pack_into(table, at, _USED, len(data), zlib.crc32(data))
        # The old slot goes only when the new one stands: there is no moment at which the request is not booked.
        self.clear(row.request_id)
        self._slots[row.request_id] = slot

    def clear(self, request_id: str) -> None:
        """Free the slot of a request whose line is written."""
        slot = self._slots.pop(request_id, None)
        if slot is not None and self._map is not None:
            self._map[slot * SLOT] = _FREE
            self._free.append(slot)

    def close(self) -> None:
        """Give the file up. What is still booked in it will be found as interrupted."""
        if self._map is None:
            return
        self._map.close()
        os.close(self._fd)
        if not self._slots:
            self.path.unlink(missing_ok=True)


def _short(row: Row) -> Row:
    """The row without what may be long: names are bounded, 191 characters at most."""
    return Row(
        request_id=row.request_id,
        started_at=row.started_at,
        endpoint=row.endpoint,
        dialect=row.dialect,
        project=row.project,
        token_id=row.token_id,
        stream=row.stream,
        served_model=row.served_model,
        account=row.account,
        revision=row.revision,
        attempts=row.attempts,
    )


def read(path: Path) -> Iterator[bytes]:
    """The rows booked in a dead process's table, as JSON. Slots that were half written are left out."""
    data = path.read_bytes()
    for at in range(0, len(data) - SLOT + 1, SLOT):
        state, length, checksum = _HEAD.unpack_from(data, at)
        if state == _USED and length <= _ROOM:
            row = data[at + _HEAD.size : at + _HEAD.size + length]
            if zlib.crc32(row) == checksum:
                yield row
