"""Requests for Cohere's chat. Pure.

It has no way to name the one tool that must be called: there, only that tool is offered. JSON and tools do not go
together: there, the JSON is the arguments of a tool that must be called.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.answer_tool import ANSWER_TOOL, ANSWER_TOOL_SAYS, answer_schema
from providers.dialects.canon import Misfit, Reasoning, Request, Target, Tool, ToolChoice, Written
from providers.dialects.cohere_chat.messages import NAME, Room, thinks, write_messages
from providers.dialects.reasoning import budget_of

#: The arguments of a tool that takes free text.
_FREE: Final = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_AUTO: Final = ToolChoice("auto")
_MOST_STOPS: Final = 5
_MOST_K: Final = 500

#: Knobs that are left out, by their names in OpenAI's API.
_HARMLESS: Final = (
    ("min_p", "min_p"),
    ("logit_bias", "logit_bias"),
    ("user", "user"),
    ("metadata", "metadata"),
    ("store", "store"),
    ("cache_key", "prompt_cache_key"),
    ("verbosity", "verbosity"),
)


def write_request(request: Request, target: Target) -> Written:
    """The body for the target. Raises Misfit."""
    _refuse(request)
    room = Room(thinks(target))
    body: dict[str, Any] = {"model": target.model, "messages": write_messages(request, room)}
    if target.stream:
        body["stream"] = True
    if room.documents:
        body["documents"] = room.documents
    _tools(request, body, room)
    _knobs(request, target, body, room)
    if request.reasoning is not None:
        _think(request.reasoning, body, room)
    if request.logprobs:
        body["logprobs"] = True
    if request.dialect == NAME:
        for name, value in request.extras.items():
            body.setdefault(name, value)
    for member, name in _HARMLESS:
        if getattr(request, member) not in (None, "", {}):
            room.drop(name)
    if request.service_tier not in ("", "auto", "default"):
        room.drop("service_tier")
    if request.parallel_tools is False and request.tools:
        room.drop("parallel_tool_calls")
    return Written(body, tuple(room.dropped))


def _refuse(request: Request) -> None:
    """What would change the answer if it were left out."""
    if request.n is not None and request.n > 1:
        raise Misfit("This upstream gives one answer at a time: set n to 1.", "n", unsupported=True)
    if request.top_logprobs:
        raise Misfit(
            "This upstream tells the log probabilities of chosen tokens only: leave top_logprobs out.",
            "top_logprobs",
            unsupported=True,
        )
    others = [word for word in request.modalities if word != "text"]
    if others or request.audio is not None:
        what = others[0] if others else "audio"
        raise Misfit(f"This upstream answers in text, not {what}.", "modalities", unsupported=True)
    if len(request.stop) > _MOST_STOPS:
        raise Misfit(f"This upstream takes {_MOST_STOPS} stop sequences at most.", "stop", unsupported=True)


# --- tools and JSON --------------------------------------------------------------------------------------------------


def _tools(request: Request, body: dict[str, Any], room: Room) -> None:
    choice = request.tool_choice or _AUTO
    tools = _offered(request.tools, choice)
    made = [_tool(tool, room) for tool in tools]
    format = request.format
    apart = format is not None and (bool(made) or bool(room.documents)) and choice.mode in ("auto", "none")
    if format is not None and apart:
        said = format.description or ANSWER_TOOL_SAYS
        function = {"name": ANSWER_TOOL, "description": said, "parameters": answer_schema(format)}
        made = [] if choice.mode == "none" else made
        made.append({"type": "function", "function": function})
    elif format is not None and not made:
        body["response_format"] = {"type": "json_object"}
        if format.schema is not None:
            body["response_format"]["json_schema"] = format.schema
    if not made:
        return
    body["tools"] = made
    if apart or choice.mode in ("required", "named"):
        body["tool_choice"] = "REQUIRED"
    elif choice.mode == "none":
        body["tool_choice"] = "NONE"
    strict = [tool.strict for tool in tools if tool.kind == "function"]
    if strict and all(strict):
        body["strict_tools"] = True
    elif any(strict):
        room.drop("strict")


def _offered(tools: tuple[Tool, ...], choice: ToolChoice) -> list[Tool]:
    """The tools that may be called."""
    if choice.mode == "named":
        found = [tool for tool in tools if tool.name == choice.name]
        if not found:
            raise Misfit(f"tool_choice names the tool {choice.name!r}, which is not in tools.", "tool_choice")
        return found[:1]
    found = [tool for tool in tools if not choice.allowed or tool.name in choice.allowed]
    if choice.mode == "required" and not found:
        raise Misfit("tool_choice asks for a call, but there are no tools.", "tool_choice")
    return found


def _tool(tool: Tool, room: Room) -> dict[str, Any]:
    if tool.kind == "opaque" and tool.dialect == NAME:
        return tool.value
    if tool.kind not in ("function", "free"):
        what = "web search" if tool.kind == "web_search" else f"the tool {tool.value.get('type', tool.name)!r}"
        raise Misfit(f"This upstream does not know {what}: leave it out of tools.", "tools", unsupported=True)
    if tool.cache is not None:
        room.drop("cache_control")
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.kind == "free":
        room.drop("grammar")
        function["parameters"] = _FREE
    return {"type": "function", "function": function}


# --- knobs -----------------------------------------------------------------------------------------------------------


def _knobs(request: Request, target: Target, body: dict[str, Any], room: Room) -> None:
    if request.max_tokens is not None:
        limit = request.max_tokens if target.max_output is None else min(request.max_tokens, target.max_output)
        body["max_tokens"] = max(1, limit)
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.temperature is not None:
        body["temperature"] = max(0.0, request.temperature)
    if request.top_p is not None:
        # 1 is beyond its range, and leaving it out would mean 0.75.
        body["p"] = min(max(request.top_p, 0.01), 0.99)
    if request.top_k is not None:
        body["k"] = min(max(request.top_k, 0), _MOST_K)
    for name, value in (
        ("frequency_penalty", request.frequency_penalty),
        ("presence_penalty", request.presence_penalty),
    ):
        if value is None:
            continue
        if not 0 <= value <= 1:
            room.drop(name)
        body[name] = min(max(value, 0.0), 1.0)
    if request.seed is not None:
        if request.seed < 0:
            room.drop("seed")
        else:
            body["seed"] = request.seed


def _think(reasoning: Reasoning, body: dict[str, Any], room: Room) -> None:
    """Models that think do so unless they are told not to; a budget is the most they may think."""
    budget, wanted = reasoning.budget, budget_of(reasoning.effort) if reasoning.effort is not None else None
    if budget is None or (budget < 0 and wanted is not None):  # as you like, but about that much
        budget = wanted
    if not room.reasons:
        if budget != 0 and (budget is not None or reasoning.adaptive):
            room.drop("reasoning_effort")
        return
    if budget == 0:
        body["thinking"] = {"type": "disabled"}
    elif budget is not None and budget > 0:
        body["thinking"] = {"type": "enabled", "token_budget": budget}
    elif budget is not None or reasoning.adaptive or reasoning.show:
        body["thinking"] = {"type": "enabled"}
