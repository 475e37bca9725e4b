"""Requests for Ollama's chat. Pure.

Quirks of a route that this dialect knows: `options` (num_ctx ...) and `keep_alive`, as Ollama names them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from providers.dialects.canon import Misfit, Reasoning, Request, Target, Tool, ToolChoice, Written
from providers.dialects.ollama_native.messages import NAME, Room, write_messages
from providers.dialects.reasoning import effort_of

_AUTO: Final = ToolChoice("auto")
#: Models that think; others refuse to be asked to.
_THINKERS: Final = re.compile(r"gpt-oss|qwen3|deepseek-(?:r1|v3)|magistral|think|reason|kimi|glm|minimax|cogito|qwq")
#: Models that are told how much to think in words; all others only whether.
_IN_WORDS: Final = "gpt-oss"
_WORDS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
#: The arguments of a tool that takes free text.
_FREE: Final = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}

#: What goes into `options`, by Ollama's names.
_OPTIONS: Final = (
    ("num_predict", "max_tokens"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("seed", "seed"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
)
#: Knobs that are left out, by their names in OpenAI's API.
_HARMLESS: Final = (
    ("logit_bias", "logit_bias"),
    ("user", "user"),
    ("metadata", "metadata"),
    ("store", "store"),
    ("cache_key", "prompt_cache_key"),
    ("verbosity", "verbosity"),
)


def write_request(request: Request, target: Target) -> Written:
    """The body for the target. It streams unless it is told not to. Raises Misfit."""
    _refuse(request)
    room = Room()
    body: dict[str, Any] = {
        "model": target.model,
        "messages": write_messages(request, room),
        "stream": target.stream,
    }
    tools = [_tool(tool, room) for tool in _offered(request)]
    if tools:
        body["tools"] = tools
    if request.format is not None:
        body["format"] = "json" if request.format.schema is None else request.format.schema
    if request.reasoning is not None:
        _think(request.reasoning, target, body, room)
    options = _options(request, target)
    if options:
        body["options"] = options
    if request.logprobs or request.top_logprobs:
        body["logprobs"] = True
        if request.top_logprobs:
            body["top_logprobs"] = request.top_logprobs
    if target.quirks.get("keep_alive") is not None:
        body["keep_alive"] = target.quirks["keep_alive"]
    for member, name in _HARMLESS:
        if getattr(request, member) not in (None, "", {}):
            room.drop(name)
    if request.service_tier not in ("", "auto", "default"):
        room.drop("service_tier")
    if request.parallel_tools is False and tools:
        room.drop("parallel_tool_calls")
    return Written(body, tuple(room.dropped))


def _refuse(request: Request) -> None:
    """What would change the answer if it were left out."""
    if request.n is not None and request.n > 1:
        raise Misfit("This upstream gives one answer at a time: set n to 1.", "n", unsupported=True)
    others = [word for word in request.modalities if word != "text"]
    if others or request.audio is not None:
        what = others[0] if others else "audio"
        raise Misfit(f"This upstream answers in text, not {what}.", "modalities", unsupported=True)
    choice = request.tool_choice
    if choice is not None and choice.mode in ("required", "named"):
        raise Misfit(
            "This upstream cannot make a model call a tool: set tool_choice to auto.", "tool_choice", unsupported=True
        )


def _offered(request: Request) -> list[Tool]:
    choice = request.tool_choice or _AUTO
    if choice.mode == "none":
        return []
    return [tool for tool in request.tools if not choice.allowed or tool.name in choice.allowed]


def _tool(tool: Tool, room: Room) -> dict[str, Any]:
    if tool.kind == "opaque" and tool.dialect == NAME:
        return tool.value
    if tool.kind not in ("function", "free"):
        what = "web search" if tool.kind == "web_search" else f"the tool {tool.value.get('type', tool.name)!r}"
        raise Misfit(f"This upstream does not know {what}: leave it out of tools.", "tools", unsupported=True)
    if tool.cache is not None:
        room.drop("cache_control")
    if tool.strict:
        room.drop("strict")
    schema = tool.parameters or {"type": "object", "properties": {}}
    if tool.kind == "free":
        room.drop("grammar")
        schema = _FREE
    function = {"name": tool.name, "description": tool.description, "parameters": schema}
    return {"type": "function", "function": function}


def _options(request: Request, target: Target) -> dict[str, Any]:
    options = {name: value for name, member in _OPTIONS if (value := getattr(request, member)) is not None}
    if target.max_output is not None and "num_predict" in options:
        options["num_predict"] = min(options["num_predict"], target.max_output)
    if request.stop:
        options["stop"] = list(request.stop)
    own = target.quirks.get("options")
    return {**options, **own} if isinstance(own, dict) else options


def _think(reasoning: Reasoning, target: Target, body: dict[str, Any], room: Room) -> None:
    name = target.model.lower()
    effort = reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = effort_of(reasoning.budget)
    asked = effort is not None or reasoning.budget is not None or reasoning.adaptive or bool(reasoning.show)
    if not asked:
        return
    thinks = target.reasons if target.reasons is not None else _THINKERS.search(name) is not None
    if not thinks:
        if effort != "none":
            room.drop("reasoning_effort")
    elif _IN_WORDS in name:
        # It always thinks.
        if effort == "none":
            room.drop("reasoning_effort")
        else:
            body["think"] = _WORDS.get(effort or "medium", "medium")
    else:
        body["think"] = effort != "none"
