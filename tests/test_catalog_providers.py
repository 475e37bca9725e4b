"""The providers of the catalog against the requirements: who they are, where they are, and with what key."""

from __future__ import annotations

import re

import pytest

from catalog_lists import (
    ADAPTERS,
    ALIASES,
    ALIASES_OF_OTHERS,
    B1,
    B2,
    B3,
    BATCH_A,
    C1,
    CANONICAL,
    CATALOG,
    CLOUDFLARE,
    NATIVE,
    PRESETS,
    SPECIAL,
    WAVE_A,
    env,
    url_of,
)
from providers.families import FAMILIES, OPENAI_CHAT, choose


def test_r01_all_85_canonical_ids_are_registered() -> None:
    assert len(CANONICAL) == len(set(CANONICAL)) == 85
    ids = [provider.id for provider in CATALOG.providers]
    assert len(ids) == len(set(ids))
    assert set(CANONICAL) <= set(ids)
    assert (len(NATIVE), len(ADAPTERS), len(WAVE_A), len(BATCH_A)) == (6, 4, 12, 34)
    assert (len(B1), len(B2), len(B3), len(C1), len(SPECIAL), len(CLOUDFLARE)) == (6, 5, 8, 4, 3, 2)


@pytest.mark.parametrize("name", CANONICAL)
def test_r02_r03_every_id_has_its_metadata_and_one_mode(name: str) -> None:
    """A mode is no column: an id is served, known but not yet served, or deferred, and its family and scheme tell."""
    provider = CATALOG.provider(name)
    assert provider.id == name
    assert provider.name
    assert provider.family in FAMILIES
    assert re.match(r"https?://|\{[a-z_]+\}", provider.base_url)
    assert provider.env_keys
    assert "text" in provider.capabilities
    assert not provider.deferred_to


def test_r04_families_in_use_are_those_of_the_requirements() -> None:
    used = {CATALOG.provider(name).family for name in CANONICAL}
    named = {
        "anthropic-messages",
        "openai-completions",
        "openai-responses",
        "google-generative-ai",
        "google-vertex",
        "cohere-chat",
        "bedrock-converse",
    }
    own = {"azure-openai", "sap-ai-core", "github-copilot", "gitlab-duo"}
    assert used == named | own


@pytest.mark.parametrize(("name", "family", "base", "keys"), PRESETS, ids=[row[0] for row in PRESETS])
def test_r05_r16_to_r22_a_preset_is_base_url_family_scheme_and_keys(
    name: str, family: str, base: str, keys: str
) -> None:
    provider = CATALOG.provider(name)
    assert provider.base_url == base
    assert ",".join(provider.env_keys) == keys
    filled = {"account_id": "acc", "gateway_id": "gw"}
    if family == "anthropic":
        assert (provider.family, provider.credential, provider.credential_name) == (
            "anthropic-messages",
            "header",
            "x-api-key",
        )
        assert url_of(name) == base
        assert base.endswith("/v1/messages")
    else:
        assert (provider.family, provider.credential) == ("openai-completions", "bearer")
        expected = base.rstrip("/").replace("{account_id}", "acc").replace("{gateway_id}", "gw")
        assert url_of(name, **filled) == f"{expected}/chat/completions"
    assert provider.streaming


def test_r05_to_r22_every_preset_is_in_the_table() -> None:
    assert {row[0] for row in PRESETS} == set(CANONICAL) - set(NATIVE) - set(ADAPTERS)


def test_r06_anthropic() -> None:
    provider = CATALOG.provider("anthropic")
    assert url_of("anthropic") == "https://api.anthropic.com/v1/messages"
    assert (provider.credential, provider.credential_name) == ("header", "x-api-key")
    assert env("anthropic") == ["ANTHROPIC_API_KEY"]
    assert set(provider.capabilities) == {"text", "image", "thinking", "tool-calls"}


def test_r07_openai_speaks_responses_and_completions() -> None:
    provider = CATALOG.provider("openai")
    assert provider.family == "openai-responses"
    assert url_of("openai") == "https://api.openai.com/v1/responses"
    assert url_of("openai", "openai-completions") == "https://api.openai.com/v1/chat/completions"
    assert choose(OPENAI_CHAT, provider.family, provider.families) == "openai-completions"
    assert (provider.credential, env("openai")) == ("bearer", ["OPENAI_API_KEY"])


def test_r08_a04_google_takes_its_key_in_the_query_gemini_sources_first() -> None:
    provider = CATALOG.provider("google")
    assert (provider.credential, provider.credential_name) == ("query", "key")
    assert env("google") == ["GEMINI_API_KEY", "GOOGLE_API_KEY"]
    assert provider.base_url == "https://generativelanguage.googleapis.com/v1beta"


def test_r09_google_vertex_with_both_publishers() -> None:
    provider = CATALOG.provider("google-vertex")
    assert env("google-vertex") == ["GOOGLE_CLOUD_API_KEY", "VERTEX_API_KEY"]
    place = "aiplatform.googleapis.com/v1/projects/p/locations"
    assert url_of("google-vertex", project="p") == (
        f"https://us-central1-{place}/us-central1/publishers/google/models/a-model:generateContent"
    )
    assert url_of("google-vertex", project="p", location="global") == (
        f"https://{place}/global/publishers/google/models/a-model:generateContent"
    )
    assert url_of("google-vertex", "google-vertex-anthropic", project="p", location="europe-west1") == (
        f"https://europe-west1-{place}/europe-west1/publishers/anthropic/models/a-model:rawPredict"
    )
    assert url_of("google-vertex", "openai-completions", project="p", location="global") == (
        f"https://{place}/global/endpoints/openapi/chat/completions"
    )
    names = {variable.name: variable for variable in provider.variables}
    assert names["project"].env[:2] == ("GOOGLE_CLOUD_PROJECT", "VERTEX_PROJECT")
    assert names["location"].env[:2] == ("GOOGLE_CLOUD_LOCATION", "VERTEX_LOCATION")
    assert names["location"].default == "us-central1"
    assert names["publisher"].default == "google"


def test_r10_cohere() -> None:
    assert url_of("cohere") == "https://api.cohere.com/v2/chat"
    assert (CATALOG.provider("cohere").credential, env("cohere")) == ("bearer", ["COHERE_API_KEY"])


def test_r11_azure_has_two_host_forms_and_three_variables() -> None:
    provider = CATALOG.provider("azure-openai")
    path = "/openai/deployments/d/chat/completions?api-version=2024-02-15-preview"
    assert url_of("azure-openai", resource="r", deployment="d") == f"https://r.openai.azure.com{path}"
    other = url_of("azure-openai", resource="r", deployment="d", domain="cognitiveservices.azure.com")
    assert other == f"https://r.cognitiveservices.azure.com{path}"
    assert (provider.credential, provider.credential_name) == ("header", "api-key")
    names = {variable.name: variable for variable in provider.variables}
    assert names["resource"].env[0] == "AZURE_OPENAI_RESOURCE"
    assert names["deployment"].env == ("AZURE_OPENAI_DEPLOYMENT",)
    assert names["api_version"].env == ("AZURE_OPENAI_API_VERSION",)


def test_r12_a15_bedrock_bearer_token_before_key_pair() -> None:
    assert env("amazon-bedrock") == [
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ]
    provider = CATALOG.provider("amazon-bedrock")
    assert provider.credential == "sigv4"
    assert url_of("amazon-bedrock") == "https://bedrock-runtime.us-east-1.amazonaws.com/model/a-model/converse"
    assert provider.variables[0].env == ("AWS_REGION", "AWS_DEFAULT_REGION")
    assert set(provider.capabilities) == {"text", "tool-calls"}


def test_r13_sap_ai_core() -> None:
    provider = CATALOG.provider("sap-ai-core")
    assert provider.credential == "oauth2-client"
    assert env("sap-ai-core") == [
        "AICORE_SERVICE_KEY",
        "SAP_AI_CORE_CLIENT_ID",
        "SAP_AI_CORE_CLIENT_SECRET",
        "SAP_AI_CORE_TOKEN_URL",
        "SAP_AI_CORE_SERVICE_URL",
    ]
    assert provider.base_url == "{service_url}"


def test_r14_a05_github_copilot() -> None:
    provider = CATALOG.provider("github-copilot")
    assert (provider.base_url, provider.credential) == ("https://api.githubcopilot.com", "copilot")
    assert env("copilot") == ["COPILOT_GITHUB_TOKEN", "GITHUB_COPILOT_API_KEY", "GH_TOKEN", "GITHUB_TOKEN"]


def test_r15_x07_gitlab_has_text_only_and_does_not_stream() -> None:
    provider = CATALOG.provider("gitlab")
    assert provider.capabilities == ("text",)
    assert not provider.streaming
    assert (provider.credential, env("gitlab")) == ("bearer", ["GITLAB_TOKEN", "GITLAB_API_KEY"])
    assert url_of("gitlab") == "https://gitlab.com/api/v4/chat/completions"
    assert url_of("gitlab", instance="https://git.example") == "https://git.example/api/v4/chat/completions"


@pytest.mark.parametrize(("alias", "canonical"), (ALIASES | ALIASES_OF_OTHERS).items())
def test_r23_r24_r26_r27_r28_a02_a12_an_alias_is_its_canonical_id(alias: str, canonical: str) -> None:
    assert CATALOG.provider(alias) is CATALOG.provider(canonical)
    assert CATALOG.provider(alias).id == canonical


def test_r23_the_table_has_fourteen_aliases() -> None:
    assert len(ALIASES) == 14


def test_r25_aliases_carry_no_end_date() -> None:
    """An alias is a bare name: there is no place where a deprecation could be written."""
    assert all(isinstance(alias, str) for provider in CATALOG.providers for alias in provider.aliases)


def test_r26_no_alias_is_the_id_or_alias_of_another() -> None:
    names = [name for provider in CATALOG.providers for name in (provider.id, *provider.aliases)]
    assert len(names) == len(set(names))


def test_r29_openrouter_short_names() -> None:
    assert CATALOG.fact("openrouter", "gpt-4o-mini").id == "openai/gpt-4o-mini"
    assert CATALOG.fact("openrouter", "claude-3.5-sonnet").id == "anthropic/claude-3.5-sonnet"


def test_r30_kimi_is_not_kimi_for_coding() -> None:
    assert CATALOG.provider("kimi").id == "moonshotai"
    assert CATALOG.provider("moonshotai").family == "openai-completions"
    assert CATALOG.provider("kimi-for-coding").family == "anthropic-messages"
    assert env("kimi-for-coding") == ["KIMI_API_KEY"]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("alibaba", "alibaba-cn", "DASHSCOPE_API_KEY"),
        ("moonshotai", "moonshotai-cn", "MOONSHOT_API_KEY"),
    ],
)
def test_r31_r32_regions_share_a_key_name_and_nothing_else(one: str, other: str, shared: str) -> None:
    assert url_of(one) != url_of(other)
    assert shared in env(one)
    assert env(other) == [shared]


def test_r33_siliconflow_has_two_hosts_and_two_keys() -> None:
    assert url_of("siliconflow").startswith("https://api.siliconflow.com/")
    assert url_of("siliconflow-cn").startswith("https://api.siliconflow.cn/")
    assert set(env("siliconflow")).isdisjoint(env("siliconflow-cn"))


def test_r34_a03_zai_and_zhipuai_are_four_ids_with_one_key_family() -> None:
    ids = ["zai", "zai-coding-plan", "zhipuai", "zhipuai-coding-plan"]
    assert len({url_of(name) for name in ids}) == 4
    assert all(env(name) == ["ZAI_API_KEY", "Z_AI_API_KEY", "ZHIPU_API_KEY"] for name in ids)


def test_r35_minimax_is_four_ids_two_hosts_two_keys() -> None:
    ids = ["minimax", "minimax-cn", "minimax-coding-plan", "minimax-cn-coding-plan"]
    assert len({CATALOG.provider(name).id for name in ids}) == 4
    assert len({url_of(name) for name in ids}) == 2
    assert [env(name) for name in ids] == [["MINIMAX_API_KEY"], ["MINIMAX_CN_API_KEY"]] * 2


def test_r36_ollama_is_not_its_cloud_and_vertex_is_not_google() -> None:
    assert CATALOG.provider("ollama") is not CATALOG.provider("ollama-cloud")
    assert "OLLAMA_API_KEY" not in env("ollama")
    assert CATALOG.provider("google-vertex") is not CATALOG.provider("google")


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ("kimi", ["MOONSHOT_API_KEY", "KIMI_API_KEY"]),
        ("moonshot", ["MOONSHOT_API_KEY", "KIMI_API_KEY"]),
        ("qwen", ["DASHSCOPE_API_KEY", "QWEN_API_KEY"]),
        ("huggingface", ["HUGGINGFACE_HUB_TOKEN", "HF_TOKEN", "HUGGINGFACE_API_KEY"]),
        ("opencode", ["OPENCODE_API_KEY", "OPENCODE_ZEN_API_KEY"]),
    ],
)
def test_r39_a06_a07_m20_key_names_in_their_order_also_through_an_alias(asked: str, keys: list[str]) -> None:
    assert env(asked) == keys


@pytest.mark.parametrize(("name", "nearest"), [("v0", "vercel"), ("local", "lmstudio")])
def test_r46_r47_a_deferred_id_names_the_nearest_that_works(name: str, nearest: str) -> None:
    provider = CATALOG.provider(name)
    assert provider.deferred_to == nearest
    assert provider.deferred_reason
    assert not CATALOG.provider(nearest).deferred_to


def test_r46_the_other_ids_once_deferred_are_served_now() -> None:
    """Vertex' Anthropic publisher and Cognitive Services work through aliases, ollama is a preset (A-14)."""
    for name in ("google-vertex-anthropic", "azure-cognitive-services", "ollama"):
        assert not CATALOG.provider(name).deferred_to
