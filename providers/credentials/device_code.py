"""A signed-in person's pair of tokens: the access token as bearer, renewed with the refresh token. Pure.

The stored key is the JSON document that a sign-in makes (`providers.credentials.device_flow`). A bare token is
not taken: nobody knows when it ends. The document names its login, and the code says where that one's secrets go.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from providers.credentials import bearer
from providers.credentials.device_flow import Flow, answer_of
from providers.credentials.logins import LOGINS
from providers.credentials.request import CannotMint, Exchange, Grant, Signed, Unsigned, document, fits, part
from providers.secrets import Secret

#: Seconds before its end from which on a token is renewed instead of used.
RENEW_WITHIN: Final = 120.0
#: The header in which ChatGPT's backend wants the account that the document names.
_ACCOUNT: Final = "chatgpt-account-id"


def held(plain: str) -> Grant | None:
    """The access token that the document holds, whether or not it has ended."""
    try:
        parts = document(plain) or {}
    except CannotMint:
        return None
    token, ends = part(parts, "access_token"), parts.get("expires_at")
    if not fits(token) or isinstance(ends, bool) or not isinstance(ends, int | float):
        return None
    account = part(parts, "account_id")
    headers = ((_ACCOUNT, account),) if fits(account) else ()
    return Grant(Secret(token), float(ends), _api(part(parts, "resource_url")), headers)


def ask(plain: str) -> Exchange:
    """What is sent for a new pair. Raises CannotMint."""
    login, parts = _login(plain)
    return login.renew(part(parts, "refresh_token"))


def read(plain: str, body: bytes, now: float) -> Grant:
    """The new token, and the document to store in place of `plain`. Raises CannotMint."""
    login, parts = _login(plain)
    stored = login.stored(answer_of(body), now, parts)
    grant = held(stored.reveal())
    if grant is None:
        raise CannotMint("the issuer's answer cannot be stored")
    return msgspec.structs.replace(grant, renewed=stored)


def secrets_of(plain: str) -> tuple[Secret, ...]:
    """What an error of the endpoint may repeat."""
    parts = document(plain) or {}
    return tuple(Secret(text) for name in ("refresh_token", "access_token") if (text := part(parts, name)))


def sign(request: Unsigned, key: str) -> Signed:
    """Add the bearer token."""
    return bearer.sign(request, key)


def _login(plain: str) -> tuple[Flow, dict[str, object]]:
    parts = document(plain) or {}
    login = LOGINS.get(part(parts, "login"))
    if login is None or not login.pair or not part(parts, "refresh_token"):
        raise CannotMint(
            "what is stored is no sign-in: the button on the account's page, or manage.py login, makes one"
        )
    return login, parts


def _api(said: str) -> str:
    """The base URL that the issuer named, as a host or a URL; nothing unless it is plainly one."""
    url = said if "://" in said else f"https://{said}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not said or not fits(said) or parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        return ""
    url = url.rstrip("/")
    return url if url.endswith("/v1") else f"{url}/v1"
