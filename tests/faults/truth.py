"""The truth log of an upstream: what it was asked, what it served and how that ended, on disk before anybody is told.

A line when a call came, a second one when it was over; nothing in it is ever changed. Times are of the monotonic clock
that all processes of a machine share. What a client wants to be told back is its marker, `mark.<project>.<number>.`,
which stands somewhere in its request.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MARKER = re.compile(r"mark\.([a-z0-9-]+)\.[0-9]+\.")


def project_of(marker: str) -> str:
    found = MARKER.fullmatch(marker)
    return found[1] if found else ""


@dataclass
class Call:
    """One call of the upstream. `end`: whole, cut (by the upstream), gone (the gateway hung up), or not yet."""

    number: int
    request: str
    model: str
    path: str = ""
    marker: str = ""
    key: str = ""
    asked_at: float = 0.0
    #: 0 while nothing was answered
    status: int = 0
    bytes: int = 0
    #: what it told of its usage, if it did
    input: int | None = None
    output: int | None = None
    end: str = ""
    ended_at: float = 0.0


class Truth:
    """Writes the log; without a file it only counts. Several may write one: each counts from a number of its own."""

    def __init__(self, log: Path | None = None, seed: int = 0, counts_from: int = 0) -> None:
        self._fd = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._seed = seed
        self._calls = counts_from

    def _append(self, call: Call) -> None:
        if self._fd is not None:
            os.write(self._fd, json.dumps(asdict(call)).encode() + b"\n")

    def asked(self, path: str, headers: dict[str, str], body: bytes, model: str) -> Call:
        self._calls += 1
        found = MARKER.search(body.decode("utf-8", "replace"))
        key = headers.get("authorization", "").removeprefix("Bearer ")
        request = headers.get("x-request-id", "")
        marker = found[0] if found else ""
        call = Call(self._calls, request, model, path, marker, key, time.monotonic())
        self._append(call)
        return call

    def ended(self, call: Call, how: str) -> None:
        call.end = call.end or how
        call.ended_at = time.monotonic()
        self._append(call)

    def dice(self, call: Call) -> random.Random:
        """The same for the same question in a run of the same seed, whoever was asked before."""
        return random.Random(f"{self._seed} {call.marker or call.number} {call.model}")


class Told:
    """A stream writer that counts what it writes for the truth log."""

    def __init__(self, writer: Any, call: Call) -> None:
        self._writer = writer
        self.call = call

    def write(self, data: bytes) -> None:
        self.call.bytes += len(data)
        self._writer.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


def read(log: Path) -> list[Call]:
    """All calls, each as it was last told."""
    calls: dict[int, Call] = {}
    for line in log.read_text().splitlines():
        call = Call(**json.loads(line))
        calls[call.number] = call
    return list(calls.values())
