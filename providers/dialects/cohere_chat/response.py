"""Whole answers of Cohere's chat. Pure.

A tool plan is a thought: the model tells itself which tools it will call and why, before it calls them, and never as
the answer to the user.
"""

from __future__ import annotations

from typing import Any

from providers.dialects.answer_tool import ANSWER_TOOL, stop_without
from providers.dialects.canon import Answer, BadAnswer, Choice, Opaque, Part, Text, Thinking, ToolCall
from providers.dialects.cohere_chat.messages import NAME
from providers.dialects.cohere_chat.reading import (
    billed_of,
    citations_of,
    is_of_text,
    logprobs_of,
    stop_of,
    usage_of,
)
from providers.dialects.values import value_of


def read_answer(body: bytes) -> Answer:
    """The answer. Raises BadAnswer."""
    found = value_of(body)
    message = found.get("message") if isinstance(found, dict) else None
    if not isinstance(message, dict):
        said = {"message": message} if isinstance(message, str) else None
        raise BadAnswer("the upstream's answer has no message", said)
    citations = [value for value in _listed(message, "citations") if isinstance(value, dict)]
    plan = message.get("tool_plan")
    parts: list[Part] = [Thinking(plan)] if isinstance(plan, str) and plan else []
    content, others = _content(message, citations)
    calls = [_call(value) for value in _listed(message, "tool_calls")]
    answered = any(isinstance(part, Text) for part in calls)
    stop, word = stop_of(found.get("finish_reason"))
    stop = stop_without(stop, sum(isinstance(part, ToolCall) for part in calls), answered)
    given = found.get("id")
    return Answer(
        dialect=NAME,
        id=given if isinstance(given, str) else "",
        choices=(Choice((*parts, *content, *calls), stop, word=word, logprobs=logprobs_of(found.get("logprobs"))),),
        usage=usage_of(found.get("usage")),
        extras=billed_of(found.get("usage")) | ({"citations": others} if others else {}),
    )


def _listed(message: dict[str, Any], name: str) -> list[Any]:
    value = message.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadAnswer(f"the upstream's answer has {name} that are no list")
    return value


def _content(message: dict[str, Any], citations: list[dict[str, Any]]) -> tuple[list[Part], list[dict[str, Any]]]:
    """The parts of the content, and the citations that belong to none of its texts."""
    value = message.get("content")
    blocks = [{"type": "text", "text": value}] if isinstance(value, str) else _listed(message, "content")
    texts = [at for at, block in enumerate(blocks) if isinstance(block, dict) and block.get("type") == "text"]
    parts: list[Part] = []
    placed: list[dict[str, Any]] = []
    for at, block in enumerate(blocks):
        if not isinstance(block, dict):
            raise BadAnswer("the upstream's answer has content that is no block")
        mine = [one for one in citations if is_of_text(one) and one.get("content_index", texts[:1] and texts[0]) == at]
        part = _part(block, mine if at in texts else [])
        if part is not None:
            parts.append(part)
            placed += mine if at in texts else []
    return parts, [value for value in citations if value not in placed]


def _part(block: dict[str, Any], citations: list[dict[str, Any]]) -> Part | None:
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        cited = tuple(citation for value in citations for citation in citations_of(value))
        return Text(block["text"], cited) if block["text"] else None
    if kind == "thinking" and isinstance(block.get("thinking"), str):
        return Thinking(block["thinking"]) if block["thinking"] else None
    if kind in ("text", "thinking"):
        raise BadAnswer("the upstream's answer has a block without its words")
    return Opaque(NAME, block)


def _call(value: Any) -> Part:
    function = value.get("function") if isinstance(value, dict) else None
    given, name, arguments = (
        (value.get("id"), function.get("name"), function.get("arguments"))
        if isinstance(function, dict)
        else (None, None, None)
    )
    if not isinstance(given, str) or not isinstance(name, str):
        raise BadAnswer("the upstream's answer calls a tool without a name or an id")
    text = arguments if isinstance(arguments, str) and arguments else "{}"
    return Text(text) if name == ANSWER_TOOL else ToolCall(given, name, text)
