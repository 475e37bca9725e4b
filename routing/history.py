"""What changed, who did it, when: the reading side of revisions, and the index by row that makes it cheap.

The index is written with the revision, in its transaction. A route's change is also its public model's, an alias's too,
so that a model's history is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.apps import apps
from django.db import models
from django.db.models.signals import post_save
from django.utils import timezone

from keys.roles import may
from routing.models import Revision, Touch

#: table -> the field that names the row whose page shows it too
OWNERS: Final[dict[str, tuple[str, str]]] = {
    "routing.route": ("model", "routing.publicmodel"),
    "routing.alias": ("model", "routing.publicmodel"),
    "routing.preference": ("project", "keys.project"),
    "keys.keyset": ("account", "providers.account"),
}
#: Longer values are cut where a page shows them; the revision row keeps them whole.
SHOWN_CHARS: Final = 300
#: The same in a summary of one line.
SUMMED_CHARS: Final = 60
#: Not worth a line where a row was made or deleted.
_EMPTY: Final[tuple[Any, ...]] = (None, "", {}, [])


@dataclass(frozen=True)
class FieldChange:
    """One field before and after, as text."""

    field: str
    before: str
    after: str


@dataclass(frozen=True)
class RowChange:
    """One row of one revision (`revision` is its key). `fields` is empty where the reader may not see the table."""

    revision: int
    number: int
    at: datetime
    author: str
    note: str
    action: str
    table: str
    pk: str
    name: str
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True)
class LastChange:
    """The newest revision that touched a row."""

    number: int
    at: datetime
    author: str


def index(sender: type[Revision], instance: Revision, created: bool, **_: Any) -> None:
    """Write the touches of a new revision (signal receiver)."""
    if not created:
        return
    owners = {table: _Owners(table, instance.changes) for table in OWNERS}
    touches: list[Touch] = []
    for change in instance.changes:
        table, row = change["table"], change["pk"]
        touches.append(Touch(revision=instance, table=table, row=row))
        if table in owners:
            owner = OWNERS[table][1]
            touches += (
                Touch(revision=instance, table=owner, row=pk, part=f"{table}:{row}") for pk in owners[table].of(change)
            )
    Touch.objects.bulk_create(touches, batch_size=500)


class _Owners:
    """The rows whose pages show changes of one table too, asked for together: a revision may change a thousand rows."""

    def __init__(self, table: str, changes: Iterable[dict[str, Any]]) -> None:
        self._field, owner = OWNERS[table]
        changes = [change for change in changes if change["table"] == table]
        self._now = dict(_found(apps.get_model(table), "pk", {change["pk"] for change in changes}, f"{self._field}_id"))
        named = {name for change in changes for name in self._names(change)}
        self._named: dict[str, list[Any]] = {}
        for name, pk in _found(apps.get_model(owner), "name", named, "pk"):
            self._named.setdefault(name, []).append(pk)

    def of(self, change: dict[str, Any]) -> list[str]:
        """Keys of the rows that this change belongs to now or did before it."""
        now = self._now.get(change["pk"])
        found = [] if now is None else [str(now)]
        found += [str(pk) for name in self._names(change) for pk in self._named.get(name, ())]
        return list(dict.fromkeys(found))

    def _names(self, change: dict[str, Any]) -> list[str]:
        """A diff names a foreign key by what it is called."""
        return [name for name in change["fields"].get(self._field, ()) if isinstance(name, str)]


def _found(model: type[models.Model], column: str, values: Iterable[str], wanted: str) -> Iterator[tuple[str, Any]]:
    """(value as text, what its row has in `wanted`), a few hundred rows at a time."""
    asked = sorted(values)
    for start in range(0, len(asked), 500):
        some = asked[start : start + 500]
        for value, other in model._base_manager.filter(**{f"{column}__in": some}).values_list(column, wanted):
            yield str(value), other


def of_row(model: type[models.Model], pk: Any, reader: Any, limit: int = 100) -> list[RowChange]:
    """The changes of one row, newest first, with what belongs to it, as far as the reader may see."""
    own = f"{model._meta.label_lower}:{pk}"
    touches = Touch.objects.filter(table=model._meta.label_lower, row=str(pk)).select_related("revision")
    found: list[RowChange] = []
    for touch in touches.order_by("-revision__number", "id")[:limit]:
        wanted = touch.part or own
        changes = touch.revision.changes
        found += [_shown(touch.revision, each, reader) for each in changes if f"{each['table']}:{each['pk']}" == wanted]
    return found


def rows(revision: Revision, reader: Any) -> list[RowChange]:
    """The changes of one revision. A reader without the right to a table sees that it changed, not how."""
    return [_shown(revision, change, reader) for change in revision.changes]


def summary(revision: Revision, reader: Any) -> str:
    """A revision in one line: its first change as it reads, and how many more there are."""
    if not revision.changes:
        return "nothing"
    first = _shown(revision, revision.changes[0], reader)
    more = len(revision.changes) - 1
    return f"{_sentence(first)} and {more} more" if more else _sentence(first)


def _sentence(change: RowChange) -> str:
    try:
        kind = str(apps.get_model(change.table)._meta.verbose_name)
    except LookupError:
        kind = change.table
    owner, arrow, _ = change.name.partition(" -> ")
    what = f"{kind} of {owner}" if arrow and change.table == "routing.route" else f"{kind} {change.name}".rstrip()
    if change.action != "change":
        return f"{what} {'added' if change.action == 'add' else 'removed'}"
    if not change.fields:
        return f"{what} changed"
    field, *others = change.fields
    told = f"{what}: {field.field.replace('_', ' ')} {_short(field.before)} → {_short(field.after)}"
    return f"{told}, {', '.join(each.field.replace('_', ' ') for each in others)}" if others else told


def _short(shown: str) -> str:
    return shown if len(shown) <= SUMMED_CHARS else shown[: SUMMED_CHARS - 1] + "…"


def _shown(revision: Revision, change: dict[str, Any], reader: Any) -> RowChange:
    open_ = _may_see(reader, change["table"])
    return RowChange(
        revision=revision.pk,
        number=revision.number,
        at=revision.at,
        author=revision.author_name,
        note=revision.note,
        action=change["action"],
        table=change["table"],
        pk=change["pk"],
        name=change["name"] if open_ else "",
        fields=tuple(
            FieldChange(name, text(old), text(new))
            for name, (old, new) in change["fields"].items()
            if open_ and text(old) != text(new) and not (change["action"] != "change" and (old or new) in _EMPTY)
        ),
    )


def _may_see(reader: Any, table: str) -> bool:
    try:
        return may(reader, "view", apps.get_model(table))
    except LookupError:
        return False


def text(value: Any) -> str:
    """A recorded value as it is shown: JSON for structures, a dash for nothing, cut where it is long."""
    if value in _EMPTY:
        return "-"
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else str(value)
    return shown if len(shown) <= SHOWN_CHARS else shown[: SHOWN_CHARS - 1] + "…"


def last_changes(model: type[models.Model], pks: Sequence[Any]) -> dict[str, LastChange]:
    """The last change of each of these rows, by primary key as text, in two queries."""
    newest = (
        Touch.objects.filter(table=model._meta.label_lower, row__in=[str(pk) for pk in pks])
        .values("row")
        .annotate(newest=models.Max("revision_id"))
    )
    by_row = {entry["row"]: entry["newest"] for entry in newest}
    revisions = Revision.objects.only("number", "at", "author_name").in_bulk(set(by_row.values()))
    return {
        row: LastChange(revisions[pk].number, revisions[pk].at, revisions[pk].author_name) for row, pk in by_row.items()
    }


def ago(moment: datetime) -> str:
    """How long ago, in the one unit that matters."""
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def connect() -> None:
    """Have every new revision indexed. Called once, when the apps are ready."""
    post_save.connect(index, sender=Revision, dispatch_uid="routing.history")
