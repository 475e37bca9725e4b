"""The ways other tools have to choose models, endpoints and keys, each in the form that it has here."""

from __future__ import annotations

from typing import Any

import pytest

from providers.models import Provider
from routing.applying import apply
from routing.build import build
from routing.explain import explain
from routing.loading import load_catalog
from routing.models import Preference
from tests.panels import planned
from tests.people import client

pytestmark = pytest.mark.django_db
KEY = "sk-canary-00000000000"


def places(name: str, project: str = "") -> list[tuple[str, str, int]]:
    found = explain(build(), name, project)
    return [(place["account"], place["upstream_model"], place["keys"]) for place in found["candidates"]]


def test_f04_gemini_names_go_to_google() -> None:
    """F-04."""
    load_catalog()
    assert places("gemini-2.5-pro")[0][:2] == ("google", "gemini-2.5-pro")


def test_f21_preferred_models_are_part_of_the_projects_settings(world: Any) -> None:
    """F-21: written by the operator, obeyed by `auto`."""
    world.model("first", (world.account("one", keys=(f"{KEY}1",)), "a"))
    world.model("second", (world.account("two", keys=(f"{KEY}2",)), "b"))
    world.project("demo")
    body = {"preferred": ["second", "first"]}
    assert client("operator").patch("/manage/projects/demo/", body, content_type="application/json").status_code == 200
    assert Preference.objects.get(project__name="demo").preferred == ["second", "first"]
    assert places("auto", "demo")[0][0] == "two"


def test_f22_a_projects_own_key_serves_that_project_only(world: Any) -> None:
    """F-22: without its own key, and without a shared one, there is none for another project."""
    account = world.account("one")
    world.model("m", (account, "u"))
    world.keys(account, f"{KEY}1", project=world.project("rich"))
    world.project("poor")
    assert places("m", "rich") == [("one", "u", 1)]
    poor = explain(build(), "m", "poor")["candidates"][0]
    assert poor["keys"] == 0 and poor["problems"]


def test_r41_the_model_of_the_request_goes_before_the_projects_default(world: Any) -> None:
    """R-41, M-06: what flags and settings choose elsewhere, the request and the project's preferences choose here."""
    account = world.account("one", keys=(f"{KEY}1",))
    world.model("asked", (account, "a"))
    world.model("usual", (account, "b"))
    project = world.project("demo", default_model="usual")
    snapshot = build()
    assert planned(snapshot, project.pk, "asked").candidates[0].upstream_model == "a"
    assert planned(snapshot, project.pk, "").candidates[0].upstream_model == "b"


def test_m06_r42_an_endpoint_of_ones_own_is_a_document_that_is_applied() -> None:
    """M-06, R-42: custom endpoints and overrides of a provider's address."""
    load_catalog()
    apply(
        '[[provider]]\nid = "deepseek"\nbase_url = "https://proxy.example/v1"\n'
        '[[account]]\nname = "mine"\nprovider = "deepseek"\n'
        '[[model]]\nname = "ours"\nservice = "text"\nroutes = [{ account = "mine", model = "deepseek-chat" }]\n'
    )
    assert Provider.objects.get(slug="deepseek").base_url == "https://proxy.example/v1"
    found = explain(build(), "ours")["candidates"]
    assert [(place["account"], place["base_url"]) for place in found] == [("mine", "https://proxy.example/v1")]


def test_r44_all_aliases_resolve_and_variants_of_a_family_stay_distinct() -> None:
    """R-44, R-43: an alias is its provider's; no two providers are one row."""
    load_catalog()
    snapshot = build()
    for row in Provider.objects.all():
        for name in (row.slug, *row.aliases):
            assert snapshot.provider_names[name.strip().lower()] == row.slug
    addresses = [(row.slug, row.base_url, tuple(row.env_keys), row.credential) for row in Provider.objects.all()]
    assert len(set(addresses)) == len(addresses) == len(snapshot.providers)


def test_x02_several_accounts_of_one_provider_have_credentials_of_their_own(world: Any) -> None:
    """X-02."""
    one = world.account("one", keys=(f"{KEY}1",))
    two = world.account("two", provider=one.provider, keys=(f"{KEY}2", f"{KEY}3"))
    assert one.provider == two.provider
    world.model("m", (one, "u"), (two, "u"))
    assert places("m") == [("one", "u", 1), ("two", "u", 2)]


def test_r40_a_hint_names_variables_and_never_a_value(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-40."""
    load_catalog()
    monkeypatch.setenv("ANTHROPIC_API_KEY", f"{KEY}9")
    found = str(explain(build(), "claude-sonnet-4"))
    assert "anthropic" in found and KEY not in found
