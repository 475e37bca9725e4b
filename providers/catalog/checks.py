"""What a catalog must not say. Pure: finds contradictions before anything of it reaches a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from providers.catalog.forms import Catalog
from providers.credentials import SCHEMES
from providers.families import FAMILIES

SERVICES: Final = frozenset({"text", "image", "video", "audio", "embedding"})


def contradictions(catalog: Catalog) -> list[str]:
    """Everything wrong with a catalog, in words; empty for a good one."""
    return [
        *_doubles("provider id or alias", (name for p in catalog.providers for name in (p.id, *p.aliases))),
        *_doubles("account", (account.name for account in catalog.accounts)),
        *_doubles("public model", (model.name for model in catalog.public_models)),
        *_doubles("prefix", (prefix.prefix for prefix in catalog.prefixes)),
        *_doubles("model id or alias", (f"{f.provider}/{name}" for f in catalog.facts for name in (f.id, *f.aliases))),
        *_of_providers(catalog),
        *_of_references(catalog),
        *_of_public_models(catalog),
    ]


def _doubles(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{what} '{name}' occurs {count} times"


def _of_providers(catalog: Catalog) -> Iterator[str]:
    ids = {provider.id: provider for provider in catalog.providers}
    for provider in catalog.providers:
        if provider.credential not in SCHEMES:
            yield f"provider '{provider.id}' has the unknown credential scheme '{provider.credential}'"
        for family in (provider.family, *provider.families):
            if family not in FAMILIES:
                yield f"provider '{provider.id}' has the unknown family '{family}'"
        if provider.deferred_to:
            alternative = ids.get(provider.deferred_to)
            if alternative is None or alternative.deferred_to:
                yield f"the alternative of '{provider.id}' cannot be served either"
        elif not provider.base_url:
            yield f"provider '{provider.id}' has no base URL"


def _of_references(catalog: Catalog) -> Iterator[str]:
    ids = {provider.id: provider for provider in catalog.providers}
    for account in catalog.accounts:
        if account.provider not in ids:
            yield f"account '{account.name}' is at the unknown provider '{account.provider}'"
        yield from _doubles(f"key set of '{account.name}'", (keys.name for keys in account.key_sets))
    for prefix in catalog.prefixes:
        if prefix.provider not in ids:
            yield f"prefix '{prefix.prefix}' leads to the unknown provider '{prefix.provider}'"
    for fact in catalog.facts:
        provider = ids.get(fact.provider)
        if provider is None:
            yield f"model '{fact.id}' is at the unknown provider '{fact.provider}'"
        elif fact.family and fact.family not in (provider.family, *provider.families):
            yield f"model '{fact.provider}/{fact.id}' has a family that its provider does not offer"


def _of_public_models(catalog: Catalog) -> Iterator[str]:
    accounts = {account.name: account for account in catalog.accounts}
    providers = {provider.id: provider for provider in catalog.providers}
    for model in catalog.public_models:
        if model.service not in SERVICES:
            yield f"public model '{model.name}' has the unknown service '{model.service}'"
        for route in model.routes:
            account = accounts.get(route.account)
            provider = providers.get(account.provider) if account else None
            if account is None or provider is None:
                yield f"public model '{model.name}' is patched to the unknown account '{route.account}'"
            elif route.key_set and route.key_set not in {keys.name for keys in account.key_sets}:
                yield f"public model '{model.name}' names the unknown key set '{route.key_set}'"
            elif route.family and route.family not in (provider.family, *provider.families):
                yield f"public model '{model.name}' has a family that '{provider.id}' does not offer"
