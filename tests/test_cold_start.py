"""A gateway that starts while its database takes questions and never answers serves from the copy all the same."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from project import asgi, checks
from routing.store import START_PATIENCE, Store
from tests.stores import away, write

pytestmark = pytest.mark.django_db(transaction=True)


async def started() -> tuple[list[dict[str, Any]], asyncio.Event, asyncio.Task[None]]:
    """What the application said of its start; the event that ends it."""
    said: list[dict[str, Any]] = []
    end = asyncio.Event()
    asked = iter(["lifespan.startup"])

    async def receive() -> dict[str, Any]:
        if (kind := next(asked, None)) is None:
            await end.wait()
            kind = "lifespan.shutdown"
        return {"type": kind}

    async def send(message: Any) -> None:
        said.append(dict(message))

    task = asyncio.create_task(asgi.application({"type": "lifespan"}, receive, send))
    limit = time.monotonic() + 20
    while not said and time.monotonic() < limit:
        await asyncio.sleep(0.01)
    return said, end, task


def test_r_rel_13b_a_check_that_the_database_does_not_answer_holds_no_start_up(home, world, monkeypatch):
    world.model("m", (world.account(), "u"))
    gate = threading.Event()
    monkeypatch.setattr(asgi, "store", Store())
    monkeypatch.setattr(checks, "schema_problems", lambda: gate.wait(30) and [])

    async def run() -> None:
        began = time.monotonic()
        said, end, task = await started()
        took = time.monotonic() - began
        gate.set()
        end.set()
        await task
        assert said[0]["type"] == "lifespan.startup.complete" and took < 15

    asyncio.run(run())


def test_r_rel_13b_who_was_forked_by_one_that_found_the_database_away_does_not_wait_for_it_again(home, world):
    world.model("m", (world.account(), "u"))
    store = Store()
    assert store.patience == START_PATIENCE
    store.found_away()
    assert store.patience < 0.5

    async def run() -> None:
        await store.start()  # it is back, and attached to as at any start
        number = await away(write, description="later")
        while store.current.revision < number:
            await asyncio.sleep(0.01)
        await store.stop()

    asyncio.run(run())


def test_what_the_settings_forbid_is_refused_though_the_database_does_not_answer(home, world, monkeypatch):
    gate = threading.Event()
    problem = checks.Problem("the secret is known", "Choose another.")
    monkeypatch.setattr(asgi, "store", Store())
    monkeypatch.setattr(asgi.store, "_away_at", time.monotonic())
    monkeypatch.setattr(checks, "schema_problems", lambda: gate.wait(30) and [])
    monkeypatch.setattr(checks, "problems", lambda production: [problem])

    async def run() -> None:
        said, end, task = await started()
        gate.set()
        end.set()
        await task
        assert said[0]["type"] == "lifespan.startup.failed" and "the secret is known" in said[0]["message"]

    asyncio.run(run())
