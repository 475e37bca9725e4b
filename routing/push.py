"""The push channel: PostgreSQL tells every gateway of a revision at its commit, so that none waits for its next look.

A thread with a connection of its own listens and wakes the store. It carries no data: who is woken looks at the
revision number as ever. Where it is cut, or cannot be had (SQLite, a pooler that passes on no notifications), the looks
every POLL_INTERVAL find the revision all the same.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connection, connections

from routing.patience import answers_within

log = logging.getLogger(__name__)

CHANNEL: Final = "jackfield_revisions"
#: Seconds until a channel that was cut is opened again.
AGAIN: Final = 1.0
#: Seconds of listening after which the thread looks whether it is still wanted.
LOOK: Final = 0.5
#: Seconds between two questions whether the server is still there: a connection may be lost without a word.
ASK: Final = 15.0
_ANSWER: Final = 4.0


def tell() -> None:
    """Wake all gateways when the present transaction commits. One that is rolled back wakes nobody."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


class Push:
    """Calls `wake` for every revision that anybody publishes, until `stop`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._stop = threading.Event()

    def start(self) -> None:
        if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
            threading.Thread(target=self._run, name="push channel", daemon=True).start()

    def stop(self) -> None:
        """It ends by itself within `LOOK` seconds; nothing is lost by not waiting for it."""
        self._stop.set()

    def _run(self) -> None:
        from psycopg import Error  # noqa: PLC0415 - an extra that installations on SQLite lack

        answers_within(_ANSWER)
        while not self._stop.is_set():
            try:
                self._listen()
            except (DatabaseError, InterfaceError, Error) as error:
                log.debug("no push channel: %s", type(error).__name__)
            finally:
                with contextlib.suppress(DatabaseError, InterfaceError):
                    connection.close()
            self._stop.wait(AGAIN)

    def _listen(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
            self._wake()  # for what was published before
            raw: Any = connection.connection
            while not self._stop.is_set():
                for _ in range(int(ASK / LOOK)):
                    for _told in raw.notifies(timeout=LOOK, stop_after=1):
                        self._wake()
                    if self._stop.is_set():
                        return
                cursor.execute("SELECT 1")
