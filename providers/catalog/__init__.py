"""The catalog: what is known of providers, their models and prices, and what everything is patched to at first. Pure.

The TOML files beside this one are the source of truth and are edited by hand. `load` reads all of them into frozen
structs and refuses a catalog that contradicts itself; `routing.loading` writes it into the tables.
"""

from __future__ import annotations

import datetime
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from providers.catalog.checks import contradictions
from providers.catalog.forms import (
    Catalog,
    CatalogAccount,
    CatalogFacts,
    CatalogPrefix,
    CatalogProvider,
    CatalogPublicModel,
)

__all__ = ["BadCatalog", "Catalog", "load", "read"]


class BadCatalog(ValueError):
    """The catalog's files cannot be read or contradict each other."""


class _ModelList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts of one provider's models, as a file groups them: source and date hold for all that name no other."""

    provider: str
    list: tuple[dict[str, Any], ...]
    source: str = ""
    as_of: datetime.date | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a catalog file may hold."""

    provider: tuple[CatalogProvider, ...] = ()
    account: tuple[CatalogAccount, ...] = ()
    public_model: tuple[CatalogPublicModel, ...] = ()
    prefix: tuple[CatalogPrefix, ...] = ()
    models: tuple[_ModelList, ...] = ()
    mapping_updated: str = ""


@cache
def load() -> Catalog:
    """The catalog that ships with Jackfield. Raises BadCatalog."""
    return read(sorted(Path(__file__).parent.glob("*.toml")))


def read(paths: Iterable[Path]) -> Catalog:
    """The catalog made of these files. Raises BadCatalog, naming the file or the contradiction."""
    files = [_read_file(path) for path in paths]
    providers = tuple(provider for file in files for provider in file.provider)
    catalog = Catalog(
        providers=providers,
        accounts=_accounts(providers, [account for file in files for account in file.account]),
        facts=tuple(fact for file in files for group in file.models for fact in _facts(group)),
        public_models=tuple(model for file in files for model in file.public_model),
        prefixes=tuple(prefix for file in files for prefix in file.prefix),
        mapping_updated=max((file.mapping_updated for file in files), default=""),
    )
    problems = contradictions(catalog)
    if problems:
        raise BadCatalog("the catalog contradicts itself: " + "; ".join(problems))
    return catalog


def _read_file(path: Path) -> _File:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadCatalog(f"{path.name}: {error}") from error


def _facts(group: _ModelList) -> list[CatalogFacts]:
    common = {"provider": group.provider, "source": group.source, "as_of": group.as_of}
    try:
        return [msgspec.convert(common | entry, CatalogFacts) for entry in group.list]
    except msgspec.ValidationError as error:
        raise BadCatalog(f"models of {group.provider}: {error}") from error


def _accounts(providers: Iterable[CatalogProvider], named: list[CatalogAccount]) -> tuple[CatalogAccount, ...]:
    """The named accounts, and for every provider that can be served one under its own id."""
    by_provider: dict[str, set[str]] = defaultdict(set)
    for account in named:
        by_provider[account.provider].add(account.name)
    own = [
        CatalogAccount(name=provider.id, provider=provider.id)
        for provider in providers
        if not provider.deferred_to and provider.id not in by_provider[provider.id]
    ]
    return tuple(own + named)
