"""Signing in to ChatGPT with a code, in OpenAI's own way (M-28): each message, and what is kept of the answers."""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.management import CommandError, call_command

from keys import vault
from keys.models import ProviderKey
from providers.credentials import device_code
from providers.credentials.logins import LOGINS
from providers.minting import mint
from providers.secrets import Secret
from routing.loading import load_catalog
from tests.issuers import Issuer
from tests.test_device_code import NOW, local  # noqa: F401 - a fixture

CODE, POLL, TOKEN = "/api/accounts/deviceauth/usercode", "/api/accounts/deviceauth/token", "/oauth/token"
GIVEN = {"authorization_code": "canary-code", "code_challenge": "c", "code_verifier": "canary-verifier"}


def jwt(**claims: Any) -> str:
    parts = ({"alg": "RS256"}, claims, {"signature": "canary"})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


ACCOUNT = {"https://api.openai.com/auth": {"chatgpt_account_id": "acct-1", "chatgpt_plan_type": "pro"}}


def tokens(number: int = 1, ends: float = NOW + 7200, **more: Any) -> dict[str, Any]:
    access = jwt(exp=ends, jti=number)
    return {"id_token": jwt(**ACCOUNT), "access_token": access, "refresh_token": f"canary-refresh-{number}", **more}


@pytest.fixture
def openai(local: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:  # noqa: F811 - the fixture
    monkeypatch.setattr("time.time", lambda: NOW)
    monkeypatch.setattr("keys.management.commands.login.time", lambda: NOW)
    local.answer(CODE, {"device_auth_id": "canary-device", "user_code": "ABCD-12345", "interval": "5"})
    local.answer(POLL, GIVEN)
    local.answer(TOKEN, tokens())
    return local


def sign_in() -> str:
    load_catalog()
    out = io.StringIO()
    call_command("login", "codex", stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_m28_a_code_becomes_a_pair_with_its_account(openai: Issuer) -> None:
    said = sign_in()
    assert f"{openai.url}/codex/device" in said and "ABCD-12345" in said and "canary" not in said
    begun, asked, last = openai.requests
    assert [path for _, path, _, _ in openai.requests] == [CODE, POLL, TOKEN]
    client_id = json.loads(begun[3])["client_id"]
    assert json.loads(begun[3]) == {"client_id": client_id} and begun[2]["content-type"] == "application/json"
    assert json.loads(asked[3]) == {"device_auth_id": "canary-device", "user_code": "ABCD-12345"}
    assert dict(parse_qsl(last[3].decode())) == {
        "grant_type": "authorization_code",
        "code": "canary-code",
        "code_verifier": "canary-verifier",
        "redirect_uri": f"{openai.url}/deviceauth/callback",
        "client_id": client_id,
    }
    row = ProviderKey.objects.select_related("key_set__account__provider").get()
    stored = vault.open_key(vault.entry(row), vault.bound(row.key_set)).reveal()
    assert json.loads(stored) == {
        "login": "openai-codex",
        "access_token": tokens()["access_token"],
        "refresh_token": "canary-refresh-1",
        "account_id": "acct-1",
        "expires_at": NOW + 7200,
    }
    grant = device_code.held(stored)
    assert grant is not None and grant.headers == (("chatgpt-account-id", "acct-1"),)


@pytest.mark.django_db
@pytest.mark.parametrize("status", [403, 404])
def test_until_the_code_is_entered_the_issuer_says_that_there_is_nothing(
    openai: Issuer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    openai.answer(POLL, {"error": {"message": "pending"}}, status)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            openai.answer(POLL, GIVEN)

    monkeypatch.setattr("keys.management.commands.login.sleep", sleep)
    sign_in()
    assert pauses == [5, 5, 5]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (CODE, {"error": "no such thing"}, 404, "gave no code .it answered 404."),
        (CODE, {"user_code": "ABCD"}, 200, "gave no code"),
        (POLL, {"error": "canary <b>"}, 500, "refused it .500."),
        (POLL, {"authorization_code": "canary"}, 200, "lacks authorization_code or code_verifier"),
        (TOKEN, {"error": "invalid_grant"}, 400, "invalid_grant"),
        (TOKEN, {"access_token": "canary"}, 200, "lacks"),
    ],
)
def test_what_goes_wrong_is_told_and_stores_nothing(
    openai: Issuer, path: str, body: Any, status: int, says: str
) -> None:
    openai.answer(path, body, status)
    with pytest.raises(CommandError, match=says) as caught:
        sign_in()
    assert "canary" not in str(caught.value) and not ProviderKey.objects.exists()


def kept(**changed: Any) -> str:
    pair = {"login": "openai-codex", "access_token": tokens()["access_token"], "refresh_token": "canary-refresh-1"}
    return json.dumps({**pair, "account_id": "acct-1", "expires_at": NOW + 60, **changed})


def renewed(openai: Issuer, answer: dict[str, Any]) -> dict[str, Any]:
    openai.answer(TOKEN, answer)
    grant = mint("device-code", Secret(kept()), private=True, clock=lambda: NOW)
    assert grant.headers == (("chatgpt-account-id", "acct-1"),) and grant.renewed is not None
    found: dict[str, Any] = json.loads(grant.renewed.reveal())
    return found


def test_a_pair_is_renewed_in_json_and_its_account_stays(openai: Issuer) -> None:
    found = renewed(openai, {"access_token": jwt(exp=NOW + 999), "refresh_token": "canary-refresh-2"})
    assert (found["refresh_token"], found["account_id"], found["expires_at"]) == (
        *("canary-refresh-2", "acct-1", NOW + 999),
    )
    ((_, path, headers, body),) = openai.requests
    assert (path, headers["content-type"]) == (TOKEN, "application/json")
    client = json.loads(body).pop("client_id")
    assert json.loads(body) == {
        "client_id": client,
        "grant_type": "refresh_token",
        "refresh_token": "canary-refresh-1",
    }


@pytest.mark.parametrize("access", ["opaque", "a.b.c", "a.!!.c", f"a.{base64.b64encode(b'[]').decode()}.c"])
def test_a_token_that_tells_nothing_lives_as_long_as_the_answer_says(openai: Issuer, access: str) -> None:
    assert renewed(openai, {"access_token": access, "expires_in": 120})["expires_at"] == NOW + 120
    assert renewed(openai, {"access_token": access})["expires_at"] == NOW + 600


def test_the_account_may_stand_in_the_access_token_alone() -> None:
    answer: dict[str, object] = {"access_token": jwt(exp=NOW + 60, **ACCOUNT), "refresh_token": "r"}
    stored = LOGINS["openai-codex"].stored(answer, NOW, {})
    assert json.loads(stored.reveal())["account_id"] == "acct-1"
