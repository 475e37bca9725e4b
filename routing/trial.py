"""Would the gateway take these changes? Asked before they are committed, of the changed rows and what they lean on.

One write that a snapshot cannot hold would hold up every later one, so it must not come to be. Only changed rows and
their neighbours are read, straight from the database inside the writer's transaction: a save among 10,000 models
costs a few queries, and a command that serves nothing can ask as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from routing import tables
from routing.build import PATCH_LIMIT, BadSnapshot, build
from routing.checks import check
from routing.draft import Draft, Touched
from routing.models import PublicModel, Route
from routing.pacing import no_pace
from routing.snapshot import EMPTY

#: Rows of other tables (tokens, keys, prefix rules) can be refused by nothing.
CHECKED = frozenset(
    {
        *("providers.provider", "providers.account", "providers.catalogmodel", "keys.keyset", "keys.project"),
        *("routing.publicmodel", "routing.route", "routing.alias", "routing.preference"),
    }
)


def problems(changes: Iterable[dict[str, Any]]) -> list[str]:
    """Why a snapshot with these changes would be refused, in sentences; nothing is an empty list.

    `changes` as a Revision holds them. To be called in the transaction that made them.
    """
    changed: dict[str, set[str]] = defaultdict(set)
    for entry in changes:
        if entry["table"] in CHECKED:
            changed[entry["table"]].add(entry["pk"])
    if not changed:
        return []
    try:
        if sum(map(len, changed.values())) > PATCH_LIMIT:
            build()
            return []
        return _Trial(changed).problems()
    except BadSnapshot as error:
        return list(error.problems)
    except tables.BadRow as error:
        return [str(error)]


class _Trial:
    """A draft that holds the changed rows, and of all others only those that a check of them looks at."""

    def __init__(self, changed: dict[str, set[str]]) -> None:
        self.changed = changed
        self.draft = Draft(EMPTY, 0)
        self.touched = Touched()

    def ids(self, table: str) -> set[int]:
        return {int(pk) for pk in self.changed.get(table, ())}

    def problems(self) -> list[str]:
        """Read, freeze, check. Raises BadRow."""
        used_accounts, used_key_sets = self._models()
        self._providers(used_accounts, used_key_sets)
        self._projects()
        if facts := self.ids("providers.catalogmodel"):
            list(tables.facts(Q(pk__in=facts), no_pace))
        snapshot = self.draft.freeze(0.0)
        return self.draft.problems + check(snapshot, self.touched)

    def _models(self) -> tuple[set[int], set[int]]:
        """Changed models, those of changed routes, aliases beside them; the accounts and key sets their routes use."""
        named, key_sets = self.ids("routing.publicmodel"), self.ids("keys.keyset")
        ids = set(named)
        if routes := self.ids("routing.route"):
            ids |= tables.owners(Route, "model_id", routes)
        if key_sets:
            using = Route._base_manager.filter(key_set_id__in=key_sets)
            ids |= set(using.values_list("model_id", flat=True))
        found = list(tables.routes(Q(model_id__in=ids), no_pace)) if ids else []
        aliases = self.ids("routing.alias")
        if named or aliases:
            names = PublicModel._base_manager.filter(pk__in=named).values("name")
            beside = Q(pk__in=aliases) | Q(model_id__in=named) | Q(name__in=names)
            rows = list(tables.aliases(beside, no_pace))
            self.draft.put_aliases(rows)
            self.touched.aliases = {name for _, name, _ in rows}
            other_names = self.touched.aliases | {model for _, _, model in rows}
        else:
            other_names = set()
        if ids or other_names:
            models = list(tables.public_models(Q(pk__in=ids) | Q(name__in=other_names), no_pace))
            self.draft.put_models(models, found, no_pace)
            self.touched.models = {model.name for model in models if model.id in ids}
        return {route.account_id for _, route in found}, {route.key_set_id for _, route in found if route.key_set_id}

    def _providers(self, used_accounts: set[int], used_key_sets: set[int]) -> None:
        """Changed providers and accounts, and those that routes and key sets stand on."""
        key_set_ids = used_key_sets | self.ids("keys.keyset")
        key_sets = list(tables.key_sets(Q(pk__in=key_set_ids), no_pace)) if key_set_ids else []
        changed = self.ids("providers.account")
        account_ids = used_accounts | changed | {row.account_id for row in key_sets}
        accounts = list(tables.accounts(Q(pk__in=account_ids), no_pace)) if account_ids else []
        slugs = {account.provider for account in accounts}
        providers = self.ids("providers.provider")
        if providers or slugs:
            # Names of providers are compared with those of all others.
            rows = list(tables.providers(None if providers else Q(slug__in=slugs), no_pace))
            self.draft.put_providers(rows)
            self.touched.providers = {entry.slug for pk, entry in rows if pk in providers}
        self.draft.put_accounts(accounts)
        self.touched.accounts = {account.id for account in accounts if account.id in changed}
        self.draft.put_key_sets(key_sets, ())

    def _projects(self) -> None:
        if changed := self.ids("routing.preference"):
            rows = list(tables.preferences(Q(pk__in=changed), no_pace))
            self.draft.put_preferences(rows)
            self.touched.preferences = {entry.project_id for _, entry in rows}
            self.draft.put_projects(tables.projects(Q(pk__in=self.touched.preferences), no_pace))
