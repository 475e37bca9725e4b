"""No credential at all: a server of one's own that asks for none. Pure."""

from __future__ import annotations

from providers.entries import ProviderEntry


def sign(provider: ProviderEntry, headers: list[tuple[str, str]], url: str, key: str) -> str:
    """Add nothing, even where a key is stored."""
    return url
