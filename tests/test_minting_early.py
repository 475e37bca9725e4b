"""A token that an upstream refuses is fetched anew, never on a request; `auto` passes over accounts without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from keys.pool import pool
from providers import transport
from providers.minting import mint
from providers.secrets import Secret
from routing import minting
from routing.explain import explain
from routing.minting import EARLY_PAUSE, FIRST_PAUSE, LONGEST_PAUSE
from routing.store import store
from tests.faults.upstream import completion
from tests.issuers import CLIENT_SECRET, Issuer, issuer, service_key
from tests.test_device_code import NOW, local, pair  # noqa: F401 - a fixture
from tests.test_minting_thread import Room


@pytest.fixture
def room(world: Any) -> Room:
    made = Room(world)
    made.tokens.fetched_by(made.minter.wake)
    made.minter.round()
    return made


def refuse(room: Room) -> None:
    """An upstream answers 401 to the token of now."""
    room.tokens.refused(room.tokens.exchanged("oauth2-client", pool.lease(room.key())))


def test_a_refused_token_is_fetched_anew_once(room: Room) -> None:
    room.clock.now += EARLY_PAUSE
    for _ in range(3):
        refuse(room)
    room.minter.round()
    assert room.token() == "t2"
    for _ in range(9):
        room.minter.round()
    assert room.exchanges.count == 2


def test_no_two_exchanges_come_close_together_and_useless_ones_ever_rarer(room: Room) -> None:
    """An upstream that refuses every token must not make one exchange per request."""
    began, count = [], room.exchanges.count
    start = room.clock.now
    for _ in range(620):
        refuse(room)
        room.minter.round()
        if room.exchanges.count > count:
            count = room.exchanges.count
            began.append(room.clock.now - start)
        room.clock.now += 1
    gaps = [later - earlier for earlier, later in zip([0.0, *began], began, strict=False)]
    assert gaps == [10, 20, 40, 80, 160, LONGEST_PAUSE]


def test_the_pauses_begin_anew_when_a_token_has_served_its_life(room: Room) -> None:
    for _ in range(3):
        room.clock.now += 100
        refuse(room)
        room.minter.round()
    assert room.token() == "t4"
    room.clock.now += 3400
    room.minter.round()
    assert room.token() == "t5"
    room.clock.now += EARLY_PAUSE
    refuse(room)
    room.minter.round()
    assert room.token() == "t6"


def test_a_refusal_of_a_token_that_is_no_longer_the_one_changes_nothing(room: Room) -> None:
    """The answer to a request that set out with the token before."""
    late = room.tokens.exchanged("oauth2-client", pool.lease(room.key()))
    room.clock.now += 60
    refuse(room)
    room.minter.round()
    room.clock.now += 60
    room.tokens.refused(late)
    room.minter.round()
    assert room.exchanges.count == 2


def test_a_refusal_does_not_hurry_an_exchange_that_fails(room: Room) -> None:
    room.exchanges.fails = "the token endpoint answered 500"
    room.clock.now += EARLY_PAUSE
    refuse(room)
    room.minter.round()
    for _ in range(int(FIRST_PAUSE)):
        refuse(room)
        room.minter.round()
        assert room.exchanges.count == 2
        room.clock.now += 1
    room.minter.round()
    assert room.exchanges.count == 3


def test_a_pair_that_has_not_ended_is_renewed_all_the_same(local: Issuer) -> None:  # noqa: F811 - the fixture
    local.answer("/token", {"access_token": "canary-access-2", "refresh_token": "canary-refresh-2"})
    grant = mint(
        "device-code", Secret(pair(NOW + 3600)), private=True, clock=lambda: NOW, refused=Secret("canary-access-1")
    )
    assert grant.token.reveal() == "canary-access-2" and grant.renewed is not None
    kept = mint("device-code", Secret(pair(NOW + 3600)), private=True, clock=lambda: NOW, refused=Secret("another"))
    assert kept.token.reveal() == "canary-access-1" and len(local.requests) == 1


# --- with a gateway -------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


@pytest.fixture
def taken() -> Iterator[set[str]]:
    """The tokens that the upstream takes; everything else gets 401."""
    found: set[str] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"].removeprefix("Bearer ") not in found:
            return httpx.Response(401, json={"error": {"message": "token expired"}})
        return httpx.Response(200, headers={"content-type": "application/json"}, content=completion())

    transport.install(httpx.MockTransport(answer))
    yield found
    transport.install(None)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minting, "EARLY_PAUSE", 0.05)
    monkeypatch.setattr(minting, "EARLY_SPREAD", 0.0)


def sap(plane: Any, tokens: Issuer, name: str = "sap") -> Any:
    provider = plane.world.provider("sap", credential="oauth2-client")
    key = service_key(f"{tokens.url}/{name}")
    account = plane.world.account(name, provider=provider, keys=(key,), private_network=True)
    plane.world.model(f"{name}-model", (account, "up-model"))
    return account


@pytest.mark.django_db(transaction=True)
class TestGateway:
    def test_a_401_brings_a_new_token_without_a_request_waiting_for_it(
        self, plane: Any, tokens: Issuer, taken: set[str], at_once: None, eventually: Any
    ) -> None:
        tokens.answer("/sap", {"access_token": "first", "expires_in": 3600})
        taken.add("first")
        sap(plane, tokens)
        plane.settle()
        eventually(lambda: plane.ask("sap-model").status_code == 200)
        assert len(tokens.requests) == 1
        taken.clear()
        taken.add("second")
        tokens.answer("/sap", {"access_token": "second", "expires_in": 3600})
        refused = plane.ask("sap-model")
        assert refused.status_code == 401 and "your token is fine" in refused.text, refused.text
        eventually(lambda: plane.ask("sap-model").status_code == 200)
        assert len(tokens.requests) == 2
        assert CLIENT_SECRET not in refused.text

    def test_auto_passes_over_an_account_without_a_token_and_explain_says_why(
        self, plane: Any, tokens: Issuer, taken: set[str], eventually: Any
    ) -> None:
        tokens.answer("/bad", {"error": "invalid_client"}, 401)
        tokens.answer("/good", {"access_token": "good", "expires_in": 3600})
        taken.add("good")
        bad = sap(plane, tokens, "bad")
        sap(plane, tokens, "good")
        plane.world.project("demo", preferred=["bad-model", "good-model"])
        plane.settle()
        eventually(lambda: plane.ask("good-model").status_code == 200)
        eventually(lambda: "invalid_client" in plane.ask("bad-model").text)
        plane.rows()
        answer = plane.ask("auto")
        assert answer.status_code == 200 and answer.headers["x-jackfield-route"] == "good/up-model", answer.text
        assert [row.attempts for row in plane.rows()][-1] == 1
        found = explain(store.current, "auto", "demo")
        assert [place["account"] for place in found["candidates"]] == ["good"]
        assert any("bad" in dropped["what"] for dropped in found["dropped"])
        (place,) = explain(store.current, "bad-model", "demo")["candidates"]
        (problem,) = place["problems"]
        assert "account bad has no access token now" in problem and "invalid_client" in problem
        assert place["keys"] == 0 and CLIENT_SECRET not in json.dumps(found)
        tokens.answer("/bad", {"access_token": "good", "expires_in": 3600})
        plane.world.keys(bad, service_key(f"{tokens.url}/bad", clientid="another"))
        plane.settle()
        eventually(lambda: plane.ask("auto").headers["x-jackfield-route"] == "bad/up-model")
