"""What changed, who did it, when: the reading side of revisions, and the index by row that makes it cheap.

The index is written with the revision, in its transaction. A route's change is also its public model's, an alias's too,
so that a model's history is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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
    touches: list[Touch] = []
    for change in instance.changes:
        table, row = change["table"], change["pk"]
        touches.append(Touch(revision=instance, table=table, row=row))
        touches += (
            Touch(revision=instance, table=owner, row=pk, part=f"{table}:{row}")
            for owner, pk in dict.fromkeys(_owners(table, change))
        )
    Touch.objects.bulk_create(touches, batch_size=500)


def _owners(table: str, change: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """The rows whose pages show this change too. A diff names a foreign key by what it is called."""
    if table not in OWNERS:
        return
    field, owner = OWNERS[table]
    row = apps.get_model(table)._base_manager.filter(pk=change["pk"]).values_list(f"{field}_id", flat=True).first()
    if row is not None:
        yield owner, str(row)
    names = [name for name in change["fields"].get(field, ()) if isinstance(name, str)]
    for pk in apps.get_model(owner)._base_manager.filter(name__in=names).values_list("pk", flat=True):
        yield owner, str(pk)


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
