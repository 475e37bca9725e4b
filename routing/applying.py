"""Applies a configuration document: all of it in one revision, or nothing.

The document is read, written to rows, and the snapshot that would follow is built and checked, all inside one
transaction. A document touches only what it names, so a partial one is the normal case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from msgspec import UNSET

from keys import vault
from routing.build import BadSnapshot, build
from routing.document import state
from routing.document_diff import diff
from routing.document_keys import KeyWriter
from routing.document_reading import read
from routing.document_rows import Writer
from routing.document_schema import Document, Refused
from routing.loose_ends import lost_preferences, not_reachable, why_not
from routing.revisions import recording
from routing.snapshot import Snapshot

__all__ = ["Outcome", "Refused", "apply"]


@dataclass(frozen=True)
class Outcome:
    """What an application did, or with `dry_run` would have done. `revision` is 0 if nothing was written."""

    diff: list[str]
    notes: list[str]
    revision: int


def apply(
    text: str, *, author: str | None = None, note: str = "", dry_run: bool = False, rebind: bool = False
) -> Outcome:
    """Apply the document in `text`.

    Raises Refused with every problem found; nothing is changed then. With `dry_run` everything is done, checked and
    taken back. `rebind` seals the keys the document names for their accounts' present addresses, also where those were
    changed before by someone else.
    """
    document = read(text)
    with transaction.atomic():
        with recording(author, note) as change:
            outcome = _apply(document, rebind)
        if dry_run:
            transaction.set_rollback(True)
    return Outcome(outcome.diff, outcome.notes, 0 if dry_run else change.number)


def _apply(document: Document, rebind: bool) -> Outcome:
    before = state()
    unusable = {failure.key_id for failure in vault.check_all()}
    writer = Writer(document)
    writer.write()
    if writer.problems:
        raise Refused(writer.problems)
    keys = KeyWriter(unusable, rebind=rebind)
    for place, key_set, lines in writer.keys:
        keys.write(place, key_set, lines)
    if keys.problems:
        raise Refused(keys.problems)
    try:
        snapshot = build()
    except BadSnapshot as error:
        raise Refused([f"{problem}." for problem in error.problems]) from error
    return Outcome(
        [*diff(before, state()), *keys.changed], [*keys.notes, *_lost(unusable), *_loose_ends(document, snapshot)], 0
    )


def _lost(unusable: set[str]) -> list[str]:
    """Keys that this document made unusable by moving their account: a key never follows to another origin."""
    lost: dict[str, int] = {}
    for failure in vault.check_all():
        if failure.key_id not in unusable:
            lost[failure.account] = lost.get(failure.account, 0) + 1
    return [
        f'account "{name}": its origin changed, so {count} stored key(s) must be entered again.'
        for name, count in sorted(lost.items())
    ]


def _loose_ends(document: Document, snapshot: Snapshot) -> Iterator[str]:
    """What of the rows the document names could not serve a request yet. Not an error: a key may come later."""
    for line in document.model:
        model = snapshot.models.get(line.name)
        if model is None or line.routes is UNSET:
            continue
        for route in model.routes:
            reason = why_not(snapshot, route, model.service)
            if reason:
                where = f"{snapshot.accounts[route.account_id].name}/{route.upstream_model}"
                yield f'model "{line.name}" -> {where}: {reason}.'
    touched = {line.name for line in document.account}
    for account, reason in not_reachable(snapshot):
        if account in touched:
            yield f'account "{account}": {reason}.'
    named = {line.name for line in document.project}
    for project, name, hint in lost_preferences(snapshot):
        if project in named:
            yield f'project "{project}" prefers "{name}", which is no model{hint or "."}'
