"""How a model name resolves, told in full: every candidate, every dropped one with the reason, prices, timeouts.

It asks the same resolver as every request does, on the snapshot it is given. Names and numbers only, no secret. Keys
without an access token are told, and count as none, where a gateway runs in this process: others hold no tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from keys.minted import minted
from keys.vault import why_closed
from providers.hosts import BadUrl, base_url
from routing.allow import identity_of
from routing.candidates import Candidate, Dropped, Unresolved
from routing.fitting import NOTHING, Needs
from routing.hedge_after import read
from routing.moment import Moment, hedge_delay
from routing.questions import Endpoint, endpoint_for, endpoint_of
from routing.resolve import Ask, Plan, resolve
from routing.serving import Keys, key_set_in_use, keys_of, reasons, to_enter_again
from routing.snapshot import Snapshot
from routing.why import why_here

_PRICES = ("price_input", "price_output", "price_cache_read", "price_cache_write")


class UnknownProject(ValueError):
    """There is no project of that name."""


def explain(
    snapshot: Snapshot, name: str, project: str = "", endpoint: str = "", needs: Needs = NOTHING
) -> dict[str, Any]:
    """What a request for `name` at this endpoint would meet, as plain data for JSON. Without a project nothing is
    forbidden. Without an endpoint: chat, embeddings or pictures, as the model is.

    Raises UnknownProject, BadQuestion. A name that leads nowhere is no error here: it is told under "error".
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

    dialect, service = _asked_at(snapshot, str(found["identity"]), endpoint)
    now = Moment(snapshot, dialect, lambda candidate: _keys(snapshot, candidate, project_id))
    try:
        plan = resolve(snapshot, now, Ask(project_id, name, dialect, service, needs=lambda: needs))
    except Unresolved as error:
        found["error"] = {"code": error.code, "message": error.message, "suggestions": list(error.suggestions)}
        found["dropped"] = [_dropped(dropped) for dropped in error.dropped]
        return found
    found["identity"] = plan.identity
    found["candidates"] = list(_candidates(snapshot, now, plan, project_id, dialect))
    found["dropped"] = [_dropped(dropped) for dropped in plan.dropped]
    return found


def _asked_at(snapshot: Snapshot, identity: str, endpoint: str) -> Endpoint:
    if endpoint:
        return endpoint_of(endpoint)
    public = snapshot.models.get(identity)
    return endpoint_for(public.service if public is not None else "")


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


def _candidates(snapshot: Snapshot, now: Moment, plan: Plan, project_id: int, dialect: str) -> Iterator[dict[str, Any]]:
    for candidate in plan.candidates:
        keys = _keys(snapshot, candidate, project_id)
        yield {
            "account": candidate.account.name,
            "provider": candidate.provider.slug,
            "upstream_model": candidate.upstream_model,
            "route": candidate.route_id,
            "why": why_here(snapshot, now, plan, candidate),
            "priority": candidate.priority,
            "weight": candidate.weight,
            "family": candidate.family,
            "fleet": candidate.fleet,
            "base_url": _url(snapshot, candidate, keys),
            "keys": len(keys.usable),
            "keys_to_enter_again": dict(keys.closed),
            "without_token": minted.problems(candidate.account.id),
            "streaming": candidate.provider.streaming,
            "quirks": candidate.quirks,
            "timeouts": msgspec.to_builtins(candidate.account.timeouts),
            "prices": {name: getattr(candidate.facts, name, None) for name in _PRICES},
            "price_image": candidate.facts.price_image if candidate.facts is not None else None,
            "hedged_after": _hedged_after(snapshot, candidate) if candidate is not plan.candidates[-1] else None,
            "problems": [reason.text for reason in reasons(snapshot, candidate, dialect, keys)],
        }


def _hedged_after(snapshot: Snapshot, candidate: Candidate) -> str | None:
    """When the next candidate is asked as well, while this one has not begun to answer."""
    model = snapshot.models.get(candidate.public_name)
    after = read(model.hedge_after) if model is not None else None
    if model is None or after is None:
        return None
    seconds = hedge_delay(snapshot, after, candidate)
    now = "too little is known of it yet" if seconds is None else f"{seconds:.3g} s now"
    return f"{model.hedge_after} ({now}), at most {model.hedge_daily} requests a day"


def _keys(snapshot: Snapshot, candidate: Candidate, project_id: int) -> Keys:
    found = keys_of(snapshot, candidate, project_id or None, why_closed)
    able, lack = minted.with_token(candidate.provider.credential, found.usable)
    return found._replace(usable=able, without_token=lack)


def _url(snapshot: Snapshot, candidate: Candidate, keys: Keys) -> str:
    used = key_set_in_use(snapshot, candidate, keys)
    try:
        return base_url(
            candidate.provider, candidate.account, used.variables if used is not None else {}, candidate.family
        )
    except BadUrl:
        return ""


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
        where = "at the workers that registered" if place["fleet"] else place["base_url"] or "no URL"
        keys = "no key of the account is sent" if place["fleet"] else f"keys {place['keys']}"
        yield f"     provider {place['provider']}, family {place['family']}, {where}"
        yield f"     priority {place['priority']}, weight {place['weight']}, {keys}"
        yield f"     stands here: {place['why']}"
        timeouts = ", ".join(f"{phase} {seconds:g} s" for phase, seconds in place["timeouts"].items())
        yield f"     timeouts {timeouts}"
        yield f"     prices per million tokens: {_prices(place['prices'])}"
        if place["price_image"] is not None:
            yield f"     price per picture: {_usd(place['price_image'])}"
        if place["keys"] and place["keys_to_enter_again"]:
            yield f"     {to_enter_again(place['keys_to_enter_again'])}"
        for why in place["without_token"]:
            yield f"     no access token for a key: {why}"
        if place["quirks"]:
            yield f"     quirks {place['quirks']}"
        if place["hedged_after"]:
            yield f"     hedged: the next is asked as well after {place['hedged_after']}"
        for problem in place["problems"]:
            yield f"     cannot serve: {problem}"
    for dropped in found["dropped"]:
        yield f"  dropped {dropped['what']}: {dropped['reason']}"


def _prices(prices: dict[str, int | None]) -> str:
    return ", ".join(
        f"{name.removeprefix('price_').replace('_', ' ')} {'unknown' if micro is None else _usd(micro)}"
        for name, micro in prices.items()
    )


def _usd(micro: int) -> str:
    return f"${micro / 1_000_000:g}"
