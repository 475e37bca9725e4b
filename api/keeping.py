"""Responses that a project may come back to: kept as they are answered, without a query or a thread.

Each is one line of a file of this process beside the journal, written and drained as the journal's are, so it outlives
the process; and it stays in a bounded memory for a moment, so that the next turn finds it at once. Contents are sealed
before they reach the disk. api.recalling finds them again.
"""

from __future__ import annotations

import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple

import msgspec
from django.conf import settings

from api.journal import Lines
from api.usage import Row
from keys import ring as rings
from keys.ring import Purpose
from keys.sealing import open_blob, seal_blob
from providers.dialects.openai_responses.turns import said_items
from providers.entries import FactsEntry

#: Bytes of what was asked and answered; larger ones are not kept.
MOST: Final = 8 * 1024 * 1024
#: Bytes of the memory, and seconds for which it is believed: another process may have deleted what it holds.
MEMORY: Final = 32 * 1024 * 1024
BELIEVED: Final = 60.0
LONGEST_ID: Final = 191


class Place(msgspec.Struct, omit_defaults=True):
    """Where a response is still being made, and what there is to know when it is done.

    `key_set` and `key` (a fingerprint) are those it was asked with; `key_set` is None where no key was needed.
    `public` is the model as the client called it, `earlier` the response it goes on from. `row` is the usage row of
    the request that asked for it, whose tokens come with the answer.
    """

    account: int
    family: str
    upstream_model: str
    public: str
    row: Row
    key_set: int | None = None
    key: str = ""
    route_key_set: int | None = None
    quirks: dict[str, Any] = {}
    facts: FactsEntry | None = None
    earlier: str = ""


class Turn(msgspec.Struct, omit_defaults=True):
    """What was asked (the whole `input`, earlier turns included) and answered; with whose it is, which is checked.

    `place`: where it is still being made. `alone`: the upstream alone has all that it answers, or will answer.
    """

    id: str
    project: int
    input: msgspec.Raw
    response: msgspec.Raw
    place: Place | None = None
    alone: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether it can be gone on from."""
        return self.place is None and status_of(self.response)[1] in _ANSWERED


class Line(msgspec.Struct, omit_defaults=True):
    """A turn on its way into the database. `at` is epoch seconds. The id comes first: it is looked for.

    `waiting`: the response is still being made, and another line comes when it is done. `items`: digests of the ids of
    what it says.
    """

    id: str
    project: int
    at: float
    sealed: bytes
    waiting: bool = False
    items: list[bytes] = []


class _Head(msgspec.Struct):
    id: str = ""
    status: str = ""


_ANSWERED: Final = frozenset({"completed", "incomplete"})
_UNDERWAY: Final = frozenset({"queued", "in_progress"})
_head: Final = msgspec.json.Decoder(_Head).decode
_turn: Final = msgspec.json.Decoder(Turn).decode
_encode: Final = msgspec.json.Encoder().encode


class _Remembered(NamedTuple):
    at: float
    turn: bytes
    items: Mapping[str, bytes]

    @property
    def size(self) -> int:
        return len(self.turn) + sum(len(name) + len(item) for name, item in self.items.items())


class Memory:
    """The turns of a moment ago, by project and id, and the items that they say, by project and theirs.

    Those that were not asked for longest go first.
    """

    def __init__(self, most: int = MEMORY, believed: float = BELIEVED) -> None:
        self._most = most
        self._believed = believed
        self._size = 0
        self._turns: OrderedDict[tuple[int, str], _Remembered] = OrderedDict()
        #: the response that said an item last
        self._sayers: dict[tuple[int, str], str] = {}

    def put(
        self, project: int, response_id: str, turn: bytes, items: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        """Remember an encoded turn, and the encoded items of its answer by their ids."""
        self.drop(project, response_id)
        entry = self._turns[project, response_id] = _Remembered(time.monotonic(), turn, items)
        for name in items:
            self._sayers[project, name] = response_id
        self._size += entry.size
        while self._size > self._most:
            self.drop(*next(iter(self._turns)))

    def get(self, project: int, response_id: str) -> bytes | None:
        """An encoded turn, if it is remembered and may still be believed."""
        entry = self._believable(project, response_id)
        return None if entry is None else entry.turn

    def item(self, project: int, item_id: str) -> bytes | None:
        """An encoded item, if its turn is remembered and may still be believed."""
        response_id = self._sayers.get((project, item_id))
        entry = None if response_id is None else self._believable(project, response_id)
        return None if entry is None else entry.items[item_id]

    def _believable(self, project: int, response_id: str) -> _Remembered | None:
        entry = self._turns.get((project, response_id))
        if entry is None:
            return None
        if time.monotonic() - entry.at > self._believed:
            self.drop(project, response_id)
            return None
        self._turns.move_to_end((project, response_id))
        return entry

    def knows(self, projects: Iterable[int], response_id: str) -> bool:
        """Whether a turn of one of these projects is here, believed or not."""
        return any((project, response_id) in self._turns for project in projects)

    def drop(self, project: int, response_id: str) -> None:
        """Forget a turn."""
        entry = self._turns.pop((project, response_id), None)
        if entry is None:
            return
        self._size -= entry.size
        for name in entry.items:
            if self._sayers.get((project, name)) == response_id:
                del self._sayers[project, name]


class _Responses(Lines):
    #: These are long, and a disk that takes nothing must not fill the memory.
    most_queued: ClassVar[int] = 32


#: Of this process.
memory = Memory()
_lines: _Responses | None = None


def folder(journal: Path) -> Path:
    """Where lines wait for the database."""
    return journal / "responses"


def status_of(response: bytes | msgspec.Raw) -> tuple[str, str]:
    """The id and the status of a response object. Raises msgspec.DecodeError."""
    head = _head(response)
    return head.id, head.status


def is_underway(response: bytes | msgspec.Raw) -> bool:
    """Whether a response object says that it is still being made. Raises msgspec.DecodeError."""
    return _head(response).status in _UNDERWAY


def keep(project: int, asked: bytes, response: bytes, place: Place | None = None, *, alone: bool = False) -> None:
    """Keep one turn: the `input` of its request and the response object, both JSON.

    One that is still being made is kept if there is a place to ask for it.
    """
    response_id, status = status_of(response)
    if status in _ANSWERED:
        if not alone:
            put(Turn(response_id, project, msgspec.Raw(asked), msgspec.Raw(response)))
    elif status in _UNDERWAY and place is not None:
        if len(asked) + len(response) > MOST:
            asked, alone = b"[]", True
        put(Turn(response_id, project, msgspec.Raw(asked), msgspec.Raw(response), place, alone))


def put(turn: Turn) -> None:
    """Keep a turn, in place of what was kept of it while it was being made."""
    size = len(bytes(turn.input)) + len(bytes(turn.response))
    if settings.RESPONSES_DAYS <= 0 or size > MOST or not 0 < len(turn.id) <= LONGEST_ID:
        return
    plain = _encode(turn)
    items = items_of(turn)
    memory.put(turn.project, turn.id, plain, items)
    line = Line(turn.id, turn.project, time.time(), seal_blob(Purpose.RESPONSE, plain), turn.place is not None)
    line.items = [digest_of(name) for name in items]
    _current().put(_encode(line) + b"\n")


def items_of(turn: Turn) -> dict[str, bytes]:
    """What the answer of a turn says: encoded items, by their ids. Nothing of one that cannot be gone on from."""
    return said_items(bytes(turn.response)) if turn.is_answer and not turn.alone else {}


def digest_of(item_id: str) -> bytes:
    """What an item is found by where it lies, whose id nobody reads there."""
    return hmac.digest(rings.current().derive(Purpose.ITEM), item_id.encode("utf-8", "surrogatepass"), "sha256")[:16]


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
