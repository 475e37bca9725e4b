"""`generationConfig`, `tools` and `toolConfig` in the hub's words. Pure.

What only this dialect knows stays under its own name: members of `generationConfig` and `toolConfig` in the request's
extras, tools as opaque ones.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Format, Misfit, Reasoning, Tool, ToolChoice
from providers.dialects.google_generate.members import (
    below,
    flag,
    integer,
    message,
    number,
    several,
    text,
    texts,
    within,
)
from providers.dialects.google_generate.schema import json_schema
from providers.dialects.google_generate.words import NAME

JSON: Final = "application/json"
_JSON_WORDS: Final = (JSON, "APPLICATION_JSON")
_PLAIN: Final = ("", "text/plain")
_CONFIG: Final = "generationConfig"
_MODES: Final = ("", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_SEARCHES: Final = ("googleSearch", "googleSearchRetrieval")
_NUMBERS: Final = {
    "temperature": "temperature",
    "topP": "top_p",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
}
_INTEGERS: Final = {
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "candidateCount": "n",
    "seed": "seed",
    "logprobs": "top_logprobs",
}


def read_config(body: dict[str, Any], extras: dict[str, Any]) -> dict[str, Any]:
    """The members of a Request that `generationConfig` tells; the rest of it goes to `extras`."""
    config = below(body, _CONFIG, "")
    if config is None:
        return {}
    read: dict[str, Any] = {}
    for name, ours in _NUMBERS.items():
        read[ours] = number(config, name, _CONFIG)
    for name, ours in _INTEGERS.items():
        read[ours] = integer(config, name, _CONFIG)
    read["stop"] = texts(config, "stopSequences", _CONFIG)
    read["logprobs"] = flag(config, "responseLogprobs", _CONFIG)
    modalities = texts(config, "responseModalities", _CONFIG)
    read["modalities"] = tuple(word.lower() for word in modalities if word.upper() != "MODALITY_UNSPECIFIED")
    read["reasoning"] = _reasoning(config)
    read["format"] = _format(config)
    known = {*_NUMBERS, *_INTEGERS, "stopSequences", "responseLogprobs", "responseModalities", "thinkingConfig"}
    rest = {name: value for name, value in config.items() if name not in known}
    if rest:
        extras[_CONFIG] = rest
    return read


def _reasoning(config: dict[str, Any]) -> Reasoning | None:
    where = f"{_CONFIG}.thinkingConfig"
    thinking = below(config, "thinkingConfig", _CONFIG)
    if thinking is None:
        return None
    level = text(thinking, "thinkingLevel", where).lower()
    return Reasoning(
        effort=level if level and level != "thinking_level_unspecified" else None,
        budget=integer(thinking, "thinkingBudget", where),
        show=flag(thinking, "includeThoughts", where),
    )


def _format(config: dict[str, Any]) -> Format | None:
    """What the answer must be; takes what it understood out of `config`."""
    entries = [message(entry, f"{_CONFIG}.responseFormat") for entry in several(config, "responseFormat")]
    if len(entries) == 1 and entries[0].keys() == {"text"}:
        words = below(entries[0], "text", f"{_CONFIG}.responseFormat") or {}
        if text(words, "mimeType", f"{_CONFIG}.responseFormat.text") in _JSON_WORDS:
            del config["responseFormat"]
            schema = words.get("schema")
            return Format(None if schema is None else json_schema(schema, f"{_CONFIG}.responseFormat.text.schema"))
    kind = text(config, "responseMimeType", _CONFIG)
    if kind in _PLAIN:
        config.pop("responseMimeType", None)
    if kind not in (*_PLAIN, JSON):
        return None
    schema, openapi = config.pop("responseJsonSchema", None), config.pop("responseSchema", None)
    if schema is not None and not isinstance(schema, dict):
        raise Misfit(f"{_CONFIG}.responseJsonSchema must be a schema object.", f"{_CONFIG}.responseJsonSchema")
    if schema is None and openapi is not None:
        schema = json_schema(openapi, f"{_CONFIG}.responseSchema")
    if kind == JSON:
        del config["responseMimeType"]
    return Format(schema) if kind == JSON or schema is not None else None


def read_tools(body: dict[str, Any]) -> tuple[Tool, ...]:
    """The tools, in order."""
    tools: list[Tool] = []
    for at, value in enumerate(several(body, "tools")):
        where = f"tools[{at}]"
        for name, member in message(value, where).items():
            if name == "functionDeclarations":
                tools += _functions(member, within(where, name))
            elif name in _SEARCHES:
                # What the elder of the two could be told, no model in service knows.
                settings = message(member, within(where, name)) if name == "googleSearch" else {}
                tools.append(Tool("web_search", "web_search", dialect=NAME if settings else "", extras=settings))
            else:
                tools.append(Tool("opaque", name=name, dialect=NAME, value={name: member}))
    return tuple(tools)


def _functions(member: Any, where: str) -> list[Tool]:
    tools = []
    for at, value in enumerate(member if isinstance(member, list) else [member]):
        param = f"{where}[{at}]"
        function = message(value, param)
        name = text(function, "name", param)
        if not name:
            raise Misfit(f"{param}.name must be the name of a function.", f"{param}.name")
        schema = function.get("parametersJsonSchema")
        if schema is not None and not isinstance(schema, dict):
            raise Misfit(f"{param}.parametersJsonSchema must be a schema object.", f"{param}.parametersJsonSchema")
        if schema is None and function.get("parameters") is not None:
            schema = json_schema(function["parameters"], f"{param}.parameters")
        known = ("name", "description", "parameters", "parametersJsonSchema")
        rest = {key: member for key, member in function.items() if key not in known}
        described = text(function, "description", param)
        tools.append(Tool("function", name, described, schema, dialect=NAME if rest else "", extras=rest))
    return tools


def read_tool_choice(body: dict[str, Any], extras: dict[str, Any]) -> ToolChoice | None:
    """Which tools must or may be called; the rest of `toolConfig` goes to `extras`."""
    config = below(body, "toolConfig", "")
    if config is None:
        return None
    where = "toolConfig.functionCallingConfig"
    calling = below(config, "functionCallingConfig", "toolConfig") or {}
    mode = text(calling, "mode", where).upper()
    if mode not in _MODES:
        raise Misfit(f"{where}.mode must be AUTO, ANY, NONE or VALIDATED.", f"{where}.mode")
    allowed = texts(calling, "allowedFunctionNames", where)
    rest = {name: value for name, value in calling.items() if name not in ("mode", "allowedFunctionNames")}
    if mode == "VALIDATED":
        rest["mode"] = mode
    others = {name: value for name, value in config.items() if name != "functionCallingConfig"}
    if rest:
        others["functionCallingConfig"] = rest
    if others:
        extras["toolConfig"] = others
    return _choice(mode, allowed)


def _choice(mode: str, allowed: tuple[str, ...]) -> ToolChoice | None:
    if mode == "ANY":
        return ToolChoice("named", allowed[0]) if len(allowed) == 1 else ToolChoice("required", allowed=allowed)
    if mode == "NONE":
        return ToolChoice("none")
    return ToolChoice("auto", allowed=allowed) if mode in ("AUTO", "VALIDATED") else None
