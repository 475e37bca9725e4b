"""No save can bring about a configuration that the gateway refuses: it is refused itself, and nothing is written."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from keys.models import KeySet
from providers.models import Account, Provider
from routing import trial
from routing.build import BadSnapshot, build
from routing.models import Alias, Preference, PublicModel, Revision, Route
from routing.revisions import recording
from tests.people import client, posted
from tests.promises import within

pytestmark = pytest.mark.django_db


@pytest.fixture
def panel(world: Any) -> Any:
    account = world.account("one")
    world.model("m", (account, "u"))
    world.model("other", (account, "u"))
    world.account("two")
    project = world.project("demo")
    Preference.objects.update_or_create(project=project, defaults={"preferred": ["m"]})
    return world


def _prefers(names: list[str]) -> None:
    Preference.objects.filter(project__name="demo").update(preferred=names)


#: What an operator, a command or a shell could save -> a part of why it is refused.
BAD: dict[str, tuple[Any, str]] = {
    "a preferred model that names none": (lambda: _prefers(["auto"]), "cannot be preferred"),
    "a preferred glob": (lambda: _prefers(["m*"]), "cannot be preferred"),
    "an allowlist of numbers": (lambda: Preference.objects.update(allow=[1, 2]), "allow"),
    "a weight": (lambda: Route.objects.update(weight=2_000_000), "weight must lie"),
    "a priority": (lambda: Route.objects.update(priority=2_000_000), "priority"),
    "a route's upstream": (lambda: Route.objects.update(upstream_model="a\nb"), "cannot be a model id"),
    "quirks that are a list": (lambda: Route.objects.update(quirks=[1]), "quirks"),
    "an unknown family of a route": (lambda: Route.objects.update(family="morse"), "morse"),
    "an alias of a model's name": (
        lambda: Alias.objects.create(name="other", model=PublicModel.objects.get(name="m")),
        "also the name of a public model",
    ),
    "a model of an alias' name": (
        lambda: (
            Alias.objects.create(name="short", model=PublicModel.objects.get(name="m")),
            PublicModel.objects.create(name="short"),
        ),
        "also an alias",
    ),
    "a model called auto": (lambda: PublicModel.objects.filter(name="m").update(name="auto"), "cannot be the name"),
    "an unknown family of an account": (lambda: Account.objects.update(family="morse"), "morse"),
    "timeouts": (lambda: Account.objects.update(timeouts={"connect": -1}), "connect"),
    "variables of an account": (lambda: Account.objects.update(variables={"region": []}), "variables"),
    "an unknown family of a provider": (lambda: Provider.objects.update(family="morse"), "morse"),
    "another provider's name": (
        lambda: (
            Provider.objects.create(slug="p2", name="p2", family="openai-completions", aliases=["p3"])
            and Provider.objects.create(slug="p3", name="p3", family="openai-completions", aliases=[])
        ),
        "names both",
    ),
    "a key set of another account": (
        lambda: Route.objects.filter(model__name="m").update(
            key_set=KeySet.objects.create(account=Account.objects.get(name="two"), name="x")
        ),
        "not its account's",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_the_gateway_would_refuse_cannot_be_saved(case: str, panel: Any) -> None:
    """And the refusal is the same that a full build would give: the check of a part overlooks nothing."""
    write, why = BAD[case]
    before = Revision.objects.count()
    with pytest.raises(ValidationError, match=why), recording("tester"):
        write()
    assert Revision.objects.count() == before
    build()


@pytest.mark.parametrize("case", BAD)
def test_each_of_these_would_have_been_refused_by_every_process(case: str, panel: Any, unchecked: None) -> None:
    with recording("tester"):
        BAD[case][0]()
    with pytest.raises(BadSnapshot, match=BAD[case][1]):
        build()


def test_a_key_set_that_moves_is_checked_with_the_routes_that_name_it(panel: Any) -> None:
    one = KeySet.objects.create(account=Account.objects.get(name="one"), name="x")
    Route.objects.filter(model__name="m").update(key_set=one)
    with pytest.raises(ValidationError, match="not its account's"):
        KeySet.objects.filter(pk=one.pk).update(account=Account.objects.get(name="two"))


def test_a_bad_row_that_got_in_past_us_can_be_put_right(panel: Any) -> None:
    """Only what is written is looked at, so the way out is open and nothing else has to wait for it."""
    models.QuerySet(Route).filter(model__name="m").update(weight=2_000_000)
    PublicModel.objects.filter(name="other").update(description="meanwhile")
    Route.objects.filter(model__name="m").update(weight=2)
    build()


def test_nested_writes_are_checked_once_at_the_end(panel: Any) -> None:
    """A configuration may be wrong for a moment inside one change."""
    with recording("tester"):
        Route.objects.update(weight=2_000_000)
        with recording():
            Route.objects.update(weight=3)
    assert set(Route.objects.values_list("weight", flat=True)) == {3}


def test_one_saved_row_costs_a_few_queries_however_many_there_are(panel: Any) -> None:
    with CaptureQueriesContext(connection) as few:
        PublicModel.objects.filter(name="m").update(description="1")
    account = Account.objects.get(name="one")
    plain: models.QuerySet[Any] = models.QuerySet(PublicModel)
    plain.bulk_create([PublicModel(name=f"many-{n}") for n in range(3000)])
    rows = PublicModel.objects.filter(name__startswith="many-")
    plain = models.QuerySet(Route)
    plain.bulk_create([Route(model=row, account=account, upstream_model="u") for row in rows])
    with CaptureQueriesContext(connection) as many:
        PublicModel.objects.filter(name="m").update(description="2")
    assert len(many) == len(few)
    entries = Revision.objects.latest("number").changes
    for took in within(0.1):
        began = time.process_time()
        assert trial.problems(entries) == []
        took.append(time.process_time() - began)


def test_the_management_api_answers_400_and_says_why(panel: Any) -> None:
    browser = client("operator")
    before = Revision.objects.count()
    answer = browser.patch("/manage/projects/demo/", {"preferred": ["auto"]}, content_type="application/json")
    assert answer.status_code == 400 and "auto" in answer.content.decode()
    routes = {"routes": [{"account": "one", "model": "u", "weight": 2_000_000}]}
    answer = browser.patch("/manage/models/m/", routes, content_type="application/json")
    assert answer.status_code == 400 and "weight" in answer.content.decode()
    assert Revision.objects.count() == before
    assert Preference.objects.get(project__name="demo").preferred == ["m"]


def test_the_admin_shows_the_form_again_with_the_reason(panel: Any) -> None:
    row = Preference.objects.get(project__name="demo")
    browser = client("operator")
    url = reverse("admin:routing_preference_change", args=[row.pk])
    response = browser.post(url, {**posted(browser.get(url)), "preferred": "m\nauto"})
    assert response.status_code == 200 and "cannot be preferred" in response.content.decode()
    assert "changed successfully" not in response.content.decode()
    row.refresh_from_db()
    assert row.preferred == ["m"]


def test_the_admin_refuses_what_only_the_gateways_check_finds(panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routing.revisions.problems", lambda changes: ["no such thing can be served"])
    browser = client("operator")
    row = PublicModel.objects.get(name="m")
    url = reverse("admin:routing_publicmodel_change", args=[row.pk])
    response = browser.post(url, {**posted(browser.get(url)), "description": "typed"})
    text = response.content.decode()
    assert response.status_code == 200 and "no such thing can be served" in text and "typed" in text
    assert "changed successfully" not in text
    response = browser.post(url.replace("change", "delete"), {"post": "yes"}, follow=True)
    assert "no such thing can be served" in response.content.decode() and PublicModel.objects.filter(name="m").exists()
    data = {"action": "disable_selected", "_selected_action": [row.pk]}
    response = browser.post(reverse("admin:routing_publicmodel_changelist"), data, follow=True)
    text = response.content.decode()
    assert "no such thing can be served" in text and "1 model disabled" not in text
    row.refresh_from_db()
    assert row.enabled and row.description == ""


def test_load_catalog_stays_quick(world: Any) -> None:
    began = time.process_time()
    call_command("load_catalog", verbosity=0)
    assert time.process_time() - began < 10
