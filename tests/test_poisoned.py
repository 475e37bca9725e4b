"""Who writes Redis, or rows past us, puts nonsense there: processes go on, and send nothing where none of ours said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from django.urls import reverse
from django.utils import timezone

from keys import ring as rings
from keys.mirror import Mirror
from keys.redis_task import RedisTask
from routing.fleet import Fleet
from routing.fleet_gossip import NAME, TIMES, FleetGossip
from routing.fleet_rows import Rows
from routing.fleet_words import told
from routing.gossip import NAME as PLACES
from routing.gossip import SHARED, TELLING, Gossip
from routing.health import Health
from routing.hearsay import Everybody
from routing.models import GatewayProcess, Worker
from routing.overview import overview
from tests.people import client as browser
from tests.test_fleet_shared import WORD, msg, process


def client_of(url: str) -> Any:
    import redis.asyncio

    return redis.asyncio.Redis.from_url(url, socket_timeout=1)


async def lives_on(task: RedisTask, spoil: Callable[[], Awaitable[Any]]) -> None:
    """The task exchanges, meets what was spoilt, and exchanges on."""
    task.period = 0.02  # type: ignore[misc]  # of this one
    task.start()
    running = task._task
    assert running is not None
    try:
        for _ in range(100):
            await asyncio.sleep(0.01)
            if task.connected:
                break
        await spoil()
        await asyncio.sleep(0.15)
        assert not running.done(), running.exception()
        assert task.connected
    finally:
        await task.stop()


@pytest.mark.parametrize("name", [b"1:\xff", b"1:" + b"\xf0\x9f" * 90])
def test_r_rel_12_a_place_whose_name_is_no_text_ends_no_exchange(redis_server: Any, name: bytes) -> None:
    async def scenario() -> None:
        client, known = client_of(redis_server.url), Health()
        await lives_on(
            Mirror(known, redis_server.url, SHARED, PLACES),
            lambda: client.zadd(SHARED, {name: 4e9, "7:model": 4e9}),
        )
        await client.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("report", [b'[[1,"\xff\xfe","closed",0,0,1,1,1,1,1,{},0]]', b"[[1]]"])
def test_r_rel_12_a_report_that_is_none_ends_no_exchange(redis_server: Any, report: bytes) -> None:
    async def scenario() -> None:
        client = client_of(redis_server.url)

        async def spoil() -> None:
            await client.set(f"{TELLING}:evil", report)
            await client.sadd(TELLING, "evil")

        await lives_on(Gossip(Everybody(Health()), redis_server.url, "a:1"), spoil)
        await client.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("word", [b'{"account_id":1,"url":"\xff"}'])
def test_r_rel_12_a_word_that_is_none_ends_no_exchange(redis_server: Any, word: bytes) -> None:
    async def scenario() -> None:
        client = client_of(redis_server.url)

        async def spoil() -> None:
            await client.hset(NAME, "w0", word)
            await client.zadd(TIMES, {"w0": (await client.time())[0]})

        await lives_on(FleetGossip(Fleet(), redis_server.url), spoil)
        await client.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("moment", ["+inf", 1e12])
def test_r_rel_12_a_word_from_the_future_makes_nobody_deaf(redis_server: Any, moment: Any) -> None:
    """And is no worker's: it would never fall silent."""

    async def scenario() -> None:
        client, known = client_of(redis_server.url), Fleet()
        speaks, hears = FleetGossip(Fleet(), redis_server.url), FleetGossip(known, redis_server.url)
        ghost = msg(url="https://gpu-9.example/v1")
        await client.hset(NAME, ghost.worker_id, msgspec.json.encode(told(ghost)))
        await client.zadd(TIMES, {ghost.worker_id: moment})
        await hears.exchange(client)
        assert not list(known)
        speaks._known.hear(WORD)
        await speaks.exchange(client)
        await hears.exchange(client)
        assert [worker.id for worker in known] == [WORD.worker_id]
        await client.aclose()

    asyncio.run(scenario())


def test_r_rel_12_a_ring_that_cannot_be_read_now_ends_no_exchange(
    redis_server: Any, settings: Any, tmp_path: Any
) -> None:
    """A word is sealed with a key that this process lacks, and the file that should have it is half written."""
    settings.RING_FILE = tmp_path / "ring.json"
    rings.create(settings.RING_FILE)
    whole = settings.RING_FILE.read_text()
    said = told(WORD)
    other = json.loads(whole)
    other["keys"][0]["id"] = "another"
    settings.RING_FILE.write_text(json.dumps(other))
    rings.forget()
    rings.current()
    settings.RING_FILE.write_text(whole[:-20])

    async def scenario() -> None:
        client, known = client_of(redis_server.url), Fleet()
        hears = FleetGossip(known, redis_server.url)

        async def spoil() -> None:
            await client.hset(NAME, WORD.worker_id, msgspec.json.encode(said))
            await client.zadd(TIMES, {WORD.worker_id: (await client.time())[0]})

        await lives_on(hears, spoil)
        assert not list(known)
        settings.RING_FILE.write_text(whole)
        await spoil()
        await hears.exchange(client)
        assert [worker.id for worker in known] == [WORD.worker_id], "its next word is heard"
        await client.aclose()

    asyncio.run(scenario())
    rings.forget()


FORGED = [{"sealed": b""}, {"token_id": "0b0e8b2e-2a11-4c4e-b0f7-0d6b0e6f1a12"}, {"models": ("flux", "gpt-5")}]


@pytest.mark.parametrize("change", FORGED, ids=["unsealed", "another token", "other models"])
def test_a_word_in_redis_that_none_of_ours_heard_is_no_workers(redis_server: Any, change: dict[str, Any]) -> None:
    async def scenario() -> None:
        client, known = client_of(redis_server.url), Fleet()
        said = msgspec.structs.replace(told(WORD), **change)
        await client.hset(NAME, WORD.worker_id, msgspec.json.encode(said))
        await client.zadd(TIMES, {WORD.worker_id: (await client.time())[0]})
        await FleetGossip(known, redis_server.url).exchange(client)
        assert not list(known)
        await client.aclose()

    asyncio.run(scenario())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", FORGED, ids=["unsealed", "another token", "other models"])
def test_a_row_of_a_worker_that_none_of_ours_heard_is_no_workers(change: dict[str, Any]) -> None:
    """Who writes the database has requests sent to no address of their own."""
    one, two = Fleet(), Fleet()
    tells, hears = process(one), process(two)
    assert isinstance(tells, Rows)
    one.hear(WORD)
    tells.look()
    columns = {"serves" if name == "models" else name: value for name, value in change.items()}
    Worker.objects.update(**{name: list(value) if name == "serves" else value for name, value in columns.items()})
    hears.look()
    assert not list(two)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "places",
    ["[" * 100_000, *(f'[[{account},"m","open",9,0,1,1,1,1,1,{{}},0]]' for account in (2**63, 2**64, 10**30))],
    ids=["nested", "2**63", "2**64", "10**30"],
)
def test_a_sign_of_life_that_is_none_breaks_no_page(places: str) -> None:
    """Nor one of an account that no database can have."""
    GatewayProcess.objects.create(name="evil", seen_at=timezone.now(), places=places)
    assert overview().places == {}
    for page in (reverse("admin:routing_health"), "/manage/health/"):
        assert browser("auditor").get(page).status_code == 200


@pytest.mark.django_db
def test_names_in_a_sign_of_life_are_no_markup(world: Any) -> None:
    account = world.account("up")
    places = f'[[{account.pk},"<script>alert(1)</script>","open",9,0,1,1,1,1,1,{{}},0]]'
    GatewayProcess.objects.create(name="evil", seen_at=timezone.now(), places=places)
    page = browser("operator").get(reverse("admin:routing_health")).content.decode()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
