"""Rotation of the ring: every sealed row is wrapped anew by the primary key, online, a batch at a time (R-SEC-06).

A batch is one transaction and one revision: its rows are locked, read, re-wrapped and written with the sealed column
alone, so a key that is replaced meanwhile is never written over and a kill leaves whole batches behind it. Both keys
open everything until the old one is disabled, which `retire` refuses while a row still needs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.apps import apps
from django.db import models

from keys import ring as rings
from keys import sealing
from keys.ring import BadRing, Purpose, State
from keys.sealing import Unsealable
from providers.config import together

#: Every column that holds a sealed secret, and its purpose. A test compares this with the installed models.
SEALED_COLUMNS: Final[dict[tuple[str, str], Purpose]] = {
    ("keys.ProviderKey", "sealed"): Purpose.CREDENTIAL,
    ("keys.SignIn", "sealed"): Purpose.CREDENTIAL,
    ("api.StoredResponse", "sealed"): Purpose.RESPONSE,
    ("routing.Worker", "sealed"): Purpose.CREDENTIAL,
}
#: Binary columns that hold MACs made by the ring's root, which does not rotate.
MAC_COLUMNS: Final[frozenset[tuple[str, str]]] = frozenset(
    {
        ("keys.ApiToken", "mac"),
        ("keys.ApiToken", "row_mac"),
        ("keys.Project", "rights_mac"),
        ("api.StoredItem", "digest"),
    }
)
AUTHOR: Final = "rotate_ring"
BATCH: Final = 25


@dataclass
class Rotated:
    """What a pass over all rows did."""

    rewrapped: int = 0
    already: int = 0
    #: "keys.ProviderKey <id>: reason" of rows that could not be re-wrapped; they were left as they are
    failed: list[str] = field(default_factory=list)


def add(document: dict[str, Any]) -> None:
    """Edit a ring: a new key that may open and does not seal yet."""
    document["keys"].append(rings.fresh_key(State.ADDED))


def promote(document: dict[str, Any]) -> None:
    """Edit a ring: the newest added key becomes the primary. Raises BadRing if there is none."""
    added = [key for key in document["keys"] if key["state"] == State.ADDED]
    if not added:
        raise BadRing("the ring has no added key to promote: add one first")
    for key in document["keys"]:
        if key["state"] == State.PRIMARY:
            key["state"] = State.DECRYPT_ONLY.value
    added[-1]["state"] = State.PRIMARY.value


def retire(document: dict[str, Any]) -> None:
    """Edit a ring: keys that only open are disabled. Raises BadRing while a row needs one of them."""
    needed = in_use()
    for key in document["keys"]:
        if key["state"] == State.DECRYPT_ONLY:
            if needed[key["id"]]:
                raise BadRing(f"{needed[key['id']]} sealed row(s) still need ring key {key['id']}: re-wrap first")
            key["state"] = State.DISABLED.value


def in_use() -> Counter[str]:
    """Ring key id -> how many rows it wraps."""
    return Counter(key_id for model, column in _columns() for key_id in _key_ids(model, column))


def rewrap_all(batch: int = BATCH) -> Rotated:
    """Wrap every sealed row by the primary key. May be run again after an interruption, and beside live traffic."""
    done = Rotated()
    for model, column in _columns():
        purpose = SEALED_COLUMNS[model._meta.label, column]
        pending = list(model._default_manager.order_by("pk").values_list("pk", flat=True))
        for start in range(0, len(pending), batch):
            _rewrap_batch(model, column, purpose, pending[start : start + batch], done)
    return done


def _rewrap_batch(model: type[models.Model], column: str, purpose: Purpose, pks: list[Any], done: Rotated) -> None:
    with together(AUTHOR, "ring rotation"):
        for row in model._default_manager.select_for_update(of=("self",)).filter(pk__in=pks).order_by("pk"):
            old = bytes(getattr(row, column))
            try:
                new = sealing.rewrap(old, purpose)
            except Unsealable as error:
                done.failed.append(f"{model._meta.label} {row.pk}: {error.reason}")
                continue
            if new == old:
                done.already += 1
                continue
            setattr(row, column, new)
            row.save(update_fields=[column])
            done.rewrapped += 1


def _columns() -> Iterator[tuple[type[models.Model], str]]:
    for label, column in SEALED_COLUMNS:
        yield apps.get_model(label), column


def _key_ids(model: type[models.Model], column: str) -> Iterator[str]:
    for sealed in model._default_manager.values_list(column, flat=True).iterator():
        try:
            yield sealing.key_id_of(bytes(sealed))
        except Unsealable:
            continue
