"""What never waits for the rest of the configuration: tokens, projects and keys, taken into the last good snapshot.

A revision may be refused because of a route; that a token is revoked, a project switched off or a key taken out must
take effect all the same. The snapshot keeps its revision number: routing is still that of the last good one.
"""

from __future__ import annotations

import msgspec
from django.db.models import Q

from keys.entries import KeyEntry
from keys.models import ProviderKey
from routing import tables
from routing.build import changed_rows
from routing.draft import Draft
from routing.pacing import Pace, no_pace
from routing.snapshot import Snapshot


def renew(snapshot: Snapshot, pace: Pace = no_pace) -> Snapshot:
    """The snapshot with the present tokens, projects and keys of the key sets it knows; itself if none changed.

    Where revisions do not tell what changed (rows written by raw SQL), all of them are read.
    """
    with tables.reading():
        revisions = tables.revisions_after(snapshot.revision)
        known = [n for n, _ in revisions] == list(range(snapshot.revision + 1, tables.head() + 1))
        changed = changed_rows(revisions) if known else None
        draft = Draft(snapshot, snapshot.revision, snapshot)
        _tokens(draft, None if changed is None else changed.get("keys.apitoken", set()), pace)
        _projects(draft, None if changed is None else changed.get("keys.project", set()), pace)
        _keys(draft, None if changed is None else changed.get("keys.providerkey", set()), pace)
    renewed = draft.freeze(snapshot.built_at)
    same = (renewed.tokens, renewed.projects, renewed.key_sets, renewed.left_out) == (
        *(snapshot.tokens, snapshot.projects, snapshot.key_sets, snapshot.left_out),
    )
    return snapshot if same else renewed


def _tokens(draft: Draft, ids: set[str] | None, pace: Pace) -> None:
    if ids is None:
        known = {name.removeprefix("token ") for name in draft.base.left_out if name.startswith("token ")}
        draft.drop_tokens({*draft.base.index.tokens, *known})
        draft.put_tokens(tables.tokens(None, pace))
    elif ids:
        draft.drop_tokens(ids)
        draft.put_tokens(tables.tokens(Q(pk__in=ids), pace))


def _projects(draft: Draft, ids: set[str] | None, pace: Pace) -> None:
    """A project that is gone leaves no preference behind: what may serve is checked for that too."""
    pks = set(draft.base.projects) if ids is None else {int(pk) for pk in ids}
    if ids is not None and not pks:
        return
    draft.drop_projects(pks)
    draft.put_projects(tables.projects(None if ids is None else Q(pk__in=pks), pace))
    gone = pks - set(draft.seen("projects"))
    draft.drop_preferences([pk for pk, project in draft.base.index.preferences.items() if project in gone])


def _keys(draft: Draft, ids: set[str] | None, pace: Pace) -> None:
    """Keys of key sets that serve, each set with the origin it had: a key opens at no other."""
    owners = draft.base.index.key_sets
    if ids is None:
        sets = set(owners)
    else:
        known = draft.base.index.keys
        now = tables.owners(ProviderKey, "key_set_id", ids) if ids else set()
        sets = ({known[pk] for pk in ids if pk in known} | now) & set(owners)
    if not sets:
        return
    of_set: dict[int, list[KeyEntry]] = {pk: [] for pk in sets}
    where = None if ids is None else Q(key_set_id__in=sets)
    for key_set, key in tables.keys(where, pace):
        if key_set in of_set:
            of_set[key_set].append(key)
    table, key_owners = draft.table("key_sets"), draft.index("keys")
    for account in {owners[pk] for pk in sets}:
        for entry in table[account]:
            for key in entry.keys if entry.id in sets else ():
                key_owners.pop(key.id, None)
        table[account] = tuple(
            msgspec.structs.replace(entry, keys=tuple(of_set[entry.id])) if entry.id in sets else entry
            for entry in table[account]
        )
    key_owners.update((key.id, pk) for pk, keys in of_set.items() for key in keys)
