"""Probes of accounts: when they are made, what they cost at most, what they find, and what follows from it."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from keys.models import ProviderKey
from project import diagnosis_rows
from project.celery import app
from providers.models import Account
from providers.probing import declared, most_a_day
from routing.health import CONSECUTIVE, REST, Health
from routing.hearsay import encoded, report
from routing.models import AccountProbe, Notice, Revision
from routing.notices import close_circuit
from routing.places import Circuit, Failure
from routing.presence import show
from routing.probing import AT_ONCE, HURRIED, MOST, PATIENCE, probe
from routing.tasks import probe_accounts
from tests.conftest import Served, serve
from tests.noticing import noticing
from tests.people import client

pytestmark = pytest.mark.django_db

KEYS = ("sk-canary-probe-0001", "sk-canary-probe-0002")
Outcome = AccountProbe.Outcome


class Upstream:
    """Answers a list of models with the status it was told, by key; notes what it was asked."""

    def __init__(self) -> None:
        self.status: dict[str, int] = {}
        self.seen: list[tuple[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        key = dict(scope["headers"]).get(b"authorization", b"").decode()
        self.seen.append((scope["path"], key))
        status = self.status.get(key.removeprefix("Bearer "), self.status.get("", 200))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b'{"data": []}'})


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Upstream, Served]]:
    upstream = Upstream()
    served = serve(upstream)
    yield upstream, served
    served.stop()


@pytest.fixture
def upstream(server: tuple[Upstream, Served]) -> Upstream:
    server[0].status.clear()
    server[0].seen.clear()
    return server[0]


@pytest.fixture
def near(world: Any, server: tuple[Upstream, Served], upstream: Upstream) -> Account:
    """An account in use at the upstream, and a process that serves and tells nothing of it."""
    account = world.account("near", f"{server[1].url}/v1", private_network=True, keys=KEYS[:1])
    world.model("best", (account, "large"))
    tell(Health())
    return account


def tell(health: Health) -> None:
    """A process with this knowledge gives a sign of life."""
    show("gateway:1", 1, None, "", encoded(report(health)).decode())


def broken(account: Account, model: str = "large") -> Health:
    """What a process knows where this place's circuit is open."""
    health = Health()
    for _ in range(CONSECUTIVE):
        health.watch((account.pk, model)).failed(Failure.CONNECT)
    return health


def due(account: Account) -> None:
    """As if the last probe were long ago."""
    long_ago = timezone.now() - timedelta(days=2)
    values = {"tried_at": long_ago, "day": long_ago.date()}
    AccountProbe.objects.update_or_create(account=account, defaults=values)


def result(account: Account) -> AccountProbe:
    return AccountProbe.objects.get(account=account)


def test_f18_an_account_that_nobody_hears_of_is_asked_for_its_models_with_its_key(
    near: Account, upstream: Upstream
) -> None:
    due(near)
    revisions = Revision.objects.count()
    assert probe() == 1
    assert upstream.seen == [("/v1/models", f"Bearer {KEYS[0]}")]
    row = result(near)
    assert (row.outcome, row.detail, row.refused_keys, row.count) == (Outcome.ANSWERS, "it answered 200", [], 1)
    assert probe() == 0 and len(upstream.seen) == 1, "not again before its interval is over"
    assert not Notice.objects.exists() and Revision.objects.count() == revisions


def test_an_account_that_serves_is_left_alone(near: Account, upstream: Upstream) -> None:
    health = Health()
    watch = health.watch((near.pk, "large"))
    watch.began(0.1)
    watch.served()
    tell(health)
    due(near)
    assert probe() == 0 and upstream.seen == []


@pytest.mark.django_db(transaction=True)
def test_two_beats_at_once_probe_once(near: Account, upstream: Upstream) -> None:
    due(near)
    began = threading.Barrier(2)

    def beat() -> None:
        began.wait(5)
        try:
            probe_accounts()
        finally:
            connection.close()

    beats = [threading.Thread(target=beat) for _ in range(2)]
    for each in beats:
        each.start()
    for each in beats:
        each.join(20)
    assert len(upstream.seen) == 1
    assert result(near).count == 1


@pytest.mark.parametrize(
    ("change", "probed"),
    [
        ({}, True),
        ({"probe": "on", "probe_cost": 5}, True),
        ({"probe_cost": 5}, False),
        ({"probe": "off"}, False),
        ({"enabled": False}, False),
    ],
)
def test_the_switch_of_an_account(near: Account, upstream: Upstream, change: dict[str, Any], probed: bool) -> None:
    for name, value in change.items():
        setattr(near, name, value)
    near.save()
    due(near)
    probe()
    assert bool(upstream.seen) == probed


@pytest.mark.parametrize("why", ["switched off", "nobody serves", "no key", "no route"])
def test_nobody_is_asked_in_vain(near: Account, upstream: Upstream, settings: Any, world: Any, why: str) -> None:
    from routing.models import GatewayProcess, Route

    due(near)
    match why:
        case "switched off":
            settings.PROBES = False
        case "nobody serves":
            GatewayProcess.objects.all().delete()
        case "no key":
            ProviderKey.objects.all().delete()
        case "no route":
            Route.objects.all().delete()
    assert probe() == 0 and upstream.seen == []


def test_a_day_has_no_more_probes_than_is_declared(near: Account, upstream: Upstream) -> None:
    """Also while it is down and asked more often."""
    near.probe_interval = 21_600
    near.save()
    assert most_a_day(near.probe_interval) == 4
    tell(broken(near))
    for _ in range(7):
        AccountProbe.objects.update(tried_at=timezone.now() - timedelta(seconds=2 * HURRIED))
        probe()
    assert len(upstream.seen) == 4
    due(near)
    probe()
    assert len(upstream.seen) == 5, "another day"


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (("free", 300, 0), "at most 288 requests a day, free at this provider"),
        (("on", 300, 100), "at most 288 requests a day, $0.0288 a day"),
        (("on", 86_400, 1_000_000), "at most 1 request a day, $1 a day"),
        (("free", 300, 1), "off: a probe is declared to cost something"),
        (("off", 300, 0), "off"),
    ],
)
def test_the_daily_cost_is_declared(terms: tuple[str, int, int], said: str) -> None:
    assert declared(*terms) == said


@pytest.mark.django_db(transaction=True)
def test_an_account_that_answers_gets_a_request_early_and_only_once(near: Account, upstream: Upstream) -> None:
    place = (near.pk, "large")
    health = broken(near)
    tell(health)
    assert health.circuit(place) is Circuit.OPEN
    noticing(health, probe)
    assert len(upstream.seen) == 1, "an open circuit is reason enough, without waiting for the interval"
    assert health.circuit(place) is Circuit.HALF_OPEN
    health.watch(place).failed(Failure.SERVER)
    assert REST < health.rests(place) <= 2 * REST, "it lists its models and still fails: it rests for longer"
    assert health.hasten(near.pk) == 0, "and is not believed again"
    AccountProbe.objects.update(tried_at=timezone.now() - timedelta(seconds=2 * HURRIED))
    noticing(health, probe)
    assert health.circuit(place) is Circuit.OPEN
    health.release(place)
    assert health.circuit(place) is Circuit.CLOSED


def test_a_half_open_circuit_that_nobody_asks_hurries_no_probe(near: Account, upstream: Upstream) -> None:
    """It waits for a request, not for a probe: else it would use up the day's share."""
    health = broken(near)
    tell(health)
    probe()
    assert len(upstream.seen) == 1
    health.hasten(near.pk)
    assert health.circuit((near.pk, "large")) is Circuit.HALF_OPEN
    tell(health)
    Notice.objects.all().delete()
    AccountProbe.objects.update(tried_at=timezone.now() - timedelta(seconds=2 * HURRIED))
    assert probe() == 0
    assert len(upstream.seen) == 1 and not Notice.objects.exists()


@pytest.mark.parametrize(("status", "outcome"), [(500, "fails"), (503, "fails"), (404, "answers"), (429, "answers")])
def test_what_an_answer_means(near: Account, upstream: Upstream, status: int, outcome: str) -> None:
    upstream.status[""] = status
    due(near)
    probe()
    assert (result(near).outcome, result(near).detail) == (outcome, f"it answered {status}")


def test_an_account_that_cannot_be_reached_is_marked_and_nothing_else_changes(near: Account, world: Any) -> None:
    near.base_url = "http://127.0.0.1:9/v1"
    near.save()
    ProviderKey.objects.all().delete()
    world.keys(near, KEYS[0])  # a key is sealed to its origin
    health = broken(near)
    tell(health)
    probe()
    assert result(near).outcome == Outcome.UNREACHABLE
    assert not Notice.objects.exists()
    findings = [found for found in diagnosis_rows.probes() if found.status == "WARN"]
    assert len(findings) == 1 and "near: it cannot be reached" in findings[0].what


def test_an_address_that_may_not_be_called_is_not_called(near: Account, upstream: Upstream) -> None:
    """The egress guard is that of every request."""
    near.private_network = False
    near.save()
    due(near)
    probe()
    assert upstream.seen == []


def test_a_refused_key_is_marked_and_closes_nobody_out(near: Account, upstream: Upstream, world: Any) -> None:
    """One key of two is refused: the account is told of on pages and by doctor, its circuits stay as they are."""
    world.keys(near, KEYS[1])
    _, bad = ProviderKey.objects.order_by("created_at")
    upstream.status[KEYS[1]] = 401
    due(near)
    probe()
    assert result(near).refused_keys == []
    AccountProbe.objects.update(tried_at=timezone.now() - timedelta(days=1, seconds=1), day=timezone.now().date())
    probe()
    assert [key for _, key in upstream.seen] == [f"Bearer {key}" for key in KEYS], "each key has its turn"
    assert (result(near).outcome, result(near).refused_keys) == (Outcome.REFUSED, [str(bad.pk)])
    assert not Notice.objects.exists()
    page = client("operator").get(reverse("admin:index")).content.decode()
    assert "near</a>: it refuses the key (it answered 401" in page
    account = client("operator").get(reverse("admin:providers_account_change", args=[near.pk])).content.decode()
    assert "At most 288 requests a day, free at this provider. Last: it refuses the key" in account
    told = [found.what for found in diagnosis_rows.probes()]
    assert told[0] == "at most 288 requests a day at near; free at these providers"
    assert "near: it refuses the key" in told[1]
    for text in (page, account, *told, *map(str, AccountProbe.objects.values_list())):
        assert "canary" not in text
    upstream.status.clear()
    AccountProbe.objects.update(tried_at=timezone.now() - timedelta(days=1, seconds=1), count=3)
    probe()
    assert (result(near).outcome, result(near).refused_keys) == (Outcome.ANSWERS, []), "it is taken again"


@pytest.mark.django_db(transaction=True)
def test_a_circuit_closed_by_hand_is_closed_in_every_process_and_kept_who_did_it(near: Account) -> None:
    place, other = (near.pk, "large"), (near.pk, "other")
    health = broken(near)
    for _ in range(CONSECUTIVE):
        health.watch(other).failed(Failure.SERVER)
    close_circuit(near, "other", "somebody before this process served")
    noticing(health, lambda: close_circuit(near, "large", "olga"))
    assert (health.circuit(place), health.circuit(other)) == (Circuit.CLOSED, Circuit.OPEN)
    assert list(health.freed) == [f"{near.pk}:large"], "and those that share a Redis hear it there"
    revision = Revision.objects.first()
    assert (revision.author_name, revision.note) == ("olga", "circuit closed by hand")
    assert revision.changes[0]["fields"] == {"circuit of large": ["open", "closed"]}


def test_beat_probes_and_a_probe_that_came_too_late_is_not_made() -> None:
    entry = app.conf.beat_schedule["probe accounts"]
    assert entry["task"] == probe_accounts.name
    assert entry["options"]["expires"] < entry["schedule"] <= HURRIED


def test_one_go_probes_so_many_and_those_first_who_have_waited_longest(
    near: Account, upstream: Upstream, world: Any, server: Any
) -> None:
    """In an outage all are due at once: what is left over comes in the next go, which nobody's thread waits for."""
    accounts = [near]
    for number in range(MOST + 4):
        accounts.append(world.account(f"n{number:02}", f"{server[1].url}/v1", private_network=True, keys=KEYS[:1]))
        world.model(f"m{number}", (accounts[-1], "large"))
    random.shuffle(accounts)
    for waited, account in enumerate(accounts):
        due(account)
        AccountProbe.objects.filter(account=account).update(tried_at=timezone.now() - timedelta(days=2, hours=waited))
    assert probe() == len(upstream.seen) == MOST
    assert {account.pk for account in accounts[:5]} == set(
        AccountProbe.objects.filter(count=0).values_list("pk", flat=True)
    )
    assert probe() == 5


def test_a_go_is_over_before_the_next_beat_whoever_is_silent() -> None:
    """So that one of two threads is always left for the rest of the work."""
    assert math.ceil(MOST / AT_ONCE) * PATIENCE < app.conf.beat_schedule["probe accounts"]["schedule"]


def test_who_was_never_met_is_met_in_any_outage(
    near: Account, upstream: Upstream, world: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routing.probing.MOST", 1)
    other = world.account("other", f"{server[1].url}/v1", private_network=True, keys=KEYS[:1])
    world.model("second", (other, "large"))
    tell(broken(other))
    due(near)
    assert probe() == 1
    assert result(other).count == 1 and result(near).count == 0


def test_first_probes_are_spread(near: Account, upstream: Upstream, world: Any, server: Any) -> None:
    for number in range(30):
        account = world.account(f"n{number}", f"{server[1].url}/v1", private_network=True, keys=KEYS[:1])
        world.model(f"m{number}", (account, "large"))
    began = time.time()
    probe()
    tried = [row.tried_at.timestamp() for row in AccountProbe.objects.filter(count=0)]
    assert len(tried) + len(upstream.seen) == 31
    assert max(tried) - min(tried) > 60 and max(tried) < began + 5
