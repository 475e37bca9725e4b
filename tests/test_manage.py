"""The management API: role x URL x method against the table written here, one revision per write."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from api.manage.urls import urlpatterns
from api.models import UsageRecord
from keys.models import Project
from keys.tokens import issue, revoke
from providers.models import Account, CatalogModel
from routing.build import build
from routing.models import PublicModel, Revision, Route
from routing.store import store
from tests.people import client

pytestmark = pytest.mark.django_db

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: url name -> method -> roles that may; a method that is not listed answers 405 to those who may read.
TABLE: dict[str, dict[str, set[str]]] = {
    "manage": {"GET": {"security", "operator", "auditor", "nobody"}},
    "manage-models": {"GET": {"security", "operator", "auditor"}, "POST": {"security", "operator"}},
    "manage-model": {
        "GET": {"security", "operator", "auditor"},
        "PATCH": {"security", "operator"},
        "DELETE": {"security", "operator"},
    },
    "manage-accounts": {"GET": {"security", "operator", "auditor"}},
    "manage-account": {"GET": {"security", "operator", "auditor"}, "PATCH": {"security", "operator"}},
    "manage-projects": {"GET": {"security", "operator", "auditor"}, "POST": {"security", "operator"}},
    "manage-project": {"GET": {"security", "operator", "auditor"}, "PATCH": {"security", "operator"}},
    "manage-revisions": {"GET": {"security", "operator", "auditor"}},
    "manage-revision": {"GET": {"security", "operator", "auditor"}},
    "manage-usage": {"GET": {"security", "operator", "auditor"}},
    "manage-processes": {"GET": {"security", "operator", "auditor"}},
    "manage-workers": {"GET": {"security", "operator", "auditor"}},
    "manage-health": {"GET": {"security", "operator", "auditor"}},
    "manage-explain": {"GET": {"security", "operator", "auditor"}},
}
PATHS = {
    "manage": "",
    "manage-models": "models/",
    "manage-model": "models/gpt-best/",
    "manage-accounts": "accounts/",
    "manage-account": "accounts/one/",
    "manage-projects": "projects/",
    "manage-project": "projects/demo/",
    "manage-revisions": "revisions/",
    "manage-revision": "revisions/1/",
    "manage-usage": "usage/",
    "manage-processes": "processes/",
    "manage-workers": "workers/",
    "manage-health": "health/",
    "manage-explain": "explain/?model=gpt-best&project=demo",
}


@pytest.fixture
def account(world: Any) -> Account:
    found: Account = world.account("one", keys=("sk-0123456789abcdefgh",))
    world.model("gpt-best", (found, "gpt-4o"))
    world.project("demo")
    return found


def call(role: str, method: str, path: str, body: Any = None) -> Any:
    browser, url = client(role), f"/manage/{path}"
    if body is None:
        return browser.generic(method, url)
    return getattr(browser, method.lower())(url, data=body, content_type="application/json")


def test_every_url_is_in_the_table() -> None:
    assert {pattern.name for pattern in urlpatterns} == set(TABLE) == set(PATHS)


@pytest.mark.parametrize("role", ["security", "operator", "auditor", "nobody", "outsider", "anonymous"])
def test_role_by_url_and_method(role: str, account: Account) -> None:
    wrong = []
    for name, methods in TABLE.items():
        for method in METHODS:
            status = call(role, method, PATHS[name], {} if method in ("POST", "PATCH") else None).status_code
            allowed = role in methods.get(method, set())
            # An empty body is refused as such (400) only where the role may write.
            right = status in (200, 201, 204, 400) if allowed else status in (403, 405)
            if not right or (method in methods and not allowed and status != 403):
                wrong.append((name, method, status))
            if method == "DELETE" and status == 204:
                PublicModel.objects.get_or_create(name="gpt-best")
    assert wrong == []


def test_a_write_needs_the_forgery_token(account: Account) -> None:
    from django.test import Client

    from tests.people import person

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person("operator"))
    body = {"data": {"enabled": False}, "content_type": "application/json"}
    assert browser.patch("/manage/models/gpt-best/", **body).status_code == 403
    assert PublicModel.objects.get().enabled


def test_a_model_with_routes_is_made_changed_and_deleted_in_one_revision_each(account: Account, world: Any) -> None:
    other = world.account("two", "https://two.example/v1")
    body = {
        "name": "vendor/new:1",
        "routes": [
            {"account": "one", "model": "up-1"},
            {"account": "two", "model": "up-2", "priority": 1, "quirks": {"a": 1}},
        ],
        "aliases": ["newest"],
    }
    before = Revision.objects.count()
    made = call("operator", "POST", "models/", body)
    assert made.status_code == 201, made.content
    revision = Revision.objects.all()[0]
    assert Revision.objects.count() == before + 1 and revision.author_name == "operator"
    assert made.headers["x-jackfield-revision"] == str(revision.number)
    shown = call("auditor", "GET", "models/vendor/new:1/").json()
    assert [(route["account"], route["model"], route["quirks"]) for route in shown["routes"]] == [
        ("one", "up-1", {}),
        ("two", "up-2", {"a": 1}),
    ]
    assert shown["aliases"] == ["newest"]
    kept = Route.objects.get(upstream_model="up-2").pk
    changed = call(
        "operator", "PATCH", "models/vendor/new:1/", {"routes": [{"account": "two", "model": "up-2", "weight": 5}]}
    )
    assert changed.status_code == 200
    assert [(row.pk, row.account, row.weight) for row in Route.objects.filter(model__name="vendor/new:1")] == [
        (kept, other, 5)
    ]
    assert Revision.objects.count() == before + 2
    assert call("operator", "DELETE", "models/vendor/new:1/").status_code == 204
    assert Revision.objects.count() == before + 3


def test_a_refused_write_changes_nothing(account: Account) -> None:
    before = Revision.objects.count()
    routes = [{"account": "one", "model": "fine"}, {"account": "one", "model": "<script>"}]
    for body in (
        {"name": "<script>alert(1)</script>"},
        {"name": "ok", "routes": routes},
        {"name": "ok", "routes": [{"account": "nowhere", "model": "x"}]},
        {"name": "ok", "routes": [{"account": "one", "model": "x", "key_set": "nope"}]},
        {"name": "ok", "routes": [{"account": "one", "model": "x", "quirks": [1]}]},
        {"name": "ok", "routes": [{"account": "one", "model": "x", "weight": -1}]},
        {"name": "ok", "aliases": ["gpt-best"]},
        {"name": "ok", "aliases": ["auto"]},
        {"name": "auto"},
        {"name": "ok", "catalog": {"a": 1}},
        {"name": "ok", "id": 7},
        {"name": "ok", "routes": [{"account": "one", "model": "x", "base_url": "https://evil.example"}]},
    ):
        assert call("operator", "POST", "models/", body).status_code == 400, body
    assert PublicModel.objects.count() == 1 and Revision.objects.count() == before


@pytest.mark.parametrize("role", ["security", "operator"])
def test_no_field_of_an_account_but_the_table_s_is_written(role: str, account: Account, world: Any) -> None:
    """Mass assignment: every column, by itself. An origin is only changed in the admin, which says what it costs."""
    world.provider("other")
    values = {
        **{"name": "x", "provider": "other", "provider_id": 2, "family": "anthropic-messages", "catalog": {}},
        **{"base_url": "https://evil.example/v1", "variables": {"region": "x"}, "private_network": True, "id": 99},
        **{"env_pattern": "X_*", "key_sets": [], "timeouts": {"total": 5}, "enabled": False},
        **{"probe": "off", "probe_interval": 600, "probe_cost": 7},
        "worker_hosts": ["x.example"],
    }
    columns = {field.name for field in Account._meta.concrete_fields}
    assert columns <= set(values)
    writable = set()
    for name, value in values.items():
        before = Account.objects.values().get(pk=account.pk)
        status = call(role, "PATCH", "accounts/one/", {name: value}).status_code
        changed = Account.objects.values().get(pk=account.pk) != before
        assert status == (200 if changed else 400), name
        writable |= {name} if changed else set()
    assert writable == {"timeouts", "enabled", "probe", "probe_interval"}


def test_no_answer_holds_key_material(account: Account) -> None:
    from keys.models import ApiToken, ProviderKey

    key = ProviderKey.objects.get()
    UsageRecord.objects.create(
        request_id="r",
        started_at=timezone.now(),
        endpoint="chat",
        dialect="openai_chat",
        outcome="ok",
        token_id="secret-id",
    )
    texts = [call("operator", "GET", path).content.decode() for path in PATHS.values()]
    texts += [call("operator", "GET", f"revisions/{row.number}/").content.decode() for row in Revision.objects.all()]
    for text in texts:
        assert key.fingerprint not in text and "efgh" not in text and "secret-id" not in text
    assert ApiToken.objects.count() == 0


def test_projects_with_their_allowlist(account: Account) -> None:
    body = {"name": "web", "allow": ["gpt-*", "openai/gpt-4o"], "preferred": ["gpt-best"], "default_model": "gpt-best"}
    assert call("operator", "POST", "projects/", body).status_code == 201
    assert call("operator", "PATCH", "projects/web/", {"allow": ["gpt-best"]}).status_code == 200
    shown = call("auditor", "GET", "projects/web/").json()
    assert shown["allow"] == ["gpt-best"] and shown["preferred"] == ["gpt-best"]
    assert call("operator", "PATCH", "projects/web/", {"allow": ["<b>"]}).status_code == 400
    assert call("operator", "PATCH", "projects/web/", {"tokens": []}).status_code == 400
    Project.objects.create(name="bare")
    assert call("auditor", "GET", "projects/bare/").status_code == 200


def test_usage_is_paged_by_key_without_counting(account: Account) -> None:
    for number in range(25):
        UsageRecord.objects.create(
            **{
                "request_id": f"r{number:02}",
                "started_at": timezone.now(),
                "endpoint": "chat",
                "dialect": "openai_chat",
            },
            **{"outcome": "ok", "model": "a" if number % 2 else "b"},
        )
    seen: list[str] = []
    before = ""
    while before is not None:
        with CaptureQueriesContext(connection) as queries:
            answer = call("auditor", "GET", f"usage/?limit=10&before={before or ''}").json()
        assert not any("COUNT(" in query["sql"] for query in queries)
        seen += [row["request_id"] for row in answer["results"]]
        before = answer["before"]
    assert seen == [f"r{number:02}" for number in reversed(range(25))]
    assert len(call("auditor", "GET", "usage/?model=a").json()["results"]) == 12
    for query in ("limit=0", "limit=9999", "before=-1", "before=x", "limit=%D9%A3"):
        assert call("auditor", "GET", f"usage/?{query}").status_code == 400


def test_explain_says_where_a_name_goes_and_why_not(account: Account, world: Any) -> None:
    answer = call("auditor", "GET", "explain/?model=gpt-best&project=demo").json()
    assert [(each["account"], each["upstream_model"]) for each in answer["candidates"]] == [("one", "gpt-4o")]
    assert answer["identity"] == "gpt-best"
    unknown = call("auditor", "GET", "explain/?model=gpt-bets&project=demo").json()
    assert unknown["error"]["code"] == "model_not_found" and "gpt-best" in unknown["error"]["suggestions"]
    assert call("auditor", "GET", "explain/?model=x&project=nope").status_code == 404


def test_explain_is_asked_for_an_endpoint_and_for_what_is_needed(account: Account, world: Any) -> None:
    CatalogModel.objects.create(provider=account.provider, model="plain", tools=False, context=4000)
    world.model("pair", (account, "plain"), (account, "able"))
    for needs, first in (("", "plain"), ("tools", "able"), ("4000", "plain"), ("images,4001", "able")):
        answer = call("auditor", "GET", f"explain/?model=pair&endpoint=messages&needs={needs}").json()
        assert answer["candidates"][0]["upstream_model"] == first, answer
        assert bool(answer["dropped"]) == (first == "able")
    answer = call("auditor", "GET", "explain/?model=pair&endpoint=embeddings").json()
    assert answer["error"]["code"] == "unsupported_parameter"
    for query in ("endpoint=nowhere", "needs=wings"):
        refused = call("auditor", "GET", f"explain/?model=pair&{query}")
        assert (refused.status_code == 400 and "there" in refused.text) or "what can" in refused.text


def test_explain_in_a_gateway_asks_the_snapshot_that_serves(account: Account, monkeypatch: Any) -> None:
    served = build()
    monkeypatch.setattr("routing.store.build", lambda *pace: pytest.fail("it was built anew"))
    monkeypatch.setattr("routing.store.store", SimpleNamespace(running=True, ready=True, current=served))
    answer = call("auditor", "GET", "explain/?model=gpt-best&project=demo").json()
    assert answer["revision"] == served.revision and answer["candidates"]


def test_lists_ask_a_fixed_number_of_queries(account: Account, world: Any) -> None:
    counts, browser = [], client("auditor")
    browser.get("/manage/")  # the session's use is noted once a minute
    for start in (0, 5):
        for number in range(start, start + 5):
            world.model(f"m{number}", (account, "a"), (account, "b"))
            world.project(f"p{number}")
        taken = []
        for path in ("models/", "accounts/", "projects/", "revisions/"):
            with CaptureQueriesContext(connection) as queries:
                assert browser.get(f"/manage/{path}").status_code == 200
            taken.append(len(queries))
        counts.append(taken)
    assert counts[0] == counts[1] and max(counts[1]) <= 8


def test_an_admin_token_reads_as_an_auditor_and_writes_nothing(account: Account, world: Any) -> None:
    """Kind `a`: GET everything that an auditor may, no write anywhere; every other token opens nothing."""
    texts = {kind: world.token(kind=kind) for kind in "apt"}
    over = issue(Project.objects.get(name="demo"), kind="a")
    revoke(over[0])
    store.install(build())

    def status(text: str, method: str, path: str) -> int:
        browser = Client(headers={"authorization": f"Bearer {text}"})
        body = {"data": {}, "content_type": "application/json"} if method in ("POST", "PATCH") else {}
        return int(getattr(browser, method.lower())(f"/manage/{path}", **body).status_code)

    for name, methods in TABLE.items():
        for method in METHODS:
            got = status(texts["a"], method, PATHS[name])
            if method == "GET" and "auditor" in methods.get("GET", set()):
                assert got == 200, name
            else:
                assert got in (403, 405), (name, method)
        for other in (texts["p"], texts["t"], over[1], texts["a"][:-1] + "!", "nonsense"):
            assert status(other, "GET", PATHS[name]) == 403, name
    answer = Client(headers={"authorization": f"Bearer {texts['a']}"}).get("/manage/accounts/")
    assert "sealed" not in answer.content.decode()
