"""Small reads: between a connection and its protocol, so that little of an answer waits here for a slow client.

uvloop reads 250 kB at once where so much has come, whatever its reader can take; these would be held for as long as the
client does not read (R-REL-23).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

#: Bytes read at once.
SIP: Final = 8 * 1024


class Sips(asyncio.BufferedProtocol):
    """Hands on what comes. The buffer may be shared by all connections of a loop: it is empty again before another one
    reads."""

    def __init__(self, protocol: Any, buffer: memoryview) -> None:
        self._buffer = buffer
        self._hand_on = protocol.data_received
        self.connection_lost = protocol.connection_lost  # type: ignore[method-assign]  # theirs, with nothing between
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]  # the same
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]  # the same
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]  # the same

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._hand_on(self._buffer[:nbytes].tobytes())
