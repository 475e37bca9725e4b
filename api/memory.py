"""How much memory is in use, of what there may be: this process's own, or that of its control group (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
#: What the first version of control groups says where there is no limit, and the greatest limit that is one.
_NO_LIMIT: Final = 1 << 60


class Group:
    """A control group with a limit. Pages of files that the kernel may drop at any time count as free."""

    def __init__(self, folder: Path, limit: str, used: str, droppable: str) -> None:
        self._folder = folder
        self._limit = limit
        self._used = used
        self._droppable = droppable.encode()

    def share(self) -> float:
        """Of the limit, what is used. Raises OSError, ValueError."""
        limit = self._number(self._limit)
        if not 0 < limit < _NO_LIMIT:
            return 0.0
        used = self._number(self._used)
        if used < limit * 0.8:  # then it does not matter what of it could be dropped, which takes longer to say
            return used / limit
        for line in (self._folder / "memory.stat").read_bytes().splitlines():
            name, _, number = line.partition(b" ")
            if name == self._droppable:
                return (used - int(number)) / limit
        return used / limit

    def _number(self, name: str) -> int:
        text = (self._folder / name).read_text().strip()
        return _NO_LIMIT if text == "max" else int(text)


def group(root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> Group | None:
    """The nearest control group above this process that limits its memory."""
    with contextlib.suppress(OSError):
        for line in membership.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" and not controllers:
                made = root, ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                made = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            else:
                continue
            top, names = made
            own = top / path.lstrip("/")
            # In a container the path may be the host's, and what is ours lies at the top.
            for folder in (own, *own.parents):
                found = Group(folder, *names)
                with contextlib.suppress(OSError, ValueError):
                    if found.share():
                        return found
                if folder == top:
                    break
    return None


def resident() -> int:
    """Bytes of this process that are in memory; 0 where nobody says."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
    except OSError:
        return 0


def share_of(limit: int, limited: Group | None) -> float:
    """Of the memory there may be, what is in use: by this process of `limit` (0: none), by its group of the group's."""
    own = resident() / limit if limit else 0.0
    if limited is None:
        return own
    try:
        return max(own, limited.share())
    except (OSError, ValueError):
        return own


def give_back() -> None:
    """Let go of what nobody uses any more. Blocks for some milliseconds."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc has no such call
            ctypes.CDLL(None).malloc_trim(0)
