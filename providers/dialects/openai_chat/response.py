"""A complete chat completion: relayed with the public model name put in, or read. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from providers.dialects.canon import Answer, BadAnswer, Choice, Misfit, Part, Text
from providers.dialects.jsonio import Fields, quote, read_trusting
from providers.dialects.openai_chat.messages import read_assistant
from providers.dialects.openai_chat.parts import read_sources
from providers.dialects.openai_chat.words import stop_of
from providers.dialects.usage import Usage, read_openai_usage
from providers.dialects.values import value_in, value_of

_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9_-]+")
_KNOWN: Final = frozenset(
    ("id", "object", "created", "model", "choices", "usage", "service_tier", "x_groq", "obfuscation", "error")
)


def splice(body: bytes, public_model: str) -> tuple[bytes, Usage | None]:
    """The answer with its top-level `model` replaced, and its usage. Every other byte stays.

    An answer without `model` gets none. Raises jsonio.BadBody where the body is no JSON object.
    """
    fields = read_trusting(body)
    usage = usage_of(fields)
    if "model" not in fields:
        return body, usage
    return fields.replace("model", quote(public_model)), usage


def usage_of(fields: Fields) -> Usage | None:
    """The usage of an answer or a chunk: `usage`, or Groq's `x_groq.usage`."""
    usage = None
    raw = fields.get("usage")
    if raw is not None and raw != b"null":
        usage = read_openai_usage(value_in(raw))
    if usage is None:
        raw = fields.get("x_groq")
        if raw is not None:
            groq = value_in(raw)
            usage = read_openai_usage(groq.get("usage")) if isinstance(groq, dict) else None
    return usage


def read_answer(body: bytes) -> Answer:
    """The answer. Raises canon.BadAnswer."""
    found = value_of(body)
    choices = found.get("choices") if isinstance(found, dict) else None
    if not isinstance(choices, list) or not choices:
        said = found.get("error") if isinstance(found, dict) else None
        raise BadAnswer("The upstream's answer has no `choices`.", said if isinstance(said, dict) else None)
    head = read_head(found)
    sources = read_sources(found)
    try:
        read = tuple(_choice(choice, at, head["id"]) for at, choice in enumerate(choices))
    except Misfit as problem:
        raise BadAnswer(problem.message) from problem
    return Answer(
        choices=tuple(_sourced(choice, sources) for choice in read) if sources else read,
        usage=found_usage(found),
        service_tier=text_of(found, "service_tier"),
        extras=read_extras(found),
        **head,
    )


def read_head(found: dict[str, Any]) -> dict[str, Any]:
    """What an answer and each of its chunks begin with."""
    created = found.get("created")
    if isinstance(created, float):
        created = int(created) if created.is_integer() else 0
    return {
        "dialect": "openai_chat",
        "id": text_of(found, "id"),
        "model": text_of(found, "model"),
        "created": created if type(created) is int else 0,
    }


def read_extras(found: dict[str, Any]) -> dict[str, Any]:
    """The members that only this dialect knows."""
    return {name: value for name, value in found.items() if name not in _KNOWN and value is not None}


def found_usage(found: dict[str, Any]) -> Usage | None:
    """As `usage_of`, of decoded JSON."""
    usage = read_openai_usage(found.get("usage"))
    groq = found.get("x_groq")
    return read_openai_usage(groq.get("usage")) if usage is None and isinstance(groq, dict) else usage


def seed_of(answer_id: str, choice: int) -> str:
    """What makes the ids of tool calls that came without one: unlike those of any other answer."""
    bare = _NOT_IN_IDS.sub("-", answer_id)
    return f"{bare}_{choice}" if choice else bare


def read_logprobs(choice: dict[str, Any]) -> dict[str, Any] | None:
    """The log probabilities of a choice, if there are any."""
    found = choice.get("logprobs")
    kept = {name: value for name, value in found.items() if isinstance(value, list)} if isinstance(found, dict) else {}
    return kept or None


def _choice(choice: Any, at: int, answer_id: str) -> Choice:
    if not isinstance(choice, dict):
        raise BadAnswer("The upstream's `choices` are not objects.")
    message = choice.get("message")
    message = choice.get("delta") if message is None else message
    if not isinstance(message, dict):
        raise BadAnswer("A choice of the upstream's answer has no `message`.")
    index = choice.get("index")
    index = index if type(index) is int and index >= 0 else at
    word = text_of(choice, "finish_reason")
    parts = read_assistant(message, "message", seed_of(answer_id, index))
    return Choice(tuple(parts), stop_of(word), index, word, logprobs=read_logprobs(choice))


def _sourced(choice: Choice, sources: list[Any]) -> Choice:
    """The choice with what the whole answer rests on, if its text does not say so itself."""
    parts: list[Part] = list(choice.parts)
    texts = [at for at, part in enumerate(parts) if isinstance(part, Text)]
    if not texts or any(getattr(part, "citations", ()) for part in parts):
        return choice
    parts[texts[-1]] = msgspec.structs.replace(parts[texts[-1]], citations=tuple(sources))
    return msgspec.structs.replace(choice, parts=tuple(parts))


def text_of(source: dict[str, Any], name: str) -> str:
    """A member that is a string, empty otherwise."""
    value = source.get(name)
    return value if isinstance(value, str) else ""
