"""The pages of health and of explain, and /manage/health/: who sees them, what they say, and closing a circuit."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from providers.models import Account
from routing.build import build
from routing.explain import explain
from routing.health import CONSECUTIVE, Health
from routing.hearsay import encoded, report
from routing.models import AccountProbe, Notice, Revision
from routing.places import Failure
from routing.presence import show
from routing.questions import needs_of
from tests.people import client

pytestmark = pytest.mark.django_db

#: The process that tells is never behind, so that nothing waits for it.
NEWEST = 1_000_000
HEALTH = "admin:routing_health"
EXPLAIN = "admin:routing_explain"


@pytest.fixture
def accounts(world: Any) -> tuple[Account, Account]:
    """One account that serves and one whose circuit is open, as a process told a moment ago."""
    good = world.account("good", keys=("sk-0123456789abcdefgh",))
    bad = world.account("bad", "https://bad.example/v1", provider=world.provider("other"), keys=("sk-0123456789abcd",))
    world.model("best", (bad, "large"), (good, "large", {"weight": 3}), (world.account("bare"), "small"))
    health = Health()
    for _ in range(CONSECUTIVE):
        health.watch((bad.pk, "large")).failed(Failure.TIMEOUT)
    watch = health.watch((good.pk, "large"))
    watch.began(0.25)
    watch.served()
    health.watch((good.pk, "large"))
    health.watch((good.pk, "<script>alert(1)</script>")).failed(Failure.SERVER)
    show("gateway:1", NEWEST, None, "", encoded(report(health)).decode())
    probe = {"tried_at": timezone.now(), "day": timezone.now().date(), "at": timezone.now(), "took_ms": 12}
    AccountProbe.objects.create(account=bad, outcome="unreachable", detail="no answer in 10 s", **probe)
    return good, bad


def text_of(response: Any) -> str:
    """What one reads on a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


@pytest.mark.parametrize(
    ("role", "sees", "closes"),
    [
        ("security", True, True),
        ("operator", True, True),
        ("auditor", True, False),
        ("nobody", False, False),
        ("outsider", False, False),
        ("anonymous", False, False),
    ],
)
def test_who_sees_health_and_who_closes_a_circuit(
    role: str, sees: bool, closes: bool, accounts: tuple[Account, Account]
) -> None:
    browser, url = client(role), reverse(HEALTH)
    page = browser.get(url)
    assert (page.status_code == 200) == sees
    assert (browser.get(reverse(EXPLAIN)).status_code == 200) == sees
    assert ("Close now" in page.content.decode()) == closes
    browser.post(url, {"close_account": "bad", "close_model": "large"})
    assert Notice.objects.count() == Revision.objects.filter(note="circuit closed by hand").count() == int(closes)
    if closes:
        notice = Notice.objects.get()
        assert (notice.kind, notice.account, notice.upstream_model) == ("close", accounts[1], "large")
        assert Revision.objects.first().author_name == role
        assert "account bad: circuit of large open → closed" in text_of(browser.get(reverse("admin:index")))


def test_health_tells_every_place_worst_first(accounts: tuple[Account, Account]) -> None:
    page = client("auditor").get(reverse(HEALTH))
    text = text_of(page)
    assert page.context["rows"][0]["row"].account == "bad"
    assert "open 30 s left" in text or "open 29 s left" in text
    assert "timeout 5" in text and "It cannot be reached".lower() in text.lower() and "no answer in 10 s" in text
    assert "250 ms p95 250 ms" in text
    assert "1 process told with signs of life" in text and "no Redis here" in text
    assert "<script>alert" not in page.content.decode()


def test_health_is_filtered_and_asked_for_in_part(accounts: tuple[Account, Account]) -> None:
    browser, url = client("operator"), reverse(HEALTH)
    assert {row["row"].account for row in browser.get(url, {"account": "good"}).context["rows"]} == {"good"}
    assert {row["row"].account for row in browser.get(url, {"provider": "other"}).context["rows"]} == {"bad"}
    gone = browser.get(url, {"account": "who?"})
    assert "None of the places" in text_of(gone)
    part = browser.get(url, {"part": "table", "account": "bad"})
    assert part.content.decode().lstrip().startswith("<div data-live=") and "good" not in text_of(part)
    posted = {"close_account": "bad", "close_model": "large", "account": "bad"}
    assert browser.post(url, posted).url == f"{url}?account=bad", "back to the same places"
    for account, model in (("", ""), ("nobody", "x"), ("bad", ""), ("bad", "a\x00"), ("bad", "x" * 192)):
        assert browser.post(url, {"close_account": account, "close_model": model}).status_code == 404
    assert Notice.objects.count() == 1


def test_query_ledger_of_health_and_explain(accounts: tuple[Account, Account], world: Any) -> None:
    """As many for twenty places as for two. Explain makes a snapshot where no gateway runs in the process."""
    browser = client("operator")
    browser.get(reverse("admin:index"))  # the session's use is noted once a minute
    counts = []
    for rows in (2, 20):
        health = Health()
        for number in range(rows):
            health.watch((world.account(f"a{rows}-{number}").pk, "m")).failed(Failure.SERVER)
        show("gateway:1", NEWEST, None, "", encoded(report(health)).decode())
        with CaptureQueriesContext(connection) as queries:
            assert len(browser.get(reverse(HEALTH)).context["rows"]) == rows
        with CaptureQueriesContext(connection) as explained:
            browser.get(reverse(EXPLAIN), {"model": "best"})
        counts.append((len(queries), len(explained)))
    assert counts[0] == counts[1]
    assert counts[1][0] <= 7


def test_manage_health_says_the_same(accounts: tuple[Account, Account]) -> None:
    told = client("auditor").get("/manage/health/").json()
    assert told["processes"] == 1
    first = told["results"][0]
    assert (first["account"], first["provider"], first["model"], first["circuit"]) == ("bad", "other", "large", "open")
    assert 25 < first["rests"] <= 30 and first["error_rate"] == 1.0 and first["failures"] == {"timeout": 5.0}
    assert (first["probe"]["outcome"], first["probe"]["took_ms"]) == ("unreachable", 12)
    good = client("auditor").get("/manage/health/?account=good").json()["results"]
    place = next(row for row in good if row["model"] == "large")
    assert (place["first_byte"], place["first_byte_p95"], place["in_flight"]) == (0.25, 0.25, 1)
    assert place["probe"] is None
    assert client("auditor").get("/manage/health/?provider=none").json()["results"] == []


def test_m16_explain_is_drawn_from_the_address(accounts: tuple[Account, Account], world: Any) -> None:
    world.project("demo")
    asked = {"model": "best", "project": "demo", "endpoint": "messages", "needs": ["tools", "stream"], "tokens": "800"}
    page = client("auditor").get(reverse(EXPLAIN), asked)
    said = explain(build(), "best", "demo", "messages", needs_of("tools,stream,800"))
    found = page.context["found"]
    assert [place["account"] for place in found["candidates"]] == ["bad", "good"]
    assert found["candidates"] == said["candidates"] and found["dropped"] == said["dropped"]
    text = text_of(page)
    assert "goes to 1 bad / large priority 0, the only one of it that can serve" in text
    assert "if that fails 2 good / large priority 1" in text
    assert "bare/small" in text and "account bare has no key" in text
    assert "open" in text and "first byte 250 ms" in text, "and how the places do"
    form = page.content.decode()
    assert 'value="best"' in form and 'value="800"' in form
    assert len(re.findall(r"<option[^>]*selected>(?:demo|messages)<", form)) == 2
    assert len(re.findall(r'name="needs" value="(?:tools|stream)" checked', form)) == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "Name a model"),
        ({"model": "besst"}, "model_not_found"),
        ({"model": "auto"}, "auto_not_configured"),
        ({"model": "best", "project": "none"}, "there is no project"),
        ({"model": "best", "endpoint": "nowhere"}, "there is no endpoint"),
        ({"model": "best", "tokens": "many"}, "cannot be needed"),
        ({"model": "<script>alert(1)</script>"}, "model_not_found"),
    ],
)
def test_what_cannot_be_explained_is_said(asked: dict[str, str], said: str, accounts: tuple[Account, Account]) -> None:
    page = client("operator").get(reverse(EXPLAIN), asked)
    assert page.status_code == 200 and said in page.content.decode()
    assert "<script>alert" not in page.content.decode()
    if asked == {"model": "besst"}:
        assert 'href="?model=best"' in page.content.decode()


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ("weighted", "by weight: first for 75% of the requests"),
        ("latency", "quickest first: nobody measured it of late"),
        ("least-busy", "fewest requests first: 0 in hand for a weight of 3"),
        ("cost", "cheapest first"),
        ("in-order", "in the order entered"),
        ("sticky", "sticky: 75% of the conversations begin here"),
    ],
)
def test_why_a_place_stands_where_it_does(strategy: str, reason: str, world: Any) -> None:
    one, two = (world.account(name, keys=("sk-0123456789abcdefgh",)) for name in ("one", "two"))
    held = {"sticky": True} if strategy == "sticky" else {"strategy": strategy}
    level = {"priority": 0}
    world.model("m", (one, "x", {**level, "weight": 3}), (two, "x", level), (two, "y", {**level, "weight": 0}), **held)
    found = {(place["account"], place["upstream_model"]): place["why"] for place in explain(build(), "m")["candidates"]}
    assert reason in found["one", "x"]
    assert found["two", "y"] == "priority 0, weight 0: last of it"


def test_the_menu_marks_one_page(accounts: tuple[Account, Account]) -> None:
    for url in (HEALTH, EXPLAIN):
        groups = client("operator").get(reverse(url)).context["sidebar_navigation"]
        marked = [item["title"] for group in groups for item in group["items"] if item["active"]]
        assert marked == ["Health" if url == HEALTH else "Explain"]
