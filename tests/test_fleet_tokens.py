"""What a fleet token opens, what it does not, and where a worker may not be (R-TOK, R-NET)."""

from __future__ import annotations

from typing import Any

import pytest

from routing import fleet as fleets
from routing.fleet import Fleet, FleetFull, Word, fleet
from routing.fleet_rows import drain
from tests.people import client
from tests.workers import FleetPlane

pytestmark = pytest.mark.django_db(transaction=True)

URL = "http://127.0.0.1:9/v1"


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_fleet_token_opens_nothing_of_v1(workers: FleetPlane) -> None:
    workers.plane.settle()
    headers = {"authorization": f"Bearer {workers.token}"}
    for method, path in (
        ("POST", "chat/completions"),
        ("GET", "models"),
        ("POST", "responses"),
        ("POST", "embeddings"),
    ):
        answer = workers.client.request(method, f"/v1/{path}", headers=headers, json={} if method == "POST" else None)
        assert code(answer) == (403, "fleet_token_refused"), path
    assert workers.client.get("/manage/accounts/", headers=headers).status_code in (401, 403)
    assert 'account="' not in workers.client.get("/metrics", headers=headers).text


@pytest.mark.parametrize("kind", ["p", "t", "a"])
def test_no_other_token_registers_a_worker(workers: FleetPlane, kind: str) -> None:
    other = workers.plane.world.token(kind=kind)
    workers.plane.settle()
    for path in ("register", "deregister"):
        assert code(workers.tell(path, other, url=URL, type="x")) == (403, "fleet_token_required")
    assert not list(fleet)


def test_a_worker_is_told_that_it_is_drained_and_not_by_whom(workers: FleetPlane) -> None:
    """Names of people are for those who sign in."""
    workers.plane.settle()
    told = workers.tell(url=URL, type="x").json()
    workers.plane.eventually(lambda: drain(told["id"], "anna-the-operator"))  # the others know it by then
    headers = {"authorization": f"Bearer {workers.token}"}

    def listed() -> Any:
        return workers.client.get("/fleet/register", headers=headers)

    workers.plane.eventually(lambda: listed().json()["data"][0]["state"] == "draining")
    answers = listed(), workers.tell(url=URL, type="x"), workers.tell("deregister", url=URL)
    assert [answer.status_code for answer in answers] == [200] * 3
    assert "anna" not in "".join(answer.text for answer in answers)
    assert told["drained"] is False and answers[1].json()["drained"] is True
    (shown,) = client("auditor").get("/manage/workers/").json()
    assert shown["drained_by"] == "anna-the-operator"


def test_no_token_and_a_wrong_one_are_one_answer(workers: FleetPlane) -> None:
    workers.plane.settle()
    for token in ("nonsense", workers.token[:-1] + "x"):
        answer = workers.client.post("/fleet/register", json={"url": URL}, headers={"authorization": f"Bearer {token}"})
        assert code(answer) == (401, "invalid_api_key")


def test_a_token_sees_and_ends_the_workers_of_its_account_only(workers: FleetPlane) -> None:
    other = workers.plane.world.account("other", private_network=True, worker_hosts=["127.0.0.1"])
    _, theirs = workers.issue(other)
    workers.plane.settle()
    assert workers.tell(url=URL, type="x").json()["account"] == "fleet"
    headers = {"authorization": f"Bearer {theirs}"}
    assert workers.client.get("/fleet/register", headers=headers).json()["data"] == []
    assert code(workers.tell("deregister", theirs, url=URL)) == (404, "worker_not_found")
    assert [fleet.state(worker) for worker in fleet] == ["active"]


@pytest.mark.parametrize(
    "url",
    [
        *("http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/", "http://metadata.google.internal/v1"),
        *("file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "//127.0.0.1/", "127.0.0.1:8000"),
        *("http://user:word@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?key=a", "http://127.0.0.1:9/v1#x"),
        *(
            "http://127.0.0.2:9/v1",
            "http://localhost:9/v1",
            "http://2130706433/",
            "http://0x7f.1/",
            "https://up.example/",
        ),
        *(
            "http://127.0.0.1:99999/",
            "http://127.0.0.1\\@up.example/",
            "http://127.0.0.1 /",
            "http://127.0.0.1\n/",
            "x" * 400,
        ),
    ],
)
def test_r_net_no_worker_may_be_there(workers: FleetPlane, url: str) -> None:
    """The account reaches private networks, and its workers may be at 127.0.0.1 alone."""
    workers.plane.settle()
    assert code(workers.tell(url=url, type="x")) == (400, "worker_refused"), url
    assert not list(fleet)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1", "https://10.0.0.1/", "http://up.example/", "https://up.example:8443/"]
)
def test_r_net_where_nothing_is_listed_workers_are_public_and_speak_tls(workers: FleetPlane, url: str) -> None:
    """Also where the account itself may reach private networks."""
    workers.account.worker_hosts = []
    workers.account.save()
    workers.plane.settle()
    answer = workers.tell(url=url, type="x")
    assert code(answer) == (400, "worker_refused")
    assert "worker hosts" in answer.json()["error"]["message"]
    assert workers.tell(url="https://up.example/v1", type="x").status_code == 200


def test_r_net_a_listed_name_that_resolves_to_private_addresses_needs_the_private_network(workers: FleetPlane) -> None:
    """The name is judged again when a job is sent, by what it resolves to."""
    name = workers.model("work")
    workers.account.worker_hosts, workers.account.private_network = ["localhost.example", "*.localtest.me"], False
    workers.account.save()
    workers.plane.settle()
    assert code(workers.tell(url="http://localhost.example/", type="work")) == (400, "worker_refused")
    fleet.hear(Word(workers.account.pk, str(workers.token_row.pk), "https://localhost.localhost/", ("work",)))
    assert code(workers.plane.ask(name)) == (503, "no_worker")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"type": "x"}, None),
        ({"url": URL}, "type"),
        ({"url": URL, "models": ["a b"]}, "models"),
        ({"url": URL, "type": "x", "capacity": 0}, "capacity"),
        ({"url": URL, "type": "x", "running": -1}, "running"),
        ({"url": URL, "type": "x", "queued": "2"}, "queued"),
        ({"url": URL, "type": "x", "secret": "with\r\nx-more: 1"}, "secret"),
        ({"url": URL, "models": ["x"] * 101}, "models"),
    ],
)
def test_what_is_no_registration(workers: FleetPlane, body: dict[str, Any], param: str | None) -> None:
    workers.plane.settle()
    answer = workers.tell(**body)
    assert code(answer) == (400, "invalid_parameter")
    assert answer.json()["error"]["param"] == param
    assert "x-more" not in answer.text


def test_a_huge_registration_is_refused(workers: FleetPlane) -> None:
    workers.plane.settle()
    assert code(workers.tell(url=URL, type="x", more="x" * 70_000)) == (413, "body_too_large")


def test_a_worker_takes_no_more_jobs_than_the_operator_lets_it(workers: FleetPlane, settings: Any) -> None:
    settings.FLEET_MAX_JOBS = 3
    workers.plane.settle()
    assert workers.tell(url=URL, type="x", capacity=900).json()["capacity"] == 3


def test_a_fleet_that_is_full_takes_nobody_new(workers: FleetPlane, monkeypatch: Any) -> None:
    monkeypatch.setattr(fleets, "MOST_OF_ACCOUNT", 1)
    workers.plane.settle()
    assert workers.tell(url=URL, type="x").status_code == 200
    refused = workers.tell(url="http://127.0.0.1:10/v1", type="x")
    assert code(refused) == (429, "fleet_full") and refused.headers["retry-after"]
    assert workers.tell(url=URL, type="x").status_code == 200  # who is there stays


def test_r_rel_22_a_worker_that_is_new_costs_no_look_at_all_others() -> None:
    """Now and then it does: the long silent are forgotten though there is room."""

    class Counted(Fleet):
        sweeps = 0

        def sweep(self) -> None:
            self.sweeps += 1
            super().sweep()

    now = [0.0]
    known = Counted(lambda: now[0])
    for number in range(fleets.MOST_OF_ACCOUNT):
        known.hear(Word(1, "t", f"https://w{number}.example/", ("x",)))
    assert known.sweeps <= 1
    for number in range(50):
        with pytest.raises(FleetFull):
            known.hear(Word(1, "t", f"https://more-{number}.example/", ("x",)))
    assert known.sweeps <= 2, "nor does one for whom there is no room"
    now[0] += fleets.FORGOTTEN + 1
    known.hear(Word(2, "t", "https://one.example/", ("x",)))
    assert len(list(known)) == 1


def test_a_worker_is_found_by_what_it_serves_now(workers: FleetPlane) -> None:
    """Whatever it served before, and no more once it is forgotten."""
    from routing.store import store

    name = workers.model("ok")
    other = workers.model("ok:other")
    told = workers.register(workers.servers[0], "ok")
    assert workers.plane.ask(other).status_code == 503
    workers.register(workers.servers[0], "ok:other")
    assert [workers.plane.ask(each).status_code for each in (name, other)] == [503, 200]
    workers.register(workers.servers[0], "ok", "ok:other")
    assert [workers.plane.ask(each).status_code for each in (name, other)] == [200, 200]
    worker = fleet.get(told["id"])
    assert worker is not None
    worker.heard_at -= fleets.FORGOTTEN + 1
    fleet.sweep()
    for model in ("ok", "ok:other"):
        assert fleet.why_not(store.current, workers.account.pk, model) == "no worker is registered"
    workers.register(workers.servers[0], "ok")
    assert workers.plane.ask(name).status_code == 200


def test_ten_thousand_workers_at_most() -> None:
    """A thousand of an account; the long silent make room."""
    now = [0.0]
    known = Fleet(lambda: now[0])
    for account in range(10):
        for number in range(1000):
            known.hear(Word(account, "t", f"https://w{number}.example/", ("x",)))
    for account in (0, 10):
        with pytest.raises(FleetFull):
            known.hear(Word(account, "t", "https://one-more.example/", ("x",)))
    now[0] += fleets.FORGOTTEN + 1
    known.hear(Word(10, "t", "https://one-more.example/", ("x",)))
    assert len(list(known)) == 1
