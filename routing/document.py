"""Writes the configuration as a document that `routing.applying` reads back to the same rows.

`state` reads every row in the words of the document, `document` chooses what is worth saying, `render` makes TOML of
it. Without `everything` a document holds the operators' work only: rows the catalog did not give, and of the catalog's
rows the fields that differ from it. Secrets are not in it: a key appears as the place it was read from, and keys
entered by hand are counted and left out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import tomli_w

from keys.models import KeySet, Project, ProviderKey
from providers.models import Account, Provider
from routing.document_schema import IDENTITY
from routing.models import Alias, Preference, PrefixRule, PublicModel, Route

Key: TypeAlias = tuple[str, ...]
#: Every field of one row, in the document's words and order.
Fields: TypeAlias = dict[str, Any]
State: TypeAlias = dict[str, dict[Key, Fields]]

DEFAULT_KEY_SET: Final = "default"
#: Tables in the order a document shows them.
ORDER: Final = ("provider", "account", "key_set", "model", "alias", "prefix", "project")
#: What a field of a new row is when the document does not name it.
DEFAULTS: Final[dict[str, Fields]] = {
    "provider": {
        "name": "", "family": "", "families": {}, "base_url": "", "variables": [], "credential": "bearer",
        "credential_name": "", "env_keys": [], "env_prefix": "", "aliases": [], "capabilities": [], "streaming": True,
        "keyless": False, "quirks": {}, "enabled": True, "deferred_to": "", "deferred_reason": "",
    },
    "account": {
        "provider": "", "family": "", "base_url": "", "variables": {}, "private_network": False, "timeouts": {},
        "env_pattern": "", "worker_hosts": [], "probe": "free", "probe_interval": 300, "probe_cost": 0,
        "enabled": True, "keys": [],
    },
    "key_set": {"variables": {}, "env_pattern": "", "keys": []},
    "model": {"service": "text", "description": "", "enabled": True, "strategy": "weighted", "sticky": False,
              "content_fallback": False, "hedge_after": "", "hedge_daily": 1000, "routes": []},
    "alias": {"model": ""},
    "prefix": {"provider": "", "strip": False, "enabled": True},
    "project": {"description": "", "enabled": True, "default_model": "", "preferred": [], "allow": [], "strict": False},
}  # fmt: skip
#: Said of every new row, also where it is the default: a reader looks for it.
ALWAYS: Final[dict[str, frozenset[str]]] = {
    "provider": frozenset({"family", "base_url", "credential"}),
    "account": frozenset({"provider"}),
    "key_set": frozenset(),
    "model": frozenset({"service", "routes"}),
    "alias": frozenset({"model"}),
    "prefix": frozenset({"provider", "strip"}),
    "project": frozenset({"allow"}),
}
_LINE: Final = 120


def state() -> State:
    """Every configuration row, in a fixed number of queries."""
    keys = _keys()
    sets = list(KeySet.objects.select_related("account", "project"))
    shared = {row.account_id: keys[row.pk] for row in sets if _is_account_set(row)}
    names = {row.pk: _key_set_ref(row) for row in sets}
    routes: dict[int, list[Fields]] = defaultdict(list)
    for route in Route.objects.select_related("account"):
        routes[route.model_id].append(_route(route, names))
    preferences = {row.project_id: row for row in Preference.objects.all()}
    models = {row.pk: row for row in PublicModel.objects.all()}
    slugs = dict(Provider.objects.values_list("pk", "slug"))
    accounts = {
        row.name: _columns("account", row, provider=slugs[row.provider_id], keys=shared.get(row.pk, []))
        for row in Account.objects.all()
    }
    implied: dict[Key, Fields] = {(name, "", DEFAULT_KEY_SET): dict(DEFAULTS["key_set"]) for name in accounts}
    return {
        "provider": {
            (row.slug,): _columns("provider", row, name=_title(row), variables=variables(row.variables))
            for row in Provider.objects.all()
        },
        "account": {(name,): fields for name, fields in accounts.items()},
        # Every account has its shared default key set, be it stored yet or not.
        "key_set": implied
        | {
            (row.account.name, row.project.name if row.project else "", row.name): _columns(
                "key_set", row, keys=[] if _is_account_set(row) else keys[row.pk]
            )
            for row in sets
        },
        "model": {
            (row.name,): _columns("model", row, routes=sorted(routes[row.pk], key=route_order))
            for row in models.values()
        },
        "alias": {(row.name,): {"model": models[row.model_id].name} for row in Alias.objects.all()},
        "prefix": {
            (row.prefix,): _columns("prefix", row, provider=slugs[row.provider_id]) for row in PrefixRule.objects.all()
        },
        "project": {(row.name,): _project(row, preferences.get(row.pk)) for row in Project.objects.all()},
    }


def document(rows: State, baseline: State, *, everything: bool = False) -> dict[str, list[Fields]]:
    """What a document says of `rows` to someone who has `baseline`; with `everything`, every field of every row."""
    tables: dict[str, list[Fields]] = {}
    for table in ORDER:
        lines = []
        for key in sorted(rows[table].keys() | baseline.get(table, {}).keys()):
            line = _line(table, key, rows[table].get(key), baseline.get(table, {}).get(key), everything)
            if line is not None:
                lines.append(line)
        if lines:
            tables[table] = lines
    return tables


def omitted_keys() -> int:
    """How many stored keys were entered by hand: a document cannot name them.

    Keys imported from the environment are not counted: each start imports them by itself.
    """
    return ProviderKey.objects.filter(source="entered").count()


def render(tables: Mapping[str, list[Fields]]) -> str:
    """The document as TOML text: one field a line, inline tables for what lies inside a field."""
    blocks = []
    for table in ORDER:
        for line in tables.get(table, ()):
            body = "".join(f"{_name(name)} = {_long(name, value)}\n" for name, value in line.items())
            blocks.append(f"[[{table}]]\n{body}")
    return "\n".join(blocks)


def plain(value: Any) -> Any:
    """A JSON column's value in one form on every database: keys sorted, no nulls (TOML has none)."""
    if isinstance(value, dict):
        return {name: plain(value[name]) for name in sorted(value) if value[name] is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value if item is not None]
    return value


def variables(items: Iterable[Mapping[str, Any]]) -> list[Fields]:
    """A provider's variables as a document writes them: the name first, the rest if it says something."""
    return [
        {"name": item["name"], **{part: item[part] for part in ("env", "default") if item.get(part)}} for item in items
    ]


def _line(table: str, key: Key, row: Fields | None, base: Fields | None, everything: bool) -> Fields | None:
    named = {name: value for name, value in zip(IDENTITY[table], key, strict=True) if value or name != "project"}
    if row is None:
        return None if is_implied(table, key) else {**named, "absent": True}
    if everything:
        return {**named, **{name: value for name, value in row.items() if not _is_spare(table, key, name)}}
    if base is None and not is_implied(table, key):
        chosen = {
            name: value for name, value in row.items() if value != default(table, key, name) or name in ALWAYS[table]
        }
        return {**named, **chosen}
    known = base or {}
    chosen = {name: value for name, value in row.items() if value != known.get(name, default(table, key, name))}
    return {**named, **chosen} if chosen else None


def default(table: str, key: Key, name: str) -> Any:
    """The value a new row's field takes when no document names it."""
    return key[0] if (table, name) == ("provider", "name") else DEFAULTS[table][name]


def is_implied(table: str, key: Key) -> bool:
    """Every account has its shared default key set; a document speaks of it only to say something about it."""
    return table == "key_set" and key[1:] == ("", DEFAULT_KEY_SET)


def _is_spare(table: str, key: Key, name: str) -> bool:
    """The keys of an account's own set stand in its [[account]]."""
    return name == "keys" and is_implied(table, key)


def _columns(table: str, row: Any, **given: Any) -> Fields:
    return {name: given[name] if name in given else plain(getattr(row, name)) for name in DEFAULTS[table]}


def _title(row: Provider) -> str:
    return row.name or row.slug


def _project(row: Project, preference: Preference | None) -> Fields:
    fields = {"description": row.description, "enabled": row.enabled}
    for name in ("default_model", "preferred", "allow", "strict"):
        value = plain(getattr(preference, name)) if preference else None
        fields[name] = DEFAULTS["project"][name] if value is None else value
    return fields


def _is_account_set(row: KeySet) -> bool:
    return row.project_id is None and row.name == DEFAULT_KEY_SET


def _key_set_ref(row: KeySet) -> Any:
    return {"name": row.name, "project": row.project.name} if row.project else row.name


def _has_place(source: str) -> bool:
    return source.startswith(("env:", "file:"))


def _keys() -> dict[int, list[Any]]:
    """By key set: where its keys were read from, in the order they are tried."""
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    rows = ProviderKey.objects.filter(live=False).order_by("position", "created_at", "pk")
    for row in rows.only("key_set", "source", "enabled"):
        if _has_place(row.source):
            entry = row.source if row.enabled else {"source": row.source, "enabled": False}
            found[row.key_set_id].setdefault(row.source, entry)
    return defaultdict(list, {pk: list(entries.values()) for pk, entries in found.items()})


def _route(route: Route, key_sets: Mapping[int, Any]) -> Fields:
    names = ("upstream_model", "priority", "weight", "enabled", "quirks", "family", "infra", "larger_context")
    values = {name: getattr(route, name) for name in names}
    key_set = None if route.key_set_id is None else key_sets[route.key_set_id]
    return route_fields({**values, "account": route.account.name, "key_set": key_set})


def route_fields(values: Mapping[str, Any]) -> Fields:
    """A route as a document writes it: where it leads and its place in the order, the rest if it says something."""
    fields: Fields = {
        "account": values["account"],
        "model": values["upstream_model"],
        "priority": values["priority"],
        "weight": values["weight"],
    }
    if not values["enabled"]:
        fields["enabled"] = False
    if quirks := plain(values["quirks"]):
        fields["quirks"] = quirks
    if values["key_set"]:
        fields["key_set"] = values["key_set"]
    if values["family"]:
        fields["family"] = values["family"]
    if values["infra"] != Route.Infra.API:
        fields["infra"] = str(values["infra"])
    if values["larger_context"]:
        fields["larger_context"] = True
    return fields


def route_order(fields: Fields) -> tuple[Any, ...]:
    """By priority, then the heavier first; the rest only makes the order the same everywhere."""
    rest = json.dumps(fields, sort_keys=True)
    return fields["priority"], -fields["weight"], fields["account"], fields["model"], rest


def _name(name: str) -> str:
    return tomli_w.dumps({name: 0})[: -len(" = 0\n")]


def inline(value: Any) -> str:
    """A value on one line of TOML."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_name(name)} = {inline(item)}" for name, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return tomli_w.dumps({"x": value})[len("x = ") : -1]


def _long(name: str, value: Any) -> str:
    """The value on one line, or a list item a line where that would be too long."""
    text = inline(value)
    if isinstance(value, list) and value and len(name) + len(text) + 3 > _LINE:
        return "[\n" + "".join(f"    {inline(item)},\n" for item in value) + "]"
    return text


def text_of(rows: State, baseline: State, *, everything: bool = False, header: Iterable[str] = ()) -> str:
    """The whole document, `header` as comment lines before it."""
    comments = "".join(f"# {line}\n" for line in header)
    body = render(document(rows, baseline, everything=everything))
    return f"{comments}\n{body}" if comments and body else comments + body
