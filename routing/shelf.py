"""The sealed copy of the snapshot on disk, from which a start without a database serves (R-REL-13b).

Layout: frames, each a length (4 bytes, big endian) and a sealed part. The first holds revision, number of parts and
time; each other one a number and a piece of a table, so that no single step of writing holds the interpreter for long.
A small file beside it says until when that revision was known to be the newest: it is what the age cap goes by.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from keys.ring import Purpose
from keys.sealing import Unsealable, open_blob, seal_blob
from routing.pacing import Pace
from routing.snapshot import Index, Snapshot

FORMAT: Final = 2
PIECE: Final = 100
_LENGTH: Final = struct.Struct(">I")
_encode: Final = msgspec.msgpack.Encoder().encode
_NEVER_STORED: Final = ("memo",)


class NoCopy(Exception):
    """There is no copy that can be used; the text says why."""


class _Head(msgspec.Struct, array_like=True):
    format: int
    revision: int
    parts: int
    built_at: float


class _Part(msgspec.Struct, array_like=True):
    """A piece of one table: of the Snapshot, or of its Index if `in_index`. `rows` is a map or, for lists, an array."""

    revision: int
    number: int
    in_index: bool
    table: str
    rows: msgspec.Raw


class _Seen(msgspec.Struct, array_like=True):
    revision: int
    at: float


class Shelf:
    """The two files. Every method does file I/O and belongs in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen_path = path.with_name(path.name + ".seen")

    def put(self, snapshot: Snapshot, pace: Pace, anew: bool = False) -> None:
        """Replace the copy, unless it already is of this revision; with `anew` also then. Raises OSError."""
        if not anew and self.revision() == snapshot.revision:
            return
        parts = sum(-(-len(rows) // PIECE) for _, _, rows in _stored(snapshot))
        with _replacing(self.path) as file:
            _append(file, _encode(_Head(FORMAT, snapshot.revision, parts, snapshot.built_at)))
            for number, (in_index, table, rows) in enumerate(_pieces(snapshot)):
                _append(file, _encode(_Part(snapshot.revision, number, in_index, table, msgspec.Raw(_encode(rows)))))
                pace()

    def revision(self) -> int | None:
        """Of which revision the copy is; None if there is none that opens."""
        try:
            with self.path.open("rb") as file:
                return _head(file).revision
        except (OSError, NoCopy):
            return None

    def get(self) -> Snapshot:
        """The stored snapshot. Raises NoCopy."""
        tables: dict[bool, dict[str, Any]] = {False: {}, True: {}}
        try:
            with self.path.open("rb") as file:
                head = _head(file)
                for number in range(head.parts):
                    part = msgspec.msgpack.decode(_next(file), type=_Part)
                    if (part.revision, part.number) != (head.revision, number):
                        raise NoCopy("its parts do not belong together")
                    _lay(tables[part.in_index], part)
        except (OSError, msgspec.MsgspecError) as error:
            raise NoCopy(f"it cannot be read: {type(error).__name__}") from error
        return Snapshot(head.revision, head.built_at, index=Index(**tables[True]), **tables[False])

    def mark(self, revision: int, at: float) -> None:
        """Say that `revision` was the newest at `at` (epoch seconds). Raises OSError."""
        with _replacing(self.seen_path) as file:
            _append(file, _encode(_Seen(revision, at)))

    def seen(self, revision: int) -> float:
        """When `revision` was last known to be the newest; 0 if that is not written."""
        try:
            with self.seen_path.open("rb") as file:
                seen = msgspec.msgpack.decode(_next(file), type=_Seen)
        except (OSError, NoCopy, msgspec.MsgspecError):
            return 0.0
        return seen.at if seen.revision == revision else 0.0


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A private new file that takes the place of `path` at the end, whole or not at all; one name per process."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _stored(snapshot: Snapshot) -> Iterator[tuple[bool, str, dict[Any, Any] | tuple[Any, ...]]]:
    for holder, in_index in ((snapshot, False), (snapshot.index, True)):
        for field in msgspec.structs.fields(type(holder)):
            value = getattr(holder, field.name)
            if field.name not in _NEVER_STORED and isinstance(value, dict | tuple):
                yield in_index, field.name, value


def _pieces(snapshot: Snapshot) -> Iterator[tuple[bool, str, Any]]:
    """Tables in pieces, made one by one; a tuple's pieces are put together again in their order."""
    for in_index, name, rows in _stored(snapshot):
        items = iter(rows.items() if isinstance(rows, dict) else rows)
        kind = type(rows)
        while piece := kind(islice(items, PIECE)):
            yield in_index, name, piece


def _types(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


_TYPES: Final = {False: _types(Snapshot), True: _types(Index)}


def _lay(tables: dict[str, Any], part: _Part) -> None:
    kind = _TYPES[part.in_index].get(part.table)
    if kind is None or part.table in _NEVER_STORED:
        raise NoCopy(f"it has a table '{part.table}' that this version does not know")
    rows = msgspec.msgpack.decode(part.rows, type=kind)
    if isinstance(rows, dict):
        tables.setdefault(part.table, {}).update(rows)
    else:
        tables[part.table] = (*tables.get(part.table, ()), *rows)


def _append(file: BinaryIO, plain: bytes) -> None:
    sealed = seal_blob(Purpose.SNAPSHOT, plain)
    file.write(_LENGTH.pack(len(sealed)) + sealed)


def _next(file: BinaryIO) -> bytes:
    start = file.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        raise NoCopy("it ends too early")
    (length,) = _LENGTH.unpack(start)
    sealed = file.read(length)
    try:
        return open_blob(Purpose.SNAPSHOT, sealed)
    except Unsealable as error:
        raise NoCopy(f"the ring does not open it: {error.reason}") from error


def _head(file: BinaryIO) -> _Head:
    try:
        head = msgspec.msgpack.decode(_next(file), type=_Head)
    except msgspec.MsgspecError as error:
        raise NoCopy("its head cannot be read") from error
    if head.format != FORMAT:
        raise NoCopy(f"it is of format {head.format}, this version reads {FORMAT}")
    return head
