"""OAuth2 client credentials as SAP AI Core wants them (C-25): a service key for a bearer token of some hours. Pure.

The stored secret is one JSON object: SAP's service key in either spelling of its fields, or `client_id`,
`client_secret` and `token_url`, as the import from the environment joins the split variables. Where the secret is sent
is part of what is sealed, so no row of the database can lead it elsewhere.
"""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import urlsplit

from providers.credentials import bearer
from providers.credentials.request import (
    CannotMint,
    CannotSign,
    Exchange,
    Grant,
    Signed,
    Unsigned,
    document,
    fits,
    granted,
    part,
    posted,
)
from providers.secrets import Secret

#: The account variable of the resource group, its header, and the group that every SAP tenant has.
VARIABLE: Final = "resource_group"
HEADER: Final = "AI-Resource-Group"
DEFAULT: Final = "default"
#: Appended to a service key's `url`, which names the host alone.
_TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 - a path


def ask(plain: str) -> Exchange:
    """What is sent for a token. Raises CannotMint."""
    parts = document(plain)
    if parts is None:
        raise CannotMint("the stored key is no JSON object with client_id, client_secret and token_url")
    client, secret = part(parts, "client_id", "clientid"), part(parts, "client_secret", "clientsecret")
    url = part(parts, "token_url") or part(parts, "url")
    lacks = [
        name for name, value in (("client_id", client), ("client_secret", secret), ("token_url", url)) if not value
    ]
    if lacks:
        raise CannotMint(f"the stored credential lacks {', '.join(lacks)}")
    return posted(_whole(url), {"grant_type": "client_credentials", "client_id": client, "client_secret": secret})


def read(body: bytes, now: float) -> Grant:
    """The token in a 200's body. Raises CannotMint."""
    return granted(body, now)


def secrets_of(plain: str) -> tuple[Secret, ...]:
    """What an error of the endpoint may repeat: the secret, and as a basic credential."""
    parts = document(plain) or {}
    client, secret = part(parts, "client_id", "clientid"), part(parts, "client_secret", "clientsecret")
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    return (Secret(secret), Secret(basic)) if secret else ()


def service_url(plain: str) -> str:
    """Where a service key says that its requests go, or nothing."""
    try:
        parts = document(plain.strip()) or {}
    except CannotMint:
        return ""
    urls = parts.get("serviceurls")
    return (part(urls, "AI_API_URL") if isinstance(urls, dict) else "") or part(parts, "service_url")


def sign(request: Unsigned, key: str) -> Signed:
    """Add the bearer token and the resource group. Raises CannotSign."""
    group = request.variables.get(VARIABLE, "").strip() or DEFAULT
    if not fits(group):
        raise CannotSign(f"the variable '{VARIABLE}' holds characters that no header may carry")
    signed = bearer.sign(request, key)
    return Signed(signed.url, [*signed.headers, (HEADER, group)])


def _whole(url: str) -> str:
    """A URL that is nothing but a host gets the path that SAP's hosts have."""
    return url.rstrip("/") + _TOKEN_PATH if urlsplit(url).path in ("", "/") else url
