"""The base of every configuration row: a write that no Revision could see is not possible through the ORM.

`routing.revisions` listens to the save and delete signals of these models. Django's bulk writes send no signals, so
here they go row by row: slower, and nothing changes unseen. Every write runs inside `together()`, which makes the row
and the revision that tells of it one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction

Row = TypeVar("Row", bound="ConfigRow")

Opener = Callable[[str | None, str], AbstractContextManager[Any]]


def _unrecorded(author: str | None, note: str) -> AbstractContextManager[Any]:
    return transaction.atomic()


_opener: Opener = _unrecorded


def together(author: str | None = None, note: str = "") -> AbstractContextManager[Any]:
    """Open one transaction for the writes inside; with `routing.revisions` loaded, also one revision, signed so."""
    return _opener(author, note)


def group_writes_with(opener: Opener) -> None:
    """Let a higher room say what `together()` opens. It must open a transaction."""
    global _opener  # noqa: PLW0603 - set once, when the applications are loaded
    _opener = opener


class ConfigQuerySet(models.QuerySet[Row]):
    """A query set whose bulk writes are saves, one row at a time, in one transaction and one revision."""

    def update(self, **values: Any) -> int:
        with together():
            rows = list(self)
            for row in rows:
                for name, value in values.items():
                    setattr(row, name, value)
                row.save(update_fields=list(values))
        return len(rows)

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        rows = list(objs)
        with together():
            for row in rows:
                row.save(force_insert=True)
        return rows

    def bulk_update(self, objs: Iterable[Row], fields: Iterable[str], batch_size: int | None = None) -> int:
        rows = list(objs)
        with together():
            for row in rows:
                row.save(update_fields=list(fields))
        return len(rows)

    def delete(self) -> tuple[int, dict[str, int]]:
        with together():
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # read by templates
    delete.queryset_only = True  # type: ignore[attr-defined]  # read by managers

    def touch(self, **values: Any) -> int:
        """Write bookkeeping columns (`volatile_fields`) in bulk, outside any revision."""
        unknown = set(values) - set(self.model.volatile_fields)
        if unknown:
            raise ValueError(f"not bookkeeping columns: {', '.join(sorted(unknown))}")
        return super().update(**values)


ConfigManager = models.Manager.from_queryset(ConfigQuerySet)


class ConfigRow(models.Model):
    """A row of configuration: saved through signals, shown in a Revision, compiled into the snapshot."""

    #: Columns whose content is never shown in a diff, only as "changed".
    secret_fields: ClassVar[tuple[str, ...]] = ()
    #: Bookkeeping: a change of these alone makes no revision.
    volatile_fields: ClassVar[tuple[str, ...]] = ()

    objects = ConfigManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write the row and its revision in one transaction."""
        with together():
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the row and what hangs on it, with one revision, in one transaction."""
        with together():
            return super().delete(*args, **kwargs)
