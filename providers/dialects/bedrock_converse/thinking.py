"""How much to think, and how to choose words, in the terms of each maker's models. Pure.

What Converse itself does not know goes into `additionalModelRequestFields` under the model's own names.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.bedrock_converse.content import SIGNERS, Room
from providers.dialects.bedrock_converse.models import Model
from providers.dialects.canon import Reasoning, Request, Target, Thinking, ToolCall
from providers.dialects.claude import Accepts
from providers.dialects.reasoning import budget_of, effort_of

_LEAST_BUDGET: Final = 1024
#: Efforts where a model has fewer words than OpenAI: the nearest that costs no more.
_THREE: Final = {"minimal": "low", "xhigh": "high", "max": "high"}
#: Under which name a model takes the effort in words, by its maker.
_EFFORT_FIELDS: Final = {
    "openai": "reasoning_effort",
    "qwen": "reasoning_config",
    "deepseek": "reasoning_config",
    "zai": "reasoning_config",
}
_NAME: Final = "reasoning_effort"


class Plan(msgspec.Struct):
    """`fields`: of `additionalModelRequestFields`. `effort`: of `outputConfig`. `inference`: of `inferenceConfig`."""

    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    inference: dict[str, Any] = msgspec.field(default_factory=dict)
    effort: str = ""
    #: it thinks within a budget, which forbids most other knobs
    budgeted: bool = False
    #: it thinks as hard as it can, which forbids the others
    hardest: bool = False


def plan_thinking(request: Request, target: Target, room: Room, *, forced: bool) -> Plan:
    """What is said of thinking, of sampling and of lengths."""
    plan = Plan()
    limit = request.max_tokens
    if target.max_output is not None and limit is not None:
        limit = min(limit, target.max_output)
    if limit is not None:
        plan.inference["maxTokens"] = max(1, limit)
    if request.reasoning is not None:
        _think(plan, request, target, room, forced=forced)
    _sample(plan, request, room)
    stops = [word for word in request.stop if word]
    if stops:
        plan.inference["stopSequences"] = stops
    return plan


def _think(plan: Plan, request: Request, target: Target, room: Room, *, forced: bool) -> None:
    reasoning, model = request.reasoning, room.model
    assert reasoning is not None
    effort = _effort(reasoning)
    if effort is None and reasoning.budget is None and not reasoning.adaptive and not reasoning.show:
        return
    if target.reasons is False:
        _drop(effort, room)
    elif forced and not model.thinks_when_forced:
        _drop(effort or "medium", room)
    elif model.adapts:
        assert model.claude is not None
        _adapt(plan, reasoning, effort, model.claude, room)
    elif model.thinks_by_budget:
        _budget(plan, request, effort, room)
    elif model.is_nova and "nova-2" in model.name:
        _nova(plan, effort)
    elif model.vendor in _EFFORT_FIELDS and effort not in (None, "none"):
        plan.fields[_EFFORT_FIELDS[model.vendor]] = _THREE.get(str(effort), effort)
    else:
        _drop(effort, room)


def _effort(reasoning: Reasoning) -> str | None:
    """The effort asked for in words; None where it was left to the model."""
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget is not None and reasoning.budget >= 0:
        return effort_of(reasoning.budget)
    return None


def _drop(effort: str | None, room: Room) -> None:
    if effort not in (None, "none"):
        room.drop(_NAME)


def _adapt(plan: Plan, reasoning: Reasoning, effort: str | None, claude: Accepts, room: Room) -> None:
    if effort == "none":
        _calm(plan, claude, room)
        return
    thinking: dict[str, Any] = {"type": "adaptive"}
    if reasoning.show is not None:
        thinking["display"] = "summarized" if reasoning.show else "omitted"
    plan.fields["thinking"] = thinking
    if effort is not None:
        word = claude.word(effort)
        if word is None:
            room.drop(_NAME)
        plan.effort = word or ""


def _calm(plan: Plan, claude: Accepts, room: Room) -> None:
    """Not to think, or as little as can be. Those that do not think unless they are told to are told nothing: some
    refuse to be told not to.
    """
    if not claude.thinks:
        return
    if claude.off:
        plan.fields["thinking"] = {"type": claude.off}
    else:
        room.drop(_NAME)
    if claude.off != "disabled":
        plan.effort = "low"


def _budget(plan: Plan, request: Request, effort: str | None, room: Room) -> None:
    reasoning = request.reasoning
    assert reasoning is not None
    budget = reasoning.budget if reasoning.budget is not None and reasoning.budget >= 0 else None
    if budget is None:
        budget = budget_of(effort or "medium")
    if not budget:
        return
    limit = plan.inference.get("maxTokens")
    if limit is not None:
        # Room for the answer: thoughts count against the same limit.
        budget = min(budget, limit * 3 // 4)
    budget = max(budget, _LEAST_BUDGET)
    if (limit is not None and limit <= budget) or _thoughts_are_missing(request):
        room.drop(_NAME)
        return
    plan.fields["thinking"] = {"type": "enabled", "budget_tokens": budget}
    plan.budgeted = True


def _thoughts_are_missing(request: Request) -> bool:
    """Whether the tools' results that the conversation ends with answer calls whose thoughts are not there: a model
    that is to think refuses those.
    """
    messages = list(request.messages)
    while messages and messages[-1].role in ("tool", "user"):
        if messages.pop().role == "tool":
            break
    else:
        return False
    while messages and messages[-1].role == "tool":
        messages.pop()
    parts = messages[-1].parts if messages else ()
    calls = any(isinstance(part, ToolCall) for part in parts)
    return calls and not any(isinstance(part, Thinking) and part.signature and part.signer in SIGNERS for part in parts)


def _nova(plan: Plan, effort: str | None) -> None:
    if effort == "none":
        return
    word = _THREE.get(effort or "medium", effort or "medium")
    if word == "high" and "maxTokens" in plan.inference:
        # The highest effort takes no limit; the limit was asked for too, and it costs money to pass over it.
        word = "medium"
    plan.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": word}
    plan.hardest = word == "high"


def _sample(plan: Plan, request: Request, room: Room) -> None:
    model = room.model
    temperature, top_p = request.temperature, request.top_p
    if model.refuses_sampling or plan.budgeted or plan.hardest:
        if temperature is not None and not (plan.budgeted and temperature == 1):
            room.drop("temperature")
        temperature = None
    if model.refuses_sampling or plan.hardest or (plan.budgeted and top_p is not None and top_p < 0.95):
        _drop_given(top_p, "top_p", room)
        top_p = None
    if temperature is not None and top_p is not None and model.claude is not None and not model.claude.both:
        room.drop("top_p")
        top_p = None
    if temperature is not None:
        if temperature > 1:
            room.drop("temperature")
        plan.inference["temperature"] = min(max(temperature, 0.0), 1.0)
    if top_p is not None:
        plan.inference["topP"] = min(max(top_p, 0.0), 1.0)
    _sample_few(plan, request.top_k, model, room)


def _drop_given(value: float | None, name: str, room: Room) -> None:
    if value is not None:
        room.drop(name)


def _sample_few(plan: Plan, top_k: int | None, model: Model, room: Room) -> None:
    """Only the likeliest tokens: every maker has another name for it."""
    if top_k is None:
        return
    if model.is_claude and not model.refuses_sampling and not plan.budgeted:
        plan.fields["top_k"] = top_k
    elif model.is_nova and not plan.hardest:
        plan.fields["inferenceConfig"] = {"topK": min(max(top_k, 1), 128)}
    elif model.vendor == "mistral":
        plan.fields["top_k"] = top_k
    elif model.vendor == "cohere":
        plan.fields["k"] = top_k
    else:
        room.drop("top_k")
