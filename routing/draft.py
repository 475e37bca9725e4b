"""A snapshot in the making: tables are copied when first written, rows are dropped and put, the rest follows. Pure.

Rows are always dropped as a batch before the batch is put: two rows that swapped their names then cannot erase each
other. What follows from tables (names of providers, prefix order, facts' aliases) is derived in `freeze`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from keys.entries import KeyEntry, KeySetEntry, ProjectEntry, TokenEntry
from keys.origins import origin
from providers.entries import AccountEntry, FactsEntry, ProviderEntry
from providers.hosts import BadUrl
from routing.pacing import Pace, paced
from routing.snapshot import EMPTY, ModelEntry, PreferenceEntry, PrefixEntry, RouteEntry, Snapshot

if TYPE_CHECKING:
    from routing.tables import KeySetRow, ModelRow


Entry = TypeVar("Entry", bound=msgspec.Struct)


class Touched(msgspec.Struct):
    """What a Draft wrote: `checks` looks at these rows only. `widely` asks it to look at every route."""

    providers: set[str] = msgspec.field(default_factory=set)
    accounts: set[int] = msgspec.field(default_factory=set)
    models: set[str] = msgspec.field(default_factory=set)
    aliases: set[str] = msgspec.field(default_factory=set)
    preferences: set[int] = msgspec.field(default_factory=set)
    widely: bool = False


class Draft:
    """See the module. `base` is what it starts from and is never written to.

    Entries equal to those of `previous` are taken from there: when it goes, only few objects are freed at once, which
    would hold up requests otherwise.
    """

    def __init__(self, base: Snapshot, revision: int, previous: Snapshot = EMPTY) -> None:
        self.base = base
        self.previous = previous
        self.revision = revision
        self.problems: list[str] = []
        self.touched = Touched()
        self._tables: dict[str, dict[Any, Any]] = {}
        self._index: dict[str, dict[Any, Any]] = {}

    def table(self, name: str) -> dict[Any, Any]:
        """A table to write to: this draft's own copy."""
        if name not in self._tables:
            self._tables[name] = dict(getattr(self.base, name))
        return self._tables[name]

    def index(self, name: str) -> dict[Any, Any]:
        if name not in self._index:
            self._index[name] = dict(getattr(self.base.index, name))
        return self._index[name]

    def seen(self, name: str) -> dict[Any, Any]:
        """A table to read from."""
        found: dict[Any, Any] = self._tables[name] if name in self._tables else getattr(self.base, name)
        return found

    def put_providers(self, rows: Iterable[tuple[int, ProviderEntry]]) -> None:
        table, index = self.table("providers"), self.index("providers")
        for pk, entry in rows:
            table[entry.slug] = entry
            index[pk] = entry.slug
            self.touched.providers.add(entry.slug)

    def drop_providers(self, ids: Collection[int]) -> None:
        self._drop("providers", ids)

    def put_accounts(self, rows: Iterable[AccountEntry]) -> None:
        table, names = self.table("accounts"), self.table("account_ids")
        for entry in rows:
            table[entry.id] = entry
            names[entry.name] = entry.id
            self.touched.accounts.add(entry.id)

    def drop_accounts(self, ids: Collection[int]) -> None:
        table, names = self.table("accounts"), self.table("account_ids")
        for pk in ids:
            entry = table.pop(pk, None)
            if entry is not None:
                names.pop(entry.name, None)
                self.touched.widely = True

    def put_key_sets(self, rows: Sequence[KeySetRow], keys: Iterable[tuple[int, KeyEntry]]) -> None:
        """`keys` in the order they are tried."""
        table, owners, key_owners = self.table("key_sets"), self.index("key_sets"), self.index("keys")
        of_set: dict[int, list[KeyEntry]] = defaultdict(list)
        for key_set, key in keys:
            of_set[key_set].append(key)
            key_owners[key.id] = key_set
        new: dict[int, list[KeySetEntry]] = defaultdict(list)
        for row in rows:
            owners[row.id] = row.account_id
            new[row.account_id].append(
                KeySetEntry(
                    row.id,
                    row.account_id,
                    row.project_id,
                    row.name,
                    row.variables,
                    self._origin(row),
                    tuple(of_set.get(row.id, ())),
                    row.env_pattern,
                )
            )
        for account, entries in new.items():
            table[account] = tuple(sorted((*table.get(account, ()), *entries), key=_by_id))

    def drop_key_sets(self, ids: Collection[int]) -> None:
        table, owners, key_owners = self.table("key_sets"), self.index("key_sets"), self.index("keys")
        gone: dict[int, set[int]] = defaultdict(set)
        for pk in ids:
            if pk in owners:
                gone[owners.pop(pk)].add(pk)
        for account, pks in gone.items():
            for entry in table[account]:
                if entry.id in pks:
                    for key in entry.keys:
                        key_owners.pop(key.id, None)
            left = tuple(entry for entry in table[account] if entry.id not in pks)
            if left:
                table[account] = left
            else:
                del table[account]
            self.touched.widely = True

    def _origin(self, row: KeySetRow) -> str:
        """The origin the set's keys are sealed for; empty where the URL lacks a variable, which opens no key."""
        account: AccountEntry | None = self.seen("accounts").get(row.account_id)
        provider = self.seen("providers").get(account.provider) if account else None
        if account is None or provider is None:
            self.problems.append(f"key set {row.name} ({row.id}) belongs to no account")
            return ""
        try:
            return origin(provider, account, row.variables)
        except BadUrl:
            return ""

    def put_projects(self, rows: Iterable[tuple[ProjectEntry, bool]]) -> None:
        table = self.table("projects")
        for entry, ours in rows:
            table[entry.id] = entry
            if not ours:
                self.table("left_out")[f"project {entry.id}"] = (
                    f"what '{entry.name}' may use was not written by Jackfield: save it again to allow it"
                )

    def drop_projects(self, ids: Collection[int]) -> None:
        table = self.table("projects")
        for pk in ids:
            table.pop(pk, None)
            if f"project {pk}" in self.seen("left_out"):
                del self.table("left_out")[f"project {pk}"]

    def put_preferences(self, rows: Iterable[tuple[int, PreferenceEntry]]) -> None:
        table, index = self.table("preferences"), self.index("preferences")
        for pk, entry in rows:
            table[entry.project_id] = entry
            index[pk] = entry.project_id
            self.touched.preferences.add(entry.project_id)

    def drop_preferences(self, ids: Collection[int]) -> None:
        self._drop("preferences", ids)

    def put_models(self, rows: Iterable[ModelRow], routes: Iterable[tuple[int, RouteEntry]], pace: Pace) -> None:
        """`routes` by priority then id."""
        table, index, route_owners = self.table("models"), self.index("models"), self.index("routes")
        of_model: dict[int, list[RouteEntry]] = defaultdict(list)
        for model, route in paced(routes, pace):
            of_model[model].append(route)
            route_owners[route.id] = model
        for row in paced(rows, pace):
            entry = ModelEntry(
                row.id,
                row.name,
                row.service,
                row.description,
                row.enabled,
                row.created,
                tuple(of_model.get(row.id, ())),
                row.strategy,
                row.sticky,
                row.content_fallback,
                row.hedge_after,
                row.hedge_daily,
            )
            entry = _kept(self.previous.models.get(row.name), entry)
            table[entry.name] = entry
            index[entry.id] = entry.name
            self.touched.models.add(entry.name)

    def drop_models(self, ids: Collection[int]) -> None:
        table, index, route_owners = self.table("models"), self.index("models"), self.index("routes")
        for pk in ids:
            name = index.pop(pk, None)
            if name is not None:
                for route in table.pop(name).routes:
                    route_owners.pop(route.id, None)

    def put_aliases(self, rows: Iterable[tuple[int, str, str]]) -> None:
        table, index = self.table("aliases"), self.index("aliases")
        for pk, name, model in rows:
            table[name] = model
            index[pk] = name
            self.touched.aliases.add(name)

    def drop_aliases(self, ids: Collection[int]) -> None:
        self._drop("aliases", ids)

    def put_prefixes(self, rows: Iterable[tuple[int, PrefixEntry]]) -> None:
        self.index("prefixes").update(rows)

    def drop_prefixes(self, ids: Collection[int]) -> None:
        index = self.index("prefixes")
        for pk in ids:
            index.pop(pk, None)

    def put_tokens(self, rows: Iterable[tuple[str, TokenEntry | None]]) -> None:
        table, index = self.table("tokens"), self.index("tokens")
        for pk, entry in rows:
            if entry is None:
                self.table("left_out")[f"token {pk}"] = "its row was not written by Jackfield"
            else:
                kept = _kept(self.previous.tokens.get(entry.mac), entry)
                table[kept.mac] = kept
                index[kept.id] = kept.mac

    def drop_tokens(self, ids: Collection[str]) -> None:
        self._drop("tokens", ids)
        for pk in ids:
            if f"token {pk}" in self.seen("left_out"):
                del self.table("left_out")[f"token {pk}"]

    def put_facts(self, rows: Iterable[tuple[int, FactsEntry]]) -> None:
        table, index = self.table("facts"), self.index("facts")
        for pk, entry in rows:
            key = f"{entry.provider}/{entry.model}"
            table[key] = _kept(self.previous.facts.get(key), entry)
            index[pk] = key

    def drop_facts(self, ids: Collection[int]) -> None:
        self._drop("facts", ids)

    def _drop(self, name: str, ids: Collection[Any]) -> None:
        table, index = self.table(name), self.index(name)
        for pk in ids:
            key = index.pop(pk, None)
            if key is not None:
                table.pop(key, None)

    def freeze(self, now: float) -> Snapshot:
        """The snapshot that this draft has become. `now` in epoch seconds."""
        made: dict[str, Any] = dict(self._tables)
        if "providers" in made:
            made["provider_names"] = self._provider_names(made["providers"])
        if "accounts" in made:
            made["provider_accounts"] = _provider_accounts(made["accounts"].values())
        if "facts" in made:
            made["fact_aliases"] = _fact_aliases(made["facts"])
        if "prefixes" in self._index:
            rules = self._index["prefixes"].values()
            made["prefixes"] = tuple(sorted(rules, key=lambda rule: (-len(rule.prefix), rule.prefix)))
        index = msgspec.structs.replace(self.base.index, **self._index)
        return msgspec.structs.replace(self.base, revision=self.revision, built_at=now, index=index, memo={}, **made)

    def _provider_names(self, providers: dict[str, ProviderEntry]) -> dict[str, str]:
        names = {slug: slug for slug in providers}
        for slug in sorted(providers):
            for alias in providers[slug].aliases:
                name = alias.strip().lower()
                if names.setdefault(name, slug) != slug:
                    self.problems.append(f"'{name}' names both provider {names[name]} and provider {slug}")
        return names


def _kept(old: Entry | None, new: Entry) -> Entry:
    return old if old is not None and old == new else new


def _by_id(entry: KeySetEntry) -> int:
    return entry.id


def _provider_accounts(accounts: Iterable[AccountEntry]) -> dict[str, tuple[int, ...]]:
    of_provider: dict[str, list[int]] = defaultdict(list)
    for account in accounts:
        of_provider[account.provider].append(account.id)
    return {slug: tuple(sorted(ids)) for slug, ids in of_provider.items()}


def _fact_aliases(facts: dict[str, FactsEntry]) -> dict[str, str]:
    """Other ids of models; a model's own id is never another's alias."""
    aliases: dict[str, str] = {}
    for key in sorted(facts):
        entry = facts[key]
        for alias in entry.aliases:
            other = f"{entry.provider}/{alias}"
            if other not in facts:
                aliases.setdefault(other, key)
    return aliases
