"""Model facts of the catalog: ids, limits, prices in integer micro-USD per million tokens, unknown as unknown."""

from __future__ import annotations

from collections import Counter

import pytest

from catalog_lists import CATALOG
from providers.entries import FactsEntry
from providers.names import MODEL_NAME
from routing.pricing import cost_micro

MODELS = {
    "m26-moonshot": (
        "moonshot",
        "kimi-k2.5 kimi-k2-0905-preview kimi-k2-turbo-preview kimi-k2-thinking kimi-k2-thinking-turbo",
    ),
    "m27-kimi-coding": ("kimi-coding", "k2p5"),
    "m28-qwen-portal": ("qwen-portal", "coder-model vision-model"),
    "m29-volcengine": (
        "volcengine",
        "doubao-seed-1-8-251228 doubao-seed-code-preview-251028 kimi-k2-5-260127 glm-4-7-251222 deepseek-v3-2-251201",
    ),
    "m30-volcengine-plan": (
        "volcengine-plan",
        "ark-code-latest doubao-seed-code kimi-k2.5 kimi-k2-thinking glm-4.7",
    ),
    "m31-byteplus": ("byteplus", "seed-1-8-251228 kimi-k2-5-260127 glm-4-7-251222"),
    "m32-byteplus-plan": ("byteplus-plan", "ark-code-latest doubao-seed-code kimi-k2.5 kimi-k2-thinking glm-4.7"),
    "m34-synthetic": ("synthetic", "hf:MiniMaxAI/MiniMax-M2.1"),
    "m36-ollama": ("ollama", "llama3.3"),
    "m38-lmstudio": ("lmstudio", "minimax-m2.1-gs32"),
    "m19-openai": ("openai", "gpt-5.1-codex"),
    "m19-anthropic": ("anthropic", "claude-opus-4-6"),
    "m19-openai-codex": ("openai-codex", "gpt-5.3-codex"),
    "m19-opencode": ("opencode", "claude-opus-4-6"),
    "m19-google": ("google", "gemini-3-pro-preview"),
    "m19-zai": ("zai", "glm-4.7"),
    "m19-vercel": ("vercel-ai-gateway", "anthropic/claude-opus-4.6"),
    "m19-openrouter": ("openrouter", "anthropic/claude-sonnet-4-5"),
    "m19-cerebras": ("cerebras", "zai-glm-4.7"),
    "m19-huggingface": ("huggingface", "deepseek-ai/DeepSeek-R1"),
    "f07-theta": ("theta", "llama_3_1_70b llama_3_8b qwen3 gpt_oss_120b minimax_m2_5"),
}


@pytest.mark.parametrize(("provider", "models"), MODELS.values(), ids=MODELS)
def test_m19_to_m38_f07_models_that_are_named_are_known(provider: str, models: str) -> None:
    slug = CATALOG.provider(provider).id
    for model in models.split():
        assert CATALOG.fact(slug, model)


def test_m33_a_plan_knows_no_model_of_the_plain_provider() -> None:
    for plain, plan in (("volcengine", "volcengine-plan"), ("byteplus", "byteplus-plan")):
        ids = [{fact.id for fact in CATALOG.facts if fact.provider == slug} for slug in (plain, plan)]
        assert ids[0].isdisjoint(ids[1])


def test_m25_fields_are_optional_and_absent_means_unknown() -> None:
    """The defaults of M-25 are superseded: a price that nobody published is not 0 (A-25)."""
    fact = CATALOG.fact("theta", "qwen3")
    assert (fact.context, fact.max_output, fact.tools, fact.reasoning) == (None, None, fact.tools, fact.reasoning)
    assert (fact.price.input, fact.price.output, fact.price.cache_read, fact.price.cache_write) == (None,) * 4


def test_x08_every_fact_has_a_valid_id_and_a_known_kind() -> None:
    kinds = Counter(fact.kind for fact in CATALOG.facts)
    assert set(kinds) == {"chat", "image", "video", "embedding", "transcription", "chat+image", "speech", "rerank"}
    assert all(MODEL_NAME.match(fact.id) for fact in CATALOG.facts)
    assert len(CATALOG.facts) >= 302


def test_x08_every_fact_says_where_it_is_from() -> None:
    unsourced = [fact for fact in CATALOG.facts if not fact.source]
    assert unsourced == []


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ("openai", "gpt-4o", (2_500_000, 10_000_000, 1_250_000, None)),
        ("openai", "gpt-4o-mini", (150_000, 600_000, 75_000, None)),
        ("anthropic", "claude-opus-4-5", (5_000_000, 25_000_000, 500_000, 6_250_000)),
        ("google", "gemini-1.5-flash", (75_000, 300_000, 18_750, None)),
        ("deepseek", "deepseek-v4-pro", (435_000, 870_000, 3_625, None)),
        ("scaleway", "qwen3-coder-30b-a3b-instruct", (200_000, 800_000, None, None)),
        ("perplexity", "sonar", (1_000_000, 1_000_000, None, None)),
        ("amazon-bedrock", "amazon.nova-micro-v1:0", (35_000, 140_000, 8_750, None)),
        ("azure-openai", "gpt-5-mini-2025-08-07", (250_000, 2_000_000, 30_000, None)),
        ("zai", "glm-4.5-flash", (0, 0, 0, 0)),
        ("sandbox", "echo", (0, 0, None, None)),
    ],
)
def test_prices_are_exact_integers(provider: str, model: str, price: tuple[int | None, ...]) -> None:
    known = CATALOG.fact(provider, model).price
    assert (known.input, known.output, known.cache_read, known.cache_write) == price


def test_a25_a_cached_price_of_nothing_beside_a_real_one_is_unknown() -> None:
    """Sources write 0 where they know no cached price: taken at its word, cached tokens would be given away."""
    for fact in CATALOG.facts:
        if fact.price.input:
            assert fact.price.cache_read != 0
            assert fact.price.cache_read is None or fact.price.cache_read <= fact.price.input


def test_a25_limits_that_sources_give_as_zero_or_as_vector_length_are_unknown() -> None:
    for fact in CATALOG.facts:
        assert fact.context is None or fact.context > 0
        assert fact.max_output is None or fact.max_output > 0
        if fact.kind == "embedding":
            assert fact.max_output is None


@pytest.mark.parametrize("provider", ["kimi-for-coding", "zai-coding-plan", "openai-codex"])
def test_a25_a_subscription_has_no_price_per_token(provider: str) -> None:
    for fact in CATALOG.facts:
        if fact.provider == provider:
            assert (fact.price.input, fact.price.output) == (None, None)


def test_a25_the_price_engine_says_unknown_where_the_catalog_does() -> None:
    class Spent:
        input, output, cache_read, cache_write, reasoning, images = 1000, 500, 0, 0, 0, None

    def entry(provider: str, model: str) -> FactsEntry:
        price = CATALOG.fact(provider, model).price
        return FactsEntry(
            provider,
            model,
            price_input=price.input,
            price_output=price.output,
            price_cache_read=price.cache_read,
            price_cache_write=price.cache_write,
        )

    assert cost_micro(entry("theta", "qwen3"), Spent()) is None
    assert cost_micro(entry("sandbox", "echo"), Spent()) == 0
    assert cost_micro(entry("openai", "gpt-4o"), Spent()) == 2500 + 5000


@pytest.mark.parametrize(
    ("model", "family"),
    [("claude-opus-4-6", "anthropic-messages"), ("gpt-5.1-codex", "openai-responses"), ("glm-4.7", "")],
)
def test_c32_a08_opencode_has_a_family_per_model(model: str, family: str) -> None:
    assert CATALOG.fact("opencode", model).family == family


def test_c32_opencode_says_which_names_have_which_family() -> None:
    assert CATALOG.provider("opencode").quirks["family_by_prefix"] == {
        "claude-": "anthropic-messages",
        "minimax-m2.1-free": "anthropic-messages",
        "gpt-5": "openai-responses",
        "gemini-3-": "google-generative-ai",
    }


@pytest.mark.parametrize(
    ("provider", "short", "full"),
    [
        ("anthropic", "opus-4.6", "claude-opus-4-6"),
        ("anthropic", "sonnet-4.5", "claude-sonnet-4-5"),
        ("anthropic", "haiku-4.5", "claude-haiku-4-5"),
        ("google", "gemini-3-pro", "gemini-3-pro-preview"),
        ("google", "gemini-3-flash", "gemini-3-flash-preview"),
    ],
)
def test_c07_short_model_names(provider: str, short: str, full: str) -> None:
    assert CATALOG.fact(provider, short).id == full


def test_c37_kimi_on_vertex_goes_through_the_openai_shaped_endpoint() -> None:
    assert CATALOG.fact("google-vertex", "moonshotai/kimi-k2-thinking-maas").family == "openai-completions"
    provider = CATALOG.provider("google-vertex")
    assert provider.families["openai-completions"].endswith("/locations/{location}/endpoints/openapi")
    assert provider.quirks["by_family"]["openai-completions"] == {"location": "global"}


def test_c41_media_prices_are_per_what_they_are_sold_by() -> None:
    assert CATALOG.fact("pollinations", "flux").other_price == {"per_image": 120}
    assert CATALOG.fact("pollinations", "veo").other_price == {"per_second": 150_000}
    assert CATALOG.fact("pollinations", "flux").price.output is None


@pytest.mark.parametrize("route", [model.name for model in CATALOG.public_models if model.service == "text"])
def test_prices_of_mapped_text_models_are_those_of_their_account_or_unknown(route: str) -> None:
    """What a public model costs is looked up under the provider and id it is patched to, so these must be known."""
    patched = CATALOG.public_model(route).routes[0]
    provider = CATALOG.account(patched.account).provider
    unpublished = {"openai-audio", "perplexity-reasoning"}
    if route in unpublished:
        with pytest.raises(KeyError):
            CATALOG.fact(provider, patched.model)
    else:
        assert CATALOG.fact(provider, patched.model).price.input is not None
