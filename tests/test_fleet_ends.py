"""Whatever becomes of a job, its seat is given back; what workers do is counted; the loop of the docs is a worker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from routing.fleet import Fleet, State, fleet
from tests.test_client_gone import send
from tests.test_fleet_shared import WORD, process
from tests.workers import FleetPlane

pytestmark = pytest.mark.django_db(transaction=True)


def running() -> int:
    return sum(worker.running for worker in fleet)


@pytest.mark.parametrize("model", ["drip:0.02", "hang", "work:5"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_seat_of_a_client_that_left_is_free(workers: FleetPlane, model: str, stream: bool) -> None:
    """Before the first byte, and in the middle of a stream. It is no error of the worker's."""
    name = workers.model(model)
    workers.register(workers.servers[0], model)
    connections = [send(workers.plane, name, stream=stream) for _ in range(2)]
    workers.plane.eventually(lambda: running() == 2)
    workers.plane.eventually(lambda: workers.came()[0] == 2)
    for connection in connections:
        connection.close()
    workers.plane.eventually(lambda: running() == 0)
    assert [worker.errors for worker in fleet] == [0.0]


def test_who_leaves_the_line_takes_no_seat(workers: FleetPlane) -> None:
    name = workers.model("work:0.4")
    workers.register(workers.servers[0], "work:0.4", capacity=1)
    first = threading.Thread(target=workers.plane.ask, args=(name,))
    first.start()
    workers.plane.eventually(lambda: running() == 1)
    second = send(workers.plane, name, stream=False)
    workers.plane.eventually(lambda: fleet.in_line == 1)
    second.close()
    workers.plane.eventually(lambda: fleet.in_line == 0)
    first.join()
    workers.plane.eventually(lambda: running() == 0)
    assert workers.came() == [1, 0, 0]


@pytest.mark.parametrize("model", ["cut:2:fin", "late-error", "first-error", "status:500", "no-done", "ok"])
def test_the_seat_of_every_end_of_a_stream_is_free(workers: FleetPlane, model: str) -> None:
    name = workers.model(model)
    workers.register(workers.servers[0], model)
    workers.plane.ask(name, stream=True)
    workers.plane.eventually(lambda: running() == 0)
    assert (next(iter(fleet)).errors > 0) is (model not in ("ok", "no-done"))  # it had said that it was done


def test_figures_of_workers(workers: FleetPlane) -> None:
    name = workers.model("work:0.5")
    workers.register(workers.servers[0], "work:0.5")
    workers.register(workers.servers[1], "work:0.5")
    workers.tell("deregister", url=workers.servers[1].url)
    job = threading.Thread(target=workers.plane.ask, args=(name,))
    job.start()
    workers.plane.eventually(lambda: running() == 1)
    page = workers.client.get("/metrics").text
    for line in ("s_active 1", "s_draining 1", "s_silent 0", "_jobs 1", "_jobs_waiting 0", "_failures_total 0"):
        assert f"\njackfield_worker{line}\n" in page, line
    job.join()


def test_r_rel_13_workers_that_speak_stay_while_the_database_is_away(transactional_db: None, monkeypatch: Any) -> None:
    """And what they said meanwhile is told when it is back."""
    from routing.models import Worker

    known = Fleet()
    rows = process(known)

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as gone:
        gone.setattr("django.db.models.query.QuerySet.bulk_create", away)
        worker = known.hear(WORD)
        with pytest.raises(OperationalError):
            rows.look()
        assert known.state(worker) is State.ACTIVE
    assert not Worker.objects.exists()
    rows.look()
    assert Worker.objects.get().id == worker.id


def test_the_loop_of_the_docs_is_a_worker(workers: FleetPlane, tmp_path: Path) -> None:
    """As a process of its own, until it is told to stop."""
    page = (Path(__file__).resolve().parent.parent / "docs" / "fleets.md").read_text()
    loop = tmp_path / "worker.py"
    loop.write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    name = workers.model("work")
    environment = {
        **os.environ,
        "JACKFIELD_URL": workers.plane.gateway.url,
        "FLEET_TOKEN": workers.token,
        "WORKER_URL": workers.servers[0].url,
        "WORKER_MODELS": "work,other",
        "NO_PROXY": "*",
    }
    one = subprocess.Popen([sys.executable, str(loop)], env=environment)
    try:
        workers.plane.eventually(lambda: list(fleet), 30)
        assert workers.plane.ask(name).status_code == 200
        headers = {"authorization": f"Bearer {workers.token}"}
        (told,) = workers.client.get("/fleet/register", headers=headers).json()["data"]
        assert (told["models"], told["unrouted"]) == (["work", "other"], ["other"])
        one.send_signal(signal.SIGTERM)
        assert one.wait(10) == 0
        assert [fleet.state(worker) for worker in fleet] == [State.DRAINING]
    finally:
        one.kill()
        one.wait()
