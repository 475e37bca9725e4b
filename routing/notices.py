"""What people and probes say about circuits and resting keys, and its way to every process: rows in the database.

Each process looks for them once a second in the thread that follows the database; what is there at its first look is
from before it served and is passed over. What is new is done in the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from django.db import transaction

from keys.cooling import Cooling
from keys.models import ProviderKey
from keys.pool import pool
from providers.models import Account
from routing.health import Health, health
from routing.models import Notice
from routing.revisions import Author, recording

#: Seconds between two looks.
PERIOD: Final = 1.0
#: The newest notices that a look reads. Numbers are given before they are written, so later ones may be seen first.
_NEWEST: Final = 300


def close_circuit(account: Account, upstream_model: str, author: Author) -> None:
    """Have every process close the circuit of this place. It is kept among the revisions, with who did it."""
    with transaction.atomic(), recording(author, note="circuit closed by hand") as change:
        Notice.objects.create(kind=Notice.Kind.CLOSE, account=account, upstream_model=upstream_model)
        change.add(
            {
                "table": account._meta.label_lower,
                "pk": str(account.pk),
                "name": account.name,
                "action": "change",
                "fields": {f"circuit of {upstream_model}": ["open", "closed"]},
            }
        )


def use_again(keys: Iterable[ProviderKey]) -> None:
    """Have every process use these keys at once, however long they were to rest. `key_set` is at hand."""
    again = Notice.Kind.AGAIN
    Notice.objects.bulk_create(
        Notice(kind=again, account_id=key.key_set.account_id, fingerprint=key.fingerprint) for key in keys
    )


class Notices:
    """What this process has heard of them."""

    def __init__(self, known: Health, resting: Cooling) -> None:
        self._known = known
        self._resting = resting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = 0.0
        self._seen: frozenset[int] | None = None

    def start(self) -> None:
        """What is heard from now on is done in the running loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        self._loop = self._seen = None

    def look(self) -> None:
        """Called often, in a thread that may ask the database."""
        loop = self._loop
        if loop is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + PERIOD
        columns = ("pk", "kind", "account_id", "upstream_model", "fingerprint")
        rows = list(Notice.objects.order_by("-pk").values_list(*columns)[:_NEWEST])
        before, self._seen = self._seen, frozenset(row[0] for row in rows)
        if before is None:
            return
        for pk, *said in reversed(rows):
            if pk not in before:
                loop.call_soon_threadsafe(self._do, *said)

    def _do(self, kind: str, account: int, model: str, fingerprint: str) -> None:
        if kind == Notice.Kind.CLOSE:
            self._known.release((account, model))
        elif kind == Notice.Kind.HASTEN:
            self._known.hasten(account)
        elif kind == Notice.Kind.AGAIN:
            self._resting.clear(fingerprint)


#: Of this process.
notices = Notices(health, pool.cooling)
