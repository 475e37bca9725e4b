"""How a model name resolves, told in full: every candidate, every dropped one with the reason, prices, timeouts.

It asks the same resolver as every request does, on the snapshot it is given. Names and numbers only, no secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from keys.entries import KeySetEntry
from keys.pool import in_order, shared_set
from keys.ring import BadRing
from keys.sealing import Unsealable
from keys.vault import bound_entry, open_key
from providers.families import FAMILIES
from providers.hosts import BadUrl, base_url
from routing.allow import identity_of
from routing.loose_ends import not_allowed
from routing.resolve import Candidate, Dropped, Plan, Unresolved, resolve
from routing.snapshot import Snapshot

#: The family that chat requests come in.
FAMILY = "openai-completions"
_PRICES = ("price_input", "price_output", "price_cache_read", "price_cache_write")


class UnknownProject(ValueError):
    """There is no project of that name."""


def explain(snapshot: Snapshot, name: str, project: str = "", family: str = FAMILY) -> dict[str, Any]:
    """What a request for `name` would meet, as plain data for JSON. Without a project nothing is forbidden.

    Raises UnknownProject. A name that leads nowhere is no error here: it is told under "error".
    """
    project_id = _project_id(snapshot, project)
    found: dict[str, Any] = {
        "asked": name,
        "project": project or None,
        "revision": snapshot.revision,
        "identity": identity_of(snapshot, name.strip()),
        "meaning": _meaning(snapshot, name.strip()),
        "error": None,
        "candidates": [],
        "dropped": [],
    }

    def available(candidate: Candidate) -> str | None:
        return _no_key(snapshot, candidate, project_id)

    try:
        plan = resolve(snapshot, project_id, name, endpoint_family=family, available=available)
    except Unresolved as error:
        found["error"] = {"code": error.code, "message": error.message, "suggestions": list(error.suggestions)}
        found["dropped"] = [_dropped(dropped) for dropped in error.dropped]
        return found
    found["identity"] = plan.identity
    found["candidates"] = list(_candidates(snapshot, plan, project_id))
    found["dropped"] = [_dropped(dropped) for dropped in plan.dropped]
    return found


def _project_id(snapshot: Snapshot, name: str) -> int:
    if not name:
        return 0
    for project in snapshot.projects.values():
        if project.name == name:
            return project.id
    raise UnknownProject(f"there is no project '{name}'")


def _meaning(snapshot: Snapshot, name: str) -> str:
    """Which of the ways to address a model this name takes."""
    if not name or name == "auto":
        return "auto"
    if name in snapshot.models:
        return "public model"
    if name in snapshot.aliases:
        return f"alias of {snapshot.aliases[name]}"
    head, slash, rest = name.partition("/")
    if slash and rest and head.strip().lower() in snapshot.provider_names:
        return "provider/model"
    for rule in snapshot.prefixes:
        if name.startswith(rule.prefix):
            return f"prefix {rule.prefix}"
    return "unknown"


def _candidates(snapshot: Snapshot, plan: Plan, project_id: int) -> Iterator[dict[str, Any]]:
    for candidate in plan.candidates:
        problems = [_no_key(snapshot, candidate, project_id)]
        keys, sealed = _keys(snapshot, candidate, project_id)
        try:
            variables = _variables(snapshot, candidate, keys)
            url = base_url(candidate.provider, candidate.account, variables, candidate.family)
        except BadUrl as error:
            url = ""
            problems.append(str(error))
        else:
            problems.append(not_allowed(url, candidate.account.private_network))
        family = FAMILIES.get(candidate.family)
        if family is None or not family.is_served:
            problems.append(f"requests in the dialect of {candidate.family} cannot be made yet")
        yield {
            "account": candidate.account.name,
            "provider": candidate.provider.slug,
            "upstream_model": candidate.upstream_model,
            "route": candidate.route_id,
            "priority": candidate.priority,
            "weight": candidate.weight,
            "family": candidate.family,
            "base_url": url,
            "keys": len(keys),
            "keys_to_enter_again": dict(sealed),
            "streaming": candidate.provider.streaming,
            "quirks": candidate.quirks,
            "timeouts": msgspec.to_builtins(candidate.account.timeouts),
            "prices": {name: getattr(candidate.facts, name, None) for name in _PRICES},
            "problems": [problem for problem in problems if problem],
        }


def _keys(snapshot: Snapshot, candidate: Candidate, project_id: int) -> tuple[list[KeySetEntry], Counter[str]]:
    """The sets of the keys that a request of the project would be tried with, in order, one for each key that opens;
    and of those that do not open, how many by reason."""
    sets = snapshot.key_sets.get(candidate.account.id, ())
    usable: list[KeySetEntry] = []
    sealed: Counter[str] = Counter()
    for key, key_set in in_order(sets, project_id or None, candidate.key_set_id):
        try:
            open_key(key, bound_entry(key_set))
        except Unsealable as error:
            sealed[error.reason if key_set.origin else "no-origin"] += 1
        except BadRing:
            sealed["no-ring"] += 1
        else:
            usable.append(key_set)
    return usable, sealed


def _variables(snapshot: Snapshot, candidate: Candidate, keys: list[KeySetEntry]) -> dict[str, str]:
    """The URL variables of the set whose key is tried first; without a key, of the shared one in use."""
    used = keys[0] if keys else shared_set(snapshot.key_sets.get(candidate.account.id, ()), candidate.key_set_id)
    return used.variables if used is not None else {}


def _no_key(snapshot: Snapshot, candidate: Candidate, project_id: int) -> str | None:
    if not candidate.provider.needs_key:
        return None
    keys, sealed = _keys(snapshot, candidate, project_id)
    if keys:
        return None
    if sealed:
        return f"account '{candidate.account.name}': {_to_enter_again(sealed)}"
    return f"no key is entered for account '{candidate.account.name}'"


def _to_enter_again(sealed: Mapping[str, int]) -> str:
    """One sentence about keys that do not open, by the reasons of `Unsealable`."""
    count = sum(sealed.values())
    return f"{count} key{'' if count == 1 else 's'} must be entered again ({', '.join(sorted(sealed))})"


def _dropped(dropped: Dropped) -> dict[str, Any]:
    return {"what": dropped.what, "reason": dropped.reason}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The same as text, for a terminal."""
    whose = f" for project {found['project']}" if found["project"] else ""
    yield f"{found['asked']}{whose}, revision {found['revision']}: {found['meaning']}"
    if found["identity"]:
        yield f"  identity {found['identity']}"
    if found["error"]:
        yield f"  refused with {found['error']['code']}: {found['error']['message']}"
        if found["meaning"] == "auto" and not found["project"]:
            yield "  what auto means is a project's choice: name one with --project"
        if found["error"]["suggestions"]:
            yield f"  near: {', '.join(found['error']['suggestions'])}"
    for number, place in enumerate(found["candidates"], 1):
        yield f"  {number}. {place['account']} / {place['upstream_model']}"
        yield f"     provider {place['provider']}, family {place['family']}, {place['base_url'] or 'no URL'}"
        yield f"     priority {place['priority']}, weight {place['weight']}, keys {place['keys']}"
        timeouts = ", ".join(f"{phase} {seconds:g} s" for phase, seconds in place["timeouts"].items())
        yield f"     timeouts {timeouts}"
        yield f"     prices per million tokens: {_prices(place['prices'])}"
        if place["keys"] and place["keys_to_enter_again"]:
            yield f"     {_to_enter_again(place['keys_to_enter_again'])}"
        if place["quirks"]:
            yield f"     quirks {place['quirks']}"
        for problem in place["problems"]:
            yield f"     cannot serve: {problem}"
    for dropped in found["dropped"]:
        yield f"  dropped {dropped['what']}: {dropped['reason']}"


def _prices(prices: dict[str, int | None]) -> str:
    return ", ".join(
        f"{name.removeprefix('price_').replace('_', ' ')} {'unknown' if micro is None else f'${micro / 1_000_000:g}'}"
        for name, micro in prices.items()
    )
