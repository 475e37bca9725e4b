"""Whole answers of Converse. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from providers.dialects.answer_tool import ANSWER_TOOL, stop_without
from providers.dialects.bedrock_converse.content import NAME
from providers.dialects.bedrock_converse.reading import (
    citation_of,
    extras_of,
    media_of,
    sequence_of,
    stop_of,
    tier_of,
    usage_of,
)
from providers.dialects.canon import Answer, BadAnswer, Choice, Opaque, Part, Text, Thinking, ToolCall
from providers.dialects.values import value_of


def read_answer(body: bytes) -> Answer:
    """The answer. Its id is in a header and its model in the address, so it tells neither. Raises BadAnswer."""
    found = value_of(body)
    blocks = _blocks(found)
    parts = [part for block in blocks if (part := _part(block)) is not None]
    answered = any(_tool(block).get("name") == ANSWER_TOOL for block in blocks)
    calls = sum(isinstance(part, ToolCall) for part in parts)
    stop, word = stop_of(found.get("stopReason"))
    stop = stop_without(stop, calls, answered)
    sequence = sequence_of(found.get("additionalModelResponseFields"))
    return Answer(
        dialect=NAME,
        choices=(Choice(tuple(parts), stop, word=word, sequence=sequence),),
        usage=usage_of(found.get("usage")),
        service_tier=tier_of(found),
        extras=extras_of(found),
    )


def _blocks(found: Any) -> list[dict[str, Any]]:
    output = found.get("output") if isinstance(found, dict) else None
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        said = found.get("message") if isinstance(found, dict) else None
        failure = {"message": said} if isinstance(said, str) else None
        raise BadAnswer("the upstream's answer has no message with content", failure)
    return content


def _tool(block: dict[str, Any]) -> dict[str, Any]:
    """The call of a client's tool in a block; empty if there is none, or it is one of the upstream's own."""
    value = block.get("toolUse")
    return value if isinstance(value, dict) and value.get("type") != "server_tool_use" else {}


def _part(block: dict[str, Any]) -> Part | None:
    text = block.get("text")
    if isinstance(text, str):
        return Text(text) if text else None
    tool = _tool(block)
    if tool:
        return _call(tool)
    reasoning = block.get("reasoningContent")
    if isinstance(reasoning, dict):
        return thinking_of(reasoning)
    cited = block.get("citationsContent")
    if isinstance(cited, dict):
        return _cited(cited)
    return media_of(block) or (Opaque(NAME, block) if block else None)


def _call(tool: dict[str, Any]) -> Part:
    name, given = tool.get("name"), tool.get("toolUseId")
    if not isinstance(name, str) or not isinstance(given, str):
        raise BadAnswer("the upstream's answer calls a tool without a name or an id")
    value = tool.get("input")
    arguments = msgspec.json.encode({} if value is None else value).decode()
    return Text(arguments) if name == ANSWER_TOOL else ToolCall(given, name, arguments)


def thinking_of(value: dict[str, Any]) -> Thinking | None:
    """A thought: its text and signature, or what stands for one that is not shown."""
    hidden = value.get("redactedContent")
    if isinstance(hidden, str) and hidden:
        return Thinking(signature=hidden, signer=NAME, redacted=True)
    told = value.get("reasoningText")
    if not isinstance(told, dict):
        return None
    text, signature = told.get("text"), told.get("signature")
    text = text if isinstance(text, str) else ""
    signature = signature if isinstance(signature, str) else ""
    return Thinking(text, signature, NAME if signature else "") if text or signature else None


def _cited(value: dict[str, Any]) -> Text | None:
    content, citations = value.get("content"), value.get("citations")
    text = "".join(
        piece["text"]
        for piece in (content if isinstance(content, list) else ())
        if isinstance(piece, dict) and isinstance(piece.get("text"), str)
    )
    found = tuple(
        citation_of(citation, len(text))
        for citation in (citations if isinstance(citations, list) else ())
        if isinstance(citation, dict)
    )
    return Text(text, found) if text or found else None
