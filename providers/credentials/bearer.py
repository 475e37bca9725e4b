"""`Authorization: Bearer <key>`. Pure."""

from __future__ import annotations

from providers.entries import ProviderEntry


def sign(provider: ProviderEntry, headers: list[tuple[str, str]], url: str, key: str) -> str:
    """Append the header (`credential_name`, or Authorization)."""
    headers.append((provider.credential_name or "Authorization", f"Bearer {key}"))
    return url
