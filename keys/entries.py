"""Frozen forms of the key and token rows, as the snapshot holds them: sealed keys and MACs, never a plaintext. Pure."""

from __future__ import annotations

import msgspec


class ProjectEntry(msgspec.Struct, frozen=True, gc=False):
    id: int
    name: str
    enabled: bool


class KeyEntry(msgspec.Struct, frozen=True, gc=False):
    """One sealed credential. `id` is the row's UUID as text, part of what the seal is bound to."""

    id: str
    position: int
    sealed: bytes
    last_four: str
    fingerprint: str
    source: str
    live: bool
    enabled: bool


class KeySetEntry(msgspec.Struct, frozen=True, gc=False):
    """`keys` are in the order they are tried. `origin` (scheme://host:port) is what their seals are bound to."""

    id: int
    account_id: int
    project_id: int | None
    name: str
    variables: dict[str, str]
    origin: str
    keys: tuple[KeyEntry, ...]
    #: the family of environment variables that are this set's, as in AZURE_PF_GPT41_*
    env_pattern: str = ""


class TokenEntry(msgspec.Struct, frozen=True, gc=False):
    """A token that may come in. `mac` is the key of its table. Times are epoch seconds.

    `compromised`: it was revoked as such, and what runs under it is to be cut (R-TOK-05).
    """

    id: str
    mac: bytes
    project_id: int
    kind: str
    expires_at: float | None
    revoked_at: float | None
    compromised: bool = False
    #: of the account whose workers it is for; it has no project then
    account_id: int = 0
