"""Resting keys rest in every process: through Redis, and without it where it is gone."""

import asyncio
import time

import pytest

from keys.cooling import Cooling
from keys.mirror import NAME, Mirror
from keys.pool import KeyPool
from tests.pools import Clock
from tests.promises import within


@pytest.fixture
def clock():
    return Clock()


async def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.01)


def test_a_resting_key_rests_in_the_other_process_within_half_a_second(redis_server):
    async def scenario():
        one, two = KeyPool(), KeyPool()
        await one.start(redis_server.url)
        await two.start(redis_server.url)
        await until(lambda: one._mirror.connected and two._mirror.connected)
        for took in within(0.6):
            name = f"0123456789{len(took):02}"
            began = time.monotonic()
            one.cool(name, 300)
            await until(lambda name=name: two.is_cool(name))
            took.append(time.monotonic() - began)
        assert 280 < two.cooling.remaining(name) <= 300.1
        await one.stop()
        await two.stop()

    asyncio.run(scenario())


def test_a_key_that_is_used_again_is_used_again_in_every_process(redis_server):
    """For every model, whichever process let it rest; and it may rest again after that."""
    key = "0123456789ab"

    async def scenario():
        one, two, three = pools = KeyPool(), KeyPool(), KeyPool()
        for pool in pools:
            await pool.start(redis_server.url)
        one.cool(key, 300)
        one.cool(key, 300, "model")
        await until(lambda: all(len(pool.cooling) == 2 for pool in pools))
        two.cooling.clear(key)
        await until(lambda: not any(len(pool.cooling) for pool in pools))
        await asyncio.sleep(0.5)
        assert not any(len(pool.cooling) for pool in pools), "nobody tells the old rest again"
        three.cool(key, 300)
        await until(lambda: all(pool.is_cool(key) for pool in pools))
        await asyncio.sleep(0.5)
        assert all(pool.is_cool(key) for pool in pools), "the word was of the rest before"
        for pool in pools:
            await pool.stop()

    asyncio.run(scenario())


def test_a_redis_that_lost_everything_ends_no_rest(redis_server):
    async def scenario():
        import redis.asyncio

        client = redis.asyncio.Redis.from_url(redis_server.url)
        one, two = Cooling(), Cooling()
        mirrors = Mirror(one, ""), Mirror(two, "")
        one.cool("0123456789ab", 300)
        for mirror in (*mirrors, *mirrors):
            await mirror.exchange(client)
        await client.flushall()
        for mirror in (*mirrors, *mirrors):
            await mirror.exchange(client)
        assert one.is_cool("0123456789ab") and two.is_cool("0123456789ab")
        await client.aclose()

    asyncio.run(scenario())


def test_processes_whose_clocks_differ_agree_on_the_rest(redis_server):
    async def scenario():
        import redis.asyncio

        client = redis.asyncio.Redis.from_url(redis_server.url)
        one, two = Cooling(), Cooling(lambda: time.monotonic() + 5_000_000)
        first, second = Mirror(one, ""), Mirror(two, "")
        one.cool("0123456789ab", 300)
        await first.exchange(client)
        await second.exchange(client)
        assert 280 < two.remaining("0123456789ab") <= 300.1
        assert not two.outbox, "what was heard is not told again"
        await client.zadd(NAME, {"not a fingerprint": 1e12, "ffffffffffff": 1e12})
        await second.exchange(client)
        assert len(two) == 1, "nonsense in Redis rests nobody"
        await client.aclose()

    asyncio.run(scenario())


def test_the_task_ends_whatever_it_was_doing(redis_server, monkeypatch):
    """Redis' client sometimes swallows a cancellation; the task ends all the same, before its end is waited for."""
    import uvloop

    monkeypatch.setattr("keys.redis_task._FAREWELL", 20)

    async def scenario():
        for number in range(100):
            mirror = Mirror(Cooling(), redis_server.url)
            mirror.start()
            await asyncio.sleep(number % 12 * 0.0007)
            task = mirror._task
            begun = time.perf_counter()
            await mirror.stop()
            assert task.done(), f"round {number}: still {task}"
            assert time.perf_counter() - begun < 10, f"round {number}"

    uvloop.run(scenario())


def test_a_swallowed_cancellation_only_delays_the_end(clock):
    """The same with a client that swallows it every time."""

    class Swallowing(Mirror):
        asked = False

        async def exchange(self, client):
            self.asked = True
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                return

    async def scenario():
        mirror = Swallowing(Cooling(clock), "redis://127.0.0.1:1/0")
        mirror.start()
        await until(lambda: mirror.asked)
        task = mirror._task
        await asyncio.wait_for(asyncio.shield(mirror.stop()), 20)
        assert task.done()

    pytest.importorskip("redis")
    asyncio.run(scenario())


@pytest.mark.slow
def test_redis_away_at_first_and_again_later_costs_no_request(redis_server):
    async def scenario():
        redis_server.stop()
        one, two = KeyPool(), KeyPool()
        await one.start(redis_server.url)
        await two.start(redis_server.url)
        one.cool("0123456789ab", 60)
        assert one.is_cool("0123456789ab")
        await asyncio.sleep(0.1)
        redis_server.start()
        await until(lambda: two.is_cool("0123456789ab"))
        redis_server.stop()
        one.cool("ba9876543210", 60)
        start = time.perf_counter()
        assert one.is_cool("ba9876543210")
        assert time.perf_counter() - start < 0.5, "nobody is asked"
        redis_server.start()
        await until(lambda: two.is_cool("ba9876543210"))
        await one.stop()
        await two.stop()

    asyncio.run(scenario())
