"""No credential at all: a server of one's own that asks for none. Pure."""

from __future__ import annotations

from providers.credentials.request import Signed, Unsigned


def sign(request: Unsigned, key: str) -> Signed:
    """Add nothing, even where a key is stored."""
    return Signed(request.url, request.headers)
