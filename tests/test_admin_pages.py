"""Every page of the admin: hostile names stay text, the policy holds, the first page tells, lists ask few queries."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from api.models import UsageRecord
from keys.models import ProviderKey
from keys.pool import pool
from project.middleware import POLICY
from providers.models import CatalogModel
from routing.models import Alias, GatewayProcess, Preference, PrefixRule, PublicModel, Route
from routing.revisions import latest
from routing.store import Store
from tests.people import client, posted

pytestmark = pytest.mark.django_db

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1) ",
    "{{ 7*7 }}",
    "{% debug %}",
    "=cmd|' /C calc'!A0",
    "+1+1\tname",
    "@SUM(1)",
    "line\nbreak",
    "carriage\rreturn",
    "nul\x00byte",
    "bidi\u202egnp.exe",
    "zero\u200bwidth",
    "a\u2028separator",
    "a" * 500,
    "../../etc/passwd\\",
    "</textarea><script>1</script>",
    "&lt;b&gt;",
]


class Page(HTMLParser):
    """Collects what a hostile name would become if it were not escaped."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if any(name.startswith("on") for name in names):
            self.found.append(f"{tag} {names}")
        if tag == "script" and "src" not in names and dict(attrs).get("type") != "application/json":
            self.found.append("inline script")
        if tag == "svg" and "onload" in names:
            self.found.append("svg")


@pytest.mark.parametrize("page", ["routing_publicmodel", "routing_alias", "routing_prefixrule", "providers_account"])
def test_hostile_names_are_refused_on_entry(page: str, world: Any) -> None:
    account = world.account("one")
    model = world.model("m", (account, "up"))
    browser, field = client("security"), {"routing_prefixrule": "prefix"}.get(page, "name")
    url = reverse(f"admin:{page}_add")
    data = {**posted(browser.get(url)), "model": model.pk, "provider": account.provider.pk}
    for name in HOSTILE:
        assert browser.post(url, {**data, field: name}).status_code == 200, name
    assert PublicModel.objects.count() == 1 and Alias.objects.count() == 0


def test_hostile_names_that_got_in_are_escaped_on_every_page(world: Any, unchecked: None) -> None:
    """Rows written past the forms, as from an upstream's model list: every page shows them as text."""
    account = world.account("one", keys=("sk-0123456789abcdefgh",))
    for number, name in enumerate(HOSTILE):
        row = world.model(f"{number}{name}"[:191].replace("\x00", ""), (account, name[:150].replace("\x00", "")))
        Alias.objects.create(name=f"a{number}{name}"[:191].replace("\x00", ""), model=row)
        UsageRecord.objects.create(
            **{"request_id": f"r{number}", "started_at": timezone.now(), "endpoint": "chat", "dialect": "openai_chat"},
            **{"outcome": "ok", "model": row.name, "account": name[:60].replace("\x00", "")},
        )
    browser = client("security")
    urls = [reverse("admin:index"), reverse("landing")]
    for registered in admin.site._registry:
        stem = f"admin:{registered._meta.app_label}_{registered._meta.model_name}"
        urls.append(reverse(f"{stem}_changelist"))
        for row in registered._base_manager.order_by("-pk")[:3]:
            urls += [reverse(f"{stem}_{kind}", args=[row.pk]) for kind in ("change", "history")]
    models = list(PublicModel.objects.all())
    urls += [reverse("admin:routing_publicmodel_change", args=[row.pk]) for row in models]
    pages = [browser.get(url) for url in urls] + [
        browser.post(
            reverse("admin:routing_publicmodel_changelist"),
            {"action": "repatch_selected", ACTION_CHECKBOX_NAME: [row.pk for row in models], "preview": "1"}
            | {"account": account.pk},
        )
    ]
    for response in pages:
        assert response.status_code == 200
        parser = Page()
        parser.feed(response.content.decode())
        assert parser.found == [], response.request["PATH_INFO"]
        assert "<script>alert" not in response.content.decode()


@pytest.mark.parametrize("role", ["security", "operator", "auditor"])
def test_the_first_page_says_what_runs_and_what_needs_a_hand(role: str, world: Any) -> None:
    """Processes and revision, models that cannot be served, keys that cool, usage with unknown cost as unknown."""
    account = world.account("resting", keys=("sk-0123456789abcdefgh",))
    world.model("served", (account, "up"))
    world.model("broken", (world.account("keyless"), "up"))
    world.model("bare")
    given = world.model("given", (world.account("nobodys"), "up"))
    Route.objects.filter(model=given).update(catalog={"upstream_model": "up"})
    moved = world.model("moved", (world.account("others"), "new"))
    Route.objects.filter(model=moved).update(catalog={"upstream_model": "old"})
    PublicModel.objects.filter(pk=moved.pk).update(catalog={"name": "moved"})
    PublicModel.objects.filter(pk=given.pk).update(catalog={"name": "given"})
    GatewayProcess.objects.create(name="host:1", revision=latest(), seen_at=timezone.now())
    GatewayProcess.objects.create(name="host:2", revision=0, seen_at=timezone.now())
    for number, cost in enumerate((None, 1500)):
        UsageRecord.objects.create(
            **{"request_id": f"r{number}", "started_at": timezone.now(), "endpoint": "chat", "dialect": "openai_chat"},
            **{"outcome": "ok" if cost else "error", "model": "served", "account": "resting", "cost_micro": cost},
            attempts=1,
        )
    UsageRecord.objects.create(
        **{"request_id": "typo", "started_at": timezone.now(), "endpoint": "chat", "dialect": "openai_chat"},
        **{"outcome": "error", "fault": "caller", "model": "sevred"},
    )
    fingerprint = ProviderKey.objects.get().fingerprint
    pool.cool(fingerprint, 20)
    try:
        response = client(role).get(reverse("admin:index"))
    finally:
        pool.cooling._until.clear()
    found, text = response.context, response.content.decode()
    assert [(process.name, current) for process, current in found["processes"]] == [("host:1", True), ("host:2", False)]
    broken = sorted((group.name, group.models) for group in found["broken"])
    assert broken == [("", ("bare",)), ("keyless", ("broken",)), ("others", ("moved",))]
    assert [name for name, _ in found["cooling"]] == ["resting"]
    assert (found["day"].requests, found["day"].failed, found["day"].refused) == (3, 1, 1)
    assert found["waiting"] == 1
    assert "1 model of the catalog waits for a key" in " ".join(text.split())
    assert "$0.0015 + 1 of unknown cost" in text
    assert fingerprint not in text


def test_every_page_carries_the_policy(world: Any) -> None:
    for response in (client("operator").get(reverse("admin:index")), client("anonymous").get(reverse("admin:login"))):
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    script = next(part for part in POLICY.split("; ") if part.startswith("script-src"))
    assert "unsafe-inline" not in script


#: Queries of one list page, whatever its number of rows. A page that needs more says why in the commit that raises it.
QUERIES = {
    # Seven of them read the accounts, keys and kinds of routes from which `routing.serving` says what works.
    "routing.publicmodel": 17,
    "routing.route": 10,
    "routing.alias": 10,
    "routing.prefixrule": 10,
    "routing.preference": 10,
    "routing.revision": 10,
    "routing.gatewayprocess": 10,
    # Where no gateway runs in the process, the rows and what they are judged by: the whole configuration.
    "routing.worker": 25,
    "providers.provider": 10,
    "providers.account": 10,
    "providers.catalogmodel": 10,
    "keys.project": 10,
    "keys.keyset": 10,
    "keys.providerkey": 12,
    "keys.apitoken": 10,
    "api.usagerecord": 10,
    "auth.user": 10,
    "auth.group": 10,
}


def fill(world: Any, start: int, count: int) -> None:
    for number in range(start, start + count):
        provider = world.provider(f"up{number}")
        account = world.account(f"acc{number}", provider=provider, keys=(f"sk-0123456789abcdefgh{number}",))
        model = world.model(f"m{number}", (account, "a"), (account, "b"))
        Alias.objects.create(name=f"alias{number}", model=model)
        PrefixRule.objects.create(prefix=f"p{number}", provider=provider)
        CatalogModel.objects.create(provider=provider, model="a")
        world.token(world.project(f"project{number}"))
        GatewayProcess.objects.create(name=f"host:{number}", seen_at=timezone.now())
        UsageRecord.objects.create(
            request_id=f"r{number}", started_at=timezone.now(), endpoint="chat", dialect="openai_chat", outcome="ok"
        )


def test_query_ledger_of_the_lists(world: Any) -> None:
    browser = client("security")
    browser.get(reverse("admin:index"))  # the session's use is noted once a minute
    counts: list[dict[str, int]] = []
    for start, count in ((0, 2), (2, 10)):
        fill(world, start, count)
        seen: dict[str, int] = {}
        for model in admin.site._registry:
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            with CaptureQueriesContext(connection) as queries:
                assert browser.get(url).status_code == 200
            seen[model._meta.label_lower] = len(queries)
        counts.append(seen)
    assert counts[0] == counts[1], "a list asks more queries when it has more rows"
    assert {label: count for label, count in counts[1].items() if count > QUERIES[label]} == {}


def test_query_ledger_of_the_preview_of_a_repatch(world: Any) -> None:
    browser = client("operator")
    browser.get(reverse("admin:index"))  # the session's use is noted once a minute
    to = world.account("to", keys=("sk-0123456789abcdefghx",))
    counts: list[int] = []
    for start, count in ((0, 2), (2, 10)):
        fill(world, start, count)
        chosen = {ACTION_CHECKBOX_NAME: [row.pk for row in PublicModel.objects.all()]}
        given = {"action": "repatch_selected", "preview": "1", "account": to.pk, **chosen}
        with CaptureQueriesContext(connection) as queries:
            page = browser.post(reverse("admin:routing_publicmodel_changelist"), given)
        assert len(page.context["steps"]) == start + count
        counts.append(len(queries))
    assert counts[0] == counts[1], "the preview asks more queries when it has more models"


def test_m03_an_empty_allowlist_reads_as_everything(world: Any) -> None:
    """The list says what the resolver does, and so does the form."""
    world.project("open", allow=[])
    world.project("narrow", allow=["gpt-*"])
    browser = client("auditor")
    rows = browser.get(reverse("admin:routing_preference_changelist")).content.decode()
    assert "everything" in rows and "gpt-*" in rows and ">nothing<" not in rows
    row = Preference.objects.get(project__name="open")
    page = client("operator").get(reverse("admin:routing_preference_change", args=[row.pk])).content.decode()
    assert "Empty: everything." in page


def test_a_models_page_explains_who_is_a_candidate_and_who_is_not(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.store.store", Store())  # one that serves nothing: the page reads the database
    shut = world.account("shut", enabled=False)
    row = world.model("gpt-best", (world.account("one"), "gpt-4o"), (shut, "x"))
    page = client("auditor").get(reverse("admin:routing_publicmodel_change", args=[row.pk])).content.decode()
    assert "1. one / gpt-4o" in page and "dropped shut/x: account shut is switched off" in page
