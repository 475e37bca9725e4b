"""Converse requests: thinking, sampling and the rest, in the terms of each maker's models."""

from __future__ import annotations

from typing import Any

import pytest

from providers.dialects.canon import (
    Message,
    Reasoning,
    Request,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.converse import (
    CLAUDE_37,
    GPT,
    LLAMA,
    NOVA,
    NOVA_2,
    OPUS,
    SONNET,
    TIME,
    WEATHER,
    asked,
    refused,
    written,
)


def thought(request: Request, model: str, **more: Any) -> tuple[Any, Any, tuple[str, ...]]:
    body, dropped = written(request, model, **more)
    return body.get("additionalModelRequestFields"), body.get("outputConfig"), dropped


@pytest.mark.parametrize(
    ("model", "reasoning", "fields", "output"),
    [
        (SONNET, Reasoning("medium"), {"thinking": {"type": "enabled", "budget_tokens": 8192}}, None),
        (CLAUDE_37, Reasoning(budget=500), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None),
        (SONNET, Reasoning("none"), None, None),
        (SONNET, Reasoning(summary="auto"), None, None),
        (OPUS, Reasoning("xhigh", show=True), {"thinking": {"type": "adaptive", "display": "summarized"}}, "xhigh"),
        (OPUS, Reasoning(budget=9000), {"thinking": {"type": "adaptive"}}, "medium"),
        (OPUS, Reasoning(budget=-1), {"thinking": {"type": "adaptive"}}, None),
        ("anthropic.claude-opus-4-6-v1", Reasoning("xhigh"), {"thinking": {"type": "adaptive"}}, "high"),
        ("anthropic.claude-opus-5", Reasoning("none"), {"thinking": {"type": "disabled"}}, None),
        (NOVA_2, Reasoning("minimal"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None),
        (GPT, Reasoning("max"), {"reasoning_effort": "high"}, None),
        ("qwen.qwen3-32b-v1:0", Reasoning("low"), {"reasoning_config": "low"}, None),
    ],
)
def test_how_much_to_think_in_every_makers_words(model: str, reasoning: Reasoning, fields: Any, output: Any) -> None:
    found = thought(asked(reasoning=reasoning), model)
    assert found == (fields, {"effort": output} if output else None, ())


def test_models_that_do_not_think_are_not_told_to() -> None:
    assert thought(asked(reasoning=Reasoning("high")), NOVA) == (None, None, ("reasoning_effort",))
    assert thought(asked(reasoning=Reasoning("high")), SONNET, reasons=False)[2] == ("reasoning_effort",)
    assert thought(asked(reasoning=Reasoning("none")), "anthropic.claude-fable-5")[2] == ("reasoning_effort",)


def test_a_budget_leaves_room_for_the_answer() -> None:
    fields, _, _ = thought(asked(reasoning=Reasoning("high"), max_tokens=4000), SONNET)
    assert fields == {"thinking": {"type": "enabled", "budget_tokens": 3000}}
    assert thought(asked(reasoning=Reasoning("high"), max_tokens=1000), SONNET)[2] == ("reasoning_effort",)


def test_thinking_beside_a_forced_tool() -> None:
    request = asked(reasoning=Reasoning("low"), tools=(WEATHER,), tool_choice=ToolChoice("required"))
    assert thought(request, "anthropic.claude-opus-4-6-v1") == (None, None, ("reasoning_effort",))
    assert thought(request, OPUS) == ({"thinking": {"type": "adaptive"}}, {"effort": "low"}, ())


def test_a_budget_gives_way_to_what_it_cannot_be_with() -> None:
    request = asked(reasoning=Reasoning("low"), tools=(WEATHER,), tool_choice=ToolChoice("required"))
    assert thought(request, SONNET) == (None, None, ("reasoning_effort",))
    messages = (Message("assistant", (ToolCall("a", "weather"),)), Message("tool", (ToolResult("a"),)))
    assert thought(asked(messages=messages, reasoning=Reasoning("low")), SONNET)[2] == ("reasoning_effort",)
    signed = (Message("assistant", (Thinking("x", "s", "bedrock_converse"), ToolCall("a", "weather"))), messages[1])
    assert thought(asked(messages=signed, reasoning=Reasoning("low")), SONNET)[2] == ()


@pytest.mark.parametrize(
    ("model", "reasoning", "kept", "dropped"),
    [
        (SONNET, None, {"temperature": 1.0}, ("temperature", "top_p")),
        (OPUS, None, {}, ("temperature", "top_p", "top_k")),
        (SONNET, Reasoning("low"), {}, ("temperature", "top_p", "top_k")),
        (NOVA, None, {"temperature": 1.0, "topP": 0.5}, ("temperature",)),
        (LLAMA, None, {"temperature": 1.0, "topP": 0.5}, ("temperature", "top_k")),
        (NOVA_2, Reasoning("high"), {}, ("temperature", "top_p", "top_k")),
    ],
)
def test_sampling_as_each_model_allows(model: str, reasoning: Any, kept: Any, dropped: Any) -> None:
    body, named = written(asked(temperature=1.5, top_p=0.5, top_k=7, reasoning=reasoning), model)
    assert body.get("inferenceConfig", {}) == kept
    assert set(named) == set(dropped)


def test_few_tokens_under_every_makers_name() -> None:
    assert thought(asked(top_k=7), SONNET)[0] == {"top_k": 7}
    assert thought(asked(top_k=7), NOVA)[0] == {"inferenceConfig": {"topK": 7}}
    assert thought(asked(top_k=7), "cohere.command-r-v1:0")[0] == {"k": 7}


def test_lengths_and_stops() -> None:
    body, _ = written(asked(max_tokens=9000, stop=("END", "")), max_output=4096)
    assert body["inferenceConfig"] == {"maxTokens": 4096, "stopSequences": ["END"]}
    assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]


def test_the_service_is_told_what_it_knows() -> None:
    body, dropped = written(asked(service_tier="flex", metadata={"team": "blue"}))
    assert (body["serviceTier"], body["requestMetadata"], dropped) == ({"type": "flex"}, {"team": "blue"}, ())
    body, dropped = written(asked(service_tier="scale", metadata={"team": "blü"}))
    assert dropped == ("service_tier", "metadata")


def test_the_operator_fills_in_what_no_client_can() -> None:
    guardrail = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
    quirks = {"guardrailConfig": guardrail, "additionalModelRequestFields": {"x": 1}, "vendor": "anthropic"}
    model = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
    body, _ = written(asked(top_k=3), model, quirks=quirks)
    assert body["guardrailConfig"] == guardrail
    assert body["additionalModelRequestFields"] == {"top_k": 3, "x": 1}


def test_knobs_that_it_has_not_are_named() -> None:
    _, dropped = written(
        asked(seed=1, logit_bias={"1": 2}, user="u", frequency_penalty=0.1, parallel_tools=False, tools=(TIME,))
    )
    assert set(dropped) == {"seed", "logit_bias", "user", "frequency_penalty", "parallel_tool_calls"}


@pytest.mark.parametrize("more", [{"n": 2}, {"logprobs": True}, {"modalities": ("text", "audio")}, {"audio": {}}])
def test_what_would_change_the_answer_is_refused(more: dict[str, Any]) -> None:
    refused(asked(**more))
