"""Image workers that register themselves: they get jobs as other workers do, and fewer steps while jobs are in line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from keys.tokens import issue
from routing.fleet import fleet
from tests.image_workers import provider_of_workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def registered(plane: Any) -> Iterator[Callable[..., str]]:
    """Makes a public model of these workers, once they have registered themselves."""
    fleet.clear()

    def make(name: str, *painters: Any, **body: Any) -> str:
        provider = provider_of_workers(plane.world)
        account = plane.world.account("fleet", "", provider=provider, private_network=True, worker_hosts=["127.0.0.1"])
        plane.world.model(name, (account, name, {"infra": "fleet"}), service="image")
        _, token = issue(None, account=account, kind="f")
        plane.settle()
        for painter in painters:
            me = {"url": painter.url, "type": name, **body}
            headers = {"authorization": f"Bearer {token}"}
            answer = httpx.post(f"{plane.gateway.url}/fleet/register", json=me, headers=headers, trust_env=False)
            assert answer.status_code == 200, answer.text
        return name

    yield make
    fleet.clear()


def test_c38_a_worker_that_registered_itself_paints(
    plane: Any, openai_client: Any, registered: Any, painter: Any
) -> None:
    model = registered("zimage", painter, secret="shown-with-each-job")
    raw = openai_client.images.with_raw_response.generate(model=model, prompt="a barn", size="512x768")
    assert len(raw.parse().data) == 1 and raw.headers["x-jackfield-route"] == "fleet/zimage"
    assert painter.jobs == [{"prompts": ["a barn"], "width": 512, "height": 768, "steps": 4}]
    ((path, headers),) = painter.heads
    assert (path, headers["authorization"]) == ("/generate", "Bearer shown-with-each-job")
    assert plane.rows()[0].images == 1


def test_c38_a_job_that_fails_goes_to_another_worker(
    plane: Any, openai_client: Any, registered: Any, painters: Any
) -> None:
    one, other = painters(), painters()
    model = registered("flux", one, other)
    one.answer({"detail": "CUDA error"}, 500)
    for _ in range(6):
        assert len(openai_client.images.generate(model=model, prompt="a barn").data) == 1
    assert len(other.jobs) == 6 and len(one.jobs) < 6, "its errors count against it"


def test_c38_steps_fall_with_the_line(
    plane: Any, openai_client: Any, registered: Any, painter: Any, eventually: Any, monkeypatch: Any
) -> None:
    """One at a time: the second has four behind it, and the last one has the worker to itself."""
    monkeypatch.setattr("api.seating.WAIT", 15.0)
    model = registered("flux", painter, capacity=1)
    painter.go.clear()

    def ask() -> None:
        openai_client.images.generate(model=model, prompt="a barn")

    threads = [threading.Thread(target=ask) for _ in range(6)]
    threads[0].start()
    eventually(lambda: len(painter.jobs) == 1)
    for thread in threads[1:]:
        thread.start()
    eventually(lambda: fleet.in_line == 5)
    painter.go.set()
    for thread in threads:
        thread.join(20)
    assert [job["steps"] for job in painter.jobs] == [4, 1, 1, 2, 3, 4]


def test_c38_steps_fall_with_what_a_worker_does_for_others(openai_client: Any, registered: Any, painter: Any) -> None:
    """What it said when it was last heard of; two at a time, unless it says another number."""
    model = registered("turbo", painter, running=2, queued=1)
    openai_client.images.generate(model=model, prompt="a barn")
    assert [job["steps"] for job in painter.jobs] == [2]
