"""Every write of a configuration row becomes part of a numbered Revision with author and diff, in its transaction.

Receivers on the save and delete signals of every ConfigRow subclass note what changed. `recording` collects the notes
of all writes inside it and makes one Revision of them at its end; a write outside any `recording` opens one of its
own (`providers.config.together`). The number comes from the one Head row under its lock, so numbers have the order of
commits and a reader that has seen number n has seen everything up to n.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.apps import apps
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.dispatch import Signal

from providers.config import ConfigRow, group_writes_with
from routing import push
from routing.models import Head, Revision
from routing.trial import problems

Author = AbstractBaseUser | str | None
#: Sent after the commit, in the process that wrote, with `number`.
published = Signal()
#: Who is at work: set by the admin and the management API around a request.
current_author: ContextVar[Author] = ContextVar("current_author", default=None)
_open: ContextVar[Change | None] = ContextVar("open_change", default=None)

SECRET = "changed"  # noqa: S105 - what a diff shows in place of a secret
SYSTEM = "system"
_BEFORE = "_row_before_save"


class RefusedChange(ValidationError):
    """What was to be saved could not be served by any gateway process, so nothing of it is saved."""


class Change:
    """The writes of one revision to be. `number` is set once it is made; it stays 0 if nothing changed."""

    def __init__(self, author: Author, note: str) -> None:
        self.author = author
        self.note = note
        self.number = 0
        self.entries: dict[tuple[str, str], dict[str, Any]] = {}
        #: (key, entry before) of each write, to take back those of a rolled-back part
        self._log: list[tuple[tuple[str, str], dict[str, Any] | None]] = []
        self._labels: dict[tuple[type[models.Model], Any], str] = {}

    def add(self, entry: dict[str, Any]) -> None:
        """Note one write; several writes of one row become one entry."""
        key = (entry["table"], entry["pk"])
        before = self.entries.get(key)
        self._log.append((key, before))
        self.entries[key] = entry if before is None else _merged(before, entry)

    def mark(self) -> int:
        return len(self._log)

    def take_back(self, mark: int) -> None:
        """Forget every write after `mark`."""
        while len(self._log) > mark:
            key, before = self._log.pop()
            if before is None:
                del self.entries[key]
            else:
                self.entries[key] = before

    def label(self, model: type[models.Model], pk: Any) -> str | None:
        """What a foreign key is called, for people who read the diff."""
        if pk is None:
            return None
        key = (model, pk)
        if key not in self._labels:
            row = model._base_manager.filter(pk=pk).first()
            self._labels[key] = str(pk) if row is None else str(row)
        return self._labels[key]

    def name(self, row: models.Model) -> None:
        """Know what this row is called, without asking the database."""
        self._labels[(type(row), row.pk)] = str(row)

    def forget_label(self, row: models.Model) -> None:
        self._labels.pop((type(row), row.pk), None)


def latest() -> int:
    """The number of the newest revision; 0 if there is none."""
    return Head.objects.filter(pk=1).values_list("revision", flat=True).first() or 0


@contextmanager
def recording(author: Author = None, note: str = "") -> Iterator[Change]:
    """Group the writes inside into one transaction and one Revision. Inside another, they join that one.

    Raises RefusedChange at its end, with nothing written, if the gateway could not serve what they make of the
    configuration: one such revision would hold up every later one.
    """
    outer = _open.get()
    if outer is not None:
        if author is not None and outer.author is None:
            outer.author = author
        outer.note = outer.note or note
        mark = outer.mark()
        try:
            with transaction.atomic():
                yield outer
        except BaseException:
            outer.take_back(mark)
            raise
        return
    change = Change(author, note)
    token = _open.set(change)
    try:
        with transaction.atomic():
            yield change
            entries = [entry for entry in change.entries.values() if not _is_empty(entry)]
            if entries:
                if found := problems(entries):
                    raise RefusedChange([f"This cannot be saved: {problem}." for problem in found[:5]])
                _write(change, entries)
    finally:
        _open.reset(token)


def insert(change: Change, rows: Sequence[ConfigRow]) -> None:
    """Insert new rows of one table, a few statements for all, as part of an open `recording`.

    For thousands of rows at once; each is noted like one that was saved, but no save signal is sent.
    """
    if not rows:
        return
    table = type(rows[0])
    plain: models.QuerySet[Any] = models.QuerySet(table)
    plain.bulk_create(rows)
    after: dict[Any, dict[str, Any]] = {}
    for start in range(0, len(rows), 500):
        keys = [row.pk for row in rows[start : start + 500]]
        after.update((values[table._meta.pk.attname], values) for values in plain.filter(pk__in=keys).values())
    for row in rows:
        change.add(_entry(row, "add", _diff(change, row, None, after[row.pk])))
        change.name(row)


def publish(author: Author = None, note: str = "full rebuild") -> int:
    """Make a revision without changes: every process rebuilds its whole snapshot (after a write by raw SQL)."""
    change = Change(author, note)
    with transaction.atomic():
        _write(change, [])
    return change.number


def _write(change: Change, entries: list[dict[str, Any]]) -> None:
    Head.objects.get_or_create(pk=1)
    head = Head.objects.select_for_update().get(pk=1)
    head.revision += 1
    head.save(update_fields=["revision"])
    author = change.author if change.author is not None else current_author.get()
    is_row = isinstance(author, AbstractBaseUser) and author.pk is not None
    Revision.objects.create(
        number=head.revision,
        author_id=author.pk if is_row and isinstance(author, AbstractBaseUser) else None,
        author_name=_author_name(author),
        note=change.note[:300],
        changes=entries,
    )
    number = change.number = head.revision
    push.tell()
    transaction.on_commit(lambda: published.send(sender=Revision, number=number), robust=True)


def _author_name(author: Author) -> str:
    if author is None:
        return SYSTEM
    name = author if isinstance(author, str) else author.get_username()
    return (name or SYSTEM)[:150]


def _is_empty(entry: dict[str, Any]) -> bool:
    return entry["action"] == "none" or (entry["action"] == "change" and not entry["fields"])


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two writes of one row as one: the value before the first and the value after the second."""
    actions = (first["action"], second["action"])
    fields = dict(first["fields"])
    for name, (before, after) in second["fields"].items():
        start = fields[name][0] if name in fields else before
        if start == after and start != SECRET:
            fields.pop(name, None)
        else:
            fields[name] = [start, after]
    action = {
        ("add", "change"): "add",
        ("add", "delete"): "none",
        ("none", "add"): "add",
        ("change", "change"): "change",
        ("change", "delete"): "delete",
        ("delete", "add"): "change",
    }.get(actions, second["action"])
    return {**second, "action": action, "fields": fields}


def _plain(value: Any) -> Any:
    """A column's value as JSON holds it."""
    match value:
        case None | bool() | int() | float() | str() | list() | dict():
            return value
        case datetime.datetime() | datetime.date():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case _:
            return SECRET


def _row(instance: models.Model) -> dict[str, Any] | None:
    """The row as the database has it."""
    return type(instance)._base_manager.filter(pk=instance.pk).values().first()


def _shown(change: Change, instance: ConfigRow, field: models.Field[Any, Any], value: Any) -> Any:
    if field.name in instance.secret_fields or field.attname in instance.secret_fields:
        return None if value is None else SECRET
    if field.is_relation and field.related_model is not None and isinstance(field.related_model, type):
        return change.label(field.related_model, value)
    return _plain(value)


def _diff(
    change: Change, instance: ConfigRow, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> dict[str, list[Any]]:
    fields: dict[str, list[Any]] = {}
    for field in instance._meta.concrete_fields:
        if field.name in instance.volatile_fields or field.primary_key:
            continue
        old = before[field.attname] if before else None
        new = after[field.attname] if after else None
        if old is not None and new is not None and isinstance(field, models.BinaryField):
            old, new = bytes(old), bytes(new)
        if old != new:
            fields[field.name] = [_shown(change, instance, field, old), _shown(change, instance, field, new)]
    return fields


def _entry(instance: ConfigRow, action: str, fields: dict[str, list[Any]]) -> dict[str, Any]:
    return {
        "table": instance._meta.label_lower,
        "pk": str(instance.pk),
        "name": _called(instance),
        "action": action,
        "fields": fields,
    }


def _called(instance: ConfigRow) -> str:
    """The row's name. One that leads to a row deleted past us must still be possible to delete."""
    try:
        return str(instance)[:200]
    except ObjectDoesNotExist:
        return f"{instance._meta.verbose_name} {instance.pk}"


def _note(instance: ConfigRow, action: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    change = _open.get()
    if change is None:  # a raw save, which does not pass ConfigRow.save
        with recording() as change:
            _note(instance, action, before, after)
        return
    change.forget_label(instance)
    change.add(_entry(instance, action, _diff(change, instance, before, after)))


def _pre_save(sender: type[ConfigRow], instance: ConfigRow, **_: Any) -> None:
    fresh = instance.pk is None or (instance._state.adding and sender._meta.pk.has_default())
    setattr(instance, _BEFORE, None if fresh else _row(instance))


def _post_save(sender: type[ConfigRow], instance: ConfigRow, created: bool, **_: Any) -> None:
    before = instance.__dict__.pop(_BEFORE, None)
    _note(instance, "add" if created else "change", before, _row(instance))


def _pre_delete(sender: type[ConfigRow], instance: ConfigRow, **_: Any) -> None:
    """Names and foreign keys are read while the rows they lead to are still there."""
    change = _open.get() or Change(None, "")
    setattr(instance, _BEFORE, _entry(instance, "delete", _diff(change, instance, _row(instance), None)))


def _post_delete(sender: type[ConfigRow], instance: ConfigRow, **_: Any) -> None:
    entry = instance.__dict__.pop(_BEFORE)
    with recording() as change:
        change.add(entry)


def listen() -> None:
    """Connect the receivers. Called once, when all applications are loaded."""
    group_writes_with(recording)
    for model in apps.get_models():
        if issubclass(model, ConfigRow):
            for signal, receiver in (
                (pre_save, _pre_save),
                (post_save, _post_save),
                (pre_delete, _pre_delete),
                (post_delete, _post_delete),
            ):
                signal.connect(receiver, sender=model, dispatch_uid=f"revision of {model._meta.label}")
