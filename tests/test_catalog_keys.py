"""The catalog and the key importer agree: every variable that is named leads to a key at the right account."""

from __future__ import annotations

import re
from typing import Any

import pytest

from catalog_lists import CANONICAL, CATALOG
from keys.importing import import_keys
from keys.missing import missing_key_message
from keys.models import KeySet, ProviderKey
from keys.order import shared_set
from providers.models import Account, Provider
from routing.build import build
from routing.loading import load_catalog
from routing.models import Route

pytestmark = pytest.mark.django_db

#: what each of the eight accounts is set up with
PATTERNS = {
    **{
        f"AZURE_{stem}_{tail}": value
        for stem in [
            "MYCELI_GPT5MINI",
            "MYCELI_GPT52",
            "MYCELI_GPT4O_AUDIO",
            "MYCELI_DEEPSEEK_R1",
            "MYCELI_GROK4",
            "MYCELI_FLUX_KONTEXT",
            "PF_GPT5NANO",
            "PF_GPT41",
            "PF_GPTIMAGE",
        ]
        for tail, value in (
            ("API_KEY", f"key-of-{stem}"),
            ("ENDPOINT", f"https://{stem.lower().replace('_', '-')}.openai.azure.com/"),
        )
    },
    "AWS_ACCESS_KEY_ID": "aws-id-0001",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-0001",
    "SCALEWAY_API_KEY": "key-of-scaleway",
    "PERPLEXITY_API_KEY": "key-of-perplexity",
    "BYTEDANCE_API_KEY": "key-of-bytedance",
}


def keys_by_set() -> dict[str, list[str]]:
    """Account/key set -> where its keys came from."""
    found: dict[str, list[str]] = {}
    for key in ProviderKey.objects.select_related("key_set__account"):
        found.setdefault(f"{key.key_set.account.name}/{key.key_set.name}", []).append(key.source.rpartition(":")[2])
    return found


def test_p06_p07_each_pattern_fills_its_own_key_set_and_no_other() -> None:
    load_catalog()
    import_keys(PATTERNS)
    found = keys_by_set()
    for route in Route.objects.exclude(account__name__in=["Google", "io.net", "sandbox"]).select_related("account"):
        key_set = route.key_set or KeySet.objects.get(account=route.account)
        stem = key_set.env_pattern.removesuffix("*")
        sources = found[f"{route.account.name}/{key_set.name}"]
        assert len(sources) == 1, (route, sources)
        assert all(source.startswith(stem) for source in sources)


def test_p07_an_endpoint_variable_says_where_its_models_are() -> None:
    load_catalog()
    import_keys(PATTERNS)
    variables = KeySet.objects.get(account__name="Azure-2 (PointsFlyer)", name="gpt41").variables
    assert variables == {"resource": "pf-gpt41", "domain": "openai.azure.com"}


def test_the_mapping_serves_as_soon_as_its_keys_exist() -> None:
    """Scaleway and Perplexity need nothing but the one variable."""
    load_catalog()
    import_keys({"SCALEWAY_API_KEY": "key-of-scaleway", "PERPLEXITY_API_KEY": "key-of-perplexity"})
    snapshot = build()
    for name in ("qwen-coder", "mistral", "perplexity-fast", "perplexity-reasoning"):
        account = snapshot.accounts[snapshot.models[name].routes[0].account_id]
        assert any(key_set.keys for key_set in snapshot.key_sets[account.id])


@pytest.fixture
def providers(db: None) -> dict[str, Any]:
    load_catalog()
    return {provider.slug: provider for provider in Provider.objects.all()}


#: credentials of several parts, and a parameter that is no key
PARTS = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "SAP_AI_CORE_CLIENT_ID",
    "SAP_AI_CORE_CLIENT_SECRET",
    "SAP_AI_CORE_TOKEN_URL",
    "SAP_AI_CORE_SERVICE_URL",
}


def test_m19_m20_every_named_variable_of_the_85_becomes_a_key_of_its_provider(providers: dict[str, Any]) -> None:
    """All at once: each provider has the keys of its variables, first-named first."""
    named = {name: f"value-of-{name}" for slug in CANONICAL for name in CATALOG.provider(slug).env_keys}
    filled = {
        "AZURE_OPENAI_RESOURCE": "res",
        "CLOUDFLARE_ACCOUNT_ID": "acc",
        "CLOUDFLARE_GATEWAY_ID": "gw",
        "GOOGLE_CLOUD_PROJECT": "proj",
        "SAP_AI_CORE_SERVICE_URL": "https://sap.example",
    }
    report = import_keys({name: value for name, value in named.items() if name not in PARTS} | filled)
    assert report.refused == []
    found = keys_by_set()
    for slug in CANONICAL:
        wanted = [name for name in CATALOG.provider(slug).env_keys if name not in PARTS]
        assert found[f"{slug}/default"] == wanted


@pytest.mark.parametrize(
    ("slug", "names"),
    [
        ("anthropic", ["ANTHROPIC_API_KEY"]),
        ("moonshotai", ["MOONSHOT_API_KEY", "KIMI_API_KEY"]),
        ("alibaba", ["DASHSCOPE_API_KEY", "QWEN_API_KEY"]),
        ("google", ["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
    ],
)
def test_r39_f23_the_hint_names_the_variables_in_their_order(
    providers: dict[str, Any], slug: str, names: list[str]
) -> None:
    message = missing_key_message(build().providers[slug], "Admin > Keys")
    assert message.startswith(f"API key not configured for provider '{slug}'")
    places = [message.index(name) for name in names]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("account", "key_set", "names"),
    [
        ("Azure (Myceli)", "gpt5mini", ["AZURE_MYCELI_GPT5MINI_API_KEY", "AZURE_MYCELI_GPT5MINI_ENDPOINT"]),
        ("Azure-2 (PointsFlyer)", "gpt41", ["AZURE_PF_GPT41_API_KEY", "AZURE_PF_GPT41_ENDPOINT"]),
        ("AWS", "default", ["AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]),
        ("Google", "default", ["GOOGLE_"]),
        ("Scaleway", "default", ["SCALEWAY_API_KEY"]),
        ("Perplexity", "default", ["PERPLEXITY_API_KEY"]),
        ("ByteDance", "default", ["BYTEDANCE_API_KEY"]),
    ],
)
def test_f23_r39_p06_an_account_with_variables_of_its_own_is_told_those(
    db: None, account: str, key_set: str, names: list[str]
) -> None:
    """The message names what the import reads: set just that, and the key is there."""
    load_catalog()
    snapshot = build()
    entry = snapshot.accounts[snapshot.account_ids[account]]
    provider = snapshot.providers[entry.provider]
    used = shared_set(
        snapshot.key_sets[entry.id], KeySet.objects.get(account__name=account, name=key_set, project=None).pk
    )
    assert used is not None
    message = missing_key_message(provider, f"account '{account}'", entry, used)
    assert message.startswith(f"API key not configured for provider '{provider.slug}'")
    places = [message.index(name) for name in names]
    assert places == sorted(places)
    assert f"/admin/keys/providerkey/add/?key_set={used.id}" in message
    stem = used.env_pattern.removesuffix("*")
    told = re.findall(r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+", message)
    assert all(name.startswith(stem) for name in told)
    if account == "Google":
        return  # its credential is no text that a variable could hold in a test
    values = {
        name: f"https://{account[0].lower()}.openai.azure.com" if "ENDPOINT" in name else f"v-{name}" for name in told
    }
    import_keys(values)
    assert ProviderKey.objects.filter(key_set=used.id).exists()


def test_p06_a_second_account_is_not_told_the_first_ones_variables(providers: dict[str, Any]) -> None:
    """Nothing reads OPENAI_API_KEY for an account that does not bear the provider's id."""
    account = Account.objects.create(name="second", provider=providers["openai"])
    KeySet.objects.create(account=account)
    snapshot = build()
    used = snapshot.key_sets[account.pk][0]
    message = missing_key_message(snapshot.providers["openai"], "account 'second'", snapshot.accounts[account.pk], used)
    assert "OPENAI_API_KEY" not in message
