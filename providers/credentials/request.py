"""What a signer sees of a request and what it adds to it; what an exchange of a stored secret for a token is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from providers.dialects.values import object_in
from providers.entries import ProviderEntry
from providers.secrets import Secret

Headers = list[tuple[str, str]]


class CannotSign(ValueError):
    """The request cannot be signed: the scheme has no signer, or the key is not fit for it. Never holds the key."""


class CannotMint(ValueError):
    """No access token can be had for a stored secret. The text says why, for operators, and never holds a secret."""


class Unsigned(msgspec.Struct, frozen=True, gc=False):
    """A request that is final but for its credential. `variables` are the account's, the provider's defaults included.

    `headers` are the caller's to keep: a signer reads them.
    """

    provider: ProviderEntry
    method: str
    url: str
    headers: Headers
    body: bytes = b""
    variables: Mapping[str, str] = {}


class Signed(NamedTuple):
    """The URL to call and every header to send. Neither may be shown."""

    url: str
    headers: Headers


class Exchange(msgspec.Struct, frozen=True):
    """The request that turns a stored secret into an access token. Headers and body hold that secret."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<Exchange {self.method} {self.url.partition('?')[0]}>"


class Grant(msgspec.Struct, frozen=True):
    """An access token, until when it is good (epoch seconds), and what goes with it.

    `api`: the base URL that the issuer wants requests sent to, empty where it says nothing of it. `headers` are sent
    beside the token. `renewed` is to be stored in place of the secret that was exchanged: that one has ended.
    """

    token: Secret
    expires_at: float
    api: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    renewed: Secret | None = None


def posted(url: str, form: Mapping[str, str]) -> Exchange:
    """A form that is posted, as endpoints of OAuth 2.0 take it."""
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    return Exchange("POST", url, headers, urlencode(form).encode())


def granted(body: bytes, now: float) -> Grant:
    """The access token in a 200's body (RFC 6749 5.1). Raises CannotMint."""
    answer = object_in(body)
    if answer is None:
        raise CannotMint("the token endpoint's answer is not a JSON object")
    token = part(answer, "access_token")
    if not fits(token):
        raise CannotMint("the token endpoint's answer holds no access_token")
    return Grant(Secret(token), now + life(answer.get("expires_in")))


#: Seconds that an access token is taken to live where its issuer does not say: shorter than any that is known.
LIFE_UNSAID: Final = 600.0
#: Longest life that is believed.
_LONGEST: Final = 7 * 86_400.0


def life(said: object) -> float:
    """Seconds from an `expires_in` that others wrote: a number, perhaps as text."""
    try:
        seconds = float(said) if isinstance(said, int | float | str) else LIFE_UNSAID
    except (ValueError, OverflowError):
        return LIFE_UNSAID
    # Also what is no number compares as false.
    return min(seconds, _LONGEST) if seconds > 0 else LIFE_UNSAID


def fits(text: str) -> bool:
    """May this text stand in a header? Keys do; line breaks would begin another header."""
    return bool(text) and text.isascii() and text.isprintable() and text == text.strip()


def document(plain: str) -> dict[str, object] | None:
    """A credential of several parts, stored as one JSON object; None for a key that is one text. Raises CannotMint."""
    if not plain.startswith("{"):
        return None
    found = object_in(plain)
    if found is None:
        raise CannotMint("the stored credential is not a JSON object")
    return found


def part(parts: Mapping[str, object], *names: str) -> str:
    """The first of these fields that holds text."""
    for name in names:
        value = parts.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""
