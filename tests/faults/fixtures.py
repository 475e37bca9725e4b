"""What the data plane's tests share: the faulty upstream behind mapped models, a client, and the journal's rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from django.conf import settings

from keys.pool import pool
from routing.health import health
from tests.faults.upstream import Upstream

KEYS = ("upstream-key-aaaa", "upstream-key-bbbb", "upstream-key-cccc")


@pytest.fixture(scope="session")
def upstream_server() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def upstream(upstream_server: Upstream) -> Upstream:
    upstream_server.requests.clear()
    return upstream_server


class Plane:
    """A gateway with the account `up` at the faulty upstream, and a client with a token of the project `demo`."""

    def __init__(self, world: Any, gateway: Any, upstream: Upstream, eventually: Callable[..., Any]) -> None:
        self.world = world
        self.gateway = gateway
        self.upstream = upstream
        self.eventually = eventually
        self.account = world.account("up", upstream.url, keys=KEYS, private_network=True)
        self.token = world.token()
        self.client = httpx.Client(
            base_url=gateway.url, headers={"authorization": f"Bearer {self.token}"}, timeout=20, trust_env=False
        )
        self.settle()

    def settle(self) -> None:
        """Wait until the gateway serves the newest revision."""
        from routing.revisions import latest
        from routing.store import store

        self.eventually(lambda: store.current.revision >= latest())

    def scenario(self, *names: str, public: str = "", **timeouts: float) -> str:
        """A public model whose routes lead to these scenarios, in this order."""
        from routing.models import PublicModel

        public = public or "m-" + "-".join(names).replace(":", "-").replace("=", "-")
        for number, key in enumerate(KEYS, 1):  # figures name models, and are searched for keys
            public = public.replace(key, f"key-{number}")
        if timeouts:
            self.account.timeouts = timeouts
            self.account.save()
        if not PublicModel.objects.filter(name=public).exists():
            self.world.model(public, *((self.account, name) for name in names))
        self.settle()
        return public

    def ask(self, model: str, **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        return self.client.post("/v1/chat/completions", json=body)

    def stream(self, model: str, **more: Any) -> tuple[httpx.Response, list[str]]:
        """A streamed answer and the data of its events."""
        answer = self.ask(model, stream=True, **more)
        events = [part.removeprefix("data: ") for part in answer.text.split("\n\n") if part.startswith("data: ")]
        return answer, events

    def rows(self, number: int = 1) -> list[Any]:
        """The usage rows so far, drained from the journal; waits until there are so many."""
        from api.drain import drain
        from api.models import UsageRecord

        def enough() -> list[Any]:
            drain()
            rows = list(UsageRecord.objects.order_by("id"))
            return rows if len(rows) >= number else []

        return self.eventually(enough)


@pytest.fixture
def rested() -> None:
    """No key and no place rests, no ticket was taken and no worker is known, here or in the Redis that processes share.

    Before a gateway starts, whose task reads it there.
    """
    if settings.REDIS_URL:
        import redis

        client = redis.Redis.from_url(settings.REDIS_URL)
        client.delete("jackfield:", *client.scan_iter("jackfield:*"))
    shutil.rmtree(settings.HOME.tickets, ignore_errors=True)
    pool.cooling.outbox.clear()
    pool.cooling._until.clear()
    pool.spent._told.clear()
    health.clear()


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rested is told to nobody, and by nobody: a test that lets things serve again has to do it in one place."""
    monkeypatch.setattr(settings, "REDIS_URL", "")


@pytest.fixture
def plane(world: Any, gateway: Any, upstream: Upstream, eventually: Callable[..., Any]) -> Iterator[Plane]:
    from api.drain import drain
    from api.models import UsageRecord

    drain()
    UsageRecord.objects.all().delete()
    made = Plane(world, gateway, upstream, eventually)
    yield made
    made.client.close()


@pytest.fixture
def openai_client(plane: Plane) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, with the token of the project `demo`."""
    with openai.OpenAI(base_url=f"{plane.gateway.url}/v1", api_key=plane.token, max_retries=0) as made:
        yield made
