"""The prefix table and the listed models that must route by it (F-01 to F-16), as data and through the resolver."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from catalog_lists import CATALOG
from keys.models import Project
from routing.build import build
from routing.candidates import Unresolved
from routing.loading import load_catalog
from routing.snapshot import Snapshot
from tests.panels import planned

PREFIXES = {
    "openai": "gpt- o1 o1- o3 o3- o4 o4- chatgpt- text-embedding- whisper- dall-e- tts-",
    "anthropic": "claude-",
    "google": "gemini-",
    "amazon-bedrock": "bedrock/ anthropic. amazon. meta. mistral. cohere. ai21.",
    "deepseek": "deepseek/",
    "theta": "theta/",
}
LISTED = {
    "openai": "gpt-4o gpt-4o-mini gpt-4-turbo gpt-3.5-turbo o1 o1-mini o3 o3-mini",
    "anthropic": "claude-sonnet-4 claude-opus-4 claude-haiku-4-5 claude-3-5-sonnet claude-3-opus claude-3-5-haiku "
    "claude-3-haiku",
    "google": "gemini-2.5-flash gemini-2.5-pro gemini-2.0-flash gemini-1.5-pro gemini-1.5-flash gemini-pro",
    "amazon-bedrock": "bedrock/anthropic.claude-3-sonnet-20240229-v1:0 anthropic.claude-3-sonnet-20240229-v1:0 "
    "amazon.titan-text-express-v1 meta.llama3-1-8b-instruct-v1:0 mistral.mistral-7b-instruct-v0:2 "
    "cohere.command-r-plus-v1:0 ai21.jamba-1-5-mini-v1:0",
    "deepseek": "deepseek/deepseek-chat deepseek/deepseek-reasoner",
    "theta": "theta/llama_3_1_70b theta/llama_3_8b theta/qwen3 theta/gpt_oss_120b theta/minimax_m2_5",
}
CASES = [(name, provider) for provider, names in LISTED.items() for name in names.split()]


@cache
def first_load() -> tuple[Snapshot, int]:
    """The snapshot of a fresh installation and the project that asks, made once for all tests."""
    load_catalog()
    project = Project.objects.create(name="asks").pk
    return build(), project


@pytest.fixture
def snapshot(db: None) -> Any:
    return first_load()


def goes_to(snapshot: Any, name: str) -> tuple[str, str]:
    """Provider and upstream model of the first candidate."""
    built, project = snapshot
    first = planned(built, project, name).candidates[0]
    return first.provider.slug, first.upstream_model


@pytest.mark.parametrize(("provider", "prefixes"), PREFIXES.items())
def test_f02_to_f07_the_table(provider: str, prefixes: str) -> None:
    assert {row.prefix for row in CATALOG.prefixes if row.provider == provider} == set(prefixes.split())


def test_f06_f07_f08_only_the_slashed_prefixes_are_taken_off() -> None:
    assert {row.prefix for row in CATALOG.prefixes if row.strip} == {"deepseek/", "theta/", "bedrock/"}


@pytest.mark.parametrize(("name", "provider"), CASES)
def test_f01_f13_f14_f07_listed_models_route(snapshot: Any, name: str, provider: str) -> None:
    assert goes_to(snapshot, name)[0] == provider


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("deepseek/deepseek-chat", ("deepseek", "deepseek-chat")),
        ("theta/llama_3_1_70b", ("theta", "llama_3_1_70b")),
        (
            "bedrock/anthropic.claude-3-sonnet-20240229-v1:0",
            ("amazon-bedrock", "anthropic.claude-3-sonnet-20240229-v1:0"),
        ),
        ("amazon.titan-text-express-v1", ("amazon-bedrock", "amazon.titan-text-express-v1")),
        ("gpt-9-not-yet-known", ("openai", "gpt-9-not-yet-known")),
    ],
)
def test_f01_f06_f08_what_is_forwarded(snapshot: Any, name: str, expected: tuple[str, str]) -> None:
    assert goes_to(snapshot, name) == expected


@pytest.mark.parametrize(
    ("name", "provider"),
    [("o1-mini", "openai"), ("anthropic.claude-x", "amazon-bedrock"), ("claude-x", "anthropic")],
)
def test_f03_f09_longest_prefix_wins(snapshot: Any, name: str, provider: str) -> None:
    assert goes_to(snapshot, name)[0] == provider


@pytest.mark.parametrize("name", ["GPT-4o", "Claude-3-opus", "us.anthropic.claude-x", "llama-3", "unheard-of"])
def test_f09_f10_other_case_or_no_prefix_is_refused(snapshot: Any, name: str) -> None:
    with pytest.raises(Unresolved) as error:
        goes_to(snapshot, name)
    assert error.value.code == "model_not_found"
    assert name in error.value.message


def test_f10_auto_is_no_prefix_match(snapshot: Any) -> None:
    with pytest.raises(Unresolved) as error:
        goes_to(snapshot, "auto")
    assert error.value.code == "auto_not_configured"


def test_f11_gpt_oss_goes_to_openai_and_only_theta_slash_to_theta(snapshot: Any) -> None:
    assert goes_to(snapshot, "gpt-oss-120b")[0] == "openai"
    assert goes_to(snapshot, "theta/gpt_oss_120b") == ("theta", "gpt_oss_120b")


@pytest.mark.parametrize("name", ["o1mini", "o3x", "o4x"])
def test_f12_bare_prefixes_match_whatever_follows(snapshot: Any, name: str) -> None:
    assert goes_to(snapshot, name) == ("openai", name)


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("claude-sonnet-4", "claude-sonnet-4-0"),
        ("claude-opus-4", "claude-opus-4-0"),
        ("claude-3-5-sonnet", "claude-3-5-sonnet-20241022"),
        ("claude-3-5-haiku", "claude-3-5-haiku-latest"),
        ("claude-3-opus", "claude-3-opus-20240229"),
        ("claude-3-haiku", "claude-3-haiku-20240307"),
    ],
)
def test_f15_undated_claude_ids_reach_the_vendor_under_its_own_id(snapshot: Any, name: str, vendor: str) -> None:
    assert goes_to(snapshot, name) == ("anthropic", vendor)


def test_r29_short_names_reach_openrouter_under_the_vendors_id(snapshot: Any) -> None:
    assert goes_to(snapshot, "openrouter/gpt-4o-mini") == ("openrouter", "openai/gpt-4o-mini")
    assert goes_to(snapshot, "openrouter/anthropic/claude-sonnet-4-5") == ("openrouter", "anthropic/claude-sonnet-4.5")


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("vercel-ai-gateway/anthropic/claude-opus-4.6", ("vercel", "anthropic/claude-opus-4.6")),
        ("synthetic/hf:MiniMaxAI/MiniMax-M2.1", ("synthetic", "hf:MiniMaxAI/MiniMax-M2.1")),
        ("huggingface/deepseek-ai/DeepSeek-R1", ("huggingface", "deepseek-ai/DeepSeek-R1")),
        ("z.ai/glm-4.7", ("zai", "glm-4.7")),
        ("kimi-coding/k2p5", ("kimi-for-coding", "k2p5")),
        ("azure/gpt-5-mini-2025-08-07", ("azure-openai", "gpt-5-mini-2025-08-07")),
        ("mistral/mistral-small-latest", ("mistral", "mistral-small-latest")),
    ],
)
def test_m02_m07_r24_refs_reach_the_canonical_provider(snapshot: Any, ref: str, expected: tuple[str, str]) -> None:
    assert goes_to(snapshot, ref) == expected


@pytest.mark.parametrize(("name", "nearest"), [("v0/v0-1.5-md", "vercel"), ("local/anything", "lmstudio")])
def test_r47_a_deferred_provider_answers_with_the_nearest_alternative(snapshot: Any, name: str, nearest: str) -> None:
    with pytest.raises(Unresolved) as error:
        goes_to(snapshot, name)
    assert error.value.code == "provider_deferred"
    assert nearest in error.value.message


def test_m21_a_signed_in_provider_is_off_until_an_operator_turns_it_on(snapshot: Any) -> None:
    with pytest.raises(Unresolved) as error:
        goes_to(snapshot, "google-antigravity/gemini-3-pro")
    assert error.value.code == "no_candidate"


def test_f16_a20_theta_does_not_stream() -> None:
    theta = CATALOG.provider("theta")
    assert not theta.streaming
    assert theta.credential == "bearer"
    assert theta.quirks["alternative_credential"]["credential_name"] == "x-theta-api-key"
    assert CATALOG.provider("theta").env_keys == ("THETA_API_KEY",)


def test_x03_provider_names_that_are_public_models_too(snapshot: Any) -> None:
    assert goes_to(snapshot, "openai")[0] == "azure-openai"
    assert goes_to(snapshot, "mistral")[0] == "scaleway"
    assert goes_to(snapshot, "deepseek")[0] == "azure-openai"
