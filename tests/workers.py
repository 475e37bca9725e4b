"""Workers for the tests of fleets: real servers that register themselves with a real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from routing.fleet import fleet
from tests.faults.fixtures import Plane
from tests.faults.upstream import Upstream


class WorkerServer(Upstream):
    """A worker whose jobs take as many seconds as the model says after the colon; `status`: what it fails with."""

    status = 0

    async def do_work(self, writer: Any, asked: Any, headers: Any, seconds: str = "0") -> bool:
        await asyncio.sleep(float(seconds))
        if self.status:
            return await self.do_status(writer, asked, headers, str(self.status))
        return await self.do_ok(writer, asked, headers)


class FleetPlane:
    """A gateway with the account `fleet`, whose models workers serve, and a fleet token of it."""

    def __init__(self, plane: Plane, servers: list[WorkerServer]) -> None:
        self.plane = plane
        self.servers = servers
        self.account = plane.world.account(
            "fleet", keys=("account-key-never-sent",), private_network=True, worker_hosts=["127.0.0.1"]
        )
        self.token_row, self.token = self.issue()
        self.client = httpx.Client(base_url=plane.gateway.url, timeout=20, trust_env=False)

    def issue(self, account: Any = None) -> tuple[Any, str]:
        from keys.tokens import issue

        return issue(None, account=account or self.account, kind="f")

    def model(self, upstream: str, *others: tuple[Any, str]) -> str:
        """A public model that the fleet serves, under this name upstream; `others` come after it."""
        name = "m-" + upstream.replace(":", "-")
        self.plane.world.model(name, (self.account, upstream, {"infra": "fleet"}), *others)
        self.plane.settle()
        return name

    def tell(self, path: str = "register", token: str | None = None, **body: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token or self.token}"}
        return self.client.post(f"/fleet/{path}", json=body, headers=headers)

    def register(self, server: WorkerServer, *models: str, **body: Any) -> dict[str, Any]:
        """A worker registers; what it is answered."""
        self.plane.settle()
        answer = self.tell(url=server.url, models=list(models), **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def came(self) -> list[int]:
        """How many jobs came to each worker."""
        return [len(server.requests) for server in self.servers]


@pytest.fixture(scope="session")
def worker_servers() -> Iterator[list[WorkerServer]]:
    servers = [WorkerServer(), WorkerServer(), WorkerServer()]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def workers(plane: Plane, worker_servers: list[WorkerServer]) -> Iterator[FleetPlane]:
    for server in worker_servers:
        server.requests.clear()
        server.status = 0
    fleet.clear()
    made = FleetPlane(plane, worker_servers)
    yield made
    made.client.close()
    fleet.clear()
