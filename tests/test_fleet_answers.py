"""What hostile workers answer, how often one request asks, and who presses the buttons of workers and circuits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from routing.explain import explain
from routing.health import USUAL, health
from routing.store import store
from tests.faults.upstream import completion
from tests.people import client
from tests.workers import FleetPlane, WorkerServer

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "worker-secret-canary-7Q"


class Evil(WorkerServer):
    async def do_echo(self, writer: Any, asked: Any, headers: Any, status: str) -> bool:
        """An error that says what the worker was shown."""
        said = json.dumps({"error": {"message": f"bad token {headers.get('authorization')}", "type": "x"}}).encode()
        await self._answer(writer, int(status), said)
        return True

    async def do_redirect(self, writer: Any, asked: Any, headers: Any, *_: str) -> bool:
        """Somewhere else."""
        writer.write(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/secret\r\ncontent-length: 0\r\n\r\n")
        return True

    async def do_headers(self, writer: Any, asked: Any, headers: Any, *_: str) -> bool:
        """An answer with headers that are ours to say, or nobody's."""
        body = completion()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: evil=1\r\nx-jackfield-route: forged\r\n"
            b"access-control-allow-origin: *\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        return True


@pytest.fixture
def evil() -> Any:
    server = Evil()
    yield server
    server.stop()


@pytest.mark.parametrize("status", ["400", "401", "403", "429", "500"])
def test_r_log_02_what_a_worker_says_of_its_secret_is_taken_out(
    workers: FleetPlane, evil: Any, status: str, caplog: Any
) -> None:
    name = workers.model(f"echo:{status}")
    workers.register(evil, f"echo:{status}", secret=SECRET)
    answer = workers.plane.ask(name)
    assert answer.status_code >= 400
    assert evil.requests and evil.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    (row,) = workers.plane.rows()
    for sink in (answer.text, str(answer.headers), caplog.text, str(vars(row))):
        assert SECRET not in sink
    listed = workers.client.get("/fleet/register", headers={"authorization": f"Bearer {workers.token}"})
    metrics = workers.client.get("/metrics")
    assert SECRET not in listed.text + metrics.text


def test_r_net_01_a_redirect_of_a_worker_is_not_followed(workers: FleetPlane, evil: Any) -> None:
    name = workers.model("redirect")
    workers.register(evil, "redirect")
    answer = workers.plane.ask(name)
    assert answer.status_code == 502, answer.text
    assert "127.0.0.1:1" not in answer.text and "set-cookie" not in answer.headers


def test_r_http_01_headers_of_a_worker_do_not_reach_the_client(workers: FleetPlane, evil: Any) -> None:
    name = workers.model("headers")
    workers.register(evil, "headers")
    answer = workers.plane.ask(name)
    assert answer.status_code == 200
    assert answer.headers["x-jackfield-route"] == "fleet/headers"
    assert not {"set-cookie", "access-control-allow-origin"} & set(answer.headers)


def test_r_rel_10_one_request_asks_three_places_at_most_with_fleets_and_hedging(workers: FleetPlane) -> None:
    for server in workers.servers:
        server.status = 500
        workers.register(server, "work:0.15")
    name = "amplified"
    up = workers.plane.account
    routes = (workers.account, "work:0.15", {"infra": "fleet"}), (up, "status:500")
    workers.plane.world.model(name, *routes, hedge_after="50 ms", hedge_daily=100)
    workers.plane.settle()
    before = len(workers.plane.upstream.requests)
    answer = workers.plane.ask(name)
    assert answer.status_code >= 500
    assert sum(workers.came()) + len(workers.plane.upstream.requests) - before == 3


def test_a_fleet_is_hedged_by_what_its_workers_took_together(workers: FleetPlane) -> None:
    """Those that may take the job now; who has left says nothing any more."""
    *both, gone = (workers.register(server, "work:0.4") for server in workers.servers)
    name = "percentile"
    routes = (workers.account, "work:0.4", {"infra": "fleet"}), (workers.plane.account, "ok")
    workers.plane.world.model(name, *routes, hedge_after="p95", hedge_daily=100)
    workers.plane.settle()

    def said() -> str:
        return str(explain(store.current, name)["candidates"][0]["hedged_after"])

    def answered(worker: Any, seconds: float, times: int) -> None:
        for _ in range(times):
            watch = health.watch((workers.account.pk, f"work:0.4@{worker['id']}"))
            watch.began(seconds)
            watch.served()

    answered(gone, 5.0, USUAL)
    assert said().startswith("p95 (5 s now)")
    workers.tell("deregister", url=workers.servers[2].url)
    assert said().startswith("p95 (too little is known")
    assert workers.plane.ask(name).headers["x-jackfield-attempts"] == "1"
    for worker in both:
        answered(worker, 0.02, USUAL)
    assert said().startswith("p95 (0.02 s now)")
    answer = workers.plane.ask(name)
    assert (answer.status_code, answer.headers["x-jackfield-route"]) == (200, "up/ok")


@pytest.mark.parametrize("role", ["operator", "auditor", "anonymous"])
def test_buttons_are_pressed_by_operators_and_from_our_pages_alone(role: str, workers: FleetPlane) -> None:
    told = workers.register(workers.servers[0], "ok")
    browser, strict = client(role), Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    for page, form in (
        (reverse("admin:routing_worker_drain", args=[told["id"]]), {"do": "drain"}),
        (reverse("admin:routing_health"), {"close_account": "fleet", "close_model": "ok"}),
    ):
        assert strict.post(page, form).status_code == 403
        pressed = browser.post(page, form)
        allowed = pressed.status_code == 302 and "/login/" not in pressed.headers["location"]
        assert allowed is (role == "operator")
