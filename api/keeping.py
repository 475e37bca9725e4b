"""Responses that a project may come back to: kept as they are answered, without a query or a thread.

Each is one line of a file of this process beside the journal, written and drained as the journal's are, so it outlives
the process; and it stays in a bounded memory for a moment, so that the next turn finds it at once. Contents are sealed
before they reach the disk. api.recalling finds them again.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import ClassVar, Final

import msgspec
from django.conf import settings

from api.journal import Lines
from keys.ring import Purpose
from keys.sealing import open_blob, seal_blob

#: Bytes of what was asked and answered; larger ones are not kept.
MOST: Final = 8 * 1024 * 1024
#: Bytes of the memory, and seconds for which it is believed: another process may have deleted what it holds.
MEMORY: Final = 32 * 1024 * 1024
BELIEVED: Final = 60.0
LONGEST_ID: Final = 191


class Turn(msgspec.Struct):
    """What was asked (the whole `input`, earlier turns included) and answered; with whose it is, which is checked."""

    id: str
    project: int
    input: msgspec.Raw
    response: msgspec.Raw


class Line(msgspec.Struct):
    """A turn on its way into the database. `at` is epoch seconds. The id comes first: it is looked for."""

    id: str
    project: int
    at: float
    sealed: bytes


class _Head(msgspec.Struct):
    id: str = ""
    status: str = ""


_head: Final = msgspec.json.Decoder(_Head).decode
_turn: Final = msgspec.json.Decoder(Turn).decode
_encode: Final = msgspec.json.Encoder().encode


class Memory:
    """The turns of a moment ago, by project and id. Those that were not asked for longest go first."""

    def __init__(self, most: int = MEMORY, believed: float = BELIEVED) -> None:
        self._most = most
        self._believed = believed
        self._size = 0
        self._turns: OrderedDict[tuple[int, str], tuple[float, bytes]] = OrderedDict()

    def put(self, project: int, response_id: str, turn: bytes) -> None:
        """Remember an encoded turn."""
        self.drop(project, response_id)
        self._turns[project, response_id] = (time.monotonic(), turn)
        self._size += len(turn)
        while self._size > self._most:
            _, (_, oldest) = self._turns.popitem(last=False)
            self._size -= len(oldest)

    def get(self, project: int, response_id: str) -> bytes | None:
        """An encoded turn, if it is remembered and may still be believed."""
        at, turn = self._turns.get((project, response_id), (0.0, None))
        if turn is None:
            return None
        if time.monotonic() - at > self._believed:
            self.drop(project, response_id)
            return None
        self._turns.move_to_end((project, response_id))
        return turn

    def drop(self, project: int, response_id: str) -> None:
        """Forget a turn."""
        _, turn = self._turns.pop((project, response_id), (0.0, b""))
        self._size -= len(turn)


class _Responses(Lines):
    #: These are long, and a disk that takes nothing must not fill the memory.
    most_queued: ClassVar[int] = 32


#: Of this process.
memory = Memory()
_lines: _Responses | None = None


def folder(journal: Path) -> Path:
    """Where lines wait for the database."""
    return journal / "responses"


def keep(project: int, asked: bytes, response: bytes) -> None:
    """Keep one turn: the `input` of its request and the response object, both JSON."""
    if settings.RESPONSES_DAYS <= 0 or len(asked) + len(response) > MOST:
        return
    head = _head(response)
    if head.status not in ("completed", "incomplete") or not 0 < len(head.id) <= LONGEST_ID:
        return
    turn = _encode(Turn(head.id, project, msgspec.Raw(asked), msgspec.Raw(response)))
    memory.put(project, head.id, turn)
    _current().put(_encode(Line(head.id, project, time.time(), seal_blob(Purpose.RESPONSE, turn))) + b"\n")


def opened(project: int, response_id: str, sealed: bytes) -> Turn | None:
    """A sealed turn, None if it was deleted or is another's. Raises keys.sealing.Unsealable."""
    plain = open_blob(Purpose.RESPONSE, sealed)
    turn = _turn(plain) if plain else None
    return turn if turn is not None and (turn.project, turn.id) == (project, response_id) else None


def recent(project: int, response_id: str) -> Turn | None:
    """A turn that this process answered a moment ago."""
    found = memory.get(project, response_id)
    return None if found is None else _turn(found)


def start() -> None:
    """Open this process's file's folder, before the first request would have to."""
    _current()


def stop() -> None:
    """Close this process's file; another use opens a new one."""
    global _lines
    before, _lines = _lines, None
    if before is not None and before.writer.startswith(f"{os.getpid()}-"):
        before.close()


def _current() -> _Responses:
    global _lines  # noqa: PLW0603 - one per process is the point
    if _lines is None or not _lines.writer.startswith(f"{os.getpid()}-"):
        _lines = _Responses(folder(settings.HOME.journal), fsync=settings.JOURNAL_FSYNC)
    return _lines
