"""A client's request, read. Strict: a member of the wrong type is a Misfit, one that is unknown an extra. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Format, Message, Misfit, Reasoning, Request, Text
from providers.dialects.openai_responses import wire
from providers.dialects.openai_responses.history import read_input
from providers.dialects.openai_responses.items import NAME
from providers.dialects.openai_responses.tools import read_choice, read_tools, spaces_of

#: Members with a place of their own in the hub, which are not kept as extras as well.
_KNOWN: Final = frozenset(
    {
        "model", "input", "instructions", "stream", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning",
        "max_output_tokens", "temperature", "top_p", "top_logprobs", "user", "metadata", "service_tier", "store",
        "prompt_cache_key",
    }
)  # fmt: skip
_REASONING: Final = frozenset({"effort", "summary"})
_TEXT: Final = frozenset({"format", "verbosity"})
#: What says nothing, being what is meant without it.
_USUAL: Final[dict[str, Any]] = {"background": False, "truncation": "disabled"}
ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
#: What may be included that every dialect is asked for, or gives unasked.
_HEARD: Final = frozenset({ENCRYPTED, LOGPROBS})
_EFFORTS_MOST: Final = 32


def read_request(body: dict[str, Any]) -> Request:
    """The request. Raises Misfit."""
    instructions = wire.text(body, "instructions")
    first = (Message("system", (Text(instructions),), notes={"instructions": True}),) if instructions else ()
    choice, said = read_choice(body.get("tool_choice"))
    form, verbosity, text_rest = _text(body)
    reasoning, reasoning_rest = _reasoning(body)
    include = wire.words(body, "include")
    extras = wire.rest(body, _KNOWN) | text_rest | reasoning_rest | ({"tool_choice": said} if said else {})
    notes: dict[str, Any] = {name: extras.pop(name) for name, usual in _USUAL.items() if extras.get(name) == usual}
    if _HEARD.issuperset(include) and include:
        notes["include"] = extras.pop("include")
    user, known_as = wire.text(body, "user"), wire.text(body, "safety_identifier")
    if known_as and not user:
        notes["safety_identifier"] = extras.pop("safety_identifier")
    tools = read_tools(wire.objects(body, "tools"))
    spaces = frozenset(space for space, _ in spaces_of(tools).values())
    return Request(
        dialect=NAME,
        model=wire.text(body, "model"),
        messages=(*first, *read_input(body.get("input"), spaces)),
        stream=wire.flag(body, "stream") or False,
        tools=tools,
        tool_choice=choice,
        parallel_tools=wire.flag(body, "parallel_tool_calls"),
        format=form,
        reasoning=reasoning,
        max_tokens=wire.integer(body, "max_output_tokens"),
        temperature=wire.number(body, "temperature"),
        top_p=wire.number(body, "top_p"),
        logprobs=True if LOGPROBS in include else None,
        top_logprobs=wire.integer(body, "top_logprobs"),
        user=user or known_as,
        metadata=wire.mapping(body, "metadata"),
        service_tier=wire.text(body, "service_tier"),
        store=wire.flag(body, "store"),
        cache_key=wire.text(body, "prompt_cache_key"),
        verbosity=verbosity,
        extras=extras,
        notes=notes,
    )


def _text(body: dict[str, Any]) -> tuple[Format | None, str, dict[str, Any]]:
    """(format, verbosity, what else `text` says)."""
    text = wire.mapping(body, "text") or {}
    verbosity = wire.text(text, "verbosity", "text")
    rest = {f"text.{name}": value for name, value in wire.rest(text, _TEXT).items()}
    form = wire.mapping(text, "format", "text")
    if form is None:
        return None, verbosity, rest
    kind = wire.needed(form, "type", "text.format")
    if kind == "text":
        return None, verbosity, rest
    if kind == "json_object":
        return Format(), verbosity, rest
    if kind != "json_schema":
        raise Misfit('`text.format.type` must be "text", "json_object" or "json_schema".', "text.format.type")
    schema = wire.mapping(form, "schema", "text.format")
    if schema is None:
        raise Misfit("`text.format.schema` must be given: a JSON schema.", "text.format.schema")
    name = wire.needed(form, "name", "text.format")
    described = wire.text(form, "description", "text.format")
    return Format(schema, name, described, wire.flag(form, "strict", "text.format")), verbosity, rest


def _reasoning(body: dict[str, Any]) -> tuple[Reasoning | None, dict[str, Any]]:
    """(how much to think, what else `reasoning` says)."""
    said = wire.mapping(body, "reasoning")
    if said is None:
        return None, {}
    effort = wire.text(said, "effort", "reasoning") or None
    if effort is not None and len(effort) > _EFFORTS_MOST:
        raise Misfit("`reasoning.effort` must be one of the API's words, such as `medium`.", "reasoning.effort")
    summary = wire.text(said, "summary", "reasoning") or None
    rest = {f"reasoning.{name}": value for name, value in wire.rest(said, _REASONING).items()}
    show = True if summary or rest.get("reasoning.generate_summary") else None
    if effort is None and show is None:
        return None, rest
    return Reasoning(effort, show=show, summary=summary), rest
