"""The key in the query string (`?key=`), for hosts that take it nowhere else. Pure."""

from __future__ import annotations

from urllib.parse import quote

from providers.credentials.request import Signed, Unsigned


def sign(request: Unsigned, key: str) -> Signed:
    """Add the parameter (`credential_name`, or key) to the URL. Such a URL must never be shown."""
    url, name = request.url, quote(request.provider.credential_name or "key", safe="")
    return Signed(f"{url}{'&' if '?' in url else '?'}{name}={quote(key, safe='')}", request.headers)
