"""Writes the catalog into the tables, as often as one likes: what an operator changed stays, and is told as drift.

Every row keeps the values the catalog last gave it. A column that still holds them follows the catalog; any other is
an operator's. A row that an operator deleted does not come back. All is compared in memory first, so that a load that
changes nothing writes nothing; what does change is one revision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from providers.catalog import Catalog, load
from providers.config import ConfigRow
from routing.models import CatalogMark
from routing.revisions import Change, insert, recording
from routing.wanted import TABLES, Table, Wanted


@dataclass(frozen=True)
class Drift:
    """Where the tables differ from the catalog on purpose. `field` is empty where the whole row is meant."""

    table: str
    name: str
    field: str
    ours: Any
    catalogs: Any


@dataclass
class Report:
    """What a load did. `counts`: table -> [rows in the catalog, created, updated]; `revision` 0: nothing changed."""

    created: int = 0
    updated: int = 0
    drift: list[Drift] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)
    revision: int = 0
    mapping_updated: str = ""


@dataclass
class _Write:
    """A row to be created (`row` is None) or changed in `columns`; no columns: only what the catalog gave is noted."""

    table: Table
    wanted: Wanted
    row: ConfigRow | None = None
    columns: dict[str, Any] = field(default_factory=dict)


def load_catalog(author: str = "catalog", catalog: Catalog | None = None) -> Report:
    """Bring the tables up to the catalog (the one that ships with Jackfield) in one revision signed by `author`.

    Raises BadCatalog where the files contradict themselves; then nothing is written.
    """
    catalog = catalog or load()
    return _Load(catalog, author).run()


class _Load:
    """One run: looks at every table, then writes what differs."""

    def __init__(self, catalog: Catalog, author: str) -> None:
        self.catalog = catalog
        self.author = author
        self.report = Report(mapping_updated=catalog.mapping_updated)
        self.marks: set[tuple[str, str]] = set()
        #: table -> key -> row, and table -> primary key -> key
        self.rows: dict[str, dict[str, ConfigRow]] = {}
        self.keys: dict[str, dict[Any, str]] = {}
        #: rows that exist without the catalog, or that an operator took away: nothing below them is wanted
        self.not_ours: set[tuple[str, str]] = set()

    def run(self) -> Report:
        self.marks = set(CatalogMark.objects.values_list("table", "key"))
        writes: list[_Write] = []
        new_marks: list[CatalogMark] = []
        for table in TABLES:
            wanted = list(table.rows(self.catalog))
            self._read(table)
            found = list(self._compare(table, wanted))
            writes += found
            new_marks += [
                CatalogMark(table=table.name, key=entry.key)
                for entry in wanted
                if (table.name, entry.key) not in self.marks and (table.name, entry.key) not in self.not_ours
            ]
            created = sum(write.row is None for write in found)
            updated = sum(write.row is not None and bool(write.columns) for write in found)
            self.report.counts[table.name] = [len(wanted), created, updated]
            self.report.created += created
            self.report.updated += updated
            self._tell_leftovers(table, wanted)
        if writes or new_marks:
            with recording(self.author, note="catalog loaded") as change:
                for table in TABLES:
                    own = [write for write in writes if write.table is table]
                    self._create(change, [write for write in own if write.row is None])
                    for write in own:
                        if write.row is not None:
                            self._update(table, write.wanted, write.row, write.columns)
                CatalogMark.objects.bulk_create(new_marks)
            self.report.revision = change.number
        return self.report

    def _read(self, table: Table) -> None:
        """The table's rows by what the catalog calls them."""
        rows: dict[str, ConfigRow] = {}
        keys: dict[Any, str] = {}
        own: list[tuple[str, ConfigRow]] = []
        shared = {"project": None} if table.name == "key set" else {}
        for row in table.model.objects.filter(**shared).order_by("pk"):
            given = getattr(row, "catalog", None)
            if given:
                key = table.key_of(given)
                rows.setdefault(key, row)
            else:
                key = table.key_of(self._identity(table, row))
                own.append((key, row))
            keys[row.pk] = key
        for key, row in own:
            if key and key not in rows:
                rows[key] = row
        self.rows[table.name], self.keys[table.name] = rows, keys

    def _identity(self, table: Table, row: ConfigRow) -> dict[str, Any]:
        """The values of a row that make its key."""
        names = ("slug", "name", "prefix", "model", *table.links)
        return {name: self._value(table, row, name) for name in names if _column(table.model, name)}

    def _value(self, table: Table, row: ConfigRow, name: str) -> Any:
        """A column's value as the catalog writes it: foreign keys by key, dates as text."""
        if name in table.links:
            target = getattr(row, f"{name}_id")
            return None if target is None else self.keys[table.links[name]].get(target, f"#{target}")
        value = getattr(row, name)
        return value.isoformat() if hasattr(value, "isoformat") else value

    def _compare(self, table: Table, wanted: list[Wanted]) -> Iterator[_Write]:
        for entry in wanted:
            parent = entry.values.get(table.parent) if table.parent else None
            if parent is not None and (table.links[table.parent], parent) in self.not_ours:
                self.not_ours.add((table.name, entry.key))
                continue
            row = self.rows[table.name].get(entry.key)
            if row is None:
                if self._may_create(table, entry):
                    yield _Write(table, entry)
            elif table.remembers and not getattr(row, "catalog", None):
                self.not_ours.add((table.name, entry.key))
                self._drift(table, entry.key, "", "an operator's own", "given")
            else:
                write = self._difference(table, entry, row)
                if write is not None:
                    yield write

    def _may_create(self, table: Table, entry: Wanted) -> bool:
        if (table.name, entry.key) in self.marks:
            self.not_ours.add((table.name, entry.key))
            self._drift(table, entry.key, "", "deleted", "given")
            return False
        for name, target in table.links.items():
            needed = entry.values.get(name)
            if needed is not None and (target, needed) in self.not_ours and needed not in self.rows[target]:
                self.not_ours.add((table.name, entry.key))
                self._drift(table, entry.key, name, "deleted", needed)
                return False
        return True

    def _difference(self, table: Table, entry: Wanted, row: ConfigRow) -> _Write | None:
        """What to write so that the row follows the catalog where no operator has changed it."""
        given = getattr(row, "catalog", {})
        columns: dict[str, Any] = {}
        for name, new in entry.values.items():
            if _column(table.model, name) is None:
                continue
            current = self._value(table, row, name)
            if current == new:
                continue
            if current == given.get(name, _default(table.model, name)) and table.remembers:
                columns[name] = new
            else:
                self._drift(table, entry.key, name, current, new)
        if columns or (table.remembers and given != entry.values):
            return _Write(table, entry, row, columns)
        return None

    def _drift(self, table: Table, key: str, column: str, ours: Any, catalogs: Any) -> None:
        self.report.drift.append(Drift(table.name, key, column, ours, catalogs))

    def _tell_leftovers(self, table: Table, wanted: list[Wanted]) -> None:
        """Rows that an earlier catalog gave and this one does not know. They stay."""
        known = {entry.key for entry in wanted}
        for key, row in self.rows[table.name].items():
            if key not in known and getattr(row, "catalog", None):
                self._drift(table, key, "", "kept", "no longer given")

    def _create(self, change: Change, writes: list[_Write]) -> None:
        """Insert the new rows of one table."""
        rows: list[ConfigRow] = []
        for write in writes:
            row = write.table.model()
            for name, value in write.wanted.values.items():
                self._set(write.table, row, name, value)
            if write.table.remembers:
                row.catalog = write.wanted.values  # type: ignore[attr-defined]  # each table here has it
            rows.append(row)
            self.rows[write.table.name][write.wanted.key] = row
        insert(change, rows)

    def _update(self, table: Table, wanted: Wanted, row: ConfigRow, columns: dict[str, Any]) -> None:
        """Bring a row's columns up to the catalog, and note what the catalog gave."""
        if columns:
            for name, value in columns.items():
                self._set(table, row, name, value)
            row.save(update_fields=list(columns))
        if table.remembers:
            table.model.objects.filter(pk=row.pk).touch(catalog=wanted.values)

    def _set(self, table: Table, row: ConfigRow, name: str, value: Any) -> None:
        if name in table.links:
            setattr(row, name, None if value is None else self.rows[table.links[name]][value])
        else:
            column = _column(table.model, name)
            if column is not None:
                setattr(row, name, column.to_python(value))


def _column(model: type[ConfigRow], name: str) -> models.Field[Any, Any] | None:
    """The model's column of this name, if it has one."""
    try:
        column = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return column if isinstance(column, models.Field) else None


def _default(model: type[ConfigRow], name: str) -> Any:
    column = _column(model, name)
    return column.get_default() if column is not None else None
