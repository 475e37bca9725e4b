"""A client's request, read into the hub's. Also what `count_tokens` is asked with. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from providers.dialects.anthropic_messages import members
from providers.dialects.anthropic_messages.blocks import cache, read_content
from providers.dialects.anthropic_messages.words import NAME
from providers.dialects.canon import (
    Format,
    Message,
    Misfit,
    Part,
    Reasoning,
    Request,
    Role,
    Tool,
    ToolChoice,
    ToolResult,
)

_SEARCH: Final = re.compile(r"web_search_\d+")
_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}
_TIERS: Final = {"auto": "auto", "standard_only": "default"}
_ROLES: Final = ("user", "assistant", "system")
_KNOWN: Final = (
    "model",
    "messages",
    "system",
    "stream",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "service_tier",
)


def read_request(body: dict[str, Any]) -> Request:
    """The request. Raises canon.Misfit."""
    extras = {name: value for name, value in members.others(body, *_KNOWN).items() if value is not None}
    choice, parallel = _tool_choice(body)
    config = dict(members.mapping(body, "output_config") or {})
    form = _format(config, body)
    metadata = dict(members.mapping(body, "metadata") or {})
    user = members.text(metadata, "user_id", "metadata.user_id")
    metadata.pop("user_id", None)
    reasoning = _reasoning(body, config, extras)
    tier = members.text(body, "service_tier")
    kept = {"output_config": config, "metadata": metadata, "service_tier": tier if tier not in _TIERS else ""}
    extras.update({name: value for name, value in kept.items() if value})
    return Request(
        dialect=NAME,
        model=members.text(body, "model"),
        messages=(*_system(body), *_messages(body)),
        stream=members.flag(body, "stream") or False,
        tools=tuple(_tool(tool, f"tools.{at}") for at, tool in enumerate(members.objects(body, "tools"))),
        tool_choice=choice,
        parallel_tools=parallel,
        format=form,
        reasoning=reasoning,
        max_tokens=members.integer(body, "max_tokens"),
        temperature=members.number(body, "temperature"),
        top_p=members.number(body, "top_p"),
        top_k=members.integer(body, "top_k"),
        stop=members.texts(body, "stop_sequences"),
        user=user,
        service_tier=_TIERS.get(tier, ""),
        extras=extras,
    )


def _system(body: dict[str, Any]) -> tuple[Message, ...]:
    system = body.get("system")
    if system is None or system in ("", []):
        return ()
    return (Message("system", read_content(system, "system")),)


def _messages(body: dict[str, Any]) -> list[Message]:
    found = body.get("messages")
    if not isinstance(found, list):
        raise members.wrong("messages", "a list of messages")
    said: list[Message] = []
    for at, message in enumerate(found):
        if not isinstance(message, dict):
            raise members.wrong(f"messages.{at}", "an object")
        said += _turns(message, f"messages.{at}")
    return said


def _turns(message: dict[str, Any], param: str) -> list[Message]:
    """A message; one that holds tool results is told as several, in order."""
    role = message.get("role")
    if role not in _ROLES:
        raise members.wrong(f"{param}.role", "`user`, `assistant` or `system`")
    extras = members.others(message, "role", "content")
    content = message.get("content")
    parts = () if content is None and extras else read_content(content, f"{param}.content")
    runs: list[tuple[Role, list[Part]]] = []
    for part in parts:
        speaker: Role = "tool" if isinstance(part, ToolResult) else role
        if not runs or runs[-1][0] != speaker:
            runs.append((speaker, []))
        runs[-1][1].append(part)
    if not runs:
        return [Message(role, (), extras=extras)]
    return [Message(speaker, tuple(told), extras=extras) for speaker, told in runs]


def _tool(tool: dict[str, Any], param: str) -> Tool:
    kind = members.text(tool, "type", f"{param}.type") or "custom"
    if _SEARCH.fullmatch(kind):
        return _search(tool)
    if kind != "custom":
        name = tool.get("name")
        return Tool("opaque", name if isinstance(name, str) else "", dialect=NAME, value=tool)
    known = ("type", "name", "description", "input_schema", "strict", "cache_control")
    return Tool(
        "function",
        name=members.needed(tool, "name", f"{param}.name"),
        description=members.text(tool, "description", f"{param}.description"),
        parameters=members.mapping(tool, "input_schema", f"{param}.input_schema"),
        strict=members.flag(tool, "strict", f"{param}.strict"),
        cache=cache(tool),
        dialect=NAME,
        extras=members.others(tool, *known),
    )


def _search(tool: dict[str, Any]) -> Tool:
    """The search, in OpenAI's words as far as it has them."""
    value: dict[str, Any] = {}
    if tool.get("allowed_domains"):
        value["filters"] = {"allowed_domains": tool["allowed_domains"]}
    if isinstance(tool.get("user_location"), dict):
        value["user_location"] = tool["user_location"]
    return Tool("web_search", "web_search", cache=cache(tool), dialect=NAME, value=value, extras=tool)


def _tool_choice(body: dict[str, Any]) -> tuple[ToolChoice | None, bool | None]:
    choice = members.mapping(body, "tool_choice")
    if choice is None:
        return None, None
    mode: Any = _CHOICES.get(members.text(choice, "type", "tool_choice.type"))
    if mode is None:
        raise members.wrong("tool_choice.type", "`auto`, `any`, `tool` or `none`")
    name = members.needed(choice, "name", "tool_choice.name") if mode == "named" else ""
    single = members.flag(choice, "disable_parallel_tool_use", "tool_choice.disable_parallel_tool_use")
    return ToolChoice(mode, name), None if single is None else not single


def _format(config: dict[str, Any], body: dict[str, Any]) -> Format | None:
    """What the answer must look like: `output_config.format`, or `output_format`, as it was called before."""
    named = "output_config.format" if config.get("format") is not None else "output_format"
    old = members.mapping(body, "output_format")
    form = members.mapping(config, "format", named) or old
    config.pop("format", None)
    if form is None:
        return None
    if form.get("type") != "json_schema":
        raise members.wrong(f"{named}.type", "`json_schema`")
    schema = members.mapping(form, "schema", f"{named}.schema")
    if schema is None:
        raise members.wrong(f"{named}.schema", "a JSON schema")
    return Format(schema, strict=True)


def _reasoning(body: dict[str, Any], config: dict[str, Any], extras: dict[str, Any]) -> Reasoning | None:
    """How much to think; what this cannot tell stays in `config` and `extras`."""
    effort = members.text(config, "effort", "output_config.effort") or None
    config.pop("effort", None)
    thinking = members.mapping(body, "thinking")
    if thinking is None:
        return None if effort is None else Reasoning(effort)
    display = members.text(thinking, "display", "thinking.display")
    show = {"summarized": True, "omitted": False}.get(display)
    match members.text(thinking, "type", "thinking.type"):
        case "enabled":
            budget = members.integer(thinking, "budget_tokens", "thinking.budget_tokens")
            if budget is None:
                raise Misfit("`thinking.budget_tokens` is missing.", "thinking.budget_tokens")
            return Reasoning(effort, budget, show)
        case "adaptive":
            return Reasoning(effort, -1, show, adaptive=True)
        case "disabled":
            if effort is not None:
                config["effort"] = effort
            return Reasoning("none", 0)
    extras["thinking"] = thinking
    return None if effort is None else Reasoning(effort)
