"""The key alone in a header: `api-key` at Azure, `x-api-key` at Anthropic. Pure."""

from __future__ import annotations

from providers.credentials.request import Signed, Unsigned


def sign(request: Unsigned, key: str) -> Signed:
    """Add the header (`credential_name`, or x-api-key)."""
    return Signed(request.url, [*request.headers, (request.provider.credential_name or "x-api-key", key)])
