"""The configuration document: what an export says, and that it comes back as the same rows (round trip)."""

from __future__ import annotations

import tomllib
from io import StringIO
from typing import Any

import msgspec
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from keys.models import KeySet, Project, ProviderKey
from keys.vault import enter_key
from providers.catalog import load
from providers.models import Account, Provider
from providers.secrets import Secret
from routing.applying import apply
from routing.document import document, render, state, text_of
from routing.document_baseline import baseline
from routing.document_reading import read
from routing.loading import load_catalog
from routing.models import Alias, Preference, PrefixRule, PublicModel, Route

pytestmark = pytest.mark.django_db
KEYS = {f"ROUND_TRIP_{letter}": f"sk-{letter * 30}" for letter in "ABC"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def export(*, everything: bool = False) -> str:
    rows = state()
    return text_of(rows, baseline(rows), everything=everything)


def anew(text: str, *, everything: bool = False) -> str:
    """The export of what `text` makes of the database as it is; the database stays as it is."""
    with transaction.atomic():
        apply(text)
        again = export(everything=everything)
        transaction.set_rollback(True)
    return again


def test_an_installation_that_only_loaded_its_catalog_has_nothing_to_say() -> None:
    load_catalog()
    assert export() == ""


def test_everything_of_the_catalog_comes_back_into_an_empty_database() -> None:
    with transaction.atomic():
        load_catalog()
        whole = export(everything=True)
        transaction.set_rollback(True)
    assert not Provider.objects.exists()
    assert len(tomllib.loads(whole)["provider"]) >= 85
    assert anew(whole, everything=True) == whole


def test_only_the_fields_that_differ_from_the_catalog_are_named() -> None:
    load_catalog()
    model = PublicModel.objects.get(name="openai")
    model.enabled = False
    model.save()
    account = Account.objects.get(name="AWS")
    account.timeouts = {"first_byte": 600}
    account.save()
    assert tomllib.loads(export()) == {
        "account": [{"name": "AWS", "timeouts": {"first_byte": 600}}],
        "model": [{"name": "openai", "enabled": False}],
    }


def test_rows_of_the_catalog_that_operators_removed_are_named_absent_and_stay_away() -> None:
    load_catalog()
    PublicModel.objects.get(name="flux").delete()
    text = export()
    assert tomllib.loads(text) == {"model": [{"name": "flux", "absent": True}]}
    load_catalog()
    assert export() == text


def test_a_route_taken_from_a_model_of_the_catalog_stays_away_after_the_round_trip() -> None:
    load_catalog()
    Route.objects.get(model__name="openai").delete()
    text = export()
    assert tomllib.loads(text) == {"model": [{"name": "openai", "routes": []}]}
    apply(text)
    load_catalog()
    assert not Route.objects.filter(model__name="openai").exists()


def test_without_a_catalog_a_document_says_everything_that_is_not_a_default(world: Any) -> None:
    account = world.account(name="up", private_network=True)
    world.model("m", (account, "real/model:1"))
    assert tomllib.loads(export()) == {
        "provider": [{"id": "up", "family": "openai-completions", "base_url": "", "credential": "bearer"}],
        "account": [
            {"name": "up", "provider": "up", "base_url": "https://up.example/v1", "private_network": True},
        ],
        "model": [
            {
                "name": "m",
                "service": "text",
                "routes": [{"account": "up", "model": "real/model:1", "priority": 0, "weight": 1}],
            }
        ],
    }


def test_no_secret_is_exported_and_keys_entered_by_hand_are_counted(world: Any, capsys: Any) -> None:
    account = world.account(keys=("sk-entered-by-hand-0123456789",))
    enter_key(account.key_sets.get(), Secret(KEYS["ROUND_TRIP_A"]), source="env:ROUND_TRIP_A", position=3)
    out = StringIO()
    call_command("export_config", "--all", stdout=out)
    text = out.getvalue()
    assert tomllib.loads(text)["account"][0]["keys"] == ["env:ROUND_TRIP_A"]
    assert "sk-" not in text
    for row in ProviderKey.objects.all():
        assert row.fingerprint not in text
    assert "1 key(s) entered by hand" in capsys.readouterr().err


def test_imported_keys_and_live_overrides_belong_to_the_environment_not_to_a_document(world: Any) -> None:
    account = world.account()
    key_set = world.keys(account)
    enter_key(key_set, Secret(KEYS["ROUND_TRIP_A"]), source="import:OPENAI_API_KEY", position=1000)
    enter_key(key_set, Secret(KEYS["ROUND_TRIP_B"]), source="env:LIVE", position=1001, live=True)
    assert "keys" not in tomllib.loads(export())["account"][0]


def test_the_order_of_a_document_does_not_depend_on_the_order_of_the_rows() -> None:
    texts = []
    for names in (("b", "a", "c"), ("c", "b", "a")):
        with transaction.atomic():
            provider = Provider.objects.create(slug="p", name="p", family="openai-completions")
            for name in names:
                account = Account.objects.create(name=name, provider=provider, base_url="https://x.example")
                model = PublicModel.objects.create(name=f"m-{name}")
                for upstream in names:
                    Route.objects.create(model=model, account=account, upstream_model=upstream)
                Alias.objects.create(name=f"alias-{name}", model=model)
                PrefixRule.objects.create(prefix=f"{name}-", provider=provider)
            texts.append(export())
            transaction.set_rollback(True)
    assert texts[0] == texts[1]


def test_an_export_asks_the_database_a_fixed_number_of_times(world: Any) -> None:
    account = world.account()
    counts = []
    for size in (1, 20):
        for number in range(size):
            world.model(f"m-{size}-{number}", (account, "x"), (account, "y"))
            world.project(f"p-{size}-{number}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            state()
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_long_lists_take_a_line_per_item_and_short_ones_one_line() -> None:
    routes = [{"account": "a", "model": f"model-{n}", "priority": n, "weight": 1} for n in range(3)]
    text = render({"model": [{"name": "m", "routes": routes}, {"name": "n", "routes": routes[:1]}]})
    assert text.splitlines()[2:6] == [
        "routes = [",
        '    { account = "a", model = "model-0", priority = 0, weight = 1 },',
        '    { account = "a", model = "model-1", priority = 1, weight = 1 },',
        '    { account = "a", model = "model-2", priority = 2, weight = 1 },',
    ]
    assert 'routes = [{ account = "a", model = "model-0", priority = 0, weight = 1 }]' in text
    assert tomllib.loads(text)["model"][0]["routes"] == routes


# --- round trip of generated configurations ---------------------------------------------------------------------------

slugs = st.from_regex(r"x[a-z0-9.-]{0,6}", fullmatch=True)
names = st.from_regex(r"[a-z][a-z0-9._-]{0,6}", fullmatch=True).filter(lambda name: name != "auto")
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), max_size=12)
seconds = st.one_of(st.integers(1, 600), st.floats(0.5, 600, allow_nan=False))
values = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(-(2.0**62), 2.0**62), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=4,
)
quirks = st.dictionaries(texts, values, max_size=2)
variables = st.dictionaries(st.sampled_from(["region", "resource"]), texts, max_size=2)
OLD_MODELS = ("openai", "kontext", "claude-fast")
GONE = ("grok", "nova-fast")
OLD_ACCOUNTS = ("AWS", "openai", "Azure (Myceli)")


def some(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def configurations(draw: Any) -> dict[str, list[dict[str, Any]]]:
    """A document of an operator's work: rows of its own, and changes of the catalog's."""

    def lines(table: dict[str, st.SearchStrategy[Any]], keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**key, **draw(some(table))} for key in keys]

    def unique(most: int = 3) -> list[str]:
        return draw(st.lists(names, max_size=most, unique=True))

    providers = draw(st.lists(slugs, max_size=3, unique=True))
    accounts = [f"X {name}" for name in unique()] if providers else []
    projects = unique()
    models = [f"x{name}" for name in unique()]
    key_lists = st.lists(st.sampled_from([f"env:{name}" for name in KEYS]), max_size=3, unique=True).map(
        lambda found: [found[0], *({"source": name, "enabled": False} for name in found[1:])] if found else []
    )
    own_sets = [
        {"account": account, "name": "spare", **({"project": project} if project else {})}
        for account in accounts
        for project in draw(st.lists(st.sampled_from(["", *projects]), max_size=2, unique=True))
    ]
    key_set_of = {(line["account"], line.get("project", "")) for line in own_sets}

    @st.composite
    def routes(draw: Any) -> dict[str, Any]:
        account = draw(st.sampled_from([*accounts, *OLD_ACCOUNTS]))
        route = {"account": account, "model": draw(names)}
        route |= draw(
            some(
                {
                    "priority": st.integers(0, 3),
                    "weight": st.integers(0, 5),
                    "enabled": st.booleans(),
                    "quirks": quirks,
                    "family": st.sampled_from(["", "openai-completions", "anthropic-messages"]),
                    "infra": st.sampled_from(["api", "fleet"]),
                }
            )
        )
        if (account, "") in key_set_of and draw(st.booleans()):
            route["key_set"] = "spare"
        for project in projects:
            if (account, project) in key_set_of and draw(st.booleans()):
                route["key_set"] = {"name": "spare", "project": project}
        return route

    provider_fields = {
        "name": texts.filter(bool),
        "families": st.dictionaries(st.just("anthropic-messages"), st.just("https://a.example"), max_size=1),
        "variables": st.lists(
            st.builds(lambda default: {"name": "region", "env": ["REGION"], "default": default}, texts), max_size=1
        ),
        "env_keys": st.lists(st.sampled_from(["A_KEY", "B_KEY"]), unique=True, max_size=2),
        "capabilities": st.lists(st.sampled_from(["text", "image"]), unique=True, max_size=2),
        "credential": st.sampled_from(["bearer", "header", "none"]),
        "streaming": st.booleans(),
        "keyless": st.booleans(),
        "quirks": quirks,
        "enabled": st.booleans(),
    }
    account_fields = {
        "variables": variables,
        "private_network": st.booleans(),
        "timeouts": some({"connect": seconds, "first_byte": seconds, "gap": seconds, "total": seconds}),
        "enabled": st.booleans(),
        "family": st.sampled_from(["", "openai-completions"]),
        "probe": st.sampled_from(["free", "on", "off"]),
        "probe_interval": st.sampled_from([60, 300, 86_400]),
        "probe_cost": st.sampled_from([0, 100]),
    }
    model_fields = {
        "service": st.sampled_from(["text", "image", "embedding"]),
        "description": texts,
        "enabled": st.booleans(),
        "routes": st.lists(routes(), max_size=3),
    }
    old = draw(st.lists(st.sampled_from(OLD_MODELS), unique=True))
    gone = draw(st.sampled_from([None, *GONE]))
    return {
        "provider": lines(
            provider_fields,
            [{"id": p, "family": "openai-completions", "base_url": f"https://{len(p)}.example/v1"} for p in providers],
        ),
        "account": lines(
            {**account_fields, "keys": key_lists},
            [{"name": name, "provider": draw(st.sampled_from(providers))} for name in accounts],
        )
        + lines(
            account_fields, [{"name": name} for name in draw(st.lists(st.sampled_from(OLD_ACCOUNTS), unique=True))]
        ),
        "project": lines(
            {
                "description": texts,
                "enabled": st.booleans(),
                "default_model": names,
                "preferred": st.lists(names, max_size=2),
                "allow": st.lists(st.sampled_from(["*", "openai", "openai/*"]), max_size=2),
            },
            [{"name": name} for name in projects],
        ),
        "key_set": lines({"variables": variables, "keys": key_lists}, own_sets),
        "model": lines(model_fields, [{"name": name} for name in (*models, *old)])
        + ([{"name": gone, "absent": True}] if gone else []),
        "alias": [{"name": f"a-{name}", "model": name} for name in models],
        "prefix": [{"prefix": f"{name}-", "provider": name, "strip": draw(st.booleans())} for name in providers],
    }


@pytest.fixture
def catalog(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog of a few rows, so that an example takes milliseconds."""
    whole = load()
    small = msgspec.structs.replace(
        whole,
        accounts=tuple(account for account in whole.accounts if account.name in OLD_ACCOUNTS),
        providers=tuple(p for p in whole.providers if p.id in {"azure-openai", "amazon-bedrock", "openai"}),
        public_models=tuple(
            model
            for model in whole.public_models
            if model.name in (*OLD_MODELS, *GONE) and {route.account for route in model.routes} <= set(OLD_ACCOUNTS)
        ),
        prefixes=tuple(prefix for prefix in whole.prefixes if prefix.provider == "openai"),
        facts=(),
    )
    monkeypatch.setattr("routing.document_baseline.load", lambda: small)
    load_catalog(catalog=small)
    assert {"openai", *GONE} <= set(PublicModel.objects.values_list("name", flat=True))


@settings(
    max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)
@given(configuration=configurations())
def test_an_export_makes_the_same_rows_again(catalog: None, configuration: dict[str, Any]) -> None:
    before = state()
    with transaction.atomic():
        apply(render(configuration))
        rows = state()
        text = text_of(rows, baseline(rows))
        whole = text_of(rows, baseline(rows), everything=True)
        again = apply(text)
        transaction.set_rollback(True)
    assert again.diff == [], "an export changes nothing where it comes from"
    assert state() == before
    assert anew(text) == text
    assert anew(whole, everything=True) == whole
    assert read(text)
    with transaction.atomic():
        apply(text)
        assert state() == rows
        transaction.set_rollback(True)


def test_every_table_is_in_the_document(world: Any) -> None:
    account = world.account(keys=())
    KeySet.objects.create(account=account, name="spare", variables={"region": "eu"})
    model = world.model("m", (account, "x"))
    Alias.objects.create(name="n", model=model)
    PrefixRule.objects.create(prefix="p-", provider=account.provider, strip=True)
    project = Project.objects.create(name="demo")
    Preference.objects.create(project=project, default_model="m")
    said = document(state(), {})
    assert list(said) == ["provider", "account", "key_set", "model", "alias", "prefix", "project"]


def test_the_port_that_a_start_gave_the_sandbox_is_no_work_of_operators() -> None:
    load_catalog()
    Account.objects.filter(name="sandbox").update(variables={"port": "43210"})
    assert export() == ""
