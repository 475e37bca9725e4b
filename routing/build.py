"""Snapshots from the database: `build` reads everything, `patch` only the rows that revisions name.

Both fill a Draft through the same calls, so a patched snapshot equals a built one (a property test says so).
A Draft copies a table the first time it is written to; all others are shared with the snapshot it starts from.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q

from keys.models import ProviderKey
from routing import tables
from routing.checks import check
from routing.draft import Draft
from routing.models import Route
from routing.pacing import Pace, no_pace
from routing.snapshot import EMPTY, Snapshot

#: With more changed rows than this, reading everything in small pieces is the cheaper way.
PATCH_LIMIT = 2000


class BadSnapshot(ValueError):
    """A configuration that must not be served. `problems` says why, in sentences for the operator."""

    def __init__(self, revision: int, problems: Sequence[str]) -> None:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        super().__init__(f"revision {revision} is refused: {shown}")
        self.revision = revision
        self.problems = tuple(problems)


def build(pace: Pace = no_pace, now: float | None = None, previous: Snapshot = EMPTY) -> Snapshot:
    """The whole configuration, in a fixed number of queries. Raises BadSnapshot and the database's errors.

    `previous` is the snapshot it will replace, if any: what is equal is shared with it.
    """
    with tables.reading():
        draft = Draft(EMPTY, tables.head(), previous)
        try:
            _fill(draft, pace)
        except tables.BadRow as error:
            raise BadSnapshot(draft.revision, [str(error)]) from error
    return _finish(draft, now, pace)


def patch(snapshot: Snapshot, pace: Pace = no_pace, now: float | None = None) -> Snapshot:
    """The snapshot brought to the newest revision by reading only what changed.

    Falls back to `build` where the changes are many or not all known. Raises as `build` does.
    """
    with tables.reading():
        newest = tables.head()
        if newest == snapshot.revision:
            return snapshot
        revisions = tables.revisions_after(snapshot.revision)
        changed = changed_rows(revisions)
        known = bool(revisions) and [n for n, _ in revisions] == list(range(snapshot.revision + 1, newest + 1))
        if known and changed is not None and sum(map(len, changed.values())) <= PATCH_LIMIT:
            draft = Draft(snapshot, newest)
            try:
                _refill(draft, changed, pace)
            except tables.BadRow as error:
                raise BadSnapshot(newest, [str(error)]) from error
            return _finish(draft, now, pace)
    return build(pace, now, snapshot)


def _finish(draft: Draft, now: float | None, pace: Pace) -> Snapshot:
    snapshot = draft.freeze(time.time() if now is None else now)
    problems = draft.problems + check(snapshot, draft.touched, pace)
    if problems:
        raise BadSnapshot(draft.revision, problems)
    return snapshot


def changed_rows(revisions: Iterable[tuple[int, list[dict[str, Any]]]]) -> dict[str, set[str]] | None:
    """Changed rows by table, or None where a revision asks for a full rebuild by naming none."""
    changed: dict[str, set[str]] = defaultdict(set)
    for _, changes in revisions:
        if not changes:
            return None
        for entry in changes:
            changed[entry["table"]].add(entry["pk"])
    return changed


def _fill(draft: Draft, pace: Pace) -> None:
    draft.put_providers(tables.providers(None, pace))
    draft.put_accounts(tables.accounts(None, pace))
    draft.put_key_sets(list(tables.key_sets(None, pace)), list(tables.keys(None, pace)))
    draft.put_projects(tables.projects(None, pace))
    draft.put_preferences(tables.preferences(None, pace))
    draft.put_models(list(tables.public_models(None, pace)), list(tables.routes(None, pace)), pace)
    draft.put_aliases(tables.aliases(None, pace))
    draft.put_prefixes(tables.prefixes(None, pace))
    draft.put_tokens(tables.tokens(None, pace))
    draft.put_facts(tables.facts(None, pace))


def _ids(changed: dict[str, set[str]], table: str) -> set[int]:
    return {int(pk) for pk in changed.get(table, ())}


def _refill(draft: Draft, changed: dict[str, set[str]], pace: Pace) -> None:
    """Read the changed rows again, and the rows that hold something of theirs (a slug, an origin, a name)."""
    slugs = _refill_providers(draft, changed, pace)
    account_ids = _refill_accounts(draft, changed, slugs, pace)
    pace()
    _refill_key_sets(draft, changed, account_ids, pace)
    pace()
    _refill_models(draft, changed, pace)
    pace()
    _refill_provider_rows(draft, changed, slugs, pace)
    if ids := _ids(changed, "keys.project"):
        draft.drop_projects(ids)
        draft.put_projects(tables.projects(Q(pk__in=ids), pace))
    if ids := _ids(changed, "routing.preference"):
        draft.drop_preferences(ids)
        draft.put_preferences(tables.preferences(Q(pk__in=ids), pace))
    if token_ids := changed.get("keys.apitoken"):
        draft.drop_tokens(token_ids)
        draft.put_tokens(tables.tokens(Q(pk__in=token_ids), pace))


def _refill_providers(draft: Draft, changed: dict[str, set[str]], pace: Pace) -> set[str]:
    """The former slugs of changed providers."""
    ids = _ids(changed, "providers.provider")
    slugs = {draft.base.index.providers[pk] for pk in ids if pk in draft.base.index.providers}
    if ids:
        draft.drop_providers(ids)
        draft.put_providers(tables.providers(Q(pk__in=ids), pace))
    return slugs


def _refill_accounts(draft: Draft, changed: dict[str, set[str]], slugs: set[str], pace: Pace) -> set[int]:
    """Changed accounts, and those of changed providers."""
    ids = _ids(changed, "providers.account")
    if slugs:
        ids |= {account.id for account in draft.base.accounts.values() if account.provider in slugs}
    if ids:
        draft.drop_accounts(ids)
        draft.put_accounts(tables.accounts(Q(pk__in=ids), pace))
    return ids


def _refill_key_sets(draft: Draft, changed: dict[str, set[str]], account_ids: set[int], pace: Pace) -> None:
    """Changed key sets, those of changed keys (before and now), and those whose account may have a new origin."""
    index = draft.base.index
    ids = _ids(changed, "keys.keyset")
    if key_ids := changed.get("keys.providerkey"):
        ids |= {index.keys[pk] for pk in key_ids if pk in index.keys}
        ids |= tables.owners(ProviderKey, "key_set_id", key_ids)
    if account_ids:
        ids |= {pk for pk, account in index.key_sets.items() if account in account_ids}
    if ids:
        draft.drop_key_sets(ids)
        draft.put_key_sets(list(tables.key_sets(Q(pk__in=ids), pace)), list(tables.keys(Q(key_set_id__in=ids), pace)))


def _refill_models(draft: Draft, changed: dict[str, set[str]], pace: Pace) -> None:
    """Changed public models and those of changed routes (before and now); aliases follow their model's name."""
    index = draft.base.index
    route_ids, named_ids = _ids(changed, "routing.route"), _ids(changed, "routing.publicmodel")
    model_ids = named_ids | {index.routes[pk] for pk in route_ids if pk in index.routes}
    if route_ids:
        model_ids |= tables.owners(Route, "model_id", route_ids)
    if model_ids:
        draft.drop_models(model_ids)
        draft.put_models(
            list(tables.public_models(Q(pk__in=model_ids), pace)),
            list(tables.routes(Q(model_id__in=model_ids), pace)),
            pace,
        )
    alias_ids = _ids(changed, "routing.alias")
    if names := {index.models[pk] for pk in named_ids if pk in index.models}:
        alias_ids |= {pk for pk, alias in index.aliases.items() if draft.base.aliases[alias] in names}
    if alias_ids:
        draft.drop_aliases(alias_ids)
        draft.put_aliases(tables.aliases(Q(pk__in=alias_ids), pace))


def _refill_provider_rows(draft: Draft, changed: dict[str, set[str]], slugs: set[str], pace: Pace) -> None:
    """Prefix rules and facts: changed ones, and those that hold the slug of a changed provider."""
    index = draft.base.index
    prefix_ids = _ids(changed, "routing.prefixrule")
    fact_ids = _ids(changed, "providers.catalogmodel")
    if slugs:
        prefix_ids |= {pk for pk, prefix in index.prefixes.items() if prefix.provider in slugs}
        fact_ids |= {pk for pk, key in index.facts.items() if key.partition("/")[0] in slugs}
    if prefix_ids:
        draft.drop_prefixes(prefix_ids)
        draft.put_prefixes(tables.prefixes(Q(pk__in=prefix_ids), pace))
    if fact_ids:
        draft.drop_facts(fact_ids)
        draft.put_facts(tables.facts(Q(pk__in=fact_ids), pace))
