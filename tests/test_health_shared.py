"""Circuits that processes tell one another of, through a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from keys.mirror import Mirror
from routing.gossip import NAME, SHARED
from routing.health import CONSECUTIVE, REST, Circuit, Failure, Health

HERE = (7, "vendor/model:free")
NAMED = "7:vendor/model:free"


def mirrored(health: Health) -> Mirror:
    return Mirror(health, "", SHARED, NAME)


def fail(health: Health) -> None:
    for _ in range(CONSECUTIVE):
        health.watch(HERE).failed(Failure.SERVER)


@pytest.fixture
def among(redis_server: Any) -> Callable[..., None]:
    """Runs a scenario with two processes' health, whose clocks differ, and what makes them tell and hear in turn."""

    def run(scenario: Callable[[Health, Health, Callable[[], Awaitable[None]], Any], Awaitable[None]]) -> None:
        async def running() -> None:
            import redis.asyncio

            client = redis.asyncio.Redis.from_url(redis_server.url)
            await client.delete(SHARED)
            one, two = Health(), Health(lambda: time.monotonic() + 5_000_000)
            mirrors = (mirrored(one), mirrored(two))

            async def tell() -> None:
                for mirror in (*mirrors, *mirrors):
                    await mirror.exchange(client)

            try:
                await scenario(one, two, tell, client)
            finally:
                await client.delete(SHARED)
                await client.aclose()

        asyncio.run(running())

    return run


def test_what_fails_in_one_process_rests_in_all_and_what_is_well_again_too(among: Any) -> None:
    async def scenario(one: Health, two: Health, tell: Any, client: Any) -> None:
        fail(one)
        await tell()
        assert two.circuit(HERE) is Circuit.OPEN
        assert REST - 5 < two.rests(HERE) <= REST
        assert not two.outbox, "what was heard is not told again"
        two.watch(HERE).began(0.1)  # somebody asked nevertheless, and was answered
        await tell()
        assert one.circuit(HERE) is Circuit.CLOSED
        fail(one)
        assert one.circuit(HERE) is Circuit.OPEN, "it begins anew"

    among(scenario)


def test_a_circuit_that_opened_again_before_it_was_told_stays_open(among: Any) -> None:
    async def scenario(one: Health, two: Health, tell: Any, client: Any) -> None:
        fail(one)
        await tell()
        one.watch(HERE).began(0.1)
        one.watch(HERE).failed(Failure.SERVER)
        await tell()
        assert (one.circuit(HERE), two.circuit(HERE)) == (Circuit.OPEN, Circuit.OPEN)

    among(scenario)


def test_r_rel_12_a_redis_that_lost_everything_closes_no_circuit(among: Any) -> None:
    """It started anew, or another one took its place. When its time is up, one request is let through."""

    async def scenario(one: Health, two: Health, tell: Any, client: Any) -> None:
        fail(one)
        await tell()
        await client.flushall()
        await tell()
        for health in (one, two):
            assert health.circuit(HERE) is Circuit.OPEN
            clock = health.clock
            health.clock = lambda clock=clock: clock() + REST + 1
            assert health.circuit(HERE) is Circuit.HALF_OPEN
            health.clock = clock
        two.watch(HERE).began(0.1)
        await tell()
        assert one.circuit(HERE) is Circuit.CLOSED, "what closes is told all the same"

    among(scenario)


def test_a_half_open_circuit_closes_with_the_answer_that_another_process_had(among: Any) -> None:
    async def scenario(one: Health, two: Health, tell: Any, client: Any) -> None:
        fail(one)
        await tell()
        one.hasten(HERE[0])
        assert one.circuit(HERE) is Circuit.HALF_OPEN
        two.watch(HERE).began(0.1)
        await tell()
        assert one.circuit(HERE) is Circuit.CLOSED
        fail(two)
        await tell()
        await tell()
        assert (one.circuit(HERE), two.circuit(HERE)) == (Circuit.OPEN, Circuit.OPEN), "it was said of an earlier one"

    among(scenario)


def test_a_process_of_the_version_before_is_told_and_may_close_too(among: Any) -> None:
    """It knows the one set alone, and says that a circuit closed by taking it out."""

    async def scenario(one: Health, two: Health, tell: Any, client: Any) -> None:
        fail(one)
        await tell()
        assert await client.zscore(SHARED, NAMED) is not None
        one.watch(HERE).began(0.1)
        await tell()
        assert await client.zscore(SHARED, NAMED) is None
        fail(one)
        await tell()
        await client.zrem(SHARED, NAMED)
        await tell()
        assert 0 < one.rests(HERE) <= 2 * REST, "it lets a request through in time"

    among(scenario)


def test_nonsense_in_redis_opens_nothing(among: Any) -> None:
    async def scenario(one: Health, two: Health, tell: Any, client: Any) -> None:
        now = (await client.time())[0]
        await client.zadd(SHARED, {"x:y": now + 60, "0:m": now + 60, "7": now + 60, "8:m": now + 1e9, "9:ok": now + 60})
        await tell()
        assert list(one) == [(9, "ok")]
        assert one.circuit((9, "ok")) is Circuit.OPEN

    among(scenario)
