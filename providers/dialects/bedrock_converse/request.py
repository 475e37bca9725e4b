"""Requests for Converse and ConverseStream, whose bodies are the same. Pure.

Quirks of a route that this dialect knows: `vendor`, the maker of a model whose name does not tell; and the members of
a body that only the operator of the upstream can fill: `guardrailConfig`, `performanceConfig`, `requestMetadata`,
`promptVariables`, `additionalModelRequestFields`, `additionalModelResponseFieldPaths`. They win over what was made.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from providers.dialects.bedrock_converse.content import NAME, Room
from providers.dialects.bedrock_converse.messages import write_messages
from providers.dialects.bedrock_converse.models import model_of
from providers.dialects.bedrock_converse.thinking import Plan, plan_thinking
from providers.dialects.bedrock_converse.tools import plan_tools
from providers.dialects.canon import Format, Misfit, Request, Target, Written

#: Members of a body that nothing in a request of another dialect stands for.
_OWN: Final = (
    "guardrailConfig",
    "performanceConfig",
    "requestMetadata",
    "promptVariables",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
)
_TIERS: Final = frozenset({"priority", "default", "flex", "reserved"})
_MOST_METADATA: Final = 16
_METADATA: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")

#: Knobs that are left out, by their names in OpenAI's API.
_HARMLESS: Final = (
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("min_p", "min_p"),
    ("seed", "seed"),
    ("logit_bias", "logit_bias"),
    ("user", "user"),
    ("store", "store"),
    ("cache_key", "prompt_cache_key"),
    ("verbosity", "verbosity"),
)


def write_request(request: Request, target: Target) -> Written:
    """The body for the target's model. Raises Misfit."""
    _refuse(request)
    room = Room(model_of(target))
    tools = plan_tools(request, room)
    thinking = plan_thinking(request, target, room, forced=tools.forced)
    system, messages = write_messages(request, room)
    body: dict[str, Any] = {"messages": messages}
    if system:
        body["system"] = system
    if thinking.inference:
        body["inferenceConfig"] = thinking.inference
    if tools.config is not None:
        body["toolConfig"] = tools.config
    output = _output(request.format, tools.schema, thinking)
    if output:
        body["outputConfig"] = output
    if thinking.fields:
        body["additionalModelRequestFields"] = thinking.fields
    if "stopSequences" in thinking.inference and room.model.is_claude:
        # So that the answer tells which of them it stopped at.
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    _address(request, body, room)
    _own(request, target, body)
    for member, name in _HARMLESS:
        if getattr(request, member) not in (None, "", {}):
            room.drop(name)
    if request.parallel_tools is False and tools.config is not None:
        room.drop("parallel_tool_calls")
    return Written(body, tuple(room.dropped))


def _refuse(request: Request) -> None:
    """What would change the answer if it were left out."""
    if request.n is not None and request.n > 1:
        raise Misfit("This upstream gives one answer at a time: set n to 1.", "n", unsupported=True)
    if request.logprobs or request.top_logprobs:
        raise Misfit("This upstream tells no log probabilities: leave logprobs out.", "logprobs", unsupported=True)
    others = [word for word in request.modalities if word != "text"]
    if others or request.audio is not None:
        what = others[0] if others else "audio"
        raise Misfit(f"This upstream answers in text, not {what}.", "modalities", unsupported=True)


def _output(format: Format | None, schema: dict[str, Any] | None, thinking: Plan) -> dict[str, Any]:
    output: dict[str, Any] = {}
    if format is not None and schema is not None:
        made: dict[str, Any] = {"schema": msgspec.json.encode(schema).decode()}
        if format.name:
            made["name"] = format.name
        if format.description:
            made["description"] = format.description
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": made}}
    if thinking.effort:
        output["effort"] = thinking.effort
    return output


def _address(request: Request, body: dict[str, Any], room: Room) -> None:
    """What goes to the service rather than to the model."""
    if request.service_tier in _TIERS:
        body["serviceTier"] = {"type": request.service_tier}
    elif request.service_tier not in ("", "auto"):
        room.drop("service_tier")
    legal: dict[str, str] = {}
    for name, value in (request.metadata or {}).items():
        if isinstance(value, str) and name and _METADATA.fullmatch(name) and _METADATA.fullmatch(value):
            legal[name] = value
    if request.metadata and (len(legal) < len(request.metadata) or len(legal) > _MOST_METADATA):
        room.drop("metadata")
    elif legal:
        body["requestMetadata"] = legal


def _own(request: Request, target: Target, body: dict[str, Any]) -> None:
    said = [target.quirks]
    if request.dialect == NAME:
        said.insert(0, request.extras)
    for source in said:
        for name in _OWN:
            value = source.get(name)
            if isinstance(value, dict) and isinstance(body.get(name), dict):
                body[name] = {**body[name], **value}
            elif value is not None:
                body[name] = value
