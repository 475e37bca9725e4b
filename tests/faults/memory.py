"""How much memory processes took at most since a moment, as Linux counts it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
_NOW = re.compile(r"VmRSS:\s+(\d+) kB")


class Memory:
    """Of these processes, from now on."""

    def __init__(self, pids: Sequence[int]) -> None:
        for pid in pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
        self._before = {pid: self._read(pid, _NOW) for pid in pids}

    @staticmethod
    def _read(pid: int, what: re.Pattern[str]) -> float:
        found = what.search(Path(f"/proc/{pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def grown(self) -> float:
        """MiB at the peak beyond what it was, of the process that grew most."""
        return max(self._read(pid, _PEAK) - before for pid, before in self._before.items())
