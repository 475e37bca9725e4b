"""Resting keys rest in every process: through Redis, and without it where it is gone."""

import asyncio
import shutil
import socket
import subprocess
import time

import pytest

from keys.cooling import Cooling
from keys.mirror import NAME, Mirror
from keys.pool import KeyPool
from tests.pools import Clock


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def redis_server(tmp_path):
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    pytest.importorskip("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    class Server:
        url = f"redis://127.0.0.1:{port}/0"
        process = None

        def start(self):
            command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + 10
            while time.monotonic() < end:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        return
                time.sleep(0.02)
            raise AssertionError("redis-server did not start")

        def stop(self):
            if self.process is not None:
                self.process.kill()
                self.process.wait()
                self.process = None

    server = Server()
    server.start()
    yield server
    server.stop()


async def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.01)


def test_a_resting_key_rests_in_the_other_process_within_half_a_second(redis_server):
    async def scenario():
        one, two = KeyPool(), KeyPool()
        await one.start(redis_server.url)
        await two.start(redis_server.url)
        await until(lambda: one._mirror.connected and two._mirror.connected, 5)
        one.cool("0123456789ab", 30)
        await until(lambda: two.is_cool("0123456789ab"), 0.6)
        assert 28 < two.cooling.remaining("0123456789ab") <= 30.1
        await one.stop()
        await two.stop()

    asyncio.run(scenario())


def test_processes_whose_clocks_differ_agree_on_the_rest(redis_server):
    async def scenario():
        import redis.asyncio

        client = redis.asyncio.Redis.from_url(redis_server.url)
        one, two = Cooling(), Cooling(lambda: time.monotonic() + 5_000_000)
        first, second = Mirror(one, ""), Mirror(two, "")
        one.cool("0123456789ab", 30)
        await first.exchange(client)
        await second.exchange(client)
        assert 29 < two.remaining("0123456789ab") <= 30.1
        assert not two.outbox, "what was heard is not told again"
        await client.zadd(NAME, {"not a fingerprint": 1e12, "ffffffffffff": 1e12})
        await second.exchange(client)
        assert len(two) == 1, "nonsense in Redis rests nobody"
        await client.aclose()

    asyncio.run(scenario())


def test_the_task_ends_whatever_it_was_doing(redis_server):
    """Redis' client sometimes swallows a cancellation; a gateway must stop all the same."""
    import uvloop

    async def scenario():
        for number in range(100):
            mirror = Mirror(Cooling(), redis_server.url)
            mirror.start()
            await asyncio.sleep(number % 12 * 0.0007)
            task = mirror._task
            begun = time.perf_counter()
            await asyncio.wait_for(asyncio.shield(mirror.stop()), 3)
            assert task.done(), f"round {number}: still {task}"
            assert time.perf_counter() - begun < 0.9, f"round {number}"

    uvloop.run(scenario())


def test_a_swallowed_cancellation_only_delays_the_end(clock):
    """The same with a client that swallows it every time."""

    class Swallowing(Mirror):
        async def exchange(self, client):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                return

    async def scenario():
        mirror = Swallowing(Cooling(clock), "redis://127.0.0.1:1/0")
        mirror.start()
        await asyncio.sleep(0.05)
        task = mirror._task
        await asyncio.wait_for(asyncio.shield(mirror.stop()), 2)
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
        await until(lambda: two.is_cool("0123456789ab"), 5)
        redis_server.stop()
        one.cool("ba9876543210", 60)
        start = time.perf_counter()
        assert one.is_cool("ba9876543210")
        assert time.perf_counter() - start < 0.01
        redis_server.start()
        await until(lambda: two.is_cool("ba9876543210"), 5)
        await one.stop()
        await two.stop()

    asyncio.run(scenario())
