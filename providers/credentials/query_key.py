"""The key in the query string (`?key=`), for hosts that take it nowhere else. Pure."""

from __future__ import annotations

from urllib.parse import quote

from providers.entries import ProviderEntry


def sign(provider: ProviderEntry, headers: list[tuple[str, str]], url: str, key: str) -> str:
    """Return the URL with the parameter (`credential_name`, or key) added. Such a URL must never be shown."""
    name = quote(provider.credential_name or "key", safe="")
    return f"{url}{'&' if '?' in url else '?'}{name}={quote(key, safe='')}"
