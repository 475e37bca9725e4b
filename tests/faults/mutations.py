"""Acts that spoil what a gateway is made of: rows that nothing of ours wrote, and copies on disk that were damaged."""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DataError, IntegrityError, connections, transaction
from django.db.models import F, Model, QuerySet

from providers.models import Account, Provider
from routing import revisions
from routing.models import Head, Preference, PublicModel, Revision, Route
from routing.shelf import NoCopy, Shelf
from routing.snapshot import EMPTY, Snapshot
from routing.store import Store

JUNK: list[Any] = [
    *(None, 0, -1, "", "x" * 300, [], [[]], [None], {}, {"a": []}, {"connect": {}}, True, 1.5, ["*", 7], {"": ""}),
    *({"connect": "soon"}, {"total": 1e9}, [{"env": []}], [{"name": 3}], "telepathy", 10**7),
]
#: Not what a project may use: whoever writes that beside us switches the project off, which is not to stay as it was.
COLUMNS: list[tuple[type[Model], tuple[str, ...]]] = [
    (Provider, ("families", "variables", "env_keys", "aliases", "capabilities", "quirks", "family")),
    (Account, ("variables", "timeouts", "family")),
    (Route, ("quirks", "weight", "priority", "upstream_model", "family")),
    (Preference, ("preferred", "default_model")),
]
_spoiled: list[tuple[type[Model], list[dict[str, Any]]]] = []


def break_something(seed: int) -> tuple[str, int]:
    """Write junk into a column of all rows of a table, as raw SQL would; what it is, and the revision that has it."""
    dice = random.Random(seed)
    while True:
        model, names = dice.choice(COLUMNS)
        name, junk = dice.choice(names), dice.choice(JUNK)
        rows: QuerySet[Any] = QuerySet(model)
        before = list(rows.values("pk", name))
        try:
            with transaction.atomic():
                rows.update(**{name: junk})
        except (DataError, IntegrityError, OverflowError, TypeError, ValueError):
            continue  # the database itself refuses it
        _spoiled.append((model, before))
        return f"{model.__name__}.{name} = {str(junk)[:30]!r}", revisions.publish("chaos")


def mend_it() -> int:
    """Put back what was there."""
    while _spoiled:
        model, before = _spoiled.pop()
        rows: QuerySet[Any] = QuerySet(model)
        values: dict[str, list[Any]] = {}
        for row in before:
            pk = row.pop("pk")
            ((name, value),) = row.items()
            values.setdefault(repr(value), [name, value, []])[2].append(pk)
        for name, value, pks in values.values():
            rows.filter(pk__in=pks).update(**{name: value})
    return revisions.publish("chaos")


def damaged_copies(seed: int, number: int) -> list[str]:
    """Of so many damaged copies of the snapshot those that raise anything but NoCopy, or are taken for whole."""
    dice = random.Random(seed)
    good = Path(settings.HOME.snapshot).read_bytes()
    crashed = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot"
        for _ in range(number):
            data = _damaged(good, dice)
            path.write_bytes(data)
            try:
                Shelf(path).get()
            except NoCopy:
                continue
            except Exception as error:  # noqa: BLE001 - any other is the finding
                crashed.append(f"{type(error).__name__}: {error}")
            else:
                crashed.append("a damaged copy was taken")
    return crashed


def _damaged(good: bytes, dice: random.Random) -> bytes:
    at, data = dice.randrange(len(good)), bytearray(good)
    match dice.randrange(4):
        case 0:
            data[at] ^= 1 << dice.randrange(8)
        case 1:
            del data[at:]
        case 2:
            data[at:at] = dice.randbytes(dice.randint(1, 64))
        case _:
            data[at : at + 64] = dice.randbytes(max(1, min(64, len(data) - at)))
    return bytes(data)


def publish_often(number: int) -> tuple[int, float]:
    """Publish so often, with a store of this process following: old snapshots that are held after it, and the MiB by
    which it has grown since a tenth of them."""
    return asyncio.run(_follow(number))


async def _follow(number: int) -> tuple[int, float]:
    before = 0
    store = Store()
    await store.start()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as hand:
        for count in range(number):
            if count == number // 10:
                before = _resident()
            revision = await loop.run_in_executor(hand, _describe, count)
            store.refresh()
            while store.current.revision < revision:
                await asyncio.sleep(0.001)
        await loop.run_in_executor(hand, connections.close_all)
    end = loop.time() + 5
    while (held := _held(store)) and loop.time() < end:
        await asyncio.sleep(0.1)  # the store's thread may still be in the round that took the last one
    grown = (_resident() - before) / 2**20
    await store.stop()
    return held, grown


def _held(store: Store) -> int:
    """Snapshots that are there besides the one that serves."""
    gc.collect()
    known = (EMPTY, store.current)
    return sum(isinstance(one, Snapshot) and not any(one is other for other in known) for one in gc.get_objects())


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _describe(count: int) -> int:
    """A revision as a save makes it, without the trial of a save: ten thousand of those would take minutes."""
    rows: QuerySet[Any] = QuerySet(PublicModel)
    pk = rows.get(name="patched").pk
    with transaction.atomic():
        rows.filter(pk=pk).update(description=f"number {count}")
        Head.objects.filter(pk=1).update(revision=F("revision") + 1)
        number = revisions.latest()
        entry = {
            "table": PublicModel._meta.label_lower,
            "pk": str(pk),
            "name": "patched",
            "action": "change",
            "fields": {},
        }
        Revision.objects.create(number=number, author_name="chaos", changes=[entry])
    return number


ACTS = (break_something, mend_it, damaged_copies, publish_often)
