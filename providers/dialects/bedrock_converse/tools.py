"""Tools, and which of them must be called, as Converse says it. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from providers.dialects.answer_tool import ANSWER_TOOL, ANSWER_TOOL_SAYS, answer_schema
from providers.dialects.bedrock_converse.content import NAME, Room, cache_point, known_name
from providers.dialects.bedrock_converse.messages import called
from providers.dialects.bedrock_converse.schemas import enforceable
from providers.dialects.canon import Misfit, Request, Tool, ToolChoice

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
#: The arguments of a tool that takes free text.
_FREE: Final = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_AUTO: Final = ToolChoice("auto")

Block = dict[str, Any]


class Plan(msgspec.Struct, frozen=True):
    """What is said of tools. `forced`: the model must call one. `schema`: what the answer's text is held to."""

    config: Block | None
    forced: bool
    schema: Block | None


def plan_tools(request: Request, room: Room) -> Plan:
    """Raises Misfit."""
    choice = request.tool_choice or _AUTO
    model = room.model
    wanted = request.format.schema if request.format is not None else None
    schema = enforceable(wanted) if wanted is not None and model.takes_schema else None
    emulated = request.format is not None and schema is None and choice.mode in ("auto", "none")
    tools = _offered(request, choice, room)
    forced = emulated or choice.mode in ("required", "named")
    if forced and not model.can_be_forced:
        raise _cannot_force(emulated)
    blocks = [block for tool in tools for block in _written(tool, room)]
    if emulated:
        if choice.mode == "none":
            blocks = []
        blocks.append(_answer_tool(request))
    elif not blocks:
        blocks = [_stand_in(name) for name in called(request.messages)]
        if not blocks:
            return Plan(None, False, schema)
    if choice.mode == "none" and request.tools and not emulated:
        # The API has no word for it, and refuses a conversation with calls in it but without tools.
        room.drop("tool_choice")
    config: Block = {"tools": blocks}
    if forced:
        config["toolChoice"] = _choice(choice, room, alone=emulated and choice.mode == "none")
    return Plan(config, forced, schema)


def _cannot_force(emulated: bool) -> Misfit:
    if emulated:
        return Misfit(
            "This model cannot be held to JSON: leave response_format out.",
            "response_format",
            unsupported=True,
        )
    return Misfit(
        "This model cannot be made to call a tool: set tool_choice to auto.",
        "tool_choice",
        unsupported=True,
    )


def _offered(request: Request, choice: ToolChoice, room: Room) -> list[Tool]:
    """The tools that may be called. For "none" only those that the conversation's calls cannot do without."""
    tools = list(request.tools)
    if choice.mode == "none":
        return tools if called(request.messages) else []
    if choice.allowed:
        tools = [tool for tool in tools if tool.name in choice.allowed]
    names = {tool.name for tool in tools}
    if choice.mode == "named" and choice.name not in names:
        raise Misfit(f"tool_choice names the tool {choice.name!r}, which is not in tools.", "tool_choice")
    if choice.mode == "named" and not room.model.can_be_forced_by_name:
        return [tool for tool in tools if tool.name == choice.name]
    if choice.mode == "required" and not tools:
        raise Misfit("tool_choice asks for a call, but there are no tools.", "tool_choice")
    return tools


def _choice(choice: ToolChoice, room: Room, *, alone: bool) -> Block:
    if choice.mode == "named" and room.model.can_be_forced_by_name:
        return {"tool": {"name": choice.name}}
    if alone and room.model.can_be_forced_by_name:
        return {"tool": {"name": ANSWER_TOOL}}
    return {"any": {}}


def _written(tool: Tool, room: Room) -> list[Block]:
    if tool.kind == "opaque" and tool.dialect == NAME:
        return [tool.value]
    if tool.kind == "web_search" and room.model.is_nova:
        return [{"systemTool": {"name": "nova_grounding"}}]
    if tool.kind not in ("function", "free"):
        what = "web search" if tool.kind == "web_search" else f"the tool {tool.value.get('type', tool.name)!r}"
        raise Misfit(f"This model does not know {what}: leave it out of tools.", "tools", unsupported=True)
    points = cache_point(tool.cache, room) if room.model.is_claude else []
    if tool.cache is not None and not points:
        room.drop("cache_control")
    return [_spec(tool, room), *points]


def _spec(tool: Tool, room: Room) -> Block:
    if not _NAME.fullmatch(tool.name):
        raise Misfit(
            f"This upstream takes no tool with the name {tool.name[:80]!r}: "
            "use at most 64 letters, digits, underscores and hyphens.",
            "tools",
            unsupported=True,
        )
    spec: Block = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    schema: Block = {"type": "object", "properties": {}, **(tool.parameters or {})}
    if tool.kind == "free":
        room.drop("grammar")
        schema = _FREE
    asked = schema if tool.parameters is None else tool.parameters
    exact = enforceable(asked) if tool.strict and room.model.takes_schema else None
    spec["inputSchema"] = {"json": schema if exact is None else exact}
    if exact is not None:
        spec["strict"] = True
    elif tool.strict:
        room.drop("strict")
    return {"toolSpec": spec}


def _answer_tool(request: Request) -> Block:
    assert request.format is not None
    said = request.format.description or ANSWER_TOOL_SAYS
    schema = {"json": answer_schema(request.format)}
    return {"toolSpec": {"name": ANSWER_TOOL, "description": said, "inputSchema": schema}}


def _stand_in(name: str) -> Block:
    """A tool of which only the name is known: what was called before must be among the tools."""
    return {"toolSpec": {"name": known_name(name), "inputSchema": {"json": {"type": "object"}}}}
