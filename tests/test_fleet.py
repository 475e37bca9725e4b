"""Workers that register themselves: who gets the next job, what a failure does, and what nobody may be sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from routing.places import Failure
from tests.workers import FleetPlane

pytestmark = pytest.mark.django_db(transaction=True)


def together(*asks: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Several requests at once; their answers in the same order."""
    found: dict[int, httpx.Response] = {}

    def ask(number: int, one: Callable[[], httpx.Response]) -> None:
        found[number] = one()

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(asks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(asks))]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_worker_that_registered_serves(workers: FleetPlane) -> None:
    name = workers.model("ok")
    told = workers.register(workers.servers[0], "ok")
    assert (told["state"], told["capacity"], told["heartbeat_seconds"], told["unrouted"]) == ("active", 2, 30.0, [])
    answer = workers.plane.ask(name)
    assert answer.status_code == 200
    assert answer.headers["x-jackfield-route"] == "fleet/ok"
    (seen,) = workers.servers[0].requests
    assert seen.json["model"] == "ok"
    assert "authorization" not in seen.headers
    assert "account-key-never-sent" not in seen.head + str(seen.headers)


def test_a_worker_is_shown_the_secret_that_it_registered_with(workers: FleetPlane) -> None:
    name = workers.model("ok")
    told = workers.register(workers.servers[0], "ok", secret="worker-secret-1")
    assert "worker-secret-1" not in str(told)
    assert workers.plane.ask(name).status_code == 200
    assert workers.servers[0].requests[0].headers["authorization"] == "Bearer worker-secret-1"


def test_without_a_worker_the_caller_is_told_what_is_missing(workers: FleetPlane) -> None:
    answer = workers.plane.ask(workers.model("ok"))
    assert code(answer) == (503, "no_worker")
    assert "account 'fleet': no worker is registered" in answer.json()["error"]["message"]
    assert "Start one" in answer.json()["error"]["message"]


def test_a_fleet_without_workers_is_passed_over(workers: FleetPlane) -> None:
    """And explain says why."""
    from routing.explain import explain
    from routing.store import store

    name = workers.model("ok", (workers.plane.account, "ok"))
    answer = workers.plane.ask(name)
    assert answer.headers["x-jackfield-route"] == "up/ok"
    assert answer.headers["x-jackfield-attempts"] == "1"
    (dropped,) = explain(store.current, name)["dropped"]
    assert dropped == {"what": "fleet/ok", "reason": "account fleet: no worker is registered"}


def test_two_jobs_at_a_time_at_each_worker(workers: FleetPlane) -> None:
    """The fifth waits for a seat, and gets the first that is free."""
    name = workers.model("work:0.4")
    for server in workers.servers[:2]:
        workers.register(server, "work:0.4")
    answers = together(*[lambda: workers.plane.ask(name)] * 5)
    assert [answer.status_code for answer in answers] == [200] * 5
    assert sorted(workers.came()) == [0, 2, 3]
    ends = sorted(answer.elapsed.total_seconds() for answer in answers)
    assert ends[4] >= 0.75 > ends[3]


def test_who_waits_too_long_is_told_when_to_come_again(workers: FleetPlane, monkeypatch: Any) -> None:
    monkeypatch.setattr("api.seating.WAIT", 0.1)
    name = workers.model("work:0.8")
    workers.register(workers.servers[0], "work:0.8", capacity=1)
    answers = together(*[lambda: workers.plane.ask(name)] * 2)
    assert sorted(answer.status_code for answer in answers) == [200, 503]
    busy = next(answer for answer in answers if answer.status_code == 503)
    assert code(busy) == (503, "workers_busy") and busy.headers["retry-after"]
    assert workers.came() == [1, 0, 0]
    assert workers.plane.ask(name).status_code == 200  # the seat is free again


@pytest.mark.parametrize("status", [500, 503])
def test_a_job_that_fails_goes_to_another_worker(workers: FleetPlane, status: int) -> None:
    """And the one that failed it is asked last, though it has nothing to do."""
    name = workers.model("work")
    bad, good, _ = workers.servers
    bad.status = status
    workers.register(bad, "work")
    workers.register(good, "work", running=1)
    answer = workers.plane.ask(name)
    assert (answer.status_code, answer.headers["x-jackfield-attempts"]) == (200, "2")
    assert workers.came() == [1, 1, 0]
    assert [workers.plane.ask(name).status_code for _ in range(3)] == [200] * 3
    assert workers.came() == [1, 4, 0]


def test_a_worker_that_is_gone_costs_one_attempt(workers: FleetPlane) -> None:
    name = workers.model("work")
    workers.register(workers.servers[0], "work", running=1)
    assert workers.tell(url="http://127.0.0.1:9/v1", type="work").status_code == 200  # nobody listens there
    answer = workers.plane.ask(name)
    assert (answer.status_code, answer.headers["x-jackfield-attempts"]) == (200, "2")


def test_three_workers_at_most_are_asked(workers: FleetPlane) -> None:
    """Each once; the caller gets the last one's error."""
    name = workers.model("work")
    for server in workers.servers:
        server.status = 500
        workers.register(server, "work")
    workers.tell(url="http://127.0.0.1:9/v1", type="work", running=50)
    answer = workers.plane.ask(name)
    assert code(answer) == (500, "xyz")  # the words of the last one
    assert workers.came() == [1, 1, 1]


def test_what_the_caller_did_wrong_is_no_workers_error(workers: FleetPlane) -> None:
    name = workers.model("status:400")
    workers.register(workers.servers[0], "status:400")
    workers.register(workers.servers[1], "status:400")
    assert workers.plane.ask(name).status_code == 400
    assert sum(workers.came()) == 1
    headers = {"authorization": f"Bearer {workers.token}"}
    listed = workers.client.get("/fleet/register", headers=headers).json()["data"]
    assert [worker["errors"] for worker in listed] == [0.0, 0.0]


def test_one_bad_worker_opens_the_circuit_of_no_other(workers: FleetPlane) -> None:
    """Five failures in a row open the circuit of a place: here, of one worker."""
    from routing.fleet import fleet
    from routing.health import health

    name = workers.model("work")
    bad, good, _ = workers.servers
    bad.status = 500
    told = workers.register(bad, "work")
    for _ in range(5):
        health.watch((workers.account.pk, f"work@{told['id']}")).failed(Failure.SERVER)
    other = workers.register(good, "work", running=40)
    assert workers.plane.ask(name).headers["x-jackfield-attempts"] == "1"
    assert workers.came() == [0, 1, 0]
    workers.tell("deregister", url=good.url)
    bad.status = 0
    assert workers.plane.ask(name).status_code == 200  # it rests, and there is no other
    assert fleet.get(other["id"]) is not None


def test_explain_draws_how_the_workers_do(workers: FleetPlane) -> None:
    from routing.explain import explain, lines
    from routing.health import health
    from routing.store import store
    from tests.people import client

    url = f"/admin/routing/publicmodel/explain/?model={workers.model('work')}"
    bad, good = (workers.register(server, "work") for server in workers.servers[:2])
    assert "no worker was asked of late" in client("auditor").get(url).content.decode()
    served = health.watch((workers.account.pk, f"work@{good['id']}"))
    served.began(0.01)
    served.served()
    for _ in range(5):
        health.watch((workers.account.pk, f"work@{bad['id']}")).failed(Failure.SERVER)
    page = client("auditor").get(url).content.decode()
    assert "1 of 2 rest<" in page and "no key of the account is sent" in page and "up.example" not in page
    assert "at the workers that registered" in "\n".join(lines(explain(store.current, "m-work")))


def test_a_worker_that_leaves_finishes_what_it_has(workers: FleetPlane) -> None:
    name = workers.model("work:0.5")
    workers.register(workers.servers[0], "work:0.5")
    answers: list[httpx.Response] = []
    running = threading.Thread(target=lambda: answers.append(workers.plane.ask(name)))
    running.start()
    workers.plane.eventually(lambda: workers.came()[0])
    told = workers.tell("deregister", url=workers.servers[0].url).json()
    assert (told["state"], told["running"]) == ("draining", 1)
    refused = workers.plane.ask(name)
    assert code(refused) == (503, "no_worker") and "draining" in refused.json()["error"]["message"]
    running.join()
    assert answers[0].status_code == 200 and workers.came() == [1, 0, 0]
    workers.register(workers.servers[0], "work:0.5")  # it has begun anew
    assert workers.plane.ask(name).status_code == 200


def test_a_silent_worker_gets_no_jobs(workers: FleetPlane, monkeypatch: Any) -> None:
    """45 seconds after its last word, by an injected clock; one more word and it is there again."""
    from routing.fleet import fleet

    name = workers.model("work")
    workers.register(workers.servers[0], "work")
    began = fleet.clock()
    for later, status in ((44.0, 200), (46.0, 503)):
        monkeypatch.setattr(fleet, "clock", lambda later=later: began + later)
        assert workers.plane.ask(name).status_code == status
    assert "silent" in workers.plane.ask(name).json()["error"]["message"]
    workers.register(workers.servers[0], "work")
    assert workers.plane.ask(name).status_code == 200


def test_the_workers_of_a_revoked_token_leave_within_a_second(workers: FleetPlane) -> None:
    from keys.tokens import revoke

    name = workers.model("work")
    workers.register(workers.servers[0], "work")
    assert workers.plane.ask(name).status_code == 200
    revoke(workers.token_row)
    began = time.monotonic()
    workers.plane.eventually(lambda: workers.plane.ask(name).status_code == 503)
    assert time.monotonic() - began < 3.0  # a quarter of a second, on a machine that does nothing else
    assert "a token that is revoked" in workers.plane.ask(name).json()["error"]["message"]
    assert workers.tell(url=workers.servers[0].url, type="work").status_code == 401


def test_who_is_no_longer_where_workers_may_be_gets_no_jobs(workers: FleetPlane) -> None:
    name = workers.model("work")
    workers.register(workers.servers[0], "work")
    workers.account.worker_hosts = ["gpu.example"]
    workers.account.save()
    workers.plane.settle()
    assert code(workers.plane.ask(name)) == (503, "no_worker")
    assert workers.came() == [0, 0, 0]
