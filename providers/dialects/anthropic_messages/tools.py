"""Tools, the choice among them, and a format of the answer that a tool has to stand in for. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.answer_tool import ANSWER_TOOL
from providers.dialects.anthropic_messages.formats import answer_tool, enforceable
from providers.dialects.anthropic_messages.saying import mark
from providers.dialects.anthropic_messages.words import NAME
from providers.dialects.canon import Misfit, Request, Tool
from providers.dialects.claude import Accepts

_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none", "named": "tool"}
_NO_PARAMETERS: Final = {"type": "object", "properties": {}}
_FREE: Final = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_SEARCH: Final = "web_search_20250305"
_FORCED: Final = ("any", "tool")


class Tools:
    """Writes a request's tools, tool choice and format into `tools`, `choice` and `form`."""

    def __init__(self, request: Request, able: Accepts, dropped: dict[str, None]) -> None:
        self._request = request
        self._able = able
        self._own = request.dialect == NAME
        self._dropped = dropped
        allowed = request.tool_choice.allowed if request.tool_choice else ()
        chosen = [tool for tool in request.tools if not allowed or tool.name in allowed]
        self.tools = [self._tool(tool) for tool in chosen]
        self.form: dict[str, Any] | None = None
        self.choice = self._choice()
        if request.format is not None:
            self._format()
        if self.forced and able.forcing == "never":
            raise Misfit("The model cannot be made to call a tool.", "tool_choice", unsupported=True)

    @property
    def forced(self) -> bool:
        """Whether the model must call a tool."""
        return self.choice is not None and self.choice["type"] in _FORCED

    def said(self) -> dict[str, Any]:
        """`tools` and `tool_choice`."""
        made: dict[str, Any] = {"tools": self.tools} if self.tools else {}
        if self.choice is not None and self.tools:
            made["tool_choice"] = self.choice
        return made

    def _tool(self, tool: Tool) -> dict[str, Any]:
        match tool.kind:
            case "function":
                return self._function(tool)
            case "free":
                self._dropped["grammar"] = None
                made = {"name": tool.name, "input_schema": _FREE, **mark(tool.cache)}
                return {**made, "description": tool.description} if tool.description else made
            case "web_search":
                return self._search(tool)
        if tool.dialect == NAME:
            return tool.value
        kind = tool.value.get("type") or tool.name
        raise Misfit(f"The model has no tool of the type `{kind}`.", "tools", unsupported=True)

    def _function(self, tool: Tool) -> dict[str, Any]:
        schema = tool.parameters if tool.parameters is not None else _NO_PARAMETERS
        strict = tool.strict if self._own else None
        if tool.strict and not self._own:
            exact = enforceable(schema) if self._able.schemas else None
            strict = True if exact is not None else None
            schema = exact if exact is not None else schema
            if exact is None:
                self._dropped["strict"] = None
        if not self._own and "type" not in schema:
            schema = {"type": "object", **schema}
        made: dict[str, Any] = {"name": tool.name, "input_schema": schema}
        if tool.description:
            made["description"] = tool.description
        if strict is not None:
            made["strict"] = strict
        return {**made, **(tool.extras if self._own else {}), **mark(tool.cache)}

    def _search(self, tool: Tool) -> dict[str, Any]:
        if tool.dialect == NAME and tool.extras:
            return tool.extras
        made: dict[str, Any] = {"type": _SEARCH, "name": "web_search", **mark(tool.cache)}
        filters, place = tool.value.get("filters"), tool.value.get("user_location")
        if isinstance(filters, dict) and filters.get("allowed_domains"):
            made["allowed_domains"] = filters["allowed_domains"]
        if isinstance(place, dict):
            near = place.get("approximate")
            made["user_location"] = {"type": "approximate", **(near if isinstance(near, dict) else place)}
        if tool.value.get("search_context_size"):
            self._dropped["search_context_size"] = None
        return made

    def _choice(self) -> dict[str, Any] | None:
        choice, parallel = self._request.tool_choice, self._request.parallel_tools
        mode = choice.mode if choice is not None else "auto"
        if not self.tools:
            if mode in ("required", "named"):
                raise Misfit("`tool_choice` asks for a tool, but there are no tools.", "tool_choice")
            return None
        made: dict[str, Any] = {"type": _CHOICES[mode]}
        if choice is not None and mode == "named":
            made["name"] = choice.name
        if mode != "none" and parallel is not None and (self._own or not parallel):
            made["disable_parallel_tool_use"] = not parallel
        return made if choice is not None or len(made) > 1 else None

    def _format(self) -> None:
        form = self._request.format
        if form is None or self.forced:  # a tool call is no text, which alone has a format
            return
        if form.schema is not None and (self._able.schemas or (self._own and self._able.lenient)):
            schema = form.schema if self._own else enforceable(form.schema)
            if schema is not None:
                self.form = {"type": "json_schema", "schema": schema}
                return
        closed = not self.tools or (self.choice is not None and self.choice["type"] == "none")
        self.tools = [*self.tools, answer_tool(form)]
        self.choice = {"type": "tool", "name": ANSWER_TOOL} if closed else {"type": "any"}
        if closed or self._request.parallel_tools is False:
            self.choice["disable_parallel_tool_use"] = True
