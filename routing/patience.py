"""How long a thread waits for one answer of the database. What keeps a process going must not wait for ever.

The connection's own settings notice a server that refuses or a machine that vanished. They do not notice one behind a
proxy or a balancer that takes a question and forgets it: there only a limit of our own helps. SQLite has one already.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

_thread = threading.local()


def answers_within(seconds: float) -> None:
    """In this thread, from now on, a statement that has not answered by then ends as a lost connection does."""
    _thread.seconds = seconds
    _limit(connections[DEFAULT_DB_ALIAS])


def _limit(connection: BaseDatabaseWrapper, **_: Any) -> None:
    seconds: float | None = getattr(_thread, "seconds", None)
    raw = connection.connection
    if seconds is None or raw is None or connection.vendor != "postgresql" or isinstance(raw.wait, partial):
        return
    raw.wait = partial(_wait, raw, raw.wait, seconds)


def _wait(raw: Any, wait: Any, seconds: float, *asked: Any, timeout: float | None = None, **more: Any) -> Any:
    from psycopg import OperationalError, pq  # noqa: PLC0415 - an extra that installations on SQLite lack

    try:
        return wait(*asked, timeout=seconds if timeout is None else timeout, **more)
    except OperationalError:
        if raw.info.transaction_status == pq.TransactionStatus.ACTIVE:
            raw.close()  # its answer may still come, and would be taken for that of the next statement
        raise


connection_created.connect(_limit, dispatch_uid="routing.patience")
