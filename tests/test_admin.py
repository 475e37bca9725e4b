"""The admin, through its pages: re-patching, keys that only go in, tokens shown once, history, hostile names."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from api.models import UsageRecord
from keys import vault
from keys.models import ApiToken, ProviderKey
from routing import history
from routing.models import Alias, GatewayProcess, PublicModel, Revision, Route
from tests.people import client, posted

pytestmark = pytest.mark.django_db

KEY = "sk-canary-4f9a7c21d0e85b36"


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def model_form(browser: Any, row: PublicModel) -> tuple[str, dict[str, Any]]:
    url = reverse("admin:routing_publicmodel_change", args=[row.pk])
    return url, posted(browser.get(url))


def test_a_model_is_repatched_on_its_page_in_one_revision(world: Any) -> None:
    """Name and route change in one submit: one revision, signed, with before and after."""
    one, two = world.account("one"), world.account("two")
    row = world.model("gpt-best", (one, "gpt-4o"))
    browser = client("operator")
    url, data = model_form(browser, row)
    data |= {"description": "the best", "routes-0-account": two.pk, "routes-0-upstream_model": "vendor/x:1@2"}
    before = Revision.objects.count()
    response = browser.post(url, data, follow=True)
    route = Route.objects.get()
    assert (route.account, route.upstream_model) == (two, "vendor/x:1@2")
    revision = Revision.objects.first()
    assert Revision.objects.count() == before + 1
    assert revision is not None and revision.author_name == "operator"
    fields = {change["table"]: change["fields"] for change in revision.changes}
    assert fields["routing.route"]["account"] == ["one", "two"]
    assert fields["routing.publicmodel"]["description"] == ["", "the best"]
    assert any(f"Revision {revision.number} is saved" in text for text in messages_of(response))
    told = "public model gpt-best: description - → the best and 1 more"
    assert history.summary(revision, response.wsgi_request.user) == told
    for page in ("index", "routing_revision_changelist"):
        assert told in browser.get(reverse(f"admin:{page}")).content.decode()


def test_after_a_save_it_is_said_how_many_processes_serve_it(world: Any) -> None:
    row = world.model("gpt-best", (world.account("one"), "gpt-4o"))
    for number in range(2):
        GatewayProcess.objects.create(name=f"host:{number}", revision=10**6, seen_at=timezone.now())
    GatewayProcess.objects.create(name="long gone", seen_at=timezone.now() - timezone.timedelta(hours=1))
    browser = client("operator")
    url, data = model_form(browser, row)
    response = browser.post(url, {**data, "description": "new"}, follow=True)
    assert any("is live on 2/2 gateway processes" in text for text in messages_of(response))


@pytest.mark.parametrize(
    ("quirks", "accepted"),
    [
        ('{"search": true}', True),
        ("", True),
        ("[1]", False),
        ("{", False),
        ('"text"', False),
        ('{"a\\u202eb": 1}', False),
    ],
)
def test_quirks_are_a_json_object(world: Any, quirks: str, accepted: bool) -> None:
    row = world.model("gpt-best", (world.account("one"), "gpt-4o"))
    browser = client("operator")
    url, data = model_form(browser, row)
    assert browser.post(url, {**data, "routes-0-quirks": quirks}).status_code == (302 if accepted else 200)
    assert Route.objects.get().quirks == ({"search": True} if quirks.startswith('{"search') else {})


def test_a_route_takes_no_other_accounts_key_set(world: Any) -> None:
    """A route cannot send one account's keys to another (P-06)."""
    one, two = world.account("one"), world.account("two")
    foreign = world.keys(two)
    row = world.model("gpt-best", (one, "gpt-4o"))
    browser = client("operator")
    url, data = model_form(browser, row)
    response = browser.post(url, {**data, "routes-0-key_set": foreign.pk})
    assert "This key set belongs to two, not to one." in response.content.decode()
    assert Route.objects.get().key_set is None


def test_a_route_takes_no_key_set_of_one_project(world: Any) -> None:
    """A project's own key never serves another project (F-25)."""
    one = world.account("one")
    own = world.keys(one, project=world.project("web"), name="own")
    row = world.model("gpt-best", (one, "gpt-4o"))
    url, data = model_form(client("operator"), row)
    response = client("operator").post(url, {**data, "routes-0-key_set": own.pk})
    assert "one project&#x27;s own" in response.content.decode() and Route.objects.get().key_set is None


def test_m05_one_name_has_one_meaning(world: Any) -> None:
    """No alias takes a public model's name, no model an alias's, and nothing is called auto (M-05)."""
    row, other = world.model("best"), world.model("second")
    Alias.objects.create(name="alias", model=row)
    browser = client("operator")
    for name in ("alias", "auto", "best"):
        url, data = model_form(browser, other)
        assert browser.post(url, {**data, "name": name}).status_code == 200
    for name in ("second", "auto", "alias"):
        assert browser.post(reverse("admin:routing_alias_add"), {"name": name, "model": row.pk}).status_code == 200
    assert Alias.objects.count() == 1 and PublicModel.objects.filter(name="second").exists()


def repatch(browser: Any, models: list[PublicModel], **data: Any) -> Any:
    given = {"action": "repatch_selected", "_selected_action": [row.pk for row in models], **data}
    return browser.post(reverse("admin:routing_publicmodel_changelist"), given, follow=True)


def test_models_are_repatched_in_bulk_after_a_preview(world: Any) -> None:
    one, two = world.account("one"), world.account("two", keys=("sk-0123456789abcdefgh",))
    models = [world.model(f"m{number}", (one, f"up-{number}"), (one, "spare")) for number in range(3)]
    UsageRecord.objects.create(
        request_id="r", started_at=timezone.now(), endpoint="chat", dialect="openai_chat", outcome="ok", model="m1"
    )
    browser = client("operator")
    text = repatch(browser, models).content.decode()
    assert "Show what changes" in text and "now</button>" not in text
    before = Revision.objects.count()
    preview = repatch(browser, models, preview="1", account=two.pk)
    assert [(step.before, step.after, step.requests) for step in preview.context["steps"]] == [
        ("one / up-0", "two / up-0", 0),
        ("one / up-1", "two / up-1", 1),
        ("one / up-2", "two / up-2", 0),
    ]
    assert Revision.objects.count() == before and not Route.objects.filter(account=two).exists()
    done = repatch(browser, models, confirm="1", account=two.pk)
    assert any("3 routes re-patched to two" in text for text in messages_of(done))
    assert sorted(Route.objects.filter(account=two).values_list("upstream_model", flat=True)) == [
        "up-0",
        "up-1",
        "up-2",
    ]
    assert Route.objects.filter(account=one, upstream_model="spare").count() == 3
    assert Revision.objects.count() == before + 1
    assert Revision.objects.all()[0].note == "re-patched to two"


def test_the_preview_warns_of_a_target_that_cannot_serve(world: Any) -> None:
    one, two = world.account("one"), world.account("two", family="worker-fleet")
    model = world.model("m", (one, "up"))
    steps = repatch(client("operator"), [model], preview="1", account=two.pk).context["steps"]
    assert steps[0].warnings == (
        "requests of the family worker-fleet cannot be sent yet",
        "account two has no key",
    )


def test_models_are_switched_in_bulk_in_one_revision(world: Any) -> None:
    account = world.account("one")
    models = [world.model(f"m{number}", (account, "up")) for number in range(3)]
    browser, before = client("operator"), Revision.objects.count()
    url = reverse("admin:routing_publicmodel_changelist")
    browser.post(url, {"action": "disable_selected", "_selected_action": [row.pk for row in models[:2]]})
    assert list(PublicModel.objects.order_by("name").values_list("enabled", flat=True)) == [False, False, True]
    assert Revision.objects.count() == before + 1
    browser.post(url, {"action": "enable_selected", "_selected_action": [row.pk for row in models]})
    assert not PublicModel.objects.filter(enabled=False).exists()


def test_the_list_filters_by_account_and_by_working_route(world: Any) -> None:
    good = world.account("good", keys=("sk-0123456789abcdefgh",))
    world.model("works", (good, "up"))
    world.model("keyless", (world.account("bad"), "up"))
    world.model("bare")
    url, browser = reverse("admin:routing_publicmodel_changelist"), client("auditor")

    def names(query: str) -> list[str]:
        return [row.name for row in browser.get(f"{url}?{query}").context["cl"].result_list]

    assert names("works=yes") == ["works"]
    assert names("works=no") == ["bare", "keyless"]
    assert names(f"account={good.pk}") == ["works"]
    assert names("q=bad") == ["keyless"]
    assert names("account=x%27") == ["bare", "keyless", "works"]


def test_history_says_what_changed_who_did_it_and_when(world: Any) -> None:
    """A model's history holds its routes' changes too, also of a route that is gone."""
    one, two = world.account("one"), world.account("two")
    row = world.model("gpt-best", (one, "gpt-4o"))
    browser = client("operator")
    url, data = model_form(browser, row)
    browser.post(url, {**data, "routes-0-account": two.pk})
    url, data = model_form(browser, row)
    browser.post(url, {**data, "routes-0-DELETE": "on"})
    changes = browser.get(reverse("admin:routing_publicmodel_history", args=[row.pk])).context["changes"]
    assert [(change.action, change.table, change.author) for change in changes] == [
        ("delete", "routing.route", "operator"),
        ("change", "routing.route", "operator"),
        ("add", "routing.route", "system"),
        ("add", "routing.publicmodel", "system"),
    ]
    assert [(field.field, field.before, field.after) for field in changes[1].fields] == [("account", "one", "two")]


def test_an_operator_sees_that_a_key_changed_and_nothing_of_it(world: Any) -> None:
    world.account("one", keys=(KEY,))
    revision = next(row for row in Revision.objects.all() if any(c["table"] == "keys.providerkey" for c in row.changes))
    fingerprint = ProviderKey.objects.get().fingerprint
    url = reverse("admin:routing_revision_change", args=[revision.pk])
    assert fingerprint in client("security").get(url).content.decode()
    text = client("operator").get(url).content.decode()
    assert "keys.providerkey" in text and fingerprint not in text and KEY[-4:] not in text


def key_form(browser: Any, row: ProviderKey) -> tuple[str, dict[str, Any]]:
    url = reverse("admin:keys_providerkey_change", args=[row.pk])
    return url, posted(browser.get(url))


def test_a_key_is_entered_replaced_kept_and_never_shown(world: Any) -> None:
    """R-SEC-07: write only, last four and fingerprint shown; an empty field keeps the key."""
    key_set = world.keys(world.account("one"))
    browser = client("security")
    add = reverse("admin:keys_providerkey_add")
    assert 'autocomplete="off"' in browser.get(add).content.decode()
    response = browser.post(add, {"key_set": key_set.pk, "key": KEY, "position": 3, "enabled": "on"}, follow=True)
    row = ProviderKey.objects.get()
    assert (row.position, row.last_four, row.enabled) == (3, KEY[-4:], True)
    assert vault.open_key(vault.entry(row), vault.bound(key_set)).reveal() == KEY
    pages = [response.content.decode()]
    url, data = key_form(browser, row)
    assert data.get("key", "") == ""
    browser.post(url, {**data, "position": 5})
    row.refresh_from_db()
    assert row.position == 5
    assert vault.open_key(vault.entry(row), vault.bound(key_set)).reveal() == KEY
    other = KEY[::-1]
    browser.post(url, {**data, "key": f"  {other}\n"})
    row.refresh_from_db()
    assert vault.open_key(vault.entry(row), vault.bound(key_set)).reveal() == other
    pages += [browser.get(page).content.decode() for page in (url, reverse("admin:keys_providerkey_changelist"))]
    pages += [browser.get(reverse("admin:keys_providerkey_history", args=[row.pk])).content.decode()]
    bad = browser.post(add, {"key_set": key_set.pk, "key": f"{KEY}\x01", "position": 0, "enabled": "on"})
    assert bad.status_code == 200 and "no key has" in bad.content.decode()
    for text in (*pages, bad.content.decode()):
        assert KEY[:12] not in text and other[:12] not in text


def test_a_changed_origin_marks_the_key_for_re_entry(world: Any) -> None:
    account = world.account("one", keys=(KEY,))
    browser, row = client("security"), ProviderKey.objects.get()
    url = reverse("admin:providers_account_change", args=[account.pk])
    page = browser.get(url)
    assert "cannot be used until a security admin enters them again" in page.content.decode()
    browser.post(url, {**posted(page), "base_url": "https://elsewhere.example/v1"})
    keys = reverse("admin:keys_providerkey_changelist")
    assert "needs re-entry" in browser.get(keys).content.decode()
    assert "must be entered again" in browser.get(reverse("admin:index")).content.decode()
    key_url, data = key_form(browser, row)
    browser.post(key_url, {**data, "key": KEY})
    assert "needs re-entry" not in browser.get(keys).content.decode()


def test_a_token_is_shown_in_one_answer_and_nowhere_after(world: Any) -> None:
    """R-TOK: no message, cookie or session holds it."""
    project, browser = world.project("demo"), client("operator")
    data = {"project": project.pk, "kind": "p", "name": "app", "expires_at_0": "", "expires_at_1": ""}
    response = browser.post(reverse("admin:keys_apitoken_add"), data)
    found = re.search(r"jf_p[0-9A-Za-z]{49}", response.content.decode())
    assert found is not None and "no-store" in response.headers["Cache-Control"]
    token, row = found[0], ApiToken.objects.get()
    assert str(row.created_by) == "operator"
    kept = [str(dict(browser.session)), str(browser.cookies), str(list(Revision.objects.values()))]
    kept += [browser.get(reverse(f"admin:{page}")).content.decode() for page in ("index", "keys_apitoken_changelist")]
    kept += [browser.get(reverse("admin:keys_apitoken_change", args=[row.pk])).content.decode()]
    assert all(token not in text and token[4:20] not in text for text in kept)
    browser.post(
        reverse("admin:keys_apitoken_changelist"), {"action": "revoke_selected", "_selected_action": [str(row.pk)]}
    )
    row.refresh_from_db()
    assert row.revoked_at is not None
