"""Asks for Converse requests and reads them back, which nothing but tests has to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.dialects.bedrock_converse.content import MEDIA_TYPES, NAME
from providers.dialects.bedrock_converse.dialect import BEDROCK_CONVERSE
from providers.dialects.canon import (
    Cache,
    Format,
    Media,
    Message,
    Misfit,
    Opaque,
    Part,
    Reasoning,
    Request,
    Target,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS = "global.anthropic.claude-opus-4-8"
CLAUDE_37 = "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
NOVA = "us.amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
MISTRAL = "mistral.mistral-large-2407-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
WEATHER = Tool("function", "weather", "Tells the weather.", {"type": "object", "properties": {"at": {}}})
TIME = Tool("function", "time", "Tells the time.", {"type": "object", "properties": {}})
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def asked(*parts: Part, **more: Any) -> Request:
    messages = more.pop("messages", (Message("user", parts or (Text("hi"),)),))
    return Request(dialect="openai_chat", messages=messages, **more)


def written(request: Request, model: str = SONNET, **more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = BEDROCK_CONVERSE.upstream.write_request(request, Target(model=model, **more))
    json.dumps(found.body)
    return found.body, found.dropped


def refused(request: Request, model: str = SONNET) -> str:
    with pytest.raises(Misfit) as caught:
        written(request, model)
    assert caught.value.unsupported
    return caught.value.message


EXTRAS = ("guardrailConfig", "performanceConfig", "requestMetadata", "additionalModelResponseFieldPaths")


def read_request(body: dict[str, Any], model: str = "") -> Request:
    config = body.get("inferenceConfig", {})
    messages = [Message("system", read_parts(body["system"]))] if body.get("system") else []
    for message in body["messages"]:
        messages += read_message(message)
    tools, choice = read_tools(body.get("toolConfig", {}))
    fields = dict(body.get("additionalModelRequestFields", {}))
    return Request(
        dialect=NAME,
        model=model,
        messages=tuple(messages),
        tools=tools,
        tool_choice=choice,
        format=read_format(body.get("outputConfig", {})),
        reasoning=read_reasoning(fields, body.get("outputConfig", {}).get("effort")),
        max_tokens=config.get("maxTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        top_k=fields.pop("top_k", None),
        stop=tuple(config.get("stopSequences", ())),
        service_tier=body.get("serviceTier", {}).get("type", ""),
        extras={name: body[name] for name in EXTRAS if name in body}
        | ({"additionalModelRequestFields": fields} if fields else {}),
    )


def read_message(message: dict[str, Any]) -> list[Message]:
    parts = read_parts(message["content"])
    if message["role"] == "assistant":
        return [Message("assistant", parts)]
    results = tuple(part for part in parts if isinstance(part, ToolResult))
    rest = tuple(part for part in parts if not isinstance(part, ToolResult))
    return [*([Message("tool", results)] if results else []), *([Message("user", rest)] if rest else [])]


def read_parts(blocks: list[dict[str, Any]]) -> tuple[Part, ...]:
    parts: list[Any] = []
    for block in blocks:
        if "cachePoint" in block:
            last = parts.pop()
            fields = {name: getattr(last, name) for name in last.__struct_fields__} | {
                "cache": Cache(block["cachePoint"].get("ttl", ""))
            }
            parts.append(type(last)(**fields))
        else:
            parts.append(read_part(block))
    return tuple(parts)


def read_part(block: dict[str, Any]) -> Part:
    match block:
        case {"text": text}:
            return Text(text)
        case {"toolUse": {"toolUseId": given, "name": name, "input": value}}:
            return ToolCall(given, name, json.dumps(value))
        case {"toolResult": {"toolUseId": given, "content": content, **rest}} if all(
            "searchResult" not in inner for inner in content
        ):
            texts = [Text(inner["text"]) if "text" in inner else read_media(inner) for inner in content]
            return ToolResult(given, tuple(texts), failed=rest.get("status") == "error")
        case {"reasoningContent": {"redactedContent": hidden}}:
            return Thinking(signature=hidden, signer=NAME, redacted=True)
        case {"reasoningContent": {"reasoningText": value}}:
            return Thinking(value["text"], value.get("signature", ""), NAME)
        case {"image": _} | {"document": _} | {"video": _} | {"audio": _}:
            return read_media(block)
    return Opaque(NAME, block)


def read_media(block: dict[str, Any]) -> Media:
    ((kind, value),) = block.items()
    source = value["source"]
    return Media(
        kind,
        url=source.get("s3Location", {}).get("uri", ""),
        data=source.get("bytes", ""),
        text=source.get("text", ""),
        media_type=MEDIA_TYPES[kind][value["format"]],
        name=value.get("name", ""),
        extras={name: value[name] for name in ("citations", "context") if name in value},
    )


def read_tools(config: dict[str, Any]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools = []
    for block in config.get("tools", ()):
        spec = block.get("toolSpec")
        if spec is None:
            tools.append(Tool("opaque", dialect=NAME, value=block))
        else:
            schema = spec["inputSchema"]["json"]
            tools.append(Tool("function", spec["name"], spec.get("description", ""), schema, spec.get("strict")))
    match config.get("toolChoice"):
        case {"any": _}:
            return tuple(tools), ToolChoice("required")
        case {"tool": {"name": name}}:
            return tuple(tools), ToolChoice("named", name)
    return tuple(tools), None


def read_format(config: dict[str, Any]) -> Format | None:
    if "textFormat" not in config:
        return None
    found = config["textFormat"]["structure"]["jsonSchema"]
    return Format(json.loads(found["schema"]), found.get("name", ""), found.get("description", ""))


def read_reasoning(fields: dict[str, Any], effort: str | None) -> Reasoning | None:
    match fields.get("thinking"):
        case {"type": "enabled", "budget_tokens": budget}:
            del fields["thinking"]
            return Reasoning(budget=budget)
        case {"type": "adaptive"}:
            del fields["thinking"]
            return Reasoning(effort=effort, adaptive=True)
        case {"type": "disabled"}:
            del fields["thinking"]
            return Reasoning(effort="none")
    return None
