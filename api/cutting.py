"""Streams that end when their token is revoked as compromised: whoever holds it gets nothing more (R-TOK-07).

Buffered answers and tokens that were merely retired may finish. The look at the tokens is a timer of the event loop,
set only while streams are open, so that neither a request nor the thread that swaps snapshots pays for it.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from routing.store import store

#: Seconds between two looks; with the store's own half second, a stream ends within one.
EVERY: Final = 0.2


class Cuttable(Protocol):
    """A stream under way."""

    def cut(self) -> None:
        """End it as soon as it next waits; twice is as good as once."""


class OpenStreams:
    """The open streams of this process, by their token's MAC. They run on one event loop."""

    def __init__(self) -> None:
        self._streams: dict[bytes, set[Cuttable]] = {}
        self._timer: asyncio.TimerHandle | None = None
        #: the tokens as they were at the last look
        self._seen: object = None

    def __len__(self) -> int:
        return sum(map(len, self._streams.values()))

    def add(self, mac: bytes, stream: Cuttable) -> None:
        """A stream of this token begins; `remove` must follow."""
        if not self._streams:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)
        self._streams.setdefault(mac, set()).add(stream)
        if _compromised(mac):  # since the request came
            stream.cut()

    def remove(self, mac: bytes, stream: Cuttable) -> None:
        """The stream is over; nothing, if it never began."""
        streams = self._streams.get(mac)
        if streams is None:
            return
        streams.discard(stream)
        if not streams:
            del self._streams[mac]
            if not self._streams and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._look)
        tokens = store.current.tokens
        if tokens is self._seen:
            return
        self._seen = tokens
        for mac, streams in self._streams.items():
            if _compromised(mac):
                for stream in streams:
                    stream.cut()


def _compromised(mac: bytes) -> bool:
    entry = store.current.tokens.get(mac)
    return entry is not None and entry.compromised


#: Of this process.
open_streams = OpenStreams()
