"""Access tokens are had before they are asked for, renewed in time, and missed in a way one can read (C-25, C-26)."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.core.management import call_command

from keys import vault
from keys.minted import Minted, NoToken
from keys.models import ProviderKey
from keys.order import Candidate
from keys.pool import pool
from project.diagnosis import Status, processes
from providers import transport
from providers.credentials.request import CannotMint, Grant
from providers.secrets import Secret
from routing.build import build
from routing.explain import explain, lines
from routing.minting import LONGEST_PAUSE, Minter
from routing.store import store
from tests.faults.upstream import completion
from tests.issuers import CLIENT_SECRET, GITHUB_TOKEN, Issuer, issuer, service_key

#: 21 November 2026, 03:04:05 UTC
NOW = 1_795_230_245.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


class Exchanges:
    """An issuer that is a function: tokens `t1`, `t2` ... that live an hour, or what it is told to raise."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.count, self.life, self.fails = clock, 0, 3600.0, ""

    def __call__(
        self, scheme: str, secret: Secret, *, private: bool, clock: Any, refused: Secret | None = None
    ) -> Grant:
        self.count += 1
        if self.fails:
            raise CannotMint(self.fails)
        return Grant(Secret(f"t{self.count}"), self.clock() + self.life)


class Room:
    """A minter without a thread, at a time of one's own."""

    def __init__(self, world: Any) -> None:
        self.world, self.clock, self.tokens = world, Clock(), Minted()
        self.tokens.clock = self.clock
        self.exchanges = Exchanges(self.clock)
        self.minter = Minter(build, tokens=self.tokens, exchange=self.exchanges, clock=self.clock, spread=lambda: 0.0)
        sap = world.provider("sap", credential="oauth2-client")
        self.account = world.account("sap", provider=sap, keys=(service_key("https://tokens.example"),))

    def key(self) -> Candidate:
        snapshot = build()
        (key_set,) = snapshot.key_sets[self.account.pk]
        return Candidate(key_set.keys[0], key_set)

    def token(self) -> str:
        return self.tokens.exchanged("oauth2-client", pool.lease(self.key())).secret.reveal()


@pytest.fixture
def room(world: Any) -> Room:
    return Room(world)


def test_a_key_is_exchanged_before_it_is_asked_for_and_renewed_in_time(room: Room) -> None:
    with pytest.raises(NoToken, match="not been fetched yet"):
        room.token()
    room.minter.round()
    assert room.token() == "t1"
    room.clock.now += 3200
    room.minter.round()
    assert room.token() == "t1" and room.exchanges.count == 1
    room.clock.now = NOW + 3301  # five minutes before its end, and a second more
    room.minter.round()
    assert room.token() == "t2"


@pytest.mark.parametrize(("life", "early"), [(3600.0, 300.0), (1500.0, 300.0), (600.0, 120.0), (200.0, 60.0)])
def test_a_token_is_renewed_at_least_a_minute_before_its_end(room: Room, life: float, early: float) -> None:
    room.exchanges.life = life
    room.minter.round()
    for after, count in ((life - early - 1, 1), (life - early + 1, 2)):
        room.clock.now = NOW + after
        room.minter.round()
        assert room.exchanges.count == count, after


def test_a_token_of_a_minute_is_renewed_in_the_middle_of_its_life(room: Room) -> None:
    room.exchanges.life = 60.0
    room.minter.round()
    room.clock.now = NOW + 31
    room.minter.round()
    assert room.exchanges.count == 2


def test_a_failure_backs_off_is_told_once_and_ends_when_it_is_over(room: Room, caplog: Any) -> None:
    room.exchanges.fails = "the token endpoint answered 401: invalid_client"
    tried = []
    for _ in range(600):
        room.minter.round()
        tried.append(room.exchanges.count)
        room.clock.now += 1
    assert tried[0] == 1 and tried[5] == 2 and tried[15] == 3 and tried[-1] < 15
    assert caplog.text.count("account sap has no new access token") == 1 and CLIENT_SECRET not in caplog.text
    with pytest.raises(NoToken, match="401: invalid_client"):
        room.token()
    assert room.tokens.failing() == [(room.account.pk, room.exchanges.fails)]
    room.exchanges.fails = ""
    room.clock.now += LONGEST_PAUSE
    room.minter.round()
    assert room.token().startswith("t") and not room.tokens.failing()


def test_what_was_fetched_before_serves_until_its_end(room: Room) -> None:
    room.minter.round()
    room.exchanges.fails = "the token endpoint did not answer (ReadTimeout)"
    room.clock.now = NOW + 3400
    room.minter.round()
    assert room.token() == "t1" and room.tokens.problems(room.account.pk)
    room.clock.now = NOW + 3596
    with pytest.raises(NoToken, match="ReadTimeout"):
        room.token()


def test_a_token_that_has_ended_when_it_comes_points_at_the_clock(room: Room) -> None:
    room.exchanges.life = -10.0
    room.minter.round()
    with pytest.raises(NoToken, match="clock"):
        room.token()


def test_keys_that_are_gone_off_or_of_another_scheme_have_no_tokens(room: Room) -> None:
    room.world.account("plain", keys=("not-exchanged",))
    room.minter.round()
    assert room.exchanges.count == 1
    row = ProviderKey.objects.get(key_set__account=room.account)
    key = pool.lease(room.key())
    row.enabled = False
    row.save()
    room.minter.round()
    with pytest.raises(NoToken):
        room.tokens.exchanged("oauth2-client", key)
    row.enabled = True
    row.save()
    room.account.enabled = False
    room.account.save()
    room.minter.round()
    assert room.exchanges.count == 1


def test_a_replaced_key_is_exchanged_at_once(room: Room) -> None:
    room.minter.round()
    row = ProviderKey.objects.get(key_set__account=room.account)
    vault.replace_key(row, Secret(service_key("https://tokens.example", clientsecret="another")))
    room.minter.round()
    assert room.token() == "t2"


def test_a_key_that_is_sent_as_it_is_needs_no_exchange(room: Room) -> None:
    vertex = room.world.provider("vertex", credential="google-adc")
    room.world.account("vertex", provider=vertex, keys=("ya29.a-plain-token",))
    room.minter.round()
    room.minter.round()
    assert room.exchanges.count == 1


def test_one_issuer_that_hangs_delays_no_other(room: Room, eventually: Any) -> None:
    """Also when the gateway stops meanwhile."""
    hang, seen = threading.Event(), []

    def exchange(scheme: str, secret: Secret, **_: Any) -> Grant:
        if "tokens.example" in secret.reveal():
            hang.wait(60)
        seen.append(scheme)
        return Grant(Secret("t"), NOW + 3600)

    room.world.account("other", provider=room.account.provider, keys=(service_key("https://quick.example"),))
    snapshot = build()
    minter = Minter(lambda: snapshot, tokens=room.tokens, exchange=exchange, clock=room.clock)
    minter.start()
    try:
        eventually(lambda: seen == ["oauth2-client"])
    finally:
        minter.stop()
        hang.set()


def test_what_nobody_foresaw_ends_a_try_and_is_told_by_its_kind(room: Room, caplog: Any, eventually: Any) -> None:
    def exchange(*_: Any, **__: Any) -> Grant:
        raise LookupError("canary-text")

    snapshot = build()
    minter = Minter(lambda: snapshot, tokens=room.tokens, exchange=exchange, clock=room.clock)
    minter.start()
    try:
        eventually(lambda: "LookupError" in caplog.text)
    finally:
        minter.stop()
    assert "canary" not in caplog.text and caplog.text.count("LookupError") == 1


# --- with a gateway -------------------------------------------------------------------------------------------------


@pytest.fixture
def local() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


@pytest.fixture
def sent() -> Iterator[list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, headers={"content-type": "application/json"}, content=completion())

    transport.install(httpx.MockTransport(answer))
    yield requests
    transport.install(None)


@pytest.mark.django_db(transaction=True)
class TestGateway:
    def test_requests_carry_the_token_and_where_none_is_the_next_key_is_tried(
        self, plane: Any, local: Issuer, sent: list[httpx.Request], eventually: Any
    ) -> None:
        local.answer("/bad", {"error": "invalid_client", "hint": CLIENT_SECRET}, 401)
        provider = plane.world.provider("sap", credential="oauth2-client")
        account = plane.world.account(
            "sap",
            provider=provider,
            keys=(service_key(f"{local.url}/bad"),),
            private_network=True,
            variables={"resource_group": "team-a"},
        )
        plane.world.model("chat", (account, "up-model"))
        plane.settle()
        eventually(lambda: local.requests)
        refused = eventually(lambda: (answer := plane.ask("chat")).text.count("401") and answer)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (502, "account_unusable")
        assert "'sap' has no access token now" in error["message"] and "invalid_client" in error["message"]
        assert CLIENT_SECRET not in refused.text and not sent

        local.answer("/good", {"access_token": "sap-token", "expires_in": 3600})
        plane.world.keys(account, service_key(f"{local.url}/good"))
        plane.settle()
        assert eventually(lambda: (answer := plane.ask("chat")).status_code == 200 and answer)
        assert sent[-1].headers["authorization"] == "Bearer sap-token"
        assert sent[-1].headers["ai-resource-group"] == "team-a"
        assert not any(CLIENT_SECRET in str(request.headers) for request in sent)

        (place,) = explain(store.current, "chat")["candidates"]
        (problem,) = place["without_token"]
        assert "401" in problem and not place["problems"]
        assert any("no access token" in line for line in lines(explain(store.current, "chat")))

        def told() -> list[str]:
            return [found.what for found in processes() if found.area == "gateway" and found.status is Status.WARN]

        (line,) = eventually(told)
        assert "no access token for account sap" in line and CLIENT_SECRET not in line
        out = io.StringIO()
        call_command("explain", "chat", stdout=out)
        assert "no access token for account sap: the token endpoint answered 401" in out.getvalue()

    def test_copilots_requests_go_where_its_token_says(
        self, plane: Any, local: Issuer, sent: list[httpx.Request], eventually: Any
    ) -> None:
        local.answer(
            "/copilot_internal/v2/token",
            {"token": "tid=1", "expires_at": 4_000_000_000, "endpoints": {"api": "https://api.individual.example"}},
        )
        provider = plane.world.provider("copilot", credential="copilot", base_url="https://api.copilot.example")
        key = json.dumps({"token": GITHUB_TOKEN, "api_url": local.url})
        account = plane.world.account("copilot", "", provider=provider, keys=(key,), private_network=True)
        plane.world.model("chat", (account, "gpt-4o"))
        plane.settle()
        eventually(lambda: plane.ask("chat").status_code == 200)
        assert str(sent[-1].url) == "https://api.individual.example/chat/completions"
        assert sent[-1].headers["authorization"] == "Bearer tid=1"
        assert GITHUB_TOKEN not in str(sent[-1].headers)
        assert len(local.requests) == 1
