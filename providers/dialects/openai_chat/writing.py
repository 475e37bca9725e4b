"""A chat completion request as it is written for an upstream. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Format, Reasoning, Request, Target, Tool, ToolChoice, Written
from providers.dialects.openai_chat.aim import Aim
from providers.dialects.openai_chat.content import mark
from providers.dialects.openai_chat.history import write_messages
from providers.dialects.openai_chat.words import NAME
from providers.dialects.reasoning import budget_of, effort_of

_SAMPLING: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "logit_bias")
#: What reasoning models accept nonetheless, being what they do anyway.
_NEUTRAL: Final = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}}
_ASKS_TO_THINK: Final = frozenset(("reasoning", "thinking", "enable_thinking", "thinking_budget", "include_reasoning"))


def write_request(request: Request, target: Target) -> Written:
    """The body. Raises Misfit for what the target cannot be asked and that must not be left out."""
    aim = Aim(request, target)
    body: dict[str, Any] = {"model": target.model, "messages": write_messages(request.messages, aim)}
    if target.stream:
        body["stream"] = True
        if aim.quirk("stream_usage") is not False:
            asked = request.notes.get("stream_options") if aim.own else None
            body["stream_options"] = {**(asked if isinstance(asked, dict) else {}), "include_usage": True}
    if request.max_tokens is not None:
        body[aim.limit] = request.max_tokens
    _sampling(body, aim)
    _others(body, aim)
    _tools(body, aim)
    if request.format is not None:
        body["response_format"] = _format(request.format)
    _reasoning(body, aim)
    _extras(body, aim)
    return Written(body, tuple(aim.dropped))


def _sampling(body: dict[str, Any], aim: Aim) -> None:
    request = aim.request
    for name in _SAMPLING:
        value = getattr(request, name)
        if value is None:
            continue
        if not aim.strict:
            body[name] = value
        elif value != _NEUTRAL[name]:
            aim.drop(name)
    for name in ("top_k", "min_p"):
        value = getattr(request, name)
        if value is not None:
            if aim.accepts(name):
                body[name] = value
            else:
                aim.drop(name)
    if request.logprobs and aim.strict:
        raise aim.cannot("`logprobs`", "leave it out", "logprobs")
    if not aim.strict:
        body |= _said(logprobs=request.logprobs, top_logprobs=request.top_logprobs)


def _others(body: dict[str, Any], aim: Aim) -> None:
    request = aim.request
    if request.stop and aim.stopless:
        raise aim.cannot("stop sequences", "leave out `stop`", "stop")
    body |= _said(seed=request.seed, n=request.n, user=request.user or None)
    body |= _said(stop=list(request.stop) or None, modalities=list(request.modalities) or None, audio=request.audio)
    for name, value in (
        ("metadata", request.metadata),
        ("store", request.store),
        ("service_tier", request.service_tier or None),
        ("prompt_cache_key", request.cache_key or None),
        ("verbosity", request.verbosity or None),
    ):
        if value is not None:
            if aim.kin:
                body[name] = value
            else:
                aim.drop(name)


def _said(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# --- tools -----------------------------------------------------------------------------------------------------------


def _tools(body: dict[str, Any], aim: Aim) -> None:
    request = aim.request
    tools = []
    for at, tool in enumerate(request.tools):
        aim.drop(*sorted(tool.extras.keys() - tool.value.keys() - {"type", "name"}))
        if tool.kind == "web_search":
            if not aim.searches:
                raise aim.cannot("web search", "leave it out of `tools`", f"tools[{at}]")
            body["web_search_options"] = _search(tool, aim)
        elif tool.kind == "opaque" and tool.dialect != NAME:
            what = tool.value.get("type") or tool.name
            raise aim.cannot(f"the tool `{what}`", "leave it out of `tools`", f"tools[{at}]")
        else:
            tools.append(mark(_tool(tool), tool.cache, aim))
    if tools:
        body["tools"] = tools
        if request.parallel_tools is not None and aim.o_series:
            aim.drop("parallel_tool_calls")  # they call one at a time, and refuse the word
        elif request.parallel_tools is not None:
            body["parallel_tool_calls"] = request.parallel_tools
    choice = request.tool_choice
    if choice is not None and choice.mode == "named" and not aim.own and choice.name not in _callable(request):
        raise aim.cannot(f"a demand for `{choice.name}`", "let the model choose its tool", "tool_choice")
    if choice is not None and (tools or aim.own):
        body["tool_choice"] = _choice(choice, request.tools)


def _callable(request: Request) -> set[str]:
    return {tool.name for tool in request.tools if tool.kind in ("function", "free")}


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.kind == "opaque":
        return dict(tool.value)
    body: dict[str, Any] = {"name": tool.name, **({"description": tool.description} if tool.description else {})}
    if tool.kind == "free":
        shape = tool.value.get("format")
        return {"type": "custom", "custom": {**body, **({"format": _free(shape)} if isinstance(shape, dict) else {})}}
    body |= _said(parameters=tool.parameters, strict=tool.strict)
    return {"type": "function", "function": body}


def _free(shape: dict[str, Any]) -> dict[str, Any]:
    """The format of a custom tool. The Responses API says a grammar's members without the object around them."""
    if shape.get("type") == "grammar" and "grammar" not in shape:
        return {"type": "grammar", "grammar": {name: value for name, value in shape.items() if name != "type"}}
    return shape


def _search(tool: Tool, aim: Aim) -> dict[str, Any]:
    """The options of a web search, from those of the tool of the Responses API."""
    options = {name: value for name, value in tool.value.items() if name not in ("type", "name")}
    for name in [name for name in options if name not in ("search_context_size", "user_location")]:
        del options[name]
        aim.drop(name)
    place = options.get("user_location")
    if isinstance(place, dict) and "approximate" not in place:
        near = {name: value for name, value in place.items() if name != "type"}
        options["user_location"] = {"type": "approximate", "approximate": near}
    return {name: value for name, value in options.items() if value is not None}


def _choice(choice: ToolChoice, tools: tuple[Tool, ...]) -> str | dict[str, Any]:
    if choice.mode == "named":
        return _reference(choice.name, tools)
    if choice.allowed:
        named = [_reference(name, tools) for name in choice.allowed]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}
    return choice.mode


def _reference(name: str, tools: tuple[Tool, ...]) -> dict[str, Any]:
    kind = "custom" if any(tool.name == name and tool.kind == "free" for tool in tools) else "function"
    return {"type": kind, kind: {"name": name}}


# --- what the answer is to be ----------------------------------------------------------------------------------------


def _format(wanted: Format) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    shape = {"name": wanted.name or "answer", **_said(description=wanted.description or None, strict=wanted.strict)}
    return {"type": "json_schema", "json_schema": {**shape, "schema": wanted.schema}}


def _reasoning(body: dict[str, Any], aim: Aim) -> None:
    wanted = aim.request.reasoning
    if wanted is None or (aim.own and not _ASKS_TO_THINK.isdisjoint(aim.request.notes) and _native(aim)):
        return
    effort = _effort(wanted)
    if effort is None:
        return
    style = aim.quirk("reasoning_field", "reasoning_effort" if aim.reasons or aim.own else "none")
    match style:
        case "reasoning_effort":
            body["reasoning_effort"] = aim.effort(effort)
            if effort == "none" != body["reasoning_effort"]:
                aim.drop("reasoning_effort")  # it thinks, whatever it is told
        case "reasoning":
            count = wanted.budget if wanted.effort is None else None
            body["reasoning"] = {"effort": aim.effort(effort)} if count is None else {"max_tokens": count}
        case "thinking":
            body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
        case "enable_thinking":
            body["enable_thinking"] = effort != "none"
            count = wanted.budget if wanted.effort is None else budget_of(effort)
            if count is not None and count > 0:
                body["thinking_budget"] = count
        case _:
            if effort != "none":
                aim.drop("reasoning_effort")


def _native(aim: Aim) -> bool:
    """Nothing is known of the route but what the client says itself."""
    return aim.quirk("reasoning_field") is None


def _effort(wanted: Reasoning) -> str | None:
    if wanted.effort is not None:
        return wanted.effort
    if wanted.budget is not None:
        return effort_of(wanted.budget)
    return None


def _extras(body: dict[str, Any], aim: Aim) -> None:
    """What only this dialect knows, and what its client said in a way of its own."""
    if not aim.own:
        aim.drop(*aim.request.extras)
        return
    for name, value in aim.request.extras.items():
        body.setdefault(name, value)
    for name in _ASKS_TO_THINK if _native(aim) else ():
        if name in aim.request.notes:
            body.setdefault(name, aim.request.notes[name])
