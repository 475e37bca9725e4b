"""Signing in to a provider with a code that a person enters elsewhere (RFC 8628), as messages. Pure.

`LOGINS` names the providers that can be signed in to so. What comes of it is stored as a key: GitHub's token as it is,
for `copilot`; a pair of tokens as one JSON document, for `device-code`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Final
from urllib.parse import urlencode, urlsplit

import msgspec

from providers.credentials.request import CannotMint, Exchange, fits, life, part
from providers.dialects.values import object_in
from providers.secrets import Secret

_FORM: Final = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
#: Seconds between two questions where the issuer says nothing; what "slow_down" adds (RFC 8628 3.5).
_INTERVAL: Final = 5.0


class Login(msgspec.Struct, frozen=True):
    """One issuer. `pair`: its access tokens end and are renewed with a refresh token."""

    name: str
    device_url: str
    token_url: str
    client_id: str
    scope: str
    pkce: bool = False
    pair: bool = False


LOGINS: Final = {
    "qwen-portal": Login(
        "qwen-portal",
        "https://chat.qwen.ai/api/v1/oauth2/device/code",
        "https://chat.qwen.ai/api/v1/oauth2/token",
        # Public clients have no secret; this is the one of Qwen's own command line program.
        "f0304373b74a44d2b584a3fb70ca9e56",
        "openid profile email model.completion",
        pkce=True,
        pair=True,
    ),
    "github-copilot": Login(
        "github-copilot",
        "https://github.com/login/device/code",
        "https://github.com/login/oauth/access_token",
        # The one of Copilot's plugins: GitHub gives Copilot tokens to no other.
        "Iv1.b507a08c87ecfe98",
        "read:user",
    ),
}


class Pending(msgspec.Struct, frozen=True):
    """What the person is told, and what is asked with meanwhile. `until` is in epoch seconds."""

    user_code: str
    url: str
    device_code: Secret
    interval: float
    until: float


class NotYet(Exception):
    """The person has not answered. `slower`: the issuer wants to be asked less often."""

    def __init__(self, *, slower: bool = False) -> None:
        super().__init__("not yet")
        self.slower = slower


def begin(login: Login, verifier: str) -> Exchange:
    """What asks for a code. `verifier` is 43 to 128 random characters, for PKCE."""
    form = {"client_id": login.client_id, "scope": login.scope}
    if login.pkce:
        digest = hashlib.sha256(verifier.encode()).digest()
        form["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        form["code_challenge_method"] = "S256"
    return Exchange("POST", login.device_url, dict(_FORM), urlencode(form).encode())


def read_begin(status: int, body: bytes, now: float) -> Pending:
    """The code. Raises CannotMint."""
    answer = answer_of(body)
    code, device = part(answer, "user_code"), part(answer, "device_code")
    url = part(answer, "verification_uri_complete", "verification_uri", "verification_url")
    if (
        status != 200
        or not (fits(code) and fits(device) and fits(url))
        or urlsplit(url).scheme not in ("https", "http")
    ):
        raise CannotMint(f"the issuer gave no code (it answered {status})")
    interval = min(life(answer["interval"]), 60.0) if answer.get("interval") else _INTERVAL
    return Pending(code, url, Secret(device), interval, now + life(answer.get("expires_in")))


def ask(login: Login, pending: Pending, verifier: str) -> Exchange:
    """What asks whether the person has answered."""
    form = {"grant_type": _GRANT, "client_id": login.client_id, "device_code": pending.device_code.reveal()}
    if login.pkce:
        form["code_verifier"] = verifier
    return Exchange("POST", login.token_url, dict(_FORM), urlencode(form).encode())


def read(login: Login, status: int, body: bytes, now: float) -> Secret:
    """What is to be stored as the key. Raises NotYet; CannotMint where it was refused."""
    answer = answer_of(body)
    error = part(answer, "error")
    if error == "authorization_pending":
        raise NotYet
    if error == "slow_down" or status == 429:
        raise NotYet(slower=True)
    if error or status != 200:
        raise CannotMint(_refusal(error, status))
    if login.pair:
        return pair(login.name, answer, now)
    token = part(answer, "access_token")
    if not fits(token):
        raise CannotMint("the issuer's answer holds no access_token")
    return Secret(token)


def pair(name: str, answer: dict[str, object], now: float, old_refresh: str = "") -> Secret:
    """A pair of tokens as it is stored. Raises CannotMint."""
    access, refresh = part(answer, "access_token"), part(answer, "refresh_token") or old_refresh
    if not fits(access) or not refresh:
        raise CannotMint("the issuer's answer lacks access_token or refresh_token")
    held = {"login": name, "access_token": access, "refresh_token": refresh}
    held["resource_url"] = part(answer, "resource_url")
    return Secret(json.dumps({**held, "expires_at": round(now + life(answer.get("expires_in")))}))


def renew(login: Login, refresh_token: str) -> Exchange:
    """What asks for a new pair."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": login.client_id}
    return Exchange("POST", login.token_url, dict(_FORM), urlencode(form).encode())


def answer_of(body: bytes) -> dict[str, object]:
    """The fields of an issuer's answer; none where it is not JSON."""
    return object_in(body) or {}


def _refusal(error: str, status: int) -> str:
    known = {"access_denied": "it was declined", "expired_token": "the code has ended: begin again"}
    # Of the issuer's own words only what can be one of OAuth's.
    word = error if error.isascii() and error.replace("_", "").isalnum() and len(error) < 60 else ""
    return known.get(error) or f"the issuer refused it ({word or status})"
