"""The figures of places that processes tell one another, through a real Redis and with signs of life."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from routing.fleet import Word, fleet
from routing.fleet_gossip import NAME as WORKERS
from routing.gossip import STANDS, TELLING, Gossip
from routing.health import CONSECUTIVE, MAX_AGE, Health
from routing.hearsay import MOST_PLACES, Everybody, by_place, combined, decoded, encoded, everybody, report
from routing.models import GatewayProcess
from routing.overview import overview
from routing.places import Circuit, Failure
from routing.presence import show
from routing.store import store
from routing.talk import Talk, talk

HERE = (7, "vendor/model:free")
THERE = (8, "other")


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def serve(health: Health, place: tuple[int, str] = HERE, seconds: float = 0.1, times: int = 1) -> None:
    for _ in range(times):
        watch = health.watch(place)
        watch.began(seconds)
        watch.served()


def fail(health: Health, place: tuple[int, str] = HERE, times: int = CONSECUTIVE) -> None:
    for _ in range(times):
        health.watch(place).failed(Failure.SERVER)


@pytest.fixture
def two() -> tuple[Everybody, Everybody]:
    """The knowledge of two processes whose clocks differ."""
    return Everybody(Health()), Everybody(Health(lambda: time.monotonic() + 5_000_000))


def client_of(url: str) -> Any:
    import redis.asyncio

    return redis.asyncio.Redis.from_url(url, socket_timeout=1)


def exchanged(url: str, *gossips: Gossip, then: Callable[[Any], Any] | None = None) -> None:
    """Each tells and hears, twice round, so that the first has heard the last."""

    async def running() -> None:
        client = client_of(url)
        try:
            for gossip in (*gossips, *gossips):
                await gossip.exchange(client)
            if then is not None:
                await then(client)
        finally:
            await client.aclose()

    asyncio.run(running())


def test_p08_orders_go_by_what_every_process_knows(two: Any, redis_server: Any) -> None:
    one, other = two
    serve(one.own, seconds=0.1, times=9)
    serve(other.own, seconds=1.1, times=1)
    serve(other.own, THERE, seconds=0.3)
    watches = [one.own.watch(HERE), other.own.watch(HERE), other.own.watch(HERE)]
    exchanged(redis_server.url, Gossip(one, "", "a:1"), Gossip(other, "", "b:1"))
    for known in two:
        assert known.in_flight(HERE) == len(watches)
        assert known.latency(HERE) == pytest.approx(0.2, abs=0.01), "weighed by how much each was served"
        assert known.latency(THERE) == pytest.approx(0.3), "measured by one only"
    found = by_place(one.reports())[HERE]
    assert (found.first_byte_p95, found.in_flight, found.circuit) == (1.1, 3, Circuit.CLOSED)
    assert found.served == pytest.approx(10, abs=0.1)


def test_error_rates_and_circuits_are_told_by_class(two: Any, redis_server: Any) -> None:
    one, other = two
    fail(one.own)
    other.own.watch(HERE).failed(Failure.TIMEOUT)
    serve(other.own, times=6)
    exchanged(redis_server.url, Gossip(one, "", "a:1"), Gossip(other, "", "b:1"))
    found = by_place(other.reports())[HERE]
    assert found.circuit is Circuit.OPEN and 25 < found.rests <= 30
    assert found.error_rate == pytest.approx(0.5, abs=0.01)
    assert {kind: round(count) for kind, count in found.failures.items()} == {Failure.SERVER: 5, Failure.TIMEOUT: 1}


def test_who_is_gone_is_not_heard_any_more(two: Any, redis_server: Any) -> None:
    one, other = two
    other.own.watch(HERE)
    heard = Gossip(one, "", "a:1")

    async def ends(client: Any) -> None:
        assert one.in_flight(HERE) == 1
        assert 0 < await client.ttl(f"{TELLING}:b:1") <= STANDS, "it goes by itself"
        await client.delete(f"{TELLING}:b:1")
        await heard.exchange(client)
        assert one.in_flight(HERE) == 0
        assert await client.smembers(TELLING) == {b"a:1"}

    exchanged(redis_server.url, heard, Gossip(other, "", "b:1"), then=ends)


def test_a_control_plane_hears_and_tells_nothing(two: Any, redis_server: Any) -> None:
    one, other = two
    serve(one.own)

    async def looked(client: Any) -> None:
        assert await client.smembers(TELLING) == {b"a:1"}

    exchanged(redis_server.url, Gossip(one, "", "a:1"), Gossip(other, ""), then=looked)
    assert set(other.others) == {"a:1"}


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x80\x04K\x01.",
        b"{}",
        b'[[7,"m","broken",0,0,0,0,0,0,1,{},0]]',
        b'[[7,"m","open",1e9,0,0,0,0,0,1,{},0]]',
        b'[[7,"m","closed",0,-5,0,0,0,0,1,{},0]]',
        b'[[7,"m","closed",0,0,1e999,0,0,0,1,{},0]]',
        b"[" * 5000,
        b" " * 300_000 + b"[]",
    ],
)
def test_nonsense_in_redis_is_not_believed(two: Any, redis_server: Any, nonsense: bytes) -> None:
    one, _ = two

    async def spoiled(client: Any) -> None:
        await client.sadd(TELLING, "x:1", b"\xff\xfe")
        await client.set(f"{TELLING}:x:1", nonsense)
        await Gossip(one, "", "a:1").exchange(client)

    exchanged(redis_server.url, then=spoiled)
    assert (one.others, one.latency((7, "m")), one.in_flight((7, "m"))) == ({}, None, 0)


def test_r_rel_12_redis_may_be_down_go_and_come_back(two: Any, redis_server: Any, caplog: Any) -> None:
    """Down at the start, there, away, there again: each orders by its own figures meanwhile, and is back by itself."""
    one, other = two
    other.own.watch(HERE)
    redis_server.stop()

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not holds():
                await asyncio.sleep(0.02)

    async def running() -> None:
        tasks = [Gossip(one, redis_server.url, "a:1"), Gossip(other, redis_server.url, "b:1")]
        for task in tasks:
            task.start()
        await until(lambda: "does not answer" in caplog.text)
        redis_server.start()
        await until(lambda: one.in_flight(HERE) == 1)
        redis_server.stop()
        await until(lambda: one.in_flight(HERE) == 0 and other.in_flight(HERE) == 1)
        for task in tasks:
            await task.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(running())
    assert caplog.text.count("the figures of places is not shared") <= 4, "said once for each loss"


def test_a_report_is_bounded_and_of_what_is_known() -> None:
    clock = Clock(1000.0)
    health = Health(clock)
    for number in range(MOST_PLACES + 50):
        serve(health, (1, f"m{number}"))
        clock.now += 0.01
    serve(health, (2, "made\x00up"))
    serve(health, (2, "x" * 200))
    busy = health.watch((1, "m0"))
    told = report(health)
    assert len(told) == MOST_PLACES
    assert told[0].place == (1, "m0"), "where requests are comes first"
    assert told[1].place == (1, f"m{MOST_PLACES + 49}"), "then who was heard of last"
    assert decoded(encoded(told)) == told
    busy.drop()
    clock.now += 10_000
    assert report(health) == (), "what is long ago is not told"


def test_a_place_that_nobody_asks_any_more_does_not_silence_its_process() -> None:
    """Its circuit stays half-open. It is told for a while; what is told beside it is read for as long as anything."""
    clock = Clock(1000.0)
    health = Health(clock)
    fail(health)
    clock.now += MAX_AGE - 1
    (told,) = report(health)
    assert told.circuit is Circuit.HALF_OPEN
    clock.now += 2
    assert report(health) == ()
    assert health.circuit(HERE) is Circuit.HALF_OPEN, "and still lets one request through"
    busy = health.watch(HERE)
    clock.now += 2e6
    serve(health, THERE)
    assert {one.place for one in decoded(encoded(report(health)))} == {HERE, THERE}
    busy.drop()


def test_nobody_and_one_are_combined_too() -> None:
    assert combined([]).circuit is Circuit.CLOSED
    assert by_place([]) == {}


@pytest.mark.django_db(transaction=True)
def test_p08_least_busy_counts_what_other_processes_have_in_hand(plane: Any) -> None:
    equal = {"priority": 0}
    model = "shared"
    plane.world.model(model, (plane.account, "ok", equal), (plane.account, "ok:2", equal), strategy="least-busy")
    plane.settle()
    elsewhere = Everybody(Health())
    for _ in range(3):
        elsewhere.own.watch((plane.account.id, "ok"))
    everybody.learn({"b:1": report(elsewhere.own)})
    try:
        for _ in range(4):
            assert plane.ask(model).status_code == 200
        assert {seen.json["model"] for seen in plane.upstream.requests} == {"ok:2"}
    finally:
        everybody.learn({})


def test_a_process_talks_of_places_and_workers_from_its_start_to_its_end(redis_server: Any) -> None:
    before = len(fleet.outboxes)
    worker = Word(account_id=1, token_id="t", url="https://worker.example", models=("m",))

    async def scenario() -> None:
        one, other = Talk(), client_of(redis_server.url)
        try:
            one.start(redis_server.url, "a:1")
            fleet.hear(worker)
            async with asyncio.timeout(20):
                while not (one.hears and await other.exists(WORKERS) and await other.sismember(TELLING, "a:1")):
                    await asyncio.sleep(0.05)
            await one.stop()
            assert not one.hears
            assert len(fleet.outboxes) == before
        finally:
            await one.stop()
            fleet.clear()
            await other.aclose()

    asyncio.run(scenario())


@pytest.mark.django_db
def test_without_redis_signs_of_life_tell_and_it_is_said_whose(monkeypatch: Any, settings: Any) -> None:
    assert not talk.hears
    elsewhere = Health()
    fail(elsewhere)
    assert overview().places == {}
    assert "No process" in overview().whose
    show("b:1", 1, None, "", encoded(report(elsewhere)).decode())
    show("control:1", 1, None, "", None)
    show("newer:1", 1, None, "", '[["told", "otherwise"]]')
    found = overview()
    assert found.places[HERE].circuit is Circuit.OPEN
    assert "2 processes" in found.whose and "no Redis" in found.whose
    GatewayProcess.objects.filter(name="newer:1").delete()

    monkeypatch.setattr(type(store), "running", property(lambda self: True))
    monkeypatch.setattr("routing.overview.everybody", everybody)
    found = overview()
    assert "This process as of now, and 1 other process by signs of life" in found.whose
    assert found.places[HERE].circuit is Circuit.OPEN
    GatewayProcess.objects.all().delete()
    assert "the only one" in overview().whose
    settings.PLANE = "control"
    assert "No process" in overview().whose
