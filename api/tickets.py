"""How often a day something may be done by all processes together: each time takes a ticket, and there are so many.

With Redis one counter serves all machines; while it does not answer there are no tickets. Without Redis a file of this
home is the counter: a ticket is a byte appended to it, and where that byte came to lie is the ticket's number. Days are
UTC's. Neither is asked by a request that takes none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from keys.redis_task import NoPackage, connect

logger = logging.getLogger(__name__)

#: Seconds that Redis is waited for.
PATIENCE: Final = 0.25
_DAY: Final = 86_400
_PREFIX: Final = "jackfield:tickets:"


class Tickets:
    """The tickets of this process's home, or of all that share a Redis."""

    def __init__(self) -> None:
        self._redis: Any = None
        self._trouble: tuple[type[Exception], ...] = (OSError, TimeoutError)

    def start(self, url: str) -> None:
        """Count in the Redis at this URL. Without its package the file counts; `keys.redis_task` tells of that."""
        with contextlib.suppress(NoPackage):
            self._redis, self._trouble = connect(url, PATIENCE)

    async def stop(self) -> None:
        """Give the connections up."""
        client, self._redis = self._redis, None
        if client is not None:
            await client.aclose()

    async def take(self, of: str, most: int) -> bool:
        """Whether there was one left today of what `of` names: letters, digits and dashes."""
        name = f"{time.strftime('%Y-%m-%d', time.gmtime())}-{of}"
        if self._redis is None:
            return _appended(settings.HOME.tickets, name, most)
        try:
            async with asyncio.timeout(PATIENCE), self._redis.pipeline(transaction=False) as pipe:
                pipe.incr(_PREFIX + name)
                pipe.expire(_PREFIX + name, 2 * _DAY)
                number, _ = await pipe.execute()
        except self._trouble:
            return False
        return bool(number <= most)


def _appended(folder: Path, name: str, most: int) -> bool:
    """Whether the next ticket is one of so many. A disk without room has none."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            taken = os.fstat(fd).st_size
            if not taken:
                _sweep(folder, name[:10])
            if taken >= most:
                return False
            os.write(fd, b".")
            return os.lseek(fd, 0, os.SEEK_CUR) <= most
        finally:
            os.close(fd)
    except OSError as problem:
        logger.error("no ticket can be taken: %s", problem.strerror)
        return False


def _sweep(folder: Path, today: str) -> None:
    """The first ticket of a day's counter takes away those of other days."""
    for old in folder.iterdir():
        if old.name[:10] < today:
            old.unlink(missing_ok=True)


#: Of this process.
tickets = Tickets()
