"""The snapshot: the frozen, compiled form of the whole configuration that one request reads from start to end. Pure.

Tables are plain dicts by natural key. A new revision makes a new Snapshot that shares every table it did not touch.
Structs are kept out of the garbage collector (gc=False): none can be part of a cycle, and a full collection over
100,000 routes and tokens would stall requests.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from keys.entries import KeySetEntry, ProjectEntry, TokenEntry
from providers.entries import AccountEntry, FactsEntry, ProviderEntry

#: The service of models that chat.
TEXT: Final = "text"
#: That of models that make embeddings.
EMBEDDING: Final = "embedding"
#: That of models that make pictures.
IMAGE: Final = "image"
#: The infra of routes that lead to an account's own workers.
FLEET: Final = "fleet"


class RouteEntry(msgspec.Struct, frozen=True, gc=False):
    """`key_set_id` None means the account's own sets; `family` empty the account's or provider's."""

    id: int
    account_id: int
    upstream_model: str
    key_set_id: int | None
    family: str
    infra: str
    priority: int
    weight: int
    enabled: bool
    quirks: dict[str, Any]
    larger_context: bool = False


class ModelEntry(msgspec.Struct, frozen=True, gc=False):
    """A public model with all its routes, by priority then id. `created` is in epoch seconds."""

    id: int
    name: str
    service: str
    description: str
    enabled: bool
    created: int
    routes: tuple[RouteEntry, ...]
    #: a word of routing.ordering.Strategy
    strategy: str = "weighted"
    sticky: bool = False
    content_fallback: bool = False
    #: as routing.hedging reads it, and how many requests a day may have it
    hedge_after: str = ""
    hedge_daily: int = 0

    def lacks(self, service: str) -> str:
        """Why it is not the one to ask for this service, or nothing: what embeds does nothing else, and only it embeds;
        pictures are asked for as such of models that make them.

        What is asked of the other services differs from model to model: upstreams say it.
        """
        if service == IMAGE and self.service != IMAGE:
            return f"The model '{self.name}' makes no pictures."
        if not service or (service == EMBEDDING) == (self.service == EMBEDDING):
            return ""
        does = "makes embeddings and nothing else" if self.service == EMBEDDING else "makes no embeddings"
        return f"The model '{self.name}' {does}."


class PrefixEntry(msgspec.Struct, frozen=True, gc=False):
    prefix: str
    provider: str
    strip: bool


class PreferenceEntry(msgspec.Struct, frozen=True, gc=False):
    """What a project prefers and may use, as entered. `routing.allow.allowance` compiles `allow` on first use."""

    project_id: int
    default_model: str
    preferred: tuple[str, ...]
    allow: tuple[str, ...]
    #: nothing of a request may be left out where it is translated
    strict: bool = False


class Index(msgspec.Struct, frozen=True):
    """Row ids -> the keys of the tables, so that a patch finds what a changed or deleted row used to be."""

    providers: dict[int, str] = {}
    #: prefix rule id -> its entry, the enabled ones
    prefixes: dict[int, PrefixEntry] = {}
    #: key set id -> account id
    key_sets: dict[int, int] = {}
    #: key id -> key set id
    keys: dict[str, int] = {}
    models: dict[int, str] = {}
    #: route id -> model id
    routes: dict[int, int] = {}
    aliases: dict[int, str] = {}
    #: preference id -> project id
    preferences: dict[int, int] = {}
    tokens: dict[str, bytes] = {}
    facts: dict[int, str] = {}


class Snapshot(msgspec.Struct, frozen=True):
    revision: int
    #: epoch seconds of the moment this was built or patched
    built_at: float
    providers: dict[str, ProviderEntry] = {}
    #: lower-case alias -> slug, canonical slugs included
    provider_names: dict[str, str] = {}
    accounts: dict[int, AccountEntry] = {}
    account_ids: dict[str, int] = {}
    #: account id -> its key sets (shared ones and those of projects), by id
    key_sets: dict[int, tuple[KeySetEntry, ...]] = {}
    models: dict[str, ModelEntry] = {}
    #: alias -> public model name
    aliases: dict[str, str] = {}
    #: longest first
    prefixes: tuple[PrefixEntry, ...] = ()
    projects: dict[int, ProjectEntry] = {}
    #: by project id
    preferences: dict[int, PreferenceEntry] = {}
    #: by the token's MAC
    tokens: dict[bytes, TokenEntry] = {}
    #: by "provider/model"
    facts: dict[str, FactsEntry] = {}
    #: "provider/other id" -> "provider/model" (R-29)
    fact_aliases: dict[str, str] = {}
    #: provider slug -> ids of its accounts, ascending
    provider_accounts: dict[str, tuple[int, ...]] = {}
    #: what was left out and why, as {"token 1f..": "its row was not written by Jackfield"}
    left_out: dict[str, str] = {}
    index: Index = msgspec.field(default_factory=Index)
    #: compiled on demand by `routing.resolve`, per snapshot; never stored
    memo: dict[Any, Any] = {}


EMPTY = Snapshot(revision=0, built_at=0.0)
