"""The mapping of public models: eight accounts, 33 rows, exactly as required (P-01 to P-17, P-R01 to P-R33)."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest

from catalog_lists import CATALOG
from keys.models import KeySet
from providers.models import Account
from routing.loading import load_catalog
from routing.models import PublicModel, Route

#: number, public model, account, service, underlying id, key pattern, infra
ROWS = [
    tuple(field.strip() for field in line.split("|"))
    for line in """
P-R01 | openai | Azure (Myceli) | text | gpt-5-mini-2025-08-07 | AZURE_MYCELI_GPT5MINI_* | API
P-R02 | openai-large | Azure (Myceli) | text | gpt-5.2-2025-12-11 | AZURE_MYCELI_GPT52_* | API
P-R03 | openai-audio | Azure (Myceli) | text | gpt-4o-mini-audio-preview-2024-12-17 | AZURE_MYCELI_GPT4O_AUDIO_* | API
P-R04 | deepseek | Azure (Myceli) | text | DeepSeek-V3.1 | AZURE_MYCELI_DEEPSEEK_R1_* | API
P-R05 | grok | Azure (Myceli) | text | grok-4-fast-non-reasoning | AZURE_MYCELI_GROK4_* | API
P-R06 | kontext | Azure (Myceli) | image | kontext | AZURE_MYCELI_FLUX_KONTEXT_* | API
P-R07 | openai-fast | Azure-2 (PointsFlyer) | text | gpt-5-nano-2025-08-07 | AZURE_PF_GPT5NANO_* | API
P-R08 | midijourney | Azure-2 (PointsFlyer) | text | gpt-4.1-2025-04-14 | AZURE_PF_GPT41_* | API
P-R09 | gptimage | Azure-2 (PointsFlyer) | image | gptimage | AZURE_PF_GPTIMAGE_* | API
P-R10 | claude-fast | AWS | text | us.anthropic.claude-haiku-4-5-20251001-v1:0 | AWS_* | API
P-R11 | chickytutor | AWS | text | us.anthropic.claude-3-5-haiku-20241022-v1:0 | AWS_* | API
P-R12 | nova-fast | AWS | text | amazon.nova-micro-v1:0 | AWS_* | API
P-R13 | gemini | Google | text | gemini-3-flash-preview | GOOGLE_* | API
P-R14 | gemini-fast | Google | text | gemini-2.5-flash-lite | GOOGLE_* | API
P-R15 | gemini-large | Google | text | gemini-3-pro-preview | GOOGLE_* | API
P-R16 | gemini-search | Google | text | gemini-3-flash-preview | GOOGLE_* | API
P-R17 | kimi-k2-thinking | Google | text | moonshotai/kimi-k2-thinking-maas | GOOGLE_* | API
P-R18 | claude | Google | text | anthropic.claude-sonnet-4-5@20250929 | GOOGLE_* | API
P-R19 | claude-large | Google | text | anthropic.claude-opus-4-5@20251101 | GOOGLE_* | API
P-R20 | nanobanana | Google | image | nanobanana | GOOGLE_* | API
P-R21 | nanobanana-pro | Google | image | nanobanana-pro | GOOGLE_* | API
P-R22 | veo | Google | video | veo | GOOGLE_* | API
P-R23 | qwen-coder | Scaleway | text | qwen3-coder-30b-a3b-instruct | SCALEWAY_* | API
P-R24 | mistral | Scaleway | text | mistral-small-3.2-24b-instruct-2506 | SCALEWAY_* | API
P-R25 | turbo | Scaleway | image | turbo | SCALEWAY_* | Fleet
P-R26 | perplexity-fast | Perplexity | text | sonar | PERPLEXITY_* | API
P-R27 | perplexity-reasoning | Perplexity | text | sonar-reasoning | PERPLEXITY_* | API
P-R28 | seedream | ByteDance | image | seedream | BYTEDANCE_* | API
P-R29 | seedream-pro | ByteDance | image | seedream-pro | BYTEDANCE_* | API
P-R30 | seedance | ByteDance | video | seedance | BYTEDANCE_* | API
P-R31 | seedance-pro | ByteDance | video | seedance-pro | BYTEDANCE_* | API
P-R32 | flux | io.net | image | flux | (workers) | Fleet
P-R33 | zimage | io.net | image | zimage | (workers) | Fleet
""".strip().splitlines()
]
#: account -> provider, text, image, video
ACCOUNTS = {
    "Azure (Myceli)": ("azure-openai", 5, 1, 0),
    "Azure-2 (PointsFlyer)": ("azure-openai", 2, 1, 0),
    "AWS": ("amazon-bedrock", 3, 0, 0),
    "Google": ("google-vertex", 7, 2, 1),
    "Scaleway": ("scaleway", 2, 1, 0),
    "Perplexity": ("perplexity", 2, 0, 0),
    "ByteDance": ("byteplus", 0, 2, 2),
    "io.net": ("io-net-fleet", 0, 2, 0),
}
MAPPED = [model for model in CATALOG.public_models if model.routes[0].account in ACCOUNTS]


@cache
def first_load() -> tuple[dict[str, Route], dict[str, list[KeySet]], dict[str, Account], list[str]]:
    """The tables as a first load leaves them, read once for all tests: routes, key sets, accounts, model names."""
    load_catalog()
    routes = Route.objects.select_related("model", "account__provider", "key_set__account")
    sets: dict[str, list[KeySet]] = {}
    for key_set in KeySet.objects.select_related("account"):
        sets.setdefault(key_set.account.name, []).append(key_set)
    accounts = {account.name: account for account in Account.objects.select_related("provider")}
    names = list(PublicModel.objects.values_list("name", flat=True))
    return {route.model.name: route for route in routes}, sets, accounts, names


@pytest.fixture
def loaded(db: None) -> Any:
    return first_load()


@pytest.mark.parametrize(
    ("number", "name", "account", "service", "underlying", "pattern", "infra"), ROWS, ids=[row[0] for row in ROWS]
)
def test_p_r01_to_p_r33_rows(
    loaded: Any, number: str, name: str, account: str, service: str, underlying: str, pattern: str, infra: str
) -> None:
    routes, sets, _, _ = loaded
    route = routes[name]
    assert route.account.name == account
    assert route.model.service == service
    assert route.upstream_model == underlying
    assert route.get_infra_display() == infra
    assert (route.priority, route.weight, route.enabled, route.model.enabled) == (0, 1, True, True)
    if pattern == "(workers)":
        assert route.key_set is None
        assert account not in sets
    elif route.key_set is not None:
        assert route.key_set.env_pattern == pattern
        assert route.key_set.account_id == route.account_id
    else:
        assert [key_set.env_pattern for key_set in sets[account]] == [pattern]


def test_p01_every_public_model_has_exactly_one_route() -> None:
    assert all(len(model.routes) == 1 for model in MAPPED)


def test_p02_there_are_33_public_models_21_text_9_image_3_video() -> None:
    assert len(MAPPED) == len(ROWS) == 33
    assert Counter(model.service for model in MAPPED) == {"text": 21, "image": 9, "video": 3}


@pytest.mark.parametrize(("account", "expected"), ACCOUNTS.items())
def test_p03_p04_counts_by_account_follow_from_the_rows(account: str, expected: tuple[Any, ...]) -> None:
    services = Counter(model.service for model in MAPPED if model.routes[0].account == account)
    assert CATALOG.account(account).provider == expected[0]
    assert (services["text"], services["image"], services["video"]) == expected[1:]


def test_p05_public_names_are_unique(loaded: Any) -> None:
    names = loaded[3]
    assert len(names) == len(set(names))


def test_p06_two_accounts_of_one_vendor_share_no_variable(loaded: Any) -> None:
    _, sets, accounts, _ = loaded
    one, two = "Azure (Myceli)", "Azure-2 (PointsFlyer)"
    assert accounts[one].provider_id == accounts[two].provider_id
    stems = [[key_set.env_pattern.removesuffix("*") for key_set in sets[name]] for name in (one, two)]
    assert not any(a.startswith(b) or b.startswith(a) for a in stems[0] for b in stems[1])


@pytest.mark.parametrize("account", ["AWS", "Google", "Scaleway", "Perplexity", "ByteDance"])
def test_p07_models_of_a_shared_pattern_use_the_same_credentials(loaded: Any, account: str) -> None:
    routes, sets, _, _ = loaded
    assert len(sets[account]) == 1
    assert {route.key_set_id for route in routes.values() if route.account.name == account} == {None}


def test_p08_p09_fleet_accounts_have_workers_and_no_key(loaded: Any) -> None:
    _, sets, accounts, _ = loaded
    assert accounts["io.net"].provider.family == "worker-fleet"
    assert accounts["io.net"].provider.keyless
    assert "io.net" not in sets


def test_p10_turbo_is_fleet_at_scaleway(loaded: Any) -> None:
    turbo = loaded[0]["turbo"]
    assert (turbo.account.name, turbo.infra, turbo.family) == ("Scaleway", "fleet", "worker-fleet")


def test_p11_media_models_name_their_adapter(loaded: Any) -> None:
    routes = loaded[0]
    families = {
        name: routes[name].family for name in ("kontext", "gptimage", "nanobanana", "veo", "seedream", "seedance")
    }
    assert families == {
        "kontext": "azure-image",
        "gptimage": "azure-image",
        "nanobanana": "google-vertex-image",
        "veo": "google-vertex-video",
        "seedream": "byteplus-image",
        "seedance": "byteplus-video",
    }


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("openai", "Azure (Myceli)"),
        ("deepseek", "Azure (Myceli)"),
        ("grok", "Azure (Myceli)"),
        ("mistral", "Scaleway"),
        ("claude", "Google"),
    ],
)
def test_p12_the_row_decides_not_the_look_of_the_name(loaded: Any, name: str, account: str) -> None:
    assert loaded[0][name].account.name == account


def test_p13_the_mapping_carries_its_date() -> None:
    assert CATALOG.mapping_updated == "2025-12"


def test_p14_one_underlying_id_with_different_switches(loaded: Any) -> None:
    plain, search = loaded[0]["gemini"], loaded[0]["gemini-search"]
    assert plain.upstream_model == search.upstream_model
    assert search.quirks["search"] is True
    assert "search" not in plain.quirks


def test_p15_underlying_ids_are_stored_unaltered(loaded: Any) -> None:
    ids = {route.upstream_model for route in loaded[0].values()}
    assert {"moonshotai/kimi-k2-thinking-maas", "amazon.nova-micro-v1:0", "gpt-5.2-2025-12-11"} <= ids


@pytest.mark.parametrize("name", ["claude", "claude-large"])
def test_p16_claude_on_google_has_prefix_and_date_and_the_vendors_id_is_known(loaded: Any, name: str) -> None:
    route = loaded[0][name]
    stored = route.upstream_model
    assert stored.startswith("anthropic.")
    assert "@" in stored
    assert route.family == "google-vertex-anthropic"
    prefix = CATALOG.provider("google-vertex").quirks["strip_model_prefix"]
    assert CATALOG.fact("google-vertex", stored).id == stored.removeprefix(prefix)


def test_p17_profile_prefix_of_claude_on_aws_and_none_of_nova(loaded: Any) -> None:
    routes = loaded[0]
    for name in ("claude-fast", "chickytutor"):
        assert routes[name].upstream_model.startswith("us.")
        assert routes[name].upstream_model.endswith("-v1:0")
    assert not routes["nova-fast"].upstream_model.startswith("us.")


def test_c37_regions_are_switches_of_the_route(loaded: Any) -> None:
    routes, _, accounts, _ = loaded
    assert {name: routes[name].quirks.get("location") for name in ("gemini", "gemini-fast", "claude")} == {
        "gemini": "global",
        "gemini-fast": "us-central1",
        "claude": "europe-west1",
    }
    assert accounts["AWS"].variables == {"region": "us-east-1"}


@pytest.mark.parametrize("name", ["qwen-coder", "mistral", "perplexity-fast", "perplexity-reasoning"])
def test_rows_of_openai_shaped_hosts_need_only_a_key(loaded: Any, name: str) -> None:
    route = loaded[0][name]
    provider = route.account.provider
    assert (route.family, route.account.family, provider.family) == ("", "", "openai-completions")
    assert (provider.credential, provider.enabled, provider.deferred_to) == ("bearer", True, "")


def test_the_sandbox_is_mapped_beside_the_33(loaded: Any) -> None:
    routes = loaded[0]
    sandbox = {name: route.upstream_model for name, route in routes.items() if route.account.name == "sandbox"}
    assert sandbox["echo"] == "echo"
    assert sandbox["lorem"] == "lorem"
    assert all(name in ("echo", "lorem") or name == f"sandbox-{model}" for name, model in sandbox.items())
    assert len(routes) == 33 + len(sandbox)
