"""The forms of a catalog entry. Pure. A field that a form does not know is an error, so a slip of the pen is found."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec


class CatalogVariable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that a URL template or a credential needs: variables it may come from, in order, and its default."""

    name: str
    env: tuple[str, ...] = ()
    default: str = ""


class CatalogProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider. `families` are the wire APIs it offers beside `family`, each with its base URL."""

    id: str
    name: str
    family: str
    base_url: str = ""
    families: dict[str, str] = {}
    variables: tuple[CatalogVariable, ...] = ()
    credential: str
    credential_name: str = ""
    env_keys: tuple[str, ...]
    env_prefix: str = ""
    aliases: tuple[str, ...] = ()
    capabilities: tuple[str, ...]
    streaming: bool = True
    keyless: bool = False
    quirks: dict[str, Any] = {}
    enabled: bool = True
    deferred_to: str = ""
    deferred_reason: str = ""

    @property
    def rotation_prefix(self) -> str:
        """The stem of the variables that hold several keys: OPENAI of OPENAI_API_KEYS."""
        return self.env_prefix or self.id.upper().replace("-", "_").replace(".", "_")


class CatalogKeySet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A family of environment variables that belong together, as `AZURE_PF_GPT41_*`."""

    name: str = "default"
    env_pattern: str = ""
    variables: dict[str, str] = {}


class CatalogAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One contract at a provider. An account without key sets of its own gets the one called `default`."""

    name: str
    provider: str
    family: str = ""
    variables: dict[str, str] = {}
    private_network: bool = False
    env_pattern: str = ""
    key_sets: tuple[CatalogKeySet, ...] = ()


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Integer micro-USD per million tokens. None is unknown, 0 is free."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None


class CatalogFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"inputs": "in", "outputs": "out"}):
    """What is known of one model at one provider. `aliases` are other ids that mean it there.

    `other_price` holds prices per units that are no text tokens: input_audio, output_image (per million tokens of
    that kind), per_image, per_second, in micro-USD.
    """

    provider: str
    id: str
    name: str = ""
    kind: str = "chat"
    family: str = ""
    context: int | None = None
    max_output: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    tools: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    price: Price = Price()
    other_price: dict[str, int] = {}
    aliases: tuple[str, ...] = ()
    as_of: datetime.date | None = None
    source: str = ""


class CatalogRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a public model is patched to. `key_set` names one of the account's, where it must be that one."""

    account: str
    model: str
    key_set: str = ""
    family: str = ""
    infra: str = "api"
    quirks: dict[str, Any] = {}
    priority: int = 0
    weight: int = 1


class CatalogPublicModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A name that applications ask for, and its routes."""

    name: str
    service: str = "text"
    description: str = ""
    routes: tuple[CatalogRoute, ...]


class CatalogPrefix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names that begin so go to this provider; with `strip` the prefix is taken off."""

    prefix: str
    provider: str
    strip: bool = False


class Catalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole catalog. `mapping_updated` is the month (YYYY-MM) that the public models' mapping was last revised."""

    providers: tuple[CatalogProvider, ...]
    accounts: tuple[CatalogAccount, ...]
    facts: tuple[CatalogFacts, ...]
    public_models: tuple[CatalogPublicModel, ...]
    prefixes: tuple[CatalogPrefix, ...]
    mapping_updated: str = ""

    def provider(self, name: str) -> CatalogProvider:
        """The provider of this id or alias. Raises KeyError."""
        for provider in self.providers:
            if name == provider.id or name in provider.aliases:
                return provider
        raise KeyError(name)

    def account(self, name: str) -> CatalogAccount:
        """The account of this name. Raises KeyError."""
        for account in self.accounts:
            if name == account.name:
                return account
        raise KeyError(name)

    def public_model(self, name: str) -> CatalogPublicModel:
        """The public model of this name. Raises KeyError."""
        for model in self.public_models:
            if name == model.name:
                return model
        raise KeyError(name)

    def fact(self, provider: str, model: str) -> CatalogFacts:
        """What is known of a model at a provider, by its id or an alias of it. Raises KeyError."""
        for fact in self.facts:
            if fact.provider == provider and (fact.id == model or model in fact.aliases):
                return fact
        raise KeyError(f"{provider}/{model}")
