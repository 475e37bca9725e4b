"""The key alone in a header: `api-key` at Azure, `x-api-key` at Anthropic. Pure."""

from __future__ import annotations

from providers.entries import ProviderEntry


def sign(provider: ProviderEntry, headers: list[tuple[str, str]], url: str, key: str) -> str:
    """Append the header (`credential_name`, or x-api-key)."""
    headers.append((provider.credential_name or "x-api-key", key))
    return url
