"""What the catalog gives, in the document's words: an export without `--all` says only what differs from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from providers.catalog import load
from routing.document import DEFAULTS, Fields, Key, State, plain, route_fields, route_order, variables
from routing.models import CatalogMark
from routing.wanted import TABLES, Wanted

#: The document's table -> the catalog's name for it.
_NAMES: Final = {
    "provider": "provider",
    "account": "account",
    "key_set": "key set",
    "model": "public model",
    "prefix": "prefix rule",
}
#: Its port is this machine's and set by each start: nothing to carry elsewhere.
_SANDBOX: Final = ("sandbox",)


def baseline(rows: State) -> State:
    """The rows that an installation has from the catalog alone, of those that this one has or once had.

    An installation that never loaded the catalog has no baseline: its documents say everything.
    """
    marks = set(CatalogMark.objects.values_list("table", "key"))
    if not marks:
        return {}
    catalog = load()
    wanted = {table.name: list(table.rows(catalog)) for table in TABLES}
    routes: dict[str, list[Fields]] = defaultdict(list)
    for entry in wanted["route"]:
        routes[entry.values["model"]].append(_route(entry.values))
    given: State = {}
    for table, name in _NAMES.items():
        given[table] = {}
        for entry in wanted[name]:
            key = _key(table, entry)
            if key in rows[table] or (name, entry.key) in marks:
                extra: dict[str, Any] = {}
                if table == "model":
                    extra = {"routes": sorted(routes[entry.key], key=route_order)}
                elif table == "provider":
                    extra = {"variables": variables(entry.values["variables"])}
                elif key == _SANDBOX and rows[table].get(key, {}).get("variables", {}).keys() == {"port"}:
                    extra = {"variables": rows[table][key]["variables"]}
                given[table][key] = _fields(table, {**entry.values, **extra})
    return given


def _key(table: str, entry: Wanted) -> Key:
    return (entry.values["account"], "", entry.values["name"]) if table == "key_set" else (entry.key,)


def _fields(table: str, values: Mapping[str, Any]) -> Fields:
    return {name: plain(values.get(name, default)) for name, default in DEFAULTS[table].items()}


def _route(values: Mapping[str, Any]) -> Fields:
    key_set = values["key_set"].removeprefix(f"{values['account']}/") if values["key_set"] else None
    return route_fields({"enabled": True, "larger_context": False, **values, "key_set": key_set})
