"""`manage.py load_catalog`: complete, idempotent, one revision, and never against an operator."""

from __future__ import annotations

import json
import time
from io import StringIO
from typing import Any

import msgspec
import pytest
from django.core.management import CommandError, call_command

from keys.models import KeySet
from providers import catalog as catalogs
from providers.catalog.forms import Catalog, CatalogRoute
from providers.models import Account, CatalogModel, Provider
from routing import loading
from routing.build import build
from routing.loading import Drift, Report, load_catalog
from routing.models import PrefixRule, PublicModel, Revision, Route
from routing.revisions import insert, latest
from tests.promises import within

pytestmark = pytest.mark.django_db
CATALOG = catalogs.load()


def edited(**tables: Any) -> Catalog:
    """The catalog with some of its tables replaced."""
    return msgspec.structs.replace(CATALOG, **tables)


def with_provider(slug: str, **values: Any) -> Catalog:
    """A later catalog, in which one provider has other values."""
    return edited(
        providers=tuple(
            msgspec.structs.replace(entry, **values) if entry.id == slug else entry for entry in CATALOG.providers
        )
    )


def with_route(name: str, **values: Any) -> Catalog:
    """A later catalog, in which one public model is patched otherwise."""
    return edited(
        public_models=tuple(
            msgspec.structs.replace(model, routes=(msgspec.structs.replace(model.routes[0], **values),))
            if model.name == name
            else model
            for model in CATALOG.public_models
        )
    )


def test_a_first_load_writes_everything_in_one_revision() -> None:
    report = load_catalog()
    revision = Revision.objects.get()
    assert (report.revision, revision.number, revision.author_name) == (1, 1, "catalog")
    assert report.drift == []
    assert Provider.objects.count() == len(CATALOG.providers)
    assert Account.objects.count() == len(CATALOG.accounts)
    assert CatalogModel.objects.count() == len(CATALOG.facts)
    assert PublicModel.objects.count() == Route.objects.count() == len(CATALOG.public_models)
    assert PrefixRule.objects.count() == len(CATALOG.prefixes)
    assert len(revision.changes) == report.created


def test_what_it_loads_makes_a_valid_snapshot() -> None:
    load_catalog()
    snapshot = build()
    assert snapshot.provider_names["bedrock"] == "amazon-bedrock"
    assert snapshot.models["echo"].routes[0].upstream_model == "echo"


def test_every_provider_that_can_be_served_has_an_account_and_a_key_set_to_enter_keys_into() -> None:
    load_catalog()
    for provider in Provider.objects.all():
        account = Account.objects.filter(name=provider.slug, provider=provider).first()
        if provider.deferred_to:
            assert account is None
        else:
            assert account is not None
            assert KeySet.objects.filter(account=account).exists() == (provider.credential != "none")


def test_a_second_load_changes_nothing() -> None:
    load_catalog()
    before = list(Provider.objects.values()) + list(Route.objects.values()) + list(CatalogModel.objects.values())
    report = load_catalog()
    assert (report.created, report.updated, report.drift, report.revision) == (0, 0, [], 0)
    assert latest() == 1
    assert before == list(Provider.objects.values()) + list(Route.objects.values()) + list(
        CatalogModel.objects.values()
    )


def test_a_second_load_reads_a_fixed_number_of_queries(django_assert_num_queries: Any) -> None:
    load_catalog()
    with django_assert_num_queries(8):
        load_catalog()


def test_a_load_is_quick() -> None:
    """The limits are those of a start: 3 s for the first, 1 s for one that changes nothing, of this process's work."""
    started = time.process_time()
    load_catalog()
    assert time.process_time() - started < 3
    for took in within(1):
        started = time.process_time()
        load_catalog()
        took.append(time.process_time() - started)


def test_operators_changes_are_kept_and_told() -> None:
    load_catalog()
    azure, aws = Account.objects.get(name="Azure (Myceli)"), Account.objects.get(name="AWS")
    Provider.objects.filter(slug="groq").update(base_url="https://groq.example/v1")
    Route.objects.filter(model__name="claude-fast").update(account=azure, upstream_model="mine")
    PublicModel.objects.filter(name="gemini").update(description="Ours.")
    Account.objects.filter(name="AWS").update(variables={"region": "eu-west-3"})
    before = latest()
    report = load_catalog()
    assert latest() == before
    assert (report.created, report.updated) == (0, 0)
    assert {(drift.table, drift.name, drift.field, str(drift.ours)) for drift in report.drift} == {
        ("provider", "groq", "base_url", "https://groq.example/v1"),
        ("account", "AWS", "variables", "{'region': 'eu-west-3'}"),
        ("route", "claude-fast#0", "account", "Azure (Myceli)"),
        ("route", "claude-fast#0", "upstream_model", "mine"),
        ("public model", "gemini", "description", "Ours."),
    }
    route = Route.objects.get(model__name="claude-fast")
    assert (route.account, route.upstream_model) == (azure, "mine")
    aws.refresh_from_db()
    assert aws.variables == {"region": "eu-west-3"}


def test_a_changed_catalog_updates_what_no_operator_touched() -> None:
    load_catalog()
    Provider.objects.filter(slug="groq").update(name="Our Groq")
    later = with_provider("groq", name="Groq Inc", base_url="https://api.groq.example/v2")
    report = load_catalog(catalog=later)
    groq = Provider.objects.get(slug="groq")
    assert (groq.name, groq.base_url) == ("Our Groq", "https://api.groq.example/v2")
    assert report.updated == 1
    assert report.drift == [Drift("provider", "groq", "name", "Our Groq", "Groq Inc")]
    assert Revision.objects.latest("number").changes[0]["fields"] == {
        "base_url": ["https://api.groq.com/openai/v1", "https://api.groq.example/v2"]
    }
    again = load_catalog(catalog=later)
    assert (again.updated, again.revision, len(again.drift)) == (0, 0, 1)


def test_a_value_that_the_catalog_takes_up_is_no_drift_any_more() -> None:
    load_catalog()
    Provider.objects.filter(slug="groq").update(name="Our Groq")
    assert load_catalog(catalog=with_provider("groq", name="Our Groq")).drift == []
    report = load_catalog(catalog=with_provider("groq", name="Groq again"))
    assert report.drift == []
    assert Provider.objects.get(slug="groq").name == "Groq again"


def test_a_route_follows_the_catalog_to_another_account() -> None:
    load_catalog()
    old = Route.objects.get(model__name="mistral")
    load_catalog(catalog=with_route("mistral", account="ovhcloud", model="Mistral-Small"))
    route = Route.objects.get(model__name="mistral")
    assert (route.pk, route.account.name, route.upstream_model) == (old.pk, "ovhcloud", "Mistral-Small")


def test_a_second_route_that_the_catalog_adds_stands_beside_the_first() -> None:
    load_catalog()
    routes = (*CATALOG.public_model("mistral").routes, CatalogRoute(account="mistral", model="m", priority=1))
    later = edited(
        public_models=tuple(
            msgspec.structs.replace(model, routes=routes) if model.name == "mistral" else model
            for model in CATALOG.public_models
        )
    )
    report = load_catalog(catalog=later)
    assert report.created == 1
    assert [route.priority for route in Route.objects.filter(model__name="mistral")] == [0, 1]


def test_routes_that_operators_add_are_not_the_catalogs() -> None:
    load_catalog()
    model, account = PublicModel.objects.get(name="mistral"), Account.objects.get(name="ovhcloud")
    Route.objects.create(model=model, account=account, upstream_model="x", priority=1)
    report = load_catalog()
    assert (report.created, report.drift) == (0, [])
    assert model.routes.count() == 2


@pytest.mark.parametrize(
    ("table", "where", "name"),
    [
        (PublicModel, {"name": "flux"}, "flux"),
        (Route, {"model__name": "flux"}, "flux#0"),
        (PrefixRule, {"prefix": "tts-"}, "tts-"),
        (CatalogModel, {"provider__slug": "openai", "model": "gpt-4"}, "openai/gpt-4"),
        (Account, {"name": "groq"}, "groq"),
        (KeySet, {"account__name": "groq"}, "groq/default"),
    ],
)
def test_what_an_operator_deleted_does_not_come_back(table: Any, where: dict[str, str], name: str) -> None:
    load_catalog()
    table.objects.get(**where).delete()
    before = latest()
    for _ in range(2):
        report = load_catalog()
        assert not table.objects.filter(**where).exists()
        assert (report.created, latest()) == (0, before)
        assert (name, "", "deleted") in {(drift.name, drift.field, drift.ours) for drift in report.drift}


def test_a_renamed_account_stays_the_catalogs() -> None:
    load_catalog()
    account = Account.objects.get(name="AWS")
    account.name = "Amazon"
    account.save()
    report = load_catalog()
    assert report.created == 0
    assert report.drift == [Drift("account", "AWS", "name", "Amazon", "AWS")]


def test_a_row_that_was_there_before_is_an_operators_own() -> None:
    provider = Provider.objects.create(
        slug="groq", name="Mine", family="openai-completions", base_url="https://mine.example/v1"
    )
    model = PublicModel.objects.create(name="mistral")
    report = load_catalog()
    provider.refresh_from_db()
    assert (provider.name, provider.base_url, provider.catalog) == ("Mine", "https://mine.example/v1", {})
    assert model.routes.count() == 0
    assert not Account.objects.filter(provider=provider).exists()
    assert {(drift.table, drift.name, drift.ours) for drift in report.drift} == {
        ("provider", "groq", "an operator's own"),
        ("public model", "mistral", "an operator's own"),
    }
    assert load_catalog().revision == 0


def test_a_row_that_the_catalog_gives_no_more_stays_and_is_told() -> None:
    load_catalog()
    later = edited(prefixes=tuple(row for row in CATALOG.prefixes if row.prefix != "tts-"))
    report = load_catalog(catalog=later)
    assert report.drift == [Drift("prefix rule", "tts-", "", "kept", "no longer given")]
    assert PrefixRule.objects.filter(prefix="tts-").exists()


def test_a_provider_that_an_operator_turned_on_stays_on() -> None:
    load_catalog()
    Provider.objects.filter(slug="google-antigravity").update(enabled=True)
    assert [drift.field for drift in load_catalog().drift] == ["enabled"]
    assert Provider.objects.get(slug="google-antigravity").enabled


def test_a_failure_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(change: Any, rows: list[Any]) -> None:
        if rows and isinstance(rows[0], PrefixRule):
            raise RuntimeError("the disk is full")
        insert(change, rows)

    monkeypatch.setattr(loading, "insert", fails)
    with pytest.raises(RuntimeError):
        load_catalog()
    assert not Provider.objects.exists()
    assert latest() == 0


def printed(*args: str) -> str:
    out = StringIO()
    call_command("load_catalog", *args, stdout=out)
    return out.getvalue()


def test_the_command_tells_counts_and_drift() -> None:
    first = printed()
    assert "provider" in first
    assert "2025-12" in first
    assert "Revision 1." in first
    Provider.objects.filter(slug="groq").update(name="Our Groq")
    second = printed()
    assert "Nothing changed." in second
    assert "provider groq name: Our Groq (catalog: Groq)" in second


def test_the_command_speaks_json() -> None:
    report = json.loads(printed("--json"))
    assert set(report) == set(Report.__dataclass_fields__)
    assert report["counts"]["provider"] == [len(CATALOG.providers), len(CATALOG.providers), 0]
    assert report["mapping_updated"] == "2025-12"


def test_a_bad_catalog_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def bad() -> Catalog:
        raise catalogs.BadCatalog("models.toml: unknown field `prise`")

    monkeypatch.setattr(loading, "load", bad)
    with pytest.raises(CommandError, match="unknown field `prise`"):
        printed()
    assert not Provider.objects.exists()
