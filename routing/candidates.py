"""What a model name means in a snapshot: the places that its requests may go to, and why others are out. Pure.

The order of meanings: an exact public name or alias that the project may see; `provider/model`, divided at the first
slash; the prefix table, longest first; else a refusal with up to three suggestions. Every spelling leads to one
*identity* (a public name, or `provider/model` in canonical form), and the allowlist is asked about that identity only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from providers.entries import AccountEntry, FactsEntry, ProviderEntry
from providers.families import choose, of_model
from providers.names import MODEL_NAME
from providers.quirks import of_family
from routing.allow import Allowance, ref_of
from routing.fleet import Seat
from routing.ordering import Strategy
from routing.places import Place
from routing.snapshot import FLEET, ModelEntry, RouteEntry, Snapshot
from routing.suggest import suggestions


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One place a request may go: an account, the model's id there, and how to speak to it."""

    #: None for a provider/model ref, which no route stands behind
    route_id: int | None
    account: AccountEntry
    provider: ProviderEntry
    upstream_model: str
    #: None means the account's own key sets, the project's first
    key_set_id: int | None
    family: str
    #: the provider's switches with the route's laid over them
    quirks: dict[str, Any]
    priority: int
    weight: int
    #: the public name or ref this candidate stands for
    public_name: str
    facts: FactsEntry | None = None
    #: asked where a request is too long for another
    larger_context: bool = False
    #: it is served by workers of the account, which registered themselves; `seat`: at the one that takes the job
    fleet: bool = False
    seat: Seat | None = None

    @property
    def place(self) -> Place:
        """What health is kept of."""
        return (self.account.id, self.upstream_model) if self.seat is None else self.seat.place


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """A candidate that is not tried, and why. `what` is "account/upstream model", or a model's name under `auto`."""

    what: str
    reason: str
    candidate: Candidate | None = None


class Unresolved(Exception):
    """A name that leads nowhere. `code` is stable; `message` is for the caller and names nothing he may not see.

    model_required, model_not_found, model_not_allowed, provider_deferred, no_candidate, auto_not_configured,
    unsupported_parameter.
    """

    def __init__(
        self, code: str, message: str, suggestions: Sequence[str] = (), dropped: Sequence[Dropped] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.suggestions = tuple(suggestions)
        self.dropped = tuple(dropped)


class Target(msgspec.Struct, frozen=True, gc=False):
    """What a name means, whatever the time and the load; made once per snapshot for public models."""

    identity: str
    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]
    strategy: Strategy = Strategy.WEIGHTED
    sticky: bool = False
    #: the next is asked where one refuses a request for its content
    content_fallback: bool = False


def dropped_for(candidate: Candidate, reason: str) -> Dropped:
    """A candidate that is out for this reason."""
    return Dropped(f"{candidate.account.name}/{candidate.upstream_model}", reason, candidate)


def target(snapshot: Snapshot, allow: Allowance, name: str, dialect: str, service: str) -> Target:
    """The meaning of a name for who has this allowance. Raises Unresolved."""
    public = name if name in snapshot.models else snapshot.aliases.get(name)
    forbidden = False
    if public is not None:
        if allow.permits(public):
            lack = snapshot.models[public].lacks(service)
            if lack:
                raise Unresolved("unsupported_parameter", lack)
            return _of_model(snapshot, snapshot.models[public], dialect)
        forbidden = True
    ref = ref_of(snapshot, name)
    if ref is not None and MODEL_NAME.match(ref[1]):
        slug, upstream = ref
        if allow.permits(f"{slug}/{upstream}"):
            return _of_ref(snapshot, snapshot.providers[slug], upstream, dialect)
        forbidden = True
    if forbidden:
        raise Unresolved(
            "model_not_allowed",
            f"The model '{name}' is not among the models that this project may use.",
            suggestions(snapshot, allow, name),
        )
    raise unknown_model(name, suggestions(snapshot, allow, name))


def unknown_model(name: str, near: Sequence[str]) -> Unresolved:
    """The refusal of a name that means nothing; `near` are names that the caller may use."""
    hint = f" Did you mean {_either(near)}?" if near else ""
    return Unresolved("model_not_found", f"The model '{name[:191]}' does not exist.{hint}", near)


def _either(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _of_model(snapshot: Snapshot, model: ModelEntry, dialect: str) -> Target:
    """A public model's routes. Memoised: there are only so many models and endpoints."""
    key = ("model", model.name, dialect)
    found: Target | None = snapshot.memo.get(key)
    if found is None:
        if not model.enabled:
            raise Unresolved("model_not_found", f"The model '{model.name}' is switched off.")
        found = snapshot.memo[key] = _routes(snapshot, model, dialect)
    if not found.candidates:
        why = " ".join((f"Nothing serves the model '{model.name}' now.", *_switches(found.dropped)))
        raise Unresolved("no_candidate", why, (), found.dropped)
    return found


def _switches(dropped: Sequence[Dropped]) -> Iterator[str]:
    """A sentence for each provider whose switch dropped a route: it takes another person than an account's (M-21)."""
    places = [one.candidate for one in dropped if one.candidate is not None]
    off = (place.provider for place in places if place.account.enabled and not place.provider.enabled)
    yield from map(_off, dict.fromkeys(provider.slug for provider in off if not provider.deferred_to))


def _off(slug: str) -> str:
    return f"Provider '{slug}' is switched off; a security admin can switch it on in the admin."


def _routes(snapshot: Snapshot, model: ModelEntry, dialect: str) -> Target:
    candidates: list[Candidate] = []
    dropped: list[Dropped] = []
    for route in model.routes:
        candidate = of_route(snapshot, route, model.name, dialect)
        reason = why_dropped(candidate.provider, candidate.account, route)
        if reason is None:
            candidates.append(candidate)
        else:
            dropped.append(dropped_for(candidate, reason))
    return Target(
        model.name, tuple(candidates), tuple(dropped), Strategy(model.strategy), model.sticky, model.content_fallback
    )


def why_dropped(provider: ProviderEntry, account: AccountEntry, route: RouteEntry | None = None) -> str | None:
    """What of a place is switched off, so that no request goes there: the only asker of the switches."""
    if route is not None and not route.enabled:
        return "the route is switched off"
    if not account.enabled:
        return f"account {account.name} is switched off"
    if provider.deferred_to:
        why = f" ({provider.deferred_reason.rstrip('.')})" if provider.deferred_reason else ""
        return f"provider {provider.slug} cannot be served{why}, the nearest is {provider.deferred_to}"
    return None if provider.enabled else f"provider {provider.slug} is switched off"


def of_route(snapshot: Snapshot, route: RouteEntry, public_name: str, dialect: str) -> Candidate:
    """The place that a route leads to."""
    account = snapshot.accounts[route.account_id]
    return _candidate(
        snapshot,
        snapshot.providers[account.provider],
        account,
        route.upstream_model,
        public_name=public_name,
        dialect=dialect,
        route=route,
    )


def _of_ref(snapshot: Snapshot, provider: ProviderEntry, upstream: str, dialect: str) -> Target:
    """A provider/model ref goes to the account named like the provider, else to the provider's accounts by id."""
    identity = f"{provider.slug}/{upstream}"
    if provider.deferred_to:
        reason = f" {provider.deferred_reason}" if provider.deferred_reason else ""
        raise Unresolved(
            "provider_deferred",
            f"The provider '{provider.slug}' is not available here.{reason} The nearest alternative is "
            f"'{provider.deferred_to}'.",
            (provider.deferred_to,),
        )
    named = snapshot.account_ids.get(provider.slug)
    if named is not None and snapshot.accounts[named].provider == provider.slug:
        ids: tuple[int, ...] = (named,)
    else:
        ids = snapshot.provider_accounts.get(provider.slug, ())
    candidates: list[Candidate] = []
    dropped: list[Dropped] = []
    for priority, pk in enumerate(ids):
        account = snapshot.accounts[pk]
        candidate = _candidate(
            snapshot,
            provider,
            account,
            upstream,
            public_name=identity,
            dialect=dialect,
            priority=priority,
        )
        why = why_dropped(provider, account)
        if why is None:
            candidates.append(candidate)
        else:
            dropped.append(dropped_for(candidate, why))
    if not candidates:
        nobody = f"No account serves the provider '{provider.slug}' now."
        why = nobody if provider.enabled else _off(provider.slug)
        raise Unresolved("no_candidate", why, (), dropped)
    return Target(identity, tuple(candidates), tuple(dropped))


def _candidate(
    snapshot: Snapshot,
    provider: ProviderEntry,
    account: AccountEntry,
    upstream: str,
    *,
    public_name: str,
    dialect: str,
    route: RouteEntry | None = None,
    priority: int = 0,
) -> Candidate:
    key = f"{provider.slug}/{upstream}"
    facts = snapshot.facts.get(key) or snapshot.facts.get(snapshot.fact_aliases.get(key, ""))
    own = route.quirks if route else {}
    quirks = {**provider.quirks, **own} if own else provider.quirks
    fixed = (route.family if route else "") or account.family or (facts.family if facts else "")
    fixed = fixed or of_model(quirks.get("family_by_prefix"), upstream)
    family = choose(dialect, provider.family, provider.families, fixed) if dialect else fixed or provider.family
    return Candidate(
        route_id=route.id if route else None,
        account=account,
        provider=provider,
        upstream_model=upstream,
        key_set_id=route.key_set_id if route else None,
        family=family,
        quirks=of_family(quirks, own, family),
        priority=route.priority if route else priority,
        weight=route.weight if route else 1,
        public_name=public_name,
        facts=facts,
        larger_context=route.larger_context if route else False,
        fleet=route is not None and route.infra == FLEET,
    )
