"""The rows that the catalog wants to see: its entries as column values, foreign keys by the other row's key.

A row's key is what the catalog calls it and never changes with what an operator makes of the row: it is read from the
values that the catalog last gave (`catalog` of the row), else from the row itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from keys.models import KeySet
from providers.catalog.forms import Catalog, CatalogAccount, CatalogKeySet
from providers.config import ConfigRow
from providers.models import Account, CatalogModel, Provider
from routing.models import PrefixRule, PublicModel, Route

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """One row: its key, and its column values as JSON holds them."""

    key: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table that the catalog writes. `links`: foreign key -> name of the table it leads to; `parent` is one of them:
    a row whose parent is an operator's own is none of the catalog's business."""

    name: str
    model: type[ConfigRow]
    rows: Callable[[Catalog], Iterator[Wanted]]
    key_of: Callable[[Values], str]
    links: dict[str, str] = field(default_factory=dict)
    parent: str = ""

    @property
    def remembers(self) -> bool:
        """Whether its rows keep the values the catalog last gave."""
        return any(column.name == "catalog" for column in self.model._meta.concrete_fields)


def _plain(entry: msgspec.Struct) -> dict[str, Any]:
    """An entry's fields as a JSON column gives them back: lists for tuples, text for dates."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(entry))
    return plain


def _providers(catalog: Catalog) -> Iterator[Wanted]:
    for entry in catalog.providers:
        values = _plain(entry)
        values["slug"] = values.pop("id")
        values["env_prefix"] = entry.rotation_prefix
        yield Wanted(entry.id, values)


def _accounts(catalog: Catalog) -> Iterator[Wanted]:
    for entry in catalog.accounts:
        values = _plain(entry)
        del values["key_sets"]
        yield Wanted(entry.name, values)


def _key_sets_of(account: CatalogAccount, credential: str) -> tuple[CatalogKeySet, ...]:
    if credential == "none":
        return ()
    return account.key_sets or (CatalogKeySet(),)


def _key_sets(catalog: Catalog) -> Iterator[Wanted]:
    credentials = {provider.id: provider.credential for provider in catalog.providers}
    for account in catalog.accounts:
        for entry in _key_sets_of(account, credentials[account.provider]):
            yield Wanted(f"{account.name}/{entry.name}", {"account": account.name, **_plain(entry)})


def _facts(catalog: Catalog) -> Iterator[Wanted]:
    for entry in catalog.facts:
        yield Wanted(
            f"{entry.provider}/{entry.id}",
            {
                "provider": entry.provider,
                "model": entry.id,
                "name": entry.name,
                "kind": entry.kind,
                "family": entry.family,
                "context": entry.context,
                "max_output": entry.max_output,
                "input_modalities": list(entry.inputs),
                "output_modalities": list(entry.outputs),
                "tools": entry.tools,
                "reasoning": entry.reasoning,
                "structured_output": entry.structured_output,
                "price_input": entry.price.input,
                "price_output": entry.price.output,
                "price_cache_read": entry.price.cache_read,
                "price_cache_write": entry.price.cache_write,
                "price_image": entry.other_price.get("per_image"),
                "aliases": list(entry.aliases),
                "as_of": entry.as_of.isoformat() if entry.as_of else None,
                "source": entry.source,
            },
        )


def _public_models(catalog: Catalog) -> Iterator[Wanted]:
    for entry in catalog.public_models:
        yield Wanted(entry.name, {"name": entry.name, "service": entry.service, "description": entry.description})


def _routes(catalog: Catalog) -> Iterator[Wanted]:
    for model in catalog.public_models:
        for number, entry in enumerate(model.routes):
            values = _plain(entry)
            values["upstream_model"] = values.pop("model")
            values["key_set"] = f"{entry.account}/{entry.key_set}" if entry.key_set else None
            yield Wanted(f"{model.name}#{number}", {"model": model.name, **values, "number": number})


def _prefixes(catalog: Catalog) -> Iterator[Wanted]:
    for entry in catalog.prefixes:
        yield Wanted(entry.prefix, _plain(entry))


#: In the order they are written: what a foreign key leads to comes first.
TABLES: Final = (
    Table("provider", Provider, _providers, lambda values: str(values["slug"])),
    Table("account", Account, _accounts, lambda values: str(values["name"]), {"provider": "provider"}, "provider"),
    Table(
        "key set",
        KeySet,
        _key_sets,
        lambda values: f"{values['account']}/{values['name']}",
        {"account": "account"},
        "account",
    ),
    Table(
        "model facts",
        CatalogModel,
        _facts,
        lambda values: f"{values['provider']}/{values['model']}",
        {"provider": "provider"},
        "provider",
    ),
    Table("public model", PublicModel, _public_models, lambda values: str(values["name"])),
    Table(
        "route",
        Route,
        _routes,
        lambda values: f"{values['model']}#{values['number']}" if "number" in values else "",
        {"model": "public model", "account": "account", "key_set": "key set"},
        "model",
    ),
    Table("prefix rule", PrefixRule, _prefixes, lambda values: str(values["prefix"]), {"provider": "provider"}),
)
