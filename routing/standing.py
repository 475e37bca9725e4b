"""Which routes could serve a request, as far as the rows tell: what the admin's filters and warnings ask."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.fields.json import KT

from keys.models import ProviderKey
from providers.families import FAMILIES, OPENAI_CHAT, OPENAI_COMPLETIONS, choose
from routing.models import PublicModel, Route

_SERVED = tuple(name for name, family in FAMILIES.items() if family.is_served)


def working_routes() -> QuerySet[Route]:
    """Routes that are on, of what is on, with a key where one is needed and in a dialect that is served."""
    has_key = ProviderKey.objects.filter(enabled=True, key_set__account=OuterRef("account"))
    return routes_but_for_keys().filter(Q(account__provider__keyless=True) | Q(Exists(has_key)))


def routes_but_for_keys() -> QuerySet[Route]:
    """The same, whether or not there is a key.

    A provider that offers several families counts by the route's, else the account's, else its own.
    """
    family = Case(
        When(~Q(family=""), then=F("family")),
        When(~Q(account__family=""), then=F("account__family")),
        When(account__provider__family__in=_SERVED, then=F("account__provider__family")),
        When(account__provider__families__has_any_keys=list(_SERVED), then=Value(OPENAI_COMPLETIONS)),
        default=F("account__provider__family"),
    )
    return (
        Route.objects.annotate(spoken=family)
        .filter(enabled=True, account__enabled=True, account__provider__enabled=True)
        .filter(account__provider__deferred_to="", spoken__in=_SERVED)
    )


def with_standing(models: QuerySet[PublicModel]) -> QuerySet[Any]:
    """Public models with `works`: whether at least one route could serve."""
    return models.annotate(works=Exists(working_routes().filter(model=OuterRef("pk"))))


def set_up() -> Exists:
    """Has the model a route of an operator's?"""
    return Exists(_patched().filter(model=OuterRef("pk")))


def waits_for_key() -> Exists:
    """Has the model a route that only a key is missing from?"""
    return Exists(routes_but_for_keys().filter(model=OuterRef("pk")))


def untouched(models: QuerySet[PublicModel]) -> QuerySet[PublicModel]:
    """The catalog's, with the catalog's routes: nobody has set them up, so nothing of them is broken."""
    return models.exclude(catalog={}).exclude(pk__in=_patched().values("model"))


def _patched() -> QuerySet[Route]:
    """Routes that operators made, or led to another upstream model than the catalog did."""
    given: QuerySet[Any] = Route.objects.annotate(given=KT("catalog__upstream_model"))
    return given.exclude(given=F("upstream_model"))


def problems(route: Route) -> list[str]:
    """Why this route (account and provider fetched) could not serve, in words for the one who patches it."""
    found: list[str] = []
    account, provider = route.account, route.account.provider
    if not account.enabled:
        found.append(f"the account {account.name} is off")
    if not provider.enabled:
        found.append(f"the provider {provider.slug} is off")
    if provider.deferred_to:
        found.append(f"{provider.slug} is not available; the nearest is {provider.deferred_to}")
    family = choose(OPENAI_CHAT, provider.family, provider.families, route.family or account.family)
    if family not in _SERVED:
        found.append(f"requests in the dialect of {family} cannot be made yet")
    if not provider.keyless and not ProviderKey.objects.filter(enabled=True, key_set__account=account).exists():
        found.append(f"the account {account.name} has no key")
    return found
