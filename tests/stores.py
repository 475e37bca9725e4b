"""What tests of the store share: waiting for it, and database work beside the event loop it runs in."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from django.db import connection

from routing import revisions
from routing.models import PublicModel
from routing.snapshot import Snapshot
from routing.store import Store


def content(snapshot: Snapshot) -> dict[str, Any]:
    """Everything in it but what is derived on demand."""
    held = msgspec.structs.asdict(snapshot)
    del held["memo"]
    held["index"] = msgspec.structs.asdict(snapshot.index)
    return held


async def until(check: Callable[[], Any], seconds: float = 15.0) -> float:
    """Wait for `check()`; the seconds it took."""
    start = time.monotonic()
    while not check():
        assert time.monotonic() - start < seconds, "it did not come true"
        await asyncio.sleep(0.005)
    return time.monotonic() - start


async def serves(store: Store, number: int) -> float:
    """Wait until the store serves this revision; the seconds it took."""
    return await until(lambda: store.current.revision >= number)


async def away(work: Callable[..., Any], **values: Any) -> Any:
    """Do database work in a thread, which closes its connection."""

    def closing() -> Any:
        try:
            return work(**values)
        finally:
            connection.close()

    return await asyncio.to_thread(closing)


def write(**values: Any) -> int:
    """Change the model `m`; the number of the revision."""
    PublicModel.objects.filter(name="m").update(**values)
    return revisions.latest()


def rows(query: Callable[[], Any]) -> Any:
    """Run a query from a coroutine, in a thread of its own."""
    found: list[Any] = []

    def ask() -> None:
        found.append(query())
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return found[0]
