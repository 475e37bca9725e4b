"""Providers that need no entry of one's own, those with a place to fill in, and what the catalog refuses to say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from catalog_lists import CATALOG, env, url_of
from providers.catalog import BadCatalog, read
from providers.hosts import UnfilledVariable

BUILT_IN = {
    "openai": ["OPENAI_API_KEY"],
    "anthropic": ["ANTHROPIC_API_KEY"],
    "opencode": ["OPENCODE_API_KEY", "OPENCODE_ZEN_API_KEY"],
    "google": ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    "zai": ["ZAI_API_KEY", "Z_AI_API_KEY", "ZHIPU_API_KEY"],
    "vercel-ai-gateway": ["AI_GATEWAY_API_KEY"],
    "openrouter": ["OPENROUTER_API_KEY"],
    "xai": ["XAI_API_KEY"],
    "groq": ["GROQ_API_KEY"],
    "cerebras": ["CEREBRAS_API_KEY"],
    "mistral": ["MISTRAL_API_KEY"],
    "openai-codex": [],
    "google-antigravity": [],
    "google-gemini-cli": [],
}


@pytest.mark.parametrize(("name", "keys"), BUILT_IN.items())
def test_m19_m20_built_in_providers_and_their_variables(name: str, keys: list[str]) -> None:
    assert env(name) == keys


def test_m19_openai_codex_vertex_and_setup_tokens_have_their_scheme() -> None:
    assert CATALOG.provider("openai-codex").credential == "device-code"
    assert CATALOG.provider("google-vertex").credential == "google-adc"
    assert CATALOG.provider("anthropic").quirks["bearer_prefixes"] == ["sk-ant-oat"]


@pytest.mark.parametrize("name", ["google-antigravity", "google-gemini-cli", "qwen-portal"])
def test_m21_m22_m28_signed_in_providers_are_off_and_hold_no_client_secret(name: str) -> None:
    provider = CATALOG.provider(name)
    assert not provider.enabled
    assert provider.credential == ("device-code" if name == "qwen-portal" else "google-login")
    assert not any("secret" in key.lower() for key in (*provider.env_keys, *provider.quirks))


def test_m23_m34_a08_families_beside_the_first_have_their_own_base_url() -> None:
    assert url_of("synthetic", "anthropic-messages") == "https://api.synthetic.new/anthropic/v1/messages"
    assert url_of("synthetic") == "https://api.synthetic.new/v1/chat/completions"
    assert url_of("vercel", "anthropic-messages") == "https://ai-gateway.vercel.sh/v1/messages"
    assert url_of("xiaomi", "anthropic-messages") == "https://api.xiaomimimo.com/anthropic/v1/messages"
    assert set(CATALOG.provider("opencode").families) == {
        "openai-responses",
        "anthropic-messages",
        "google-generative-ai",
    }
    assert url_of("opencode", "anthropic-messages") == "https://opencode.ai/zen/v1/messages"


def test_m24_no_key_lies_in_the_catalog() -> None:
    """Variables are named; nothing in the catalog is a key or could be mistaken for one."""
    for provider in CATALOG.providers:
        assert all(re.fullmatch(r"[A-Z0-9_]+", name) for name in provider.env_keys)


def test_m26_moonshot() -> None:
    assert url_of("moonshot") == "https://api.moonshot.ai/v1/chat/completions"
    assert env("moonshot")[0] == "MOONSHOT_API_KEY"


def test_m27_m35_anthropic_shaped_hosts() -> None:
    assert url_of("kimi-coding") == "https://api.kimi.com/coding/v1/messages"
    assert CATALOG.provider("minimax").family == "anthropic-messages"


@pytest.mark.parametrize(
    ("name", "base", "key"),
    [
        ("volcengine", "https://ark.cn-beijing.volces.com/api/v3", "VOLCANO_ENGINE_API_KEY"),
        ("volcengine-plan", "https://ark.cn-beijing.volces.com/api/coding/v3", "VOLCANO_ENGINE_API_KEY"),
        ("byteplus", "https://ark.ap-southeast.bytepluses.com/api/v3", "BYTEPLUS_API_KEY"),
        ("byteplus-plan", "https://ark.ap-southeast.bytepluses.com/api/coding/v3", "BYTEPLUS_API_KEY"),
    ],
)
def test_m29_to_m33_plain_and_plan_share_a_key_and_nothing_else(name: str, base: str, key: str) -> None:
    assert url_of(name) == f"{base}/chat/completions"
    assert env(name) == [key]


def test_m36_a14_ollama_needs_no_key_and_lives_on_this_machine() -> None:
    provider = CATALOG.provider("ollama")
    assert (provider.keyless, provider.credential, env("ollama")) == (True, "none", [])
    assert url_of("ollama") == "http://127.0.0.1:11434/v1/chat/completions"
    assert CATALOG.account("ollama").private_network


def test_m37_vllm_has_an_optional_key() -> None:
    provider = CATALOG.provider("vllm")
    assert (provider.keyless, provider.credential, env("vllm")) == (True, "bearer", ["VLLM_API_KEY"])
    assert url_of("vllm") == "http://127.0.0.1:8000/v1/chat/completions"
    assert CATALOG.account("vllm").private_network


@pytest.mark.parametrize("name", ["lmstudio", "litellm", "privatemode-ai"])
def test_m38_local_proxies_may_reach_loopback(name: str) -> None:
    assert CATALOG.account(name).private_network
    assert CATALOG.provider(name).family == "openai-completions"


def test_m39_only_local_accounts_may_reach_loopback() -> None:
    private = {account.name for account in CATALOG.accounts if account.private_network}
    assert private == {"lmstudio", "ollama", "vllm", "litellm", "privatemode-ai", "sandbox", "io.net"}
    assert all(
        CATALOG.provider(account.provider).base_url.startswith(("https://", "{"))
        for account in CATALOG.accounts
        if not account.private_network
    )


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("azure-openai", "resource"),
        ("cloudflare-ai-gateway", "account_id"),
        ("cloudflare-workers-ai", "account_id"),
        ("google-vertex", "project"),
        ("sap-ai-core", "service_url"),
    ],
)
def test_a26_r22_an_unfilled_template_is_never_a_url(name: str, missing: str) -> None:
    with pytest.raises(UnfilledVariable) as error:
        url_of(name)
    assert error.value.name == missing


def test_c29_cloudflare_paths() -> None:
    filled = {"account_id": "a", "gateway_id": "g"}
    assert url_of("cloudflare-ai-gateway", **filled).endswith("/v1/a/g/openai/chat/completions")
    assert url_of("cloudflare-ai-gateway", "anthropic-messages", **filled).endswith("/v1/a/g/anthropic/v1/messages")


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("openai", "OPENAI"), ("anthropic", "ANTHROPIC"), ("google", "GEMINI"), ("zai-coding-plan", "ZAI_CODING_PLAN")],
)
def test_m17_c02_rotation_prefixes(name: str, prefix: str) -> None:
    assert CATALOG.provider(name).rotation_prefix == prefix


def test_quirk_mistral_refuses_stream_options() -> None:
    assert CATALOG.provider("mistral").quirks["stream_usage"] is False


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[provider]]\nid = "a"\nnaem = "A"', "unknown field `naem`"),
        ("[[provider]", "Expected"),
        ('[[prefix]]\nprefix = "x-"\nprovider = "nobody"', "unknown provider 'nobody'"),
        ('[[account]]\nname = "x"\nprovider = "y"\n[[account]]\nname = "x"\nprovider = "y"', "account 'x' occurs 2"),
        ('[[public_model]]\nname = "m"\nroutes = [{ account = "x", model = "y" }]', "unknown account 'x'"),
    ],
)
def test_x01_a_catalog_that_contradicts_itself_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(BadCatalog) as error:
        read([file])
    assert problem in str(error.value)
