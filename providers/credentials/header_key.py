"""The key alone in a header: `api-key` at Azure, `x-api-key` at Anthropic. Pure.

Keys that begin as the provider's quirk `bearer_prefixes` lists are access tokens, which go in Authorization instead;
`bearer_headers` are sent with those, joined to what the request has of the same name.
"""

from __future__ import annotations

from providers.credentials.request import Headers, Signed, Unsigned


def sign(request: Unsigned, key: str) -> Signed:
    """Add the header (`credential_name`, or x-api-key)."""
    prefixes = request.provider.quirks.get("bearer_prefixes")
    if isinstance(prefixes, list) and key.startswith(tuple(map(str, prefixes))):
        return Signed(request.url, [*_with_others(request), ("Authorization", f"Bearer {key}")])
    return Signed(request.url, [*request.headers, (request.provider.credential_name or "x-api-key", key)])


def _with_others(request: Unsigned) -> Headers:
    """The request's headers, and those that access tokens need."""
    needed = request.provider.quirks.get("bearer_headers")
    headers = list(request.headers)
    for name, value in needed.items() if isinstance(needed, dict) else ():
        said = [text for known, text in headers if known.lower() == name.lower()]
        headers = [(known, text) for known, text in headers if known.lower() != name.lower()]
        values = [*said, str(value)] if str(value) not in ",".join(said) else said
        headers.append((name, ",".join(values)))
    return headers
