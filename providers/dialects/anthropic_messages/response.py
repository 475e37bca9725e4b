"""A whole message: read from an upstream, written for a client, or relayed with the public name put in. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.answer_tool import ANSWER_TOOL, stop_without
from providers.dialects.anthropic_messages import members
from providers.dialects.anthropic_messages.blocks import read_content
from providers.dialects.anthropic_messages.counting import read_usage, write_usage
from providers.dialects.anthropic_messages.saying import carrier, citations, input_of, thought
from providers.dialects.anthropic_messages.words import NAME, message_id, stop_of, word_of
from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Choice,
    Media,
    Misfit,
    Opaque,
    Part,
    Refusal,
    Request,
    Stop,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.jsonio import quote, read_trusting
from providers.dialects.usage import Usage
from providers.dialects.values import value_in, value_of

_encode: Final = msgspec.json.Encoder().encode
_KNOWN: Final = ("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage")
_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens_details",
    "service_tier",
)
_TIERS: Final = {"standard": "default"}
_OWN_TIERS: Final = {"default": "standard", "priority": "priority", "batch": "batch"}


def read_answer(body: bytes) -> Answer:
    """The answer. Raises canon.BadAnswer."""
    found = value_of(body)
    if not isinstance(found, dict) or found.get("type") == "error" or "content" not in found:
        raise BadAnswer("the upstream's answer is no message")
    try:
        read = read_content([] if found["content"] is None else found["content"], "content")
        word = members.text(found, "stop_reason")
        sequence = members.text(found, "stop_sequence")
    except Misfit as error:
        raise BadAnswer(f"the upstream's answer is malformed: {error.message}") from error
    parts = tuple(answered(part) for part in read)
    usage = found.get("usage")
    return Answer(
        dialect=NAME,
        id=text_of(found.get("id")),
        model=text_of(found.get("model")),
        choices=(Choice(parts, stop_for(word, read), word=word, sequence=sequence),),
        usage=read_usage(usage),
        service_tier=tier_of(usage),
        extras={**leftovers(found), **usage_leftovers(usage)},
    )


def answered(part: Part) -> Part:
    """The part; a call of the tool that stands in for a JSON format is the answer's text."""
    return Text(part.arguments) if isinstance(part, ToolCall) and part.name == ANSWER_TOOL else part


def stop_for(word: str, parts: tuple[Part, ...]) -> Stop:
    """Why the answer stopped: a call of nothing but that tool is an end."""
    names = [part.name for part in parts if isinstance(part, ToolCall)]
    calls = sum(name != ANSWER_TOOL for name in names)
    return stop_without(stop_of(word), calls, ANSWER_TOOL in names)


def text_of(value: Any) -> str:
    """A string, or nothing."""
    return value if isinstance(value, str) else ""


def tier_of(usage: Any) -> str:
    """The service tier, in OpenAI's word where it has one."""
    tier = text_of(usage.get("service_tier")) if isinstance(usage, dict) else ""
    return _TIERS.get(tier, tier)


def leftovers(message: dict[str, Any]) -> dict[str, Any]:
    """Members of a message that the hub has no place for."""
    return {name: value for name, value in message.items() if name not in _KNOWN and value is not None}


def usage_leftovers(report: Any) -> dict[str, Any]:
    """The same of its usage, as the member `usage`."""
    members = report.items() if isinstance(report, dict) else ()
    found = {name: value for name, value in members if name not in _COUNTS and value is not None}
    return {"usage": found} if found else {}


def usage_said(usage: Usage | None, tier: str, extras: dict[str, Any]) -> dict[str, Any]:
    """The usage of an answer with what its own dialect adds to it."""
    more = extras.get("usage")
    service = {"service_tier": _OWN_TIERS[tier]} if tier in _OWN_TIERS else {}
    return {**write_usage(usage), **(more if isinstance(more, dict) else {}), **service}


def write_answer(answer: Answer, public_model: str, request: Request) -> bytes:
    """The message a client gets."""
    choice = answer.choices[0] if answer.choices else Choice()
    own = answer.extras if answer.dialect == NAME else {}
    return _encode(
        {
            "id": message_id(answer.id),
            "type": "message",
            "role": "assistant",
            "model": public_model,
            "content": [block for part in choice.parts for block in _blocks(part)],
            "stop_reason": word_of(choice.stop, choice.word, choice.parts),
            "stop_sequence": choice.sequence or None,
            **{name: value for name, value in own.items() if name not in _KNOWN},
            "usage": usage_said(answer.usage, answer.service_tier, own),
        }
    )


def _blocks(part: Part) -> list[dict[str, Any]]:
    """The blocks that say a part; none where this dialect cannot."""
    match part:
        case Text(text):
            said = citations(part)
            return [{"type": "text", "text": text, **({"citations": said} if said else {})}] if text or said else []
        case Refusal(text) | Media(text=text):
            return [{"type": "text", "text": text}] if text else []
        case Thinking():
            found = thought(part)
            return [found] if found else []
        case ToolCall():
            call = {"type": "tool_use", "id": part.id, "name": part.name, "input": input_of(part), **part.extras}
            proof = carrier(part, part.signature, part.signer)
            return [call, proof] if proof else [call]
        case Opaque(dialect, value) if dialect == NAME:
            return [value]
    return []


def splice(body: bytes, public_model: str) -> tuple[bytes, Usage | None]:
    """The message with its `model` replaced, and its usage. Every other byte stays.

    Raises jsonio.BadBody where the body is no JSON object.
    """
    fields = read_trusting(body)
    raw = fields.get("usage")
    usage = None if raw is None else read_usage(value_in(raw))
    if "model" not in fields:
        return body, usage
    return fields.replace("model", quote(public_model)), usage
