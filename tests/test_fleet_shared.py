"""What workers say to one process is known to the others: through the database, and through a real Redis."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from providers.secrets import Secret
from routing.fleet import FORGOTTEN, Fleet, Share, State, Word
from routing.fleet_gossip import NAME, TIMES, FleetGossip
from routing.fleet_rows import Rows, drain
from routing.models import GatewayProcess, Worker

WORD = Word(7, "0b0e8b2e-2a11-4c4e-b0f7-0d6b0e6f1a11", "https://gpu-1.example/v1", ("flux",), 4, 1, 2)


def process(known: Fleet) -> Rows:
    """A process whose loop does at once what it is handed."""
    rows = Rows(known)

    class Loop:
        def call_soon_threadsafe(self, call: Any, *given: Any) -> None:
            call(*given)

        call_soon = call_soon_threadsafe

    rows._loop = Loop()  # type: ignore[assignment]
    rows._outbox = known.new_outbox()
    return rows


class Turns:
    """A loop that does what it was handed when its turn comes."""

    def __init__(self) -> None:
        self.handed: list[tuple[Any, tuple[Any, ...]]] = []

    def call_soon(self, call: Any, *given: Any) -> None:
        self.handed.append((call, given))

    call_soon_threadsafe = call_soon

    def turn(self) -> bool:
        """Do what was handed over before; whether there was anything."""
        now, self.handed = self.handed, []
        for call, given in now:
            call(*given)
        return bool(now)


@pytest.fixture
def pair(transactional_db: None) -> tuple[tuple[Fleet, Rows], tuple[Fleet, Rows]]:
    """Two processes with a fleet each, whose clocks differ."""
    one, two = Fleet(), Fleet(lambda: time.monotonic() + 5_000_000)
    return (one, process(one)), (two, process(two))


def test_a_word_reaches_the_other_process_with_its_secret(pair: Any) -> None:
    (one, told), (two, hears) = pair
    one.hear(msg(secret=Secret("worker-secret-1")))
    told.look()
    hears.look()
    (worker,) = two
    assert worker.word.says(WORD) and two.state(worker) is State.ACTIVE
    assert worker.word.secret is not None and worker.word.secret.reveal() == "worker-secret-1"
    row = Worker.objects.get()
    assert b"worker-secret-1" not in bytes(row.sealed) and "worker-secret-1" not in str(row.__dict__)


def test_a_secret_that_was_moved_to_another_url_is_sent_nowhere(pair: Any) -> None:
    """Who writes the database can name another address; the seal then opens no more, and the row is no worker's."""
    (one, told), (two, hears) = pair
    one.hear(msg(secret=Secret("worker-secret-1")))
    told.look()
    Worker.objects.update(url="https://evil.example/v1")
    hears.look()
    assert not list(two)


def test_who_leaves_leaves_everywhere_and_who_speaks_again_is_back(pair: Any) -> None:
    (one, told), (two, hears) = pair
    worker = one.hear(WORD)
    for word, state in ((msg(leaves=True), State.DRAINING), (WORD, State.ACTIVE)):
        one.hear(word)
        told.look()
        hears.look()
        (known,) = two
        assert two.state(known) is state and known.id == worker.id


def test_a_process_that_starts_knows_the_workers_at_once(pair: Any) -> None:
    (one, told), _ = pair
    one.hear(WORD)
    told.look()
    new = Fleet()
    process(new).look()
    (worker,) = new
    assert new.state(worker) is State.ACTIVE
    assert new.clock() - worker.heard_at < 5


def test_r_rel_22_a_process_that_starts_learns_of_many_workers_between_requests(pair: Any) -> None:
    """No turn of its loop takes all of the table, and what was read first is learned first."""
    (one, told), _ = pair
    for number in range(450):
        one.hear(msg(url=f"https://gpu-{number}.example/v1"))
    told.look()
    new, loop = Fleet(), Turns()
    rows = process(new)
    rows._loop = loop  # type: ignore[assignment]
    rows.look()
    known = [0]
    loop.turn()
    known.append(len(list(new)))
    Worker.objects.update(drained_by="anna", changed_at=Now())
    rows.look()
    while loop.turn():
        known.append(len(list(new)))
    assert known[-1] == 450 and max(after - before for before, after in pairwise(known)) <= 200
    assert {worker.drained_by for worker in new} == {"anna"}


def test_the_long_silent_are_not_heard_of_again(pair: Any) -> None:
    (one, told), (two, hears) = pair
    one.hear(WORD)
    told.look()
    long_ago = timezone.now() - timedelta(seconds=FORGOTTEN + 1)
    Worker.objects.update(heard_at=long_ago)
    hears.look()
    assert not list(two)


def test_an_operator_drains_a_worker_in_every_process(pair: Any) -> None:
    """And its next words do not undo that."""
    (one, told), (two, hears) = pair
    worker = one.hear(WORD)
    told.look()
    assert drain(worker.id, "anna")
    one.hear(WORD)
    for rows in (told, hears, told, hears):
        rows.look()
    assert [known.state(next(iter(known))) for known in (one, two)] == [State.DRAINING] * 2
    drain(worker.id, "")
    for rows in (told, hears):
        rows.look()
    assert [known.state(next(iter(known))) for known in (one, two)] == [State.ACTIVE] * 2
    assert not drain("w0", "anna")


def test_the_seats_of_a_worker_are_shared_out(pair: Any, monkeypatch: Any) -> None:
    """Five seats, two processes that serve: three and two. One seat is everybody's."""
    (one, told), _ = pair
    monkeypatch.setattr("routing.fleet_rows.process_name", lambda: "b")
    for name, places in (("a", "[]"), ("b", "[]"), ("control", None)):
        GatewayProcess.objects.create(name=name, seen_at=timezone.now(), places=places)
    one.hear(WORD)
    told.look()
    assert one.share == Share(1, 2)
    assert [Share(rank, 2).of(5) for rank in (0, 1)] == [3, 2]
    assert [Share(rank, 3).of(1) for rank in (0, 1, 2)] == [1, 1, 1]


def test_a_word_that_comes_back_does_not_count_jobs_twice() -> None:
    """A worker that told of our own two jobs has nothing else to do when those have ended."""
    known = Fleet()
    worker = known.hear(WORD)
    worker.running = 3
    known.hear(msg(running=3, queued=0))
    assert worker.elsewhere == 0
    worker.running = 0
    known.learn(msg(running=3, queued=0), 0.0)
    assert worker.elsewhere == 0


def test_r_rel_12_through_redis_without_the_database(redis_server: Any) -> None:
    async def scenario() -> None:
        import redis.asyncio

        client = redis.asyncio.Redis.from_url(redis_server.url)
        one, two = Fleet(), Fleet(lambda: time.monotonic() + 5_000_000)
        tasks = FleetGossip(one, redis_server.url), FleetGossip(two, redis_server.url)
        for word, state in ((msg(secret=Secret("worker-secret-1")), State.ACTIVE), (msg(leaves=True), State.DRAINING)):
            one.hear(word)
            for task in tasks:
                await task.exchange(client)
            (known,) = two
            assert two.state(known) is state
        one.hear(msg(secret=Secret("worker-secret-1")))
        await tasks[0].exchange(client)
        assert b"worker-secret-1" not in b"".join((await client.hgetall(NAME)).values())
        await client.hset(NAME, "w0", b"{}")
        await client.zadd(TIMES, {"w0": 1e12, "w1": 1e12})
        await tasks[1].exchange(client)  # what none of ours told is passed over
        assert [worker.id for worker in two] == [known.id]
        redis_server.stop()
        redis_server.start()
        for task in tasks:
            task.lost()
        fresh = redis.asyncio.Redis.from_url(redis_server.url)
        one.hear(msg(running=9))
        for task in tasks:
            await task.exchange(fresh)
        assert known.word.running == 9
        await client.aclose()
        await fresh.aclose()

    asyncio.run(scenario())


def msg(**changes: Any) -> Word:
    import msgspec

    return msgspec.structs.replace(WORD, **changes)


@pytest.fixture
def told(world: Any) -> Any:
    """A fleet route, and the word of a worker of it in the database: this process serves nothing."""
    from keys.tokens import issue
    from routing.fleet import fleet

    fleet.clear()
    account = world.account("fleet")
    world.model("flux", (account, "flux", {"infra": "fleet"}))
    row, _ = issue(None, account=account, kind="f")

    def tell(**changes: Any) -> Worker:
        one = Fleet()
        rows = process(one)
        worker = one.hear(msg(account_id=account.pk, token_id=str(row.pk), **changes))
        rows.look()
        return Worker.objects.get(pk=worker.id)

    yield tell
    fleet.clear()


def findings() -> list[str]:
    from project.diagnosis_rows import patching

    return [finding.what for finding in patching() if finding.area == "fleets"]


def test_doctor_names_a_fleet_without_workers(told: Any) -> None:
    assert findings() == ["fleet: no worker is registered, for flux"]
    told()
    assert findings() == []


def test_explain_on_the_command_line_knows_the_workers(told: Any, capsys: Any) -> None:
    from django.core.management import call_command

    with pytest.raises(SystemExit):
        call_command("explain", "flux")
    assert "cannot serve: account fleet: no worker is registered" in capsys.readouterr().out
    told()
    call_command("explain", "flux")
    assert "cannot serve" not in capsys.readouterr().out


def test_an_operator_sees_and_drains_workers_and_an_auditor_only_sees_them(told: Any) -> None:
    from django.urls import reverse

    from routing.fleet import fleet
    from tests.people import client

    row = told()
    pages = [reverse("admin:routing_worker_changelist"), reverse("admin:routing_worker_live")]
    pages.append(reverse("admin:providers_account_change", args=[row.account_id]))
    drains = reverse("admin:routing_worker_drain", args=[row.pk])
    for role, buttons in (("operator", True), ("auditor", False)):
        for page in pages:
            shown = client(role).get(page).content.decode()
            assert "https://gpu-1.example/v1" in shown and "1 / 4" in shown, page
            assert (drains in shown) is buttons
    assert client("auditor").post(drains, {"do": "drain"}).status_code == 403
    assert client("operator").get(drains).status_code == 405
    assert client("operator").post(drains + f"?account={row.account_id}", {"do": "drain"}).url == pages[2]
    row.refresh_from_db()
    assert row.drained_by == "operator"
    (one,) = client("auditor").get("/manage/workers/").json()
    assert (one["state"], one["drained_by"], one["account"], one["models"]) == (
        "draining",
        "operator",
        "fleet",
        ["flux"],
    )
    assert "Resume" in client("operator").get(pages[0]).content.decode()
    assert client("operator").post(drains, {"do": "resume"}).url == pages[0]
    assert fleet.get(row.pk) is not None
    assert client("auditor").get("/manage/workers/").json()[0]["state"] == "active"


def test_who_enters_no_keys_makes_no_fleet_token(told: Any) -> None:
    from django.urls import reverse

    from keys.models import ApiToken
    from providers.models import Account
    from tests.people import client

    ApiToken.objects.all().delete()
    url = reverse("admin:keys_apitoken_add")
    data = {"kind": "f", "project": "", "account": Account.objects.get().pk, "name": "gpu", "expires_at_0": ""}
    data["expires_at_1"] = ""
    client("operator").post(url, data)
    assert not ApiToken.objects.exists()
    page = client("security").post(url, data).content.decode()
    row = ApiToken.objects.get()
    assert row.kind == "f" and row.project is None and row.account == Account.objects.get()
    assert "jf_f" in page and "workers of fleet" in page
    assert "jf_f" not in client("security").get(reverse("admin:keys_apitoken_changelist")).content.decode().replace(
        f"jf_f••••{row.last_four}", ""
    )
    refused = client("security").post(url, {**data, "account": ""}).content.decode()
    assert "belongs to one account" in refused and ApiToken.objects.count() == 1


def test_the_command_makes_a_fleet_token(told: Any, capsys: Any) -> None:
    from django.core.management import CommandError, call_command

    from keys.models import ApiToken
    from keys.tokens import mac

    call_command("token", fleet="fleet")
    text = capsys.readouterr().out.strip()
    assert text.startswith("jf_f") and ApiToken.objects.filter(mac=mac(text), kind="f").exists()
    with pytest.raises(CommandError, match="no account"):
        call_command("token", fleet="nobody")
