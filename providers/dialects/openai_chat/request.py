"""A chat completion request as clients send it. Pure."""

from __future__ import annotations

from typing import Any, Final, Literal

from providers.dialects.canon import Format, Misfit, Reasoning, Request, Tool, ToolChoice
from providers.dialects.openai_chat.messages import read_messages
from providers.dialects.openai_chat.parts import read_cache
from providers.dialects.openai_chat.words import NAME

#: Members whose name and type are the hub's too.
_FLOATS: Final = ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty")
_INTS: Final = ("top_k", "seed", "n", "top_logprobs")
_FLAGS: Final = ("logprobs", "store")
_WORDS: Final = ("user", "service_tier", "verbosity")
_OBJECTS: Final = ("logit_bias", "metadata", "audio")
_LIMITS: Final = ("max_tokens", "max_completion_tokens", "stop", "modalities", "response_format", "reasoning_effort")
_TOOLS: Final = ("tools", "functions", "tool_choice", "function_call", "parallel_tool_calls", "web_search_options")
_KNOWN: Final = frozenset(
    (
        "model",
        "messages",
        "stream",
        "prompt_cache_key",
        *_FLOATS,
        *_INTS,
        *_FLAGS,
        *_WORDS,
        *_OBJECTS,
        *_LIMITS,
        *_TOOLS,
    )
)
_MODES: Final[dict[str, Literal["none", "auto", "required"]]] = {
    "none": "none",
    "auto": "auto",
    "required": "required",
    "any": "required",  # Mistral's
}
#: Members whose meaning is in the hub's words, kept as they came for upstreams that speak this dialect.
_NOTED: Final = ("stream_options", "reasoning", "thinking", "enable_thinking", "thinking_budget", "include_reasoning")


def read_request(body: dict[str, Any]) -> Request:
    """The request. Raises Misfit."""
    legacy = body.get("functions") is not None and body.get("tools") is None
    others = {name: value for name, value in body.items() if name not in _KNOWN and value is not None}
    extras = {name: value for name, value in others.items() if name not in _NOTED}
    tools = _tools(body)
    effort = word(body, "reasoning_effort")
    if effort == "default":  # Groq's
        extras["reasoning_effort"] = effort
    shape = body.get("response_format")
    if isinstance(shape, dict) and shape.get("type") not in ("text", "json_object", "json_schema"):
        extras["response_format"] = shape
    choice = body.get("tool_choice") if body.get("tool_choice") is not None else body.get("function_call")
    return Request(
        dialect=NAME,
        messages=read_messages(body.get("messages")),
        tools=tools,
        tool_choice=_choice(choice),
        # The legacy answer has room for one call.
        parallel_tools=False if legacy else flag(body, "parallel_tool_calls"),
        format=_format(shape),
        reasoning=_reasoning(body, effort),
        stop=read_stop(body.get("stop")),
        modalities=_words(body, "modalities"),
        cache_key=word(body, "prompt_cache_key"),
        extras=extras,
        notes=_notes(body, others, legacy),
        **read_knobs(body),
    )


def _notes(body: dict[str, Any], others: dict[str, Any], legacy: bool) -> dict[str, Any]:
    """How it was said: members kept as they came, `functions` in place of tools, OpenAI's spelling of cache marks."""
    notes: dict[str, Any] = {name: others[name] for name in _NOTED if name in others}
    if legacy:
        notes["functions"] = True
    contents = [message.get("content") for message in body["messages"]]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    if any(isinstance(part, dict) and "prompt_cache_breakpoint" in part for part in parts):
        notes["cache_marks"] = "prompt_cache_breakpoint"
    return notes


def wants_usage(request: Request) -> bool:
    """Whether the client asked for the usage at the end of its stream."""
    options = request.notes.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def read_knobs(body: dict[str, Any]) -> dict[str, Any]:
    """The members that are nothing but a value. Raises Misfit."""
    found: dict[str, Any] = {name: _number(body, name) for name in _FLOATS}
    found |= {name: integer(body, name) for name in _INTS}
    found |= {name: flag(body, name) for name in _FLAGS}
    found |= {name: word(body, name) for name in _WORDS}
    found |= {name: _object(body, name) for name in _OBJECTS}
    found["model"] = word(body, "model")
    found["stream"] = flag(body, "stream") or False
    most = integer(body, "max_completion_tokens")
    found["max_tokens"] = integer(body, "max_tokens") if most is None else most
    return found


# --- tools -----------------------------------------------------------------------------------------------------------


def _tools(body: dict[str, Any]) -> tuple[Tool, ...]:
    found = body.get("tools")
    legacy = found is None and body.get("functions") is not None
    name = "functions" if legacy else "tools"
    found = body.get(name)
    if found is not None and not isinstance(found, list):
        raise Misfit(f"`{name}` must be a list.", name)
    tools = [_function(tool, f"{name}[{at}]", legacy) for at, tool in enumerate(found or ())]
    search = _object(body, "web_search_options")
    if search is not None:
        tools.append(Tool("web_search", value=_flat(search)))
    return tuple(tools)


def _function(tool: Any, where: str, legacy: bool) -> Tool:
    kind = tool.get("type", "function") if isinstance(tool, dict) else None
    if legacy:
        kind = "function"
    elif isinstance(kind, str) and kind not in ("function", "custom"):
        return Tool("opaque", dialect=NAME, value=tool)
    body = tool if legacy else tool.get(kind) if isinstance(kind, str) else None
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        raise Misfit(f"`{where}` must be a tool with a `type` and a `function` that has a `name`.", where)
    told = body.get("description")
    told = told if isinstance(told, str) else ""
    if kind == "custom":
        shape = body.get("format")
        value = {"format": shape} if isinstance(shape, dict) else {}
        return Tool("free", body["name"], told, cache=read_cache(tool), dialect=NAME, value=value)
    shape = body.get("parameters")
    if shape is not None and not isinstance(shape, dict):
        raise Misfit(f"`{where}.function.parameters` must be a JSON schema.", f"{where}.function.parameters")
    strict = body.get("strict")
    return Tool(
        "function",
        body["name"],
        told,
        shape,
        strict if isinstance(strict, bool) else None,
        read_cache(tool),
    )


def _flat(search: dict[str, Any]) -> dict[str, Any]:
    """`web_search_options` as the web search tool of the Responses API says the same."""
    place = search.get("user_location")
    near = place.get("approximate") if isinstance(place, dict) else None
    return {**search, "user_location": {"type": "approximate", **near}} if isinstance(near, dict) else search


def _choice(found: Any) -> ToolChoice | None:
    if found is None:
        return None
    if isinstance(found, str):
        if found in _MODES:
            return ToolChoice(_MODES[found])
    elif isinstance(found, dict):
        allowed = found.get("allowed_tools")
        if found.get("type") == "allowed_tools" and isinstance(allowed, dict):
            return _allowed(allowed)
        name = _named(found) or found.get("name")
        if isinstance(name, str):
            return ToolChoice("named", name)
    raise Misfit(
        "`tool_choice` must be `none`, `auto`, `required`, or an object that names one of the tools.", "tool_choice"
    )


def _allowed(allowed: dict[str, Any]) -> ToolChoice:
    tools = allowed.get("tools")
    names = [_named(tool) if isinstance(tool, dict) else None for tool in tools] if isinstance(tools, list) else []
    mode = _MODES["required" if allowed.get("mode") == "required" else "auto"]
    if not names or not all(isinstance(name, str) for name in names):
        raise Misfit("`tool_choice.allowed_tools.tools` must name tools.", "tool_choice")
    return ToolChoice(mode, allowed=tuple(str(name) for name in names))


def _named(entry: dict[str, Any]) -> Any:
    body = entry.get("function", entry.get("custom"))
    return body.get("name") if isinstance(body, dict) else None


# --- what the answer is to be ----------------------------------------------------------------------------------------


def _format(found: Any) -> Format | None:
    if found is None:
        return None
    kind = found.get("type") if isinstance(found, dict) else None
    if not isinstance(kind, str):
        raise Misfit("`response_format` must be an object with a `type`.", "response_format")
    if kind == "json_object":
        return Format()
    if kind != "json_schema":
        return None
    shape = found.get("json_schema")
    if not isinstance(shape, dict):
        raise Misfit("`response_format.json_schema` must be an object with a `schema`.", "response_format.json_schema")
    schema, strict = shape.get("schema"), shape.get("strict")
    if schema is not None and not isinstance(schema, dict):
        raise Misfit(
            "`response_format.json_schema.schema` must be a JSON schema.", "response_format.json_schema.schema"
        )
    texts = {name: value for name in ("name", "description") if isinstance(value := shape.get(name), str)}
    return Format(schema or {}, strict=strict if isinstance(strict, bool) else None, **texts)


def _reasoning(body: dict[str, Any], effort: str) -> Reasoning | None:
    """`reasoning_effort`, or what OpenRouter, DeepSeek, Z.AI and Qwen call it. These stay in `notes` besides."""
    show = False if body.get("include_reasoning") is False else None
    if effort and effort != "default":
        return Reasoning(effort, show=show)
    asked = body.get("reasoning")
    if isinstance(asked, dict):
        return _openrouter(asked)
    asked = body.get("thinking")
    kind = asked.get("type") if isinstance(asked, dict) else None
    wanted = {"enabled": True, "disabled": False}.get(kind) if isinstance(kind, str) else body.get("enable_thinking")
    budget = (asked.get("budget_tokens") if isinstance(asked, dict) else None) or body.get("thinking_budget")
    if wanted is False:
        return Reasoning("none", show=show)
    if wanted is True:
        count = budget if type(budget) is int and budget > 0 else None
        return Reasoning(None if count else "medium", count, show=show)
    return Reasoning(show=show) if show is not None else None


def _openrouter(asked: dict[str, Any]) -> Reasoning:
    effort, budget, summary = asked.get("effort"), asked.get("max_tokens"), asked.get("summary")
    effort = effort if isinstance(effort, str) else None
    budget = budget if type(budget) is int and budget >= 0 else None
    if asked.get("enabled") is False:
        effort, budget = "none", None
    elif effort is None and budget is None:
        effort = "medium"
    return Reasoning(
        effort,
        budget,
        show=False if asked.get("exclude") is True else None,
        summary=summary if isinstance(summary, str) else None,
    )


# --- values ----------------------------------------------------------------------------------------------------------


def read_stop(found: Any) -> tuple[str, ...]:
    """The stop sequences. Raises Misfit."""
    if found is None:
        return ()
    words = [found] if isinstance(found, str) else found
    if not isinstance(words, list) or not all(isinstance(each, str) for each in words):
        raise Misfit("`stop` must be a string or a list of strings.", "stop")
    return tuple(words)


def _words(body: dict[str, Any], name: str) -> tuple[str, ...]:
    found = body.get(name)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Misfit(f"`{name}` must be a list of strings.", name)
    return tuple(found)


def word(body: dict[str, Any], name: str) -> str:
    """A string, empty if absent. Raises Misfit."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Misfit(f"`{name}` must be a string.", name)
    return value or ""


def flag(body: dict[str, Any], name: str) -> bool | None:
    """True or false, None if absent. Raises Misfit."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Misfit(f"`{name}` must be true or false.", name)
    return value


def integer(body: dict[str, Any], name: str) -> int | None:
    """A whole number, None if absent. Raises Misfit."""
    value = body.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and type(value) is not int:
        raise Misfit(f"`{name}` must be a whole number.", name)
    return value


def _number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise Misfit(f"`{name}` must be a number.", name)
    return value


def _object(body: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise Misfit(f"`{name}` must be an object.", name)
    return value
