"""What a snapshot must hold before it may serve. A patch is looked at where it wrote, a full build everywhere. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from providers.entries import AccountEntry
from providers.families import FAMILIES
from providers.names import MODEL_NAME
from providers.quirk_forms import faults
from providers.workers import bad_patterns
from routing.hedge_after import read
from routing.pacing import Pace, no_pace, paced
from routing.snapshot import ModelEntry, Snapshot

if TYPE_CHECKING:
    from routing.draft import Touched

#: `auto` is a word of the API, not a model.
RESERVED: Final = frozenset({"auto"})
#: What an allowlist entry or a preferred model may look like: a model name, or a glob with * and ?.
ALLOW_PATTERN: Final = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9._:@/+\-*?]{0,253}\Z")
MAX_ROUTES: Final = 1000
MAX_PRIORITY: Final = 1_000_000
MAX_WEIGHT: Final = 1_000_000
MAX_SECONDS: Final = 24 * 3600.0
MAX_LIST: Final = 10_000


def check(snapshot: Snapshot, touched: Touched | None = None, pace: Pace = no_pace) -> list[str]:
    """What is wrong with the snapshot, in sentences for the operator; nothing is an empty list.

    With `touched`, rows that were not written and depend on nothing that was are taken as good.
    """
    wide = touched is None or touched.widely
    accounts: Iterable[int] = snapshot.accounts if touched is None else touched.accounts
    models: Iterable[str] = snapshot.models if wide or touched is None else touched.models
    aliases: Iterable[str] = snapshot.aliases if touched is None else touched.aliases
    preferences: Iterable[int] = snapshot.preferences if touched is None else touched.preferences
    providers: Iterable[str] = snapshot.providers if touched is None else touched.providers
    problems: list[str] = []
    for slug in providers:
        provider = snapshot.providers[slug]
        for family in (provider.family, *provider.families):
            problems += _of_family(family, f"provider '{slug}'")
        problems += [f"provider '{slug}': {fault}" for fault in faults(provider.quirks)]
    for pk in paced(accounts, pace):
        problems += _of_account(snapshot, snapshot.accounts[pk])
    for name in paced(models, pace):
        problems += _of_model(snapshot, snapshot.models[name])
    for alias in paced(aliases, pace):
        problems += _of_alias(snapshot, alias)
    for project in paced(preferences, pace):
        problems += _of_preference(snapshot, project)
    return problems


def _of_family(family: str, where: str) -> list[str]:
    return [] if family in FAMILIES else [f"{where} names the family '{family[:40]}', which is not known"]


def _of_account(snapshot: Snapshot, account: AccountEntry) -> list[str]:
    problems = []
    if account.provider not in snapshot.providers:
        problems.append(f"account '{account.name}' is at provider '{account.provider}', which is not there")
    if account.family:
        problems += _of_family(account.family, f"account '{account.name}'")
    problems += [f"account '{account.name}': {fault}" for fault in bad_patterns(account.worker_hosts)]
    for phase in ("connect", "first_byte", "gap", "total"):
        if not 0 < getattr(account.timeouts, phase) <= MAX_SECONDS:
            problems.append(
                f"account '{account.name}': the timeout '{phase}' must lie between 0 and {MAX_SECONDS:.0f} s"
            )
    return problems


def _of_model(snapshot: Snapshot, model: ModelEntry) -> list[str]:
    problems = []
    if model.name in RESERVED or not MODEL_NAME.match(model.name):
        problems.append(f"'{model.name}' cannot be the name of a public model")
    if model.name in snapshot.aliases:
        problems.append(f"'{model.name}' is a public model and also an alias of '{snapshot.aliases[model.name]}'")
    if len(model.routes) > MAX_ROUTES:
        problems.append(f"model '{model.name}' has more than {MAX_ROUTES} routes")
    try:
        read(model.hedge_after)
    except ValueError as problem:
        problems.append(f"model '{model.name}': {problem}")
    for route in model.routes:
        where = f"route {route.id} of model '{model.name}'"
        if route.family:
            problems += _of_family(route.family, where)
        if route.quirks:
            problems += [f"{where}: {fault}" for fault in faults(route.quirks)]
        if route.account_id not in snapshot.accounts:
            problems.append(f"{where} leads to an account that is not there")
        elif route.key_set_id is not None and snapshot.index.key_sets.get(route.key_set_id) != route.account_id:
            problems.append(f"{where} uses a key set that is not its account's")
        if not 0 <= route.priority <= MAX_PRIORITY or not 0 <= route.weight <= MAX_WEIGHT:
            problems.append(f"{where}: priority and weight must lie between 0 and {MAX_WEIGHT:,}")
        if not MODEL_NAME.match(route.upstream_model):
            problems.append(f"{where}: '{route.upstream_model[:60]}' cannot be a model id")
    return problems


def _of_alias(snapshot: Snapshot, alias: str) -> list[str]:
    problems = []
    target = snapshot.aliases[alias]
    if alias in RESERVED or not MODEL_NAME.match(alias):
        problems.append(f"'{alias}' cannot be an alias")
    if alias in snapshot.models:
        problems.append(f"alias '{alias}' of '{target}' is also the name of a public model")
    if target not in snapshot.models:
        problems.append(f"alias '{alias}' leads to model '{target}', which is not there")
    return problems


def _of_preference(snapshot: Snapshot, project: int) -> list[str]:
    preference = snapshot.preferences[project]
    named = snapshot.projects.get(project)
    whose = f"preferences of project '{named.name if named else project}'"
    problems = [] if named else [f"{whose}: there is no such project"]
    for what, values in (("allow", preference.allow), ("preferred", preference.preferred)):
        if len(values) > MAX_LIST:
            problems.append(f"{whose}: '{what}' has more than {MAX_LIST} entries")
        for value in values:
            if not ALLOW_PATTERN.match(value.strip()):
                problems.append(f"{whose}: '{value[:60]}' in '{what}' is no model name or glob")
            elif what == "preferred" and ("*" in value or value.strip() in RESERVED):
                problems.append(f"{whose}: '{value[:60]}' cannot be preferred, it names no single model")
    return problems
