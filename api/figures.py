"""Figures of all gateway processes of one home: each writes its own to a file, and whoever is asked adds them up.

A file is memory-mapped and locked while its process lives: written every second and before each answer, so that no
figure that was told is lost by a kill. A dead process's counters are folded into one file of those that ended, once,
and its file is removed: sums never go backwards. Gauges are of the living only.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from api.inflight import open_mapped

logger = logging.getLogger(__name__)

#: Bytes of one process's file.
ROOM = 8 * 1024 * 1024
_HEAD = struct.Struct("<II")
#: A file may be read while it is being written: so many looks at it.
_LOOKS = 5
#: Gauges of which the least or the greatest tells most; of all others the sum does.
_LEAST = frozenset({"jackfield_revision"})
_GREATEST = frozenset(
    {
        "jackfield_snapshot_age_seconds",
        "jackfield_degraded",
        "jackfield_draining",
        "jackfield_loop_late_seconds",
        "jackfield_memory_used_ratio",
        "jackfield_overloaded",
        *("jackfield_workers_active", "jackfield_workers_draining", "jackfield_workers_silent"),
    }
)


class Histogram(msgspec.Struct):
    """Counts per bucket, the sum in microseconds."""

    buckets: list[int]
    sum_us: int = 0


class Figures(msgspec.Struct):
    """What is counted, of one process or of many. `folded` names the ended processes whose files may still be there."""

    #: (model, account, status, outcome) and their number
    requests: list[tuple[tuple[str, str, int, str], int]] = []
    #: (model, account, kind) and their number
    tokens: list[tuple[tuple[str, str, str], int]] = []
    histograms: dict[str, Histogram] = {}
    counters: dict[str, int] = {}
    gauges: dict[str, float] = {}
    folded: list[str] = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Figures).decode


class Board:
    """This process's file. While the disk has no room for it, this process's figures are told by itself only."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.pid = os.getpid()
        self._map: mmap.mmap | None = None
        self._failed = False
        self._open()

    def _open(self) -> mmap.mmap | None:
        try:
            # The descriptor is kept open: its lock says that we live.
            _, self._map = open_mapped(self.folder / f"{self.pid}-{time.time_ns()}.figures", ROOM)
        except OSError as problem:
            if not self._failed:
                logger.error("the figures are not shared with other processes: %s", problem.strerror)
            self._failed = True
        return self._map

    def write(self, figures: Figures) -> bool:
        """Replace what is written. Figures that do not fit leave the last ones. False where there is no file."""
        board = self._map or self._open()
        if board is None:
            return False
        data = _encode(figures)
        if len(data) <= ROOM - _HEAD.size:
            board[_HEAD.size : _HEAD.size + len(data)] = data
            _HEAD.pack_into(board, 0, len(data), zlib.crc32(data))
        return True


def collect(folder: Path, unshared: Figures | None = None) -> tuple[Figures, int]:
    """The sum over all processes, and how many live. `unshared`: those of the one who asks, where it has no file.

    Blocks for some milliseconds. Raises OSError.
    """
    ended_file = folder / "ended.json"
    with _alone(folder):
        ended = _read_ended(ended_file)
        living: list[Figures] = [] if unshared is None else [unshared]
        dead: list[Path] = []
        there = set()
        for path in sorted(folder.glob("*.figures")):
            there.add(path.stem)
            alive, figures = _read(path)
            if alive:
                living.append(figures)
            else:
                dead.append(path)
                if path.stem not in ended.folded:
                    figures.gauges = {}
                    ended = _sum([ended, figures], [*ended.folded, path.stem])
        if dead:
            ended.folded = [name for name in ended.folded if name in there]
            draft = ended_file.with_suffix(".draft")
            draft.touch(mode=0o600)
            draft.write_bytes(_encode(ended))
            draft.replace(ended_file)
            for path in dead:
                path.unlink()
    return _sum([ended, *living], []), len(living)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _read_ended(path: Path) -> Figures:
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return Figures()
    except msgspec.DecodeError:
        logger.warning("the figures of ended processes cannot be read and begin anew")
        return Figures()


def _read(path: Path) -> tuple[bool, Figures]:
    """Whether the process lives, and its figures; none where it died while it wrote."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alive = False
        except BlockingIOError:
            alive = True
        for _ in range(_LOOKS):
            file.seek(0)
            length, checksum = _HEAD.unpack(file.read(_HEAD.size).ljust(_HEAD.size, b"\0"))
            data = file.read(length) if length <= ROOM else b""
            if length and zlib.crc32(data) == checksum:
                return alive, _decode(data)
            if not alive or not length:
                break
            time.sleep(0.001)
    return alive, Figures()


def _sum(parts: list[Figures], folded: list[str]) -> Figures:
    requests: dict[tuple[str, str, int, str], int] = {}
    tokens: dict[tuple[str, str, str], int] = {}
    whole = Figures(histograms={}, counters={}, gauges={}, folded=folded)
    for part in parts:
        for series, number in part.requests:
            requests[series] = requests.get(series, 0) + number
        for name, number in part.tokens:
            tokens[name] = tokens.get(name, 0) + number
        for title, histogram in part.histograms.items():
            so_far = whole.histograms.get(title)
            if so_far is None or len(so_far.buckets) != len(histogram.buckets):
                whole.histograms[title] = Histogram(list(histogram.buckets), histogram.sum_us)
            else:
                so_far.buckets = [a + b for a, b in zip(so_far.buckets, histogram.buckets, strict=True)]
                so_far.sum_us += histogram.sum_us
        for title, number in part.counters.items():
            whole.counters[title] = whole.counters.get(title, 0) + number
        for title, value in part.gauges.items():
            before = whole.gauges.get(title)
            if before is None:
                whole.gauges[title] = value
            elif title in _LEAST:
                whole.gauges[title] = min(before, value)
            else:
                whole.gauges[title] = max(before, value) if title in _GREATEST else before + value
    whole.requests, whole.tokens = list(requests.items()), list(tokens.items())
    return whole
