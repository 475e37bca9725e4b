"""`Authorization: Bearer <key>`. Pure."""

from __future__ import annotations

from providers.credentials.request import Signed, Unsigned


def sign(request: Unsigned, key: str) -> Signed:
    """Add the header (`credential_name`, or Authorization)."""
    name = request.provider.credential_name or "Authorization"
    return Signed(request.url, [*request.headers, (name, f"Bearer {key}")])
