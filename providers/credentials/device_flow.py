"""Signing in to a provider with a code that a person enters elsewhere, as messages: what such a flow is. Pure.

`Login` is the flow of RFC 8628; `providers.credentials.logins` names who can be signed in to so. What comes of it is
stored as a key: GitHub's token as it is, for `copilot`; a pair of tokens as one JSON document, for `device-code`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

import msgspec

from providers.credentials.request import CannotMint, Exchange, fits, life, part, posted
from providers.dialects.values import object_in
from providers.secrets import Secret

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
#: Seconds between two questions where the issuer says nothing, and at most; what "slow_down" adds (RFC 8628 3.5).
_INTERVAL: Final = 5.0
_LONGEST_INTERVAL: Final = 60.0
SLOWER: Final = 5.0
#: Characters of a code that a person can enter.
_LONGEST_CODE: Final = 64


class Pending(msgspec.Struct, frozen=True):
    """What the person is told, and what is asked with meanwhile. `interval` is in seconds, `until` in epoch seconds."""

    user_code: str
    url: str
    device_code: Secret
    interval: float
    until: float
    verifier: Secret


class NotYet(Exception):
    """The person has not answered. `slower`: the issuer wants to be asked less often."""

    def __init__(self, *, slower: bool = False) -> None:
        super().__init__("not yet")
        self.slower = slower


class Declined(CannotMint):
    """The person, or who decides for them, said no."""


class CodeEnded(CannotMint):
    """Nobody entered the code in time."""

    def __init__(self) -> None:
        super().__init__("the code has ended: begin again")


class Flow(Protocol):
    """One issuer's way, as messages. `pair`: its access tokens end and are renewed with a refresh token."""

    @property
    def name(self) -> str: ...

    @property
    def pair(self) -> bool: ...

    @property
    def token_url(self) -> str:
        """Where a code, and later a refresh token, becomes access tokens."""

    def begin(self, verifier: str) -> Exchange:
        """What asks for a code. `verifier` is 43 to 128 random characters, for PKCE."""

    def read_begin(self, status: int, body: bytes, now: float, verifier: str) -> Pending:
        """The code. Raises CannotMint."""

    def ask(self, pending: Pending) -> Exchange:
        """What asks whether the person has answered."""

    def read(self, status: int, body: bytes, now: float) -> Secret | Exchange:
        """What is to be stored as the key, or the one message that fetches it. Raises NotYet; CannotMint where it was
        refused."""

    def read_last(self, status: int, body: bytes, now: float) -> Secret:
        """What is to be stored, from the answer to that message. Raises CannotMint."""

    def renew(self, refresh_token: str) -> Exchange:
        """What asks for a new pair."""

    def stored(self, answer: dict[str, object], now: float, before: Mapping[str, object]) -> Secret:
        """A pair as it is stored; `before` is the document that it takes the place of. Raises CannotMint."""


class Login(msgspec.Struct, frozen=True):
    """The flow of RFC 8628 at one issuer."""

    name: str
    device_url: str
    token_url: str
    client_id: str
    scope: str
    pkce: bool = False
    pair: bool = False

    def begin(self, verifier: str) -> Exchange:
        form = {"client_id": self.client_id, "scope": self.scope}
        if self.pkce:
            digest = hashlib.sha256(verifier.encode()).digest()
            form["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            form["code_challenge_method"] = "S256"
        return posted(self.device_url, form)

    def read_begin(self, status: int, body: bytes, now: float, verifier: str) -> Pending:
        answer = answer_of(body)
        code, device = part(answer, "user_code"), part(answer, "device_code")
        url = part(answer, "verification_uri_complete", "verification_uri", "verification_url")
        if (
            status != 200
            or not (fits(code) and fits(device) and fits(url) and _is_page(url))
            or len(code) > _LONGEST_CODE
        ):
            raise no_code(status)
        until = now + life(answer.get("expires_in"))
        return Pending(code, url, Secret(device), interval_of(answer), until, Secret(verifier))

    def ask(self, pending: Pending) -> Exchange:
        form = {"grant_type": _GRANT, "client_id": self.client_id, "device_code": pending.device_code.reveal()}
        if self.pkce:
            form["code_verifier"] = pending.verifier.reveal()
        return posted(self.token_url, form)

    def read(self, status: int, body: bytes, now: float) -> Secret:
        answer = answer_of(body)
        error = part(answer, "error")
        if error == "authorization_pending":
            raise NotYet
        if error == "slow_down" or status == 429:
            raise NotYet(slower=True)
        if error or status != 200:
            raise refusal(error, status)
        if self.pair:
            return self.stored(answer, now, {})
        token = part(answer, "access_token")
        if not fits(token):
            raise CannotMint("the issuer's answer holds no access_token")
        return Secret(token)

    def read_last(self, status: int, body: bytes, now: float) -> Secret:
        return self.read(status, body, now)

    def renew(self, refresh_token: str) -> Exchange:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.client_id}
        return posted(self.token_url, form)

    def stored(self, answer: dict[str, object], now: float, before: Mapping[str, object]) -> Secret:
        more = {"resource_url": part(answer, "resource_url")}
        return document_of(self.name, answer, before, now + life(answer.get("expires_in")), more)


# --- what flows share -----------------------------------------------------------------------------------------------


def _is_page(url: str) -> bool:
    """May a person be sent there?"""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("https", "http") and "@" not in parts.netloc and 0 < len(parts.netloc) < len(url) <= 1024
        )
    except ValueError:  # brackets around what is no address
        return False


def document_of(
    name: str, answer: Mapping[str, object], before: Mapping[str, object], ends: float, more: Mapping[str, str]
) -> Secret:
    """A pair of tokens in the form that `providers.credentials.device_code` reads. Raises CannotMint."""
    access = part(answer, "access_token")
    refresh = part(answer, "refresh_token") or part(before, "refresh_token")
    if not fits(access) or not refresh:
        raise CannotMint("the issuer's answer lacks access_token or refresh_token")
    held = {"login": name, "access_token": access, "refresh_token": refresh}
    return Secret(json.dumps({**held, **more, "expires_at": round(ends)}))


def interval_of(answer: Mapping[str, object]) -> float:
    """Seconds between two questions, as the issuer wants it: a number, perhaps as text."""
    said = answer.get("interval")
    return min(life(said), _LONGEST_INTERVAL) if said else _INTERVAL


def no_code(status: int) -> CannotMint:
    """What is wrong with an answer that should hold a code."""
    return CannotMint(f"the issuer gave no code (it answered {status})")


def answer_of(body: bytes) -> dict[str, object]:
    """The fields of an issuer's answer; none where it is not JSON."""
    return object_in(body) or {}


def refusal(error: str, status: int) -> CannotMint:
    """What an issuer's error means; of its own words only what can be one of OAuth's is said."""
    if error == "access_denied":
        return Declined("it was declined")
    if error == "expired_token":
        return CodeEnded()
    word = error if error.isascii() and error.replace("_", "").isalnum() and len(error) < 60 else ""
    return CannotMint(f"the issuer refused it ({word or status})")
