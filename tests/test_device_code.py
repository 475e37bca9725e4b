"""Signing in with a code entered elsewhere (M-28, RFC 8628), and keeping what came of it alive."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from keys import vault
from keys.management.commands import login as command
from keys.minted import Minted, NoToken
from keys.models import ProviderKey
from keys.order import Candidate
from keys.pool import pool
from providers import device_login
from providers.credentials import device_code
from providers.credentials.logins import LOGINS
from providers.credentials.request import CannotMint
from providers.minting import NoAnswer, mint
from providers.minting import send as real_send
from providers.models import Account, Provider
from providers.secrets import Secret
from routing.build import build
from routing.loading import load_catalog
from routing.minting import Minter
from tests.issuers import Issuer, issuer, moved

#: 21 November 2026, 03:04:05 UTC
NOW = 1_795_230_245.0
CODE = {"device_code": "canary-device-code", "user_code": "WDJB-MJHT", "verification_uri": "https://i.example/device"}
PAIR = {"access_token": "canary-access-1", "refresh_token": "canary-refresh-1", "expires_in": 3600}


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """Both logins at an issuer of our own, asked without a pause."""
    with issuer() as made:
        for name, known in LOGINS.items():
            monkeypatch.setitem(LOGINS, name, moved(known, made.url))
        monkeypatch.setattr(device_login, "send", lambda asked, private: real_send(asked, private=True))
        monkeypatch.setattr(command, "sleep", lambda seconds: None)
        made.answer("/code", {**CODE, "expires_in": 900, "interval": 5})
        yield made


def form(asked: tuple[str, str, dict[str, str], bytes]) -> dict[str, str]:
    return dict(parse_qsl(asked[3].decode()))


@pytest.mark.django_db
class TestLogin:
    @pytest.fixture(autouse=True)
    def catalog(self) -> None:
        load_catalog()

    def keys(self, account: str) -> list[str]:
        rows = ProviderKey.objects.filter(key_set__account__name=account).select_related("key_set__account__provider")
        return [vault.open_key(vault.entry(row), vault.bound(row.key_set)).reveal() for row in rows]

    def test_m28_a_code_is_shown_and_the_pair_is_sealed(self, local: Issuer) -> None:
        local.answer("/token", PAIR)
        out = io.StringIO()
        call_command("login", "qwen-portal", stdout=out)
        assert "https://i.example/device" in out.getvalue() and "WDJB-MJHT" in out.getvalue()
        assert "canary" not in out.getvalue() and "is off" in out.getvalue()
        begun, asked = (form(request) for request in local.requests)
        digest = hashlib.sha256(asked["code_verifier"].encode()).digest()
        assert begun["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
        assert begun["code_challenge_method"] == "S256" and begun["client_id"] == LOGINS["qwen-portal"].client_id
        assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code"
        assert asked["device_code"] == "canary-device-code"
        (stored,) = map(json.loads, self.keys("qwen-portal"))
        assert (stored["login"], stored["refresh_token"]) == ("qwen-portal", "canary-refresh-1")
        assert abs(stored["expires_at"] - time.time() - 3600) < 60
        assert ProviderKey.objects.get().last_four == ""

    def test_copilot_stores_githubs_token_and_the_second_time_replaces_it(self, local: Issuer) -> None:
        for token in ("gho_first-token-canary", "gho_second-token-canary"):
            local.answer("/token", {"access_token": token, "token_type": "bearer", "scope": "read:user"})
            call_command("login", "copilot", stdout=io.StringIO())
            assert self.keys("github-copilot") == [token]

    def test_it_is_asked_until_the_person_has_answered_and_slower_if_told(
        self, local: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = iter(
            [
                (200, {"error": "authorization_pending"}),
                (400, {"error": "authorization_pending"}),
                (400, {"error": "slow_down"}),
                (200, PAIR),
            ]
        )
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            status, body = next(answers)
            local.answer("/token", body, status)

        monkeypatch.setattr(command, "sleep", sleep)
        call_command("login", "qwen-portal", stdout=io.StringIO())
        assert pauses == [5, 5, 5, 10]

    @pytest.mark.parametrize(
        ("status", "body", "says"),
        [
            (400, {"error": "access_denied"}, "declined"),
            (400, {"error": "expired_token"}, "has ended"),
            (400, {"error": "invalid_client"}, "invalid_client"),
            (400, {"error": "canary <b>"}, "refused it .400."),
            (500, b"<html>", "refused it .500."),
            (200, {"access_token": "canary"}, "lacks"),
        ],
    )
    def test_what_goes_wrong_is_told_and_stores_nothing(self, local: Issuer, status: int, body: Any, says: str) -> None:
        local.answer("/token", body, status)
        with pytest.raises(CommandError, match=says) as caught:
            call_command("login", "qwen-portal", stdout=io.StringIO())
        assert "canary" not in str(caught.value) and not ProviderKey.objects.exists()

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {**CODE, "verification_uri": "javascript:alert(1)"},
            {**CODE, "verification_uri": "https://i.example@elsewhere.example/device"},
            {**CODE, "verification_uri": "https:///device"},
            {**CODE, "verification_uri": "https://i.example/" + "x" * 2000},
            {**CODE, "user_code": "W" * 100},
            {"user_code": "x"},
            [],
        ],
    )
    def test_an_issuer_without_a_code(self, local: Issuer, body: Any) -> None:
        local.answer("/code", body)
        with pytest.raises(CommandError, match="gave no code"):
            call_command("login", "qwen-portal", stdout=io.StringIO())

    def test_an_issuer_that_is_away_for_a_moment_is_asked_again(
        self, local: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries = iter([True, False])
        local.answer("/token", PAIR)

        def send(asked: Any, private: bool) -> tuple[int, bytes]:
            if asked.url.endswith("/token") and next(tries):
                raise NoAnswer("the issuer did not answer (ReadTimeout)")
            return real_send(asked, private=True)

        monkeypatch.setattr(device_login, "send", send)
        call_command("login", "qwen-portal", stdout=io.StringIO())
        assert len(self.keys("qwen-portal")) == 1

    def test_a_code_that_nobody_enters_ends(self, local: Issuer) -> None:
        local.answer("/code", {**CODE, "expires_in": 1, "interval": 5})
        with pytest.raises(CommandError, match="has ended"):
            call_command("login", "qwen-portal", stdout=io.StringIO())

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["openai"], "known: qwen-portal"),
            (["nobody"], "no provider"),
            (["copilot", "--account", "x"], "no account 'x'"),
        ],
    )
    def test_who_can_be_signed_in_to(self, local: Issuer, words: list[str], says: str) -> None:
        with pytest.raises(CommandError, match=says):
            call_command("login", *words, stdout=io.StringIO())
        assert not local.requests


def pair(ends: float, number: int = 1, **more: Any) -> str:
    held = {"login": "qwen-portal", "access_token": f"canary-access-{number}"}
    return json.dumps({**held, "refresh_token": f"canary-refresh-{number}", "expires_at": ends, **more})


def renewed(plain: str, now: float = NOW):
    return mint("device-code", Secret(plain), private=True, clock=lambda: now)


def test_a_living_token_is_used_and_nothing_is_sent(local: Issuer) -> None:
    grant = renewed(pair(NOW + 121))
    assert (grant.token.reveal(), grant.expires_at, grant.renewed) == ("canary-access-1", NOW + 121, None)
    assert not local.requests


def test_a_token_about_to_end_is_renewed_and_the_pair_is_to_be_stored(local: Issuer) -> None:
    local.answer("/token", {"access_token": "canary-access-2", "refresh_token": "canary-refresh-2", "expires_in": 60})
    grant = renewed(pair(NOW + 119))
    assert (grant.token.reveal(), grant.expires_at) == ("canary-access-2", NOW + 60)
    assert json.loads(grant.renewed.reveal()) == {**json.loads(pair(NOW + 60, 2)), "resource_url": ""}
    sent = {"grant_type": "refresh_token", "refresh_token": "canary-refresh-1"}
    assert form(local.requests[0]) == {**sent, "client_id": LOGINS["qwen-portal"].client_id}


def test_an_issuer_that_keeps_the_refresh_token(local: Issuer) -> None:
    local.answer("/token", {"access_token": "canary-access-2", "expires_in": 60})
    assert json.loads(renewed(pair(NOW)).renewed.reveal())["refresh_token"] == "canary-refresh-1"


@pytest.mark.parametrize("plain", ["a-bare-token", "{}", '{"login": "nobody", "refresh_token": "canary"}', "{broken"])
def test_what_is_no_sign_in_points_at_the_way_to_one(local: Issuer, plain: str) -> None:
    with pytest.raises(CannotMint) as caught:
        renewed(plain)
    assert "canary" not in str(caught.value) and not local.requests


def test_a_refusal_says_no_secret(local: Issuer) -> None:
    local.answer("/token", {"error": "invalid_grant", "hint": "canary-refresh-1 has ended"}, 400)
    with pytest.raises(CannotMint, match="invalid_grant") as caught:
        renewed(pair(NOW))
    assert "canary-refresh-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "api"),
    [
        ("portal.qwen.ai", "https://portal.qwen.ai/v1"),
        ("https://portal.qwen.ai/v1/", "https://portal.qwen.ai/v1"),
        ("http://plain.example", ""),
        ("a@evil.example", ""),
        ("", ""),
    ],
)
def test_where_requests_go(said: str, api: str) -> None:
    grant = device_code.held(pair(NOW, resource_url=said))
    assert grant is not None and grant.api == api


def test_what_asks_for_a_code_shows_no_secret() -> None:
    login = LOGINS["qwen-portal"]
    pending = login.read_begin(200, json.dumps(CODE).encode(), NOW, "canary-verifier")
    assert "canary" not in repr(pending) + repr(login.ask(pending))


class TestRenewal:
    """The thread stores the new pair in the old one's place, and a request sees no gap."""

    @pytest.fixture
    def account(self, world: Any) -> Any:
        world.provider("qwen-portal", credential="device-code")
        row = Account.objects.create(
            name="qwen", provider=Provider.objects.get(slug="qwen-portal"), base_url="https://q.example/v1"
        )
        row.private_network = True  # the issuer of the test is on loopback
        row.save()
        world.keys(row, pair(NOW + 60))
        return row

    def token(self, tokens: Minted) -> str:
        ((key_set,),) = build().key_sets.values()
        return tokens.exchanged("device-code", pool.lease(Candidate(key_set.keys[0], key_set))).secret.reveal()

    def test_the_pair_is_replaced_once(self, account: Any, local: Issuer) -> None:
        now = [NOW]
        local.answer("/token", {"access_token": "canary-access-2", "refresh_token": "canary-refresh-2"})
        tokens = Minted(lambda: now[0])
        minter = Minter(build, tokens=tokens, clock=lambda: now[0])
        assert self.token(tokens) == "canary-access-1"  # before the thread has looked
        minter.round()
        assert self.token(tokens) == "canary-access-2"
        row = ProviderKey.objects.get()
        assert row.rotated_at is not None
        minter.round()
        minter.round()
        assert self.token(tokens) == "canary-access-2" and len(local.requests) == 1
        now[0] += 600
        with pytest.raises(NoToken):
            self.token(tokens)

    def test_a_database_that_is_away_loses_no_pair(self, account: Any, local: Issuer) -> None:
        now, saved = [NOW], []

        def store(key_id: str, renewed: Secret) -> None:
            if now[0] < NOW + 20:
                raise OperationalError("gone")
            saved.append(json.loads(renewed.reveal())["refresh_token"])

        local.answer("/token", {"access_token": "canary-access-2", "refresh_token": "canary-refresh-2"})
        tokens = Minted(lambda: now[0])
        minter = Minter(build, tokens=tokens, clock=lambda: now[0], store_key=store)
        minter.round()
        assert self.token(tokens) == "canary-access-2" and "cannot be stored" in tokens.failing()[0][1]
        now[0] += 30
        minter.round()
        assert saved == ["canary-refresh-2"] and len(local.requests) == 1 and not tokens.failing()
