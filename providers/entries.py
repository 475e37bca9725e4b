"""Frozen forms of the provider rows, as the snapshot holds them. Pure."""

from __future__ import annotations

from typing import Any

import msgspec


class Variable(msgspec.Struct, frozen=True, gc=False):
    """A value that a URL template or a credential needs: env names it may come from, in order, and its default."""

    name: str
    env: tuple[str, ...] = ()
    default: str = ""


class ProviderEntry(msgspec.Struct, frozen=True, gc=False):
    slug: str
    name: str
    family: str
    families: dict[str, str]
    base_url: str
    variables: tuple[Variable, ...]
    credential: str
    credential_name: str
    env_keys: tuple[str, ...]
    aliases: tuple[str, ...]
    capabilities: tuple[str, ...]
    streaming: bool
    keyless: bool
    quirks: dict[str, Any]
    enabled: bool
    deferred_to: str
    deferred_reason: str

    @property
    def needs_key(self) -> bool:
        """Is a request of it refused while no key is entered?"""
        return not self.keyless and self.credential != "none"


class Timeouts(msgspec.Struct, frozen=True, gc=False):
    """Seconds per phase (R-REL common rules). `gap` lies between two events, comments excepted."""

    connect: float = 5.0
    first_byte: float = 60.0
    gap: float = 90.0
    total: float = 1800.0


class AccountEntry(msgspec.Struct, frozen=True, gc=False):
    id: int
    name: str
    provider: str
    family: str
    base_url: str
    variables: dict[str, str]
    private_network: bool
    timeouts: Timeouts
    enabled: bool
    #: the family of environment variables that are this account's, as in AWS_*
    env_pattern: str = ""
    #: where its own workers may be: see providers.workers
    worker_hosts: tuple[str, ...] = ()


class FactsEntry(msgspec.Struct, frozen=True, gc=False):
    """What is known of (provider, model). Prices in micro-USD per million tokens, `price_image` per picture; None is
    unknown."""

    provider: str
    model: str
    family: str = ""
    kind: str = "chat"
    context: int | None = None
    max_output: int | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    tools: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    price_input: int | None = None
    price_output: int | None = None
    price_cache_read: int | None = None
    price_cache_write: int | None = None
    aliases: tuple[str, ...] = ()
    price_image: int | None = None
