"""Workers, and who holds their token, mean harm: what they say and answer costs nobody else anything."""

from __future__ import annotations

import time
import weakref
from typing import Any

import pytest

from api import seating
from routing.fleet import Fleet, FleetFull, fleet
from tests.test_fleet import code, together
from tests.test_fleet_shared import WORD, msg
from tests.workers import FleetPlane

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("url", ["https://[oops", "https://[::1", "http://[10.1.0.0/16]"])
def test_r_net_02_a_url_that_cannot_be_read_is_refused(workers: FleetPlane, url: str) -> None:
    workers.plane.settle()
    for path in ("register", "deregister"):
        assert code(workers.tell(path, url=url, models=["ok"])) == (400, "worker_refused")


@pytest.mark.parametrize("secret", ["worker\n", "worker\r\nx-evil: 1", "\n"])
def test_r_http_02_a_secret_that_breaks_a_header_is_refused(workers: FleetPlane, secret: str) -> None:
    workers.plane.settle()
    answer = workers.tell(url=workers.servers[0].url, models=["ok"], secret=secret)
    assert code(answer) == (400, "invalid_parameter")
    assert answer.json()["error"]["param"] == "secret"


def test_a_url_whose_id_is_another_workers_takes_none_of_its_jobs(monkeypatch: Any) -> None:
    """Ids are digests of what tokens may choose: who finds two alike gets nothing by it."""
    assert len(WORD.worker_id) >= 19, "of 72 bits"
    monkeypatch.setattr("routing.fleet.worker_id", lambda account, url: "w1")
    known = Fleet()
    first = known.hear(WORD)
    for other in (msg(account_id=8), msg(url="https://evil.example/v1")):
        with pytest.raises(FleetFull):
            known.hear(other)
        assert known.learn(other, 0.0) is not first
    assert first.word == WORD and known.of(WORD.account_id) == (first,)


def test_r_rel_22_a_line_is_looked_through_once_for_those_alike(workers: FleetPlane, monkeypatch: Any) -> None:
    """A heartbeat costs no look at every worker for each of a hundred jobs that wait."""
    name = workers.model("work:2")
    workers.register(workers.servers[0], "work:2", capacity=1)
    tries: list[str] = []
    take = seating._Waiting.take

    def counted(job: Any) -> Any:
        tries.append(job.candidate.upstream_model)
        return take(job)

    def beat() -> Any:
        end = time.monotonic() + 1.9
        while fleet.in_line < 5 and time.monotonic() < end:
            time.sleep(0.01)
        before = len(tries), fleet.in_line
        workers.register(workers.servers[0], "work:2", capacity=1)
        return *before, len(tries)

    monkeypatch.setattr(seating._Waiting, "take", counted)
    monkeypatch.setattr("api.seating.WAIT", 1.9)
    *_, (before, waited, after) = together(*[lambda: workers.plane.ask(name)] * 6, beat)
    assert waited > 2 and after - before == 1


def test_fleets_remember_nothing_of_urls_that_are_gone(workers: FleetPlane) -> None:
    """Who registers ever new URLs fills no memory: the snapshot may be the same for months."""
    from routing.store import store

    workers.model("ok")
    workers.plane.settle()
    before = len(store.current.memo)
    for port in range(20_000, 20_020):
        workers.tell(url=f"http://127.0.0.1:{port}/v1", models=["ok"])
    assert len(list(fleet)) == 20
    assert len(store.current.memo) <= before + 2


def test_r_rel_02_the_names_of_workers_are_looked_up_apart(workers: FleetPlane, monkeypatch: Any) -> None:
    """A hundred workers whose name servers never answer keep nobody from a provider."""
    asked: list[str] = []

    async def looked_up(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr("providers.transport.workers_lookup", looked_up)
    monkeypatch.setattr("providers.transport._by_loop", weakref.WeakKeyDictionary())
    workers.account.worker_hosts = ["localhost"]
    workers.account.save()
    name = workers.model("ok")
    port = workers.servers[0].url.partition("127.0.0.1:")[2]
    assert workers.tell(url=f"http://localhost:{port}", models=["ok"]).status_code == 200
    assert workers.plane.ask(name).status_code == 200
    assert asked == ["localhost"]
