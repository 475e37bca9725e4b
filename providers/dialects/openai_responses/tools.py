"""Tools and the choice among them, both ways. Pure.

Functions in a namespace are functions of the client's like any other: other dialects, which know no namespaces, have
them under a name of both. In this dialect the namespace goes back out as it was.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from providers.dialects.canon import Misfit, Request, Tool, ToolChoice
from providers.dialects.openai_responses import wire
from providers.dialects.openai_responses.items import NAME

_FUNCTION: Final = frozenset({"type", "name", "description", "parameters", "strict"})
_CUSTOM: Final = frozenset({"type", "name", "description"})
_WEB: Final = "web_search"
_CALLED: Final = ("function", "custom")
#: The longest name of a function.
_LONGEST: Final = 64
_WORDS: Final = frozenset({"auto", "none", "required"})
#: What a function without a schema takes.
_NOTHING: Final = {"type": "object", "properties": {}}


def read_tools(values: list[dict[str, Any]]) -> tuple[Tool, ...]:
    """The client's tools. Raises Misfit."""
    found: list[Tool] = []
    for index, value in enumerate(values):
        at = f"tools[{index}]"
        found += _within(value, at) or [read_tool(value, at)]
    return tuple(found)


def _within(value: dict[str, Any], at: str) -> list[Tool]:
    """The functions of a namespace; none where this is no namespace, or holds other tools too."""
    if value.get("type") != "namespace":
        return []
    space = wire.needed(value, "name", at)
    inner = wire.objects(value, "tools", at)
    if not all(one.get("type") in _CALLED for one in inner):
        return []
    tools = [read_tool(one, f"{at}.tools[{index}]") for index, one in enumerate(inner)]
    return [msgspec.structs.replace(tool, name=joined(space, tool.name), extras={"namespace": value}) for tool in tools]


def joined(space: str, name: str) -> str:
    """The name of a namespace's function where there are no namespaces: at most 64 characters, as everywhere."""
    both = f"{space}__{name}"
    if len(both) <= _LONGEST:
        return both
    return f"{both[:47]}_{hashlib.sha256(both.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def spaces_of(tools: tuple[Tool, ...]) -> dict[str, tuple[str, str]]:
    """(namespace, name) of the functions that have one, by the name that other dialects know."""
    values = [tool.extras["namespace"] for tool in tools if tool.dialect == NAME and "namespace" in tool.extras]
    return {joined(one["name"], tool["name"]): (one["name"], tool["name"]) for one in values for tool in one["tools"]}


def write_tools(tools: tuple[Tool, ...]) -> tuple[list[dict[str, Any]], list[Tool]]:
    """(tools as this API has them, those that it has not)."""
    written: list[dict[str, Any]] = []
    missing = []
    for tool in tools:
        space = tool.extras.get("namespace") if tool.dialect == NAME else None
        value = space if space is not None else write_tool(tool)
        if value is None:
            missing.append(tool)
        elif space is None or not any(value is one for one in written):
            written.append(value)
    return written, missing


def read_tool(value: dict[str, Any], at: str) -> Tool:
    """One of the client's tools. Raises Misfit."""
    kind = wire.needed(value, "type", at)
    if kind == "function":
        return Tool(
            "function",
            wire.needed(value, "name", at),
            wire.text(value, "description", at),
            wire.mapping(value, "parameters", at),
            wire.flag(value, "strict", at),
            dialect=NAME,
            extras=wire.rest(value, _FUNCTION),
        )
    if kind == "custom":
        name, description = wire.needed(value, "name", at), wire.text(value, "description", at)
        return Tool("free", name, description, dialect=NAME, extras=wire.rest(value, _CUSTOM))
    if kind.startswith(_WEB):
        words = {name: member for name, member in value.items() if name != "type"}
        return Tool("web_search", _WEB, dialect=NAME, value=words, extras={} if kind == _WEB else {"type": kind})
    return Tool("opaque", wire.text(value, "name", at) or kind, dialect=NAME, value=value)


def write_tool(tool: Tool) -> dict[str, Any] | None:
    """A tool as this API has it, None if it has none such. Functions of others are not strict unless they say so."""
    own = tool.dialect == NAME
    if tool.kind == "opaque":
        return tool.value if own else None
    extras = tool.extras if own else {}
    if tool.kind == "web_search":
        return {"type": _WEB, **_search_words(tool.value), **extras}
    described = {"description": tool.description} if tool.description else {}
    if tool.kind == "free":
        return {"type": "custom", "name": tool.name, **described, **extras}
    strict: dict[str, Any] = {"strict": tool.strict} if tool.strict is not None else {} if own else {"strict": False}
    parameters = tool.parameters if tool.parameters is not None or own else _NOTHING
    return {"type": "function", "name": tool.name, **described, "parameters": parameters, **strict, **extras}


def _search_words(words: dict[str, Any]) -> dict[str, Any]:
    """What a search is told. Chat completions have the place one level deeper."""
    place = words.get("user_location")
    if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
        return words | {"user_location": {"type": "approximate", **place["approximate"]}}
    return words


def read_choice(value: Any) -> tuple[ToolChoice | None, Any]:
    """(the choice, and how it was said where the hub has no words for all of it). Raises Misfit."""
    if value is None:
        return None, None
    if isinstance(value, str) and value in _WORDS:
        return ToolChoice(value), None  # type: ignore[arg-type]  # one of the words
    if not isinstance(value, dict):
        raise Misfit('`tool_choice` must be "auto", "none", "required" or an object.', "tool_choice")
    kind = wire.needed(value, "type", "tool_choice")
    if kind == "allowed_tools":
        mode = wire.needed(value, "mode", "tool_choice")
        if mode not in ("auto", "required"):
            raise Misfit('`tool_choice.mode` must be "auto" or "required".', "tool_choice.mode")
        tools = wire.objects(value, "tools", "tool_choice")
        names = tuple(wire.text(one, "name") or wire.text(one, "type") for one in tools)
        choice = ToolChoice(mode, allowed=names)  # type: ignore[arg-type]  # one of the two
        return choice, None if all(wire.text(one, "type") in _CALLED for one in tools) else value
    if kind in _CALLED:
        return ToolChoice("named", wire.needed(value, "name", "tool_choice")), None
    return ToolChoice(
        "named", _WEB if kind.startswith(_WEB) else wire.text(value, "name", "tool_choice") or kind
    ), value


def write_choice(request: Request) -> Any:
    """The choice as this API says it; None where the client made none. Raises Misfit."""
    choice = request.tool_choice
    if choice is None:
        return None
    said = request.extras.get("tool_choice") if request.dialect == NAME else None
    if said is not None:
        return said
    tools = {tool.name: tool for tool in request.tools}
    if choice.mode == "named":
        return _named(choice.name, tools)
    if choice.allowed:
        return {
            "type": "allowed_tools",
            "mode": choice.mode if choice.mode == "required" else "auto",
            "tools": [_named(name, tools) for name in choice.allowed],
        }
    return choice.mode


def _named(name: str, tools: dict[str, Tool]) -> dict[str, Any]:
    tool = tools.get(name)
    if tool is not None and tool.kind == "web_search":
        return {"type": tool.extras.get("type", _WEB) if tool.dialect == NAME else _WEB}
    return {"type": "custom" if tool is not None and tool.kind == "free" else "function", "name": name}
