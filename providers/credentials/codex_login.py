"""Signing in to ChatGPT for Codex with a code, which is a flow of OpenAI's own. Pure.

As `codex login --device-auth` does it (openai/codex, codex-rs/login/src/device_code_auth.rs, server.rs, auth.rs): a
user code from `deviceauth/usercode`; `deviceauth/token` answers 403 or 404 until the person has entered it, then with
an authorization code and the PKCE verifier that goes with it; both become tokens at `oauth/token`, where they are
renewed as well, in JSON. The code lives a quarter of an hour. Access tokens are JWTs, which tell when they end; the id
token tells the account that requests must name.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec

from providers.credentials.device_flow import (
    NotYet,
    Pending,
    answer_of,
    document_of,
    interval_of,
    no_code,
    refusal,
)
from providers.credentials.request import CannotMint, Exchange, fits, life, part, posted
from providers.secrets import Secret

_JSON: Final = {"content-type": "application/json", "accept": "application/json"}
#: Seconds that a code lives; the answer does not say.
_CODE_LIVES: Final = 900.0
#: The claim of OpenAI's tokens that holds the account.
_CLAIM: Final = "https://api.openai.com/auth"
#: Epoch seconds that no token lives to see.
_FAR: Final = 1e15


class CodexLogin(msgspec.Struct, frozen=True):
    """The flow at an issuer of OpenAI's kind."""

    name: str
    issuer: str
    client_id: str
    pair: bool = True

    @property
    def token_url(self) -> str:
        return f"{self.issuer}/oauth/token"

    def begin(self, verifier: str) -> Exchange:
        """The issuer makes the verifier itself."""
        return _told(f"{self.issuer}/api/accounts/deviceauth/usercode", {"client_id": self.client_id})

    def read_begin(self, status: int, body: bytes, now: float, verifier: str) -> Pending:
        answer = answer_of(body)
        code, device = part(answer, "user_code", "usercode"), part(answer, "device_auth_id")
        if not 200 <= status < 300 or not (fits(code) and fits(device)):
            raise no_code(status)
        url = f"{self.issuer}/codex/device"
        return Pending(code, url, Secret(device), interval_of(answer), now + _CODE_LIVES, Secret(""))

    def ask(self, pending: Pending) -> Exchange:
        known = {"device_auth_id": pending.device_code.reveal(), "user_code": pending.user_code}
        return _told(f"{self.issuer}/api/accounts/deviceauth/token", known)

    def read(self, status: int, body: bytes, now: float) -> Exchange:
        if status in (403, 404):
            raise NotYet
        if status == 429:
            raise NotYet(slower=True)
        answer = answer_of(body)
        if not 200 <= status < 300:
            raise refusal(part(answer, "error"), status)
        code, verifier = part(answer, "authorization_code"), part(answer, "code_verifier")
        if not (code and verifier):
            raise CannotMint("the issuer's answer lacks authorization_code or code_verifier")
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        return posted(
            self.token_url,
            {**form, "redirect_uri": f"{self.issuer}/deviceauth/callback", "client_id": self.client_id},
        )

    def read_last(self, status: int, body: bytes, now: float) -> Secret:
        answer = answer_of(body)
        if not 200 <= status < 300:
            raise refusal(part(answer, "error"), status)
        return self.stored(answer, now, {})

    def renew(self, refresh_token: str) -> Exchange:
        asked = {"client_id": self.client_id, "grant_type": "refresh_token", "refresh_token": refresh_token}
        return _told(self.token_url, asked)

    def stored(self, answer: dict[str, object], now: float, before: Mapping[str, object]) -> Secret:
        access = _claims(part(answer, "access_token"))
        account = _account(_claims(part(answer, "id_token"))) or _account(access) or part(before, "account_id")
        ends = access.get("exp")
        # Whole numbers have no end, and beyond what a float holds they cannot be reckoned with.
        left = ends - now if isinstance(ends, int | float) and -_FAR < ends < _FAR else answer.get("expires_in")
        return document_of(self.name, answer, before, now + life(left), {"account_id": account})


def _told(url: str, fields: Mapping[str, str]) -> Exchange:
    return Exchange("POST", url, dict(_JSON), msgspec.json.encode(fields))


def _claims(token: str) -> dict[str, object]:
    """What a JWT says, from the issuer itself and so not verified; nothing where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        return answer_of(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}


def _account(claims: Mapping[str, object]) -> str:
    said = claims.get(_CLAIM)
    return part(said, "chatgpt_account_id") if isinstance(said, dict) else ""
