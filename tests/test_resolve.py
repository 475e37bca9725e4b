"""A model name leads where the order of meanings says."""

from __future__ import annotations

import pytest

from tests.panels import BEDROCK_PREFIXES, OPENAI_PREFIXES, Panel, panel, place, refusal


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # a public name before everything else, though it looks like a provider (P-12)
        ("openai", ("zai", "glm-4.7")),
        ("mistral", ("google", "mistral-small")),
        ("gpt-best", ("openai", "gpt-4o-2024-08-06")),
        ("best", ("openai", "gpt-4o-2024-08-06")),
        ("  gpt-best ", ("openai", "gpt-4o-2024-08-06")),
        # provider/model, divided at the first slash (M-01, M-02)
        ("openai/gpt-5.1-codex", ("openai", "gpt-5.1-codex")),
        ("openai/openai", ("openai", "openai")),
        ("vercel-ai-gateway/anthropic/claude-opus-4.6", ("vercel", "anthropic/claude-opus-4.6")),
        ("openrouter/anthropic/claude-sonnet-4-5", ("openrouter", "anthropic/claude-sonnet-4-5")),
        ("openrouter/hf:MiniMaxAI/MiniMax-M2.1", ("openrouter", "hf:MiniMaxAI/MiniMax-M2.1")),
        ("google/claude-sonnet-4-5@20250929", ("google", "claude-sonnet-4-5@20250929")),
        # provider names in any form (M-07, C-07)
        ("z.ai/glm-4.7", ("zai", "glm-4.7")),
        ("z-ai/glm-4.7", ("zai", "glm-4.7")),
        ("Z.AI/glm-4.7", ("zai", "glm-4.7")),
        ("ZAI/GLM-4.7", ("zai", "GLM-4.7")),
        # a provider's own short ids
        ("openrouter/gpt-4o-mini", ("openrouter", "openai/gpt-4o-mini")),
        ("openrouter/openai/gpt-4o-mini", ("openrouter", "openai/gpt-4o-mini")),
        # prefixes: what is stripped (F-06, F-08) and what is part of the id
        ("deepseek/deepseek-chat", ("deepseek", "deepseek-chat")),
        ("theta/gpt_oss_120b", ("theta", "gpt_oss_120b")),
        (
            "bedrock/anthropic.claude-3-sonnet-20240229-v1:0",
            ("amazon-bedrock", "anthropic.claude-3-sonnet-20240229-v1:0"),
        ),
        ("anthropic.claude-3-sonnet-20240229-v1:0", ("amazon-bedrock", "anthropic.claude-3-sonnet-20240229-v1:0")),
        ("meta.llama3-1-8b-instruct-v1:0", ("amazon-bedrock", "meta.llama3-1-8b-instruct-v1:0")),
        ("claude-3-5-sonnet", ("anthropic", "claude-3-5-sonnet")),
        ("gemini-pro", ("google", "gemini-pro")),
        # bare o1 matches whatever starts so (F-12); gpt-oss goes to openai (F-11)
        ("o1", ("openai", "o1")),
        ("o1mini", ("openai", "o1mini")),
        ("o3x", ("openai", "o3x")),
        ("gpt-oss-120b", ("openai", "gpt-oss-120b")),
    ],
)
def test_a_name_leads_where_the_order_says(name, expected):
    assert place(panel().freeze(), name) == expected


@pytest.mark.parametrize("prefix", OPENAI_PREFIXES)
def test_f02_each_openai_prefix(prefix):
    assert place(panel().freeze(), f"{prefix}zz9") == ("openai", f"{prefix}zz9")


@pytest.mark.parametrize("prefix", BEDROCK_PREFIXES)
def test_f05_each_bedrock_prefix(prefix):
    assert place(panel().freeze(), f"{prefix}zz9") == ("amazon-bedrock", f"{prefix}zz9")


def test_f09_the_longest_prefix_wins():
    made = panel().provider("other").account("other").prefix("gpt-best-", "other").prefix("gpt-b", "google").freeze()
    assert place(made, "gpt-best-7") == ("other", "gpt-best-7")
    assert place(made, "gpt-b7") == ("google", "gpt-b7")
    assert place(made, "gpt-7") == ("openai", "gpt-7")


@pytest.mark.parametrize(
    "name", ["GPT-4o", "Claude-3", "Gemini-pro", "us.anthropic.claude-3", "global.anthropic.x", "llama"]
)
def test_f09_f10_case_counts_and_what_matches_nothing_is_refused(name):
    error = refusal(panel().freeze(), name)
    assert error.code == "model_not_found" and name in error.message


@pytest.mark.parametrize(
    "name", ["openai/", "/gpt-4o", "bedrock/", "theta/ ", "/", "a/b", "bad name", "gpt-4o\n", "x" * 300]
)
def test_halves_and_odd_names_are_refused(name):
    made = (
        Panel().provider("openai").account("openai").prefix("bedrock/", "openai", True).prefix("theta/", "openai", True)
    )
    code = refusal(made.freeze(), name).code if name.strip() != "gpt-4o" else "model_not_found"
    assert code == "model_not_found"


def test_no_character_outside_a_model_name_reaches_an_upstream():
    made = panel().freeze()
    for bad in (
        'openai/x"y',
        "openai/a b",
        "openai/é",
        "openai/\u202ex",
        "openai/x\x00",
        "openai/../x?y",
        "gpt-4o?x=1",
    ):
        assert refusal(made, bad).code == "model_not_found"


def test_a_switched_off_public_model_shadows_what_its_name_would_mean_else():
    made = panel().model("gpt-4o", ("zai", "glm"), enabled=False).freeze()
    error = refusal(made, "gpt-4o")
    assert error.code == "model_not_found" and "switched off" in error.message


def test_a_public_name_the_project_may_not_see_is_passed_over():
    made = panel().model("gpt-4o", ("zai", "glm")).project(["openai/*"]).freeze()
    assert place(made, "gpt-4o") == ("openai", "gpt-4o")
