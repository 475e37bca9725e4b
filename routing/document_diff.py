"""What a document changes, as lines for people: `+` what comes, `-` what goes, `~` what changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from routing.document import ORDER, Key, State, default, inline, is_implied

Lines = list[str]


def diff(before: State, after: State) -> Lines:
    """The changed rows, table by table and by name, with their changed fields. Nothing changed is an empty list."""
    lines: Lines = []
    for table in ORDER:
        for key in sorted(before[table].keys() | after[table].keys()):
            lines += _row(table, key, before[table].get(key), after[table].get(key))
    return lines


def painted(lines: Lines) -> Lines:
    """The same in colour, for a terminal."""
    colours = {"+": "32", "-": "31", "~": "33"}
    return [f"\x1b[{colours[mark]}m{line}\x1b[0m" if (mark := line.lstrip()[:1]) in colours else line for line in lines]


def _row(table: str, key: Key, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Iterator[str]:
    if is_implied(table, key):  # comes and goes with its account
        old, new = old or {}, new or {}
    name = " / ".join(part for part in key if part)
    if new is None:
        yield f'- {table} "{name}"'
        return
    if old is None:
        yield f'+ {table} "{name}"'
    changed = [
        (field, (old or {}).get(field, default(table, key, field)), value)
        for field, value in new.items()
        if value != (old or {}).get(field, default(table, key, field))
    ]
    if old is not None and changed:
        yield f'~ {table} "{name}"'
    for field, was, value in changed:
        yield from _field(field, was, value, fresh=old is None)


def _field(field: str, old: Any, new: Any, *, fresh: bool) -> Iterator[str]:
    if field in {"routes", "keys", "preferred", "allow", "env_keys", "aliases"}:
        yield f"    {'+' if fresh else '~'} {field}"
        yield from (f"        - {inline(item)}" for item in old if item not in new)
        yield from (f"        + {inline(item)}" for item in new if item not in old)
        if not fresh and sorted(map(inline, old)) == sorted(map(inline, new)):
            yield f"        ~ order: {', '.join(map(inline, new))}"
    elif fresh:
        yield f"    + {field} = {inline(new)}"
    else:
        yield f"    ~ {field}: {inline(old)} -> {inline(new)}"
