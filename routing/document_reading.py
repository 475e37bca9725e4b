"""Reads a configuration document: TOML text in, checked lines out, every mistake reported at once with its place."""

from __future__ import annotations

import math
import re
import tomllib
import typing
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from msgspec import UNSET, UnsetType

from providers.names import (
    ENV_NAME,
    VARIABLE_NAME,
    valid_account_name,
    valid_model_name,
    valid_project_name,
    valid_provider_slug,
)
from routing.document_schema import IDENTITY, TABLES, Document, KeyLine, Line, Refused, identity, nearest

#: Bytes of one document. 10,000 models with ten routes each stay well below.
MAX_DOCUMENT: Final = 64 * 1024 * 1024
MAX_SOURCE: Final = 120

_NAMES: Final[dict[tuple[str, str], RegexValidator]] = {
    ("ProviderLine", "id"): valid_provider_slug,
    ("AccountLine", "name"): valid_account_name,
    ("ProjectLine", "name"): valid_project_name,
    ("ModelLine", "name"): valid_model_name,
    ("AliasLine", "name"): valid_model_name,
    ("PrefixLine", "prefix"): valid_model_name,
    ("RouteLine", "model"): valid_model_name,
}
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_KEY_HELP: Final = 'keys are given only as "env:NAME" or "file:PATH", never as the key itself'


def read(text: str) -> Document:
    """The document that `text` holds. Raises Refused with every problem of form found."""
    if len(text) > MAX_DOCUMENT:
        raise Refused([f"The document is larger than {MAX_DOCUMENT // 2**20} MiB."])
    try:
        raw = tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Refused([f"This is not TOML: {error or 'nested too deeply'}"]) from None
    reader = _Reader()
    tables: dict[str, list[Any]] = {}
    for table, entries in raw.items():
        if table not in TABLES:
            known = ", ".join(f"[[{name}]]" for name in TABLES)
            reader.problems.append(f"There is no table [[{table}]]{nearest(table, TABLES)} Known are {known}.")
        elif not isinstance(entries, list):
            reader.problems.append(f"[{table}] is a list of tables: write [[{table}]] with two brackets.")
        else:
            tables[table] = reader.table(table, entries)
    if reader.problems:
        raise Refused(reader.problems)
    return Document(**tables)


class _Reader:
    """Converts raw tables field by field, so that one mistake does not hide the next."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def table(self, table: str, entries: list[Any]) -> list[Line]:
        lines: list[Line] = []
        seen: dict[tuple[str, ...], str] = {}
        for number, entry in enumerate(entries, 1):
            place = _place(table, number, entry)
            if not isinstance(entry, dict):
                self.problems.append(f"{place}: a table is expected, not {_kind(entry)}.")
                continue
            line = self.struct(TABLES[table], entry, place, {"place": place})
            if line is None:
                continue
            key = identity(table, line)
            if key in seen:
                self.problems.append(f"{place}: this is the same row as {seen[key]}; name it once.")
            seen[key] = place
            spare = set(entry) - set(IDENTITY[table]) - {"absent"}
            if line.absent and spare:
                self.problems.append(f"{place}: absent = true removes the row, so {_listed(spare)} can have no effect.")
            lines.append(line)
        return lines

    def struct(self, cls: type[Any], raw: dict[str, Any], place: str, extra: dict[str, Any] | None = None) -> Any:
        """An instance of `cls`, or None after at least one problem."""
        before = len(self.problems)
        fields = {field.name: field for field in msgspec.structs.fields(cls) if field.name != "place"}
        values = dict(extra or {})
        for name, value in raw.items():
            if name not in fields:
                self.problems.append(
                    f'{place}: there is no field "{_clean(name)}"{nearest(name, fields) or "."} '
                    f"Known are {', '.join(fields)}."
                )
                continue
            values[name] = self.value(cls, name, fields[name].type, value, place)
        for name, field in fields.items():
            if field.required and name not in raw:
                self.problems.append(f'{place}: "{name}" is missing.')
        return cls(**values) if len(self.problems) == before else None

    def value(self, cls: type[Any], name: str, kind: Any, value: Any, place: str) -> Any:
        parts = [part for part in typing.get_args(kind) if part is not UnsetType] or [kind]
        for part in parts:
            if typing.get_origin(part) is list and isinstance(value, list) and _is_struct(typing.get_args(part)[0]):
                inner = typing.get_args(part)[0]
                return [self.item(inner, item, f"{place}, {name} {n}") for n, item in enumerate(value, 1)]
            if _is_struct(part) and isinstance(value, dict):
                return self.struct(part, value, f"{place}, {name}")
            if typing.get_origin(part) is Literal and isinstance(value, str) and value not in typing.get_args(part):
                choices = typing.get_args(part)
                self.problems.append(
                    f'{place}: {name} is "{_clean(value)}"{nearest(value, choices) or ";"} '
                    f"Known are {', '.join(choices)}."
                )
                return None
        try:
            converted = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self.problems.append(f"{place}: {name}: {_plain(error)}.")
            return None
        self.content(cls, name, converted, place)
        return converted

    def item(self, cls: type[Any], raw: Any, place: str) -> Any:
        if cls is KeyLine:
            raw = {"source": raw} if isinstance(raw, str) else raw
            if not isinstance(raw, dict) or not _is_source(raw.get("source")):
                self.problems.append(f"{place}: {_KEY_HELP}.")
                return None
        if not isinstance(raw, dict):
            self.problems.append(f"{place}: a table is expected, not {_kind(raw)}.")
            return None
        return self.struct(cls, raw, place)

    def content(self, cls: type[Any], name: str, value: Any, place: str) -> None:
        """What types cannot say: allowed names, no control characters, nothing that JSON cannot hold."""
        if trouble := _unstorable(value):
            self.problems.append(f"{place}: {name}: {trouble}.")
        validator = _NAMES.get((cls.__name__, name))
        if validator is not None:
            try:
                validator(value)
            except ValidationError as error:
                self.problems.append(f"{place}: {name}: {' '.join(error.messages)}")
        if name == "variables" and isinstance(value, dict):
            for bad in [key for key in value if not VARIABLE_NAME.match(key)]:
                self.problems.append(
                    f'{place}: variables: "{_clean(bad)}" is no variable name (lower-case letters, digits and _).'
                )
        if name in {"env", "env_keys"}:
            for bad in [item for item in value if not ENV_NAME.match(item)]:
                self.problems.append(f'{place}: {name}: "{_clean(bad)}" is no environment variable name.')


def _place(table: str, number: int, entry: Any) -> str:
    names = [entry.get(name) for name in IDENTITY[table]] if isinstance(entry, dict) else []
    name = " / ".join(_clean(name) for name in names if isinstance(name, str))
    return f'[[{table}]] {number} "{name}"' if name else f"[[{table}]] {number}"


def _is_source(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > MAX_SOURCE or _CONTROL.search(value):
        return False
    scheme, _, rest = value.partition(":")
    return bool(rest.strip()) and (scheme == "file" or (scheme == "env" and ENV_NAME.match(rest) is not None))


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _unstorable(value: Any) -> str:
    """Why JSON columns or logs cannot take `value`, or nothing."""
    if isinstance(value, str):
        return "control characters are not allowed" if _CONTROL.search(value) else ""
    if isinstance(value, bool) or value is UNSET:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number is expected"
    if isinstance(value, int | float):
        # A larger float comes back from PostgreSQL as an integer that TOML cannot hold.
        return "" if abs(value) < 2**63 else "the number is too large"
    if isinstance(value, dict):
        return next(filter(None, (_unstorable(part) for pair in value.items() for part in pair)), "")
    if isinstance(value, list):
        return next(filter(None, map(_unstorable, value)), "")
    if isinstance(value, msgspec.Struct):
        return ""
    return f"{_kind(value)} is not allowed"


def _kind(value: Any) -> str:
    names = {str: "text", bool: "true/false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def _plain(error: msgspec.ValidationError) -> str:
    """msgspec's message in words of TOML; it names types and limits, never the value."""
    text = str(error)
    words = {
        "`str`": "text",
        "`bool`": "true or false",
        "`array`": "a list",
        "`object`": "a table",
        "`int`": "a number",
    }
    for word, plain in {**words, "`float`": "a number", " | UnsetType": "", " - at `$": " at `"}.items():
        text = text.replace(word, plain)
    return text[:1].lower() + text[1:]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(map(_clean, names)))


def _clean(text: str) -> str:
    """Text of a document, fit for a message: short, no control characters."""
    shown = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text).replace("\n", " ")
    return shown if len(shown) <= 80 else shown[:77] + "..."
