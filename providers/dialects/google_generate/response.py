"""Whole answers: read, written for a client, and relayed with the public model's name put in. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Choice,
    Misfit,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.canon import Media as MediaPart
from providers.dialects.google_generate.citations import write_grounding
from providers.dialects.google_generate.counts import read_usage, write_usage
from providers.dialects.google_generate.dates import instant_of
from providers.dialects.google_generate.gathering import Gathering
from providers.dialects.google_generate.logprobs import write_logprobs
from providers.dialects.google_generate.parts import call_part, media_part, proof, words_part
from providers.dialects.google_generate.words import NAME, reason_of
from providers.dialects.jsonio import quote, read_trusting
from providers.dialects.streams import assemble
from providers.dialects.usage import Usage
from providers.dialects.values import value_in, value_of

MODEL: Final = "modelVersion"
_encode: Final = msgspec.json.Encoder().encode


def read_answer(body: bytes) -> Answer:
    """An answer. Raises canon.BadAnswer."""
    found = value_of(body)
    if not isinstance(found, dict) or found.get("error") is not None:
        raise BadAnswer("the answer is no object, or an error")
    gathering = Gathering()
    answer = assemble([*gathering.feed(found), *gathering.end(whole=True)])
    if not answer.choices:
        raise BadAnswer("the answer has no candidates")
    return answer


def write_answer(answer: Answer, model: str, request: Request) -> bytes:
    """The answer for a client, under the public model's name."""
    native = answer.dialect == NAME
    extras = dict(answer.extras) if native else {}
    beside = extras.pop("candidates", None)
    body: dict[str, Any] = {}
    if not refused_whole(answer.choices, extras):
        body["candidates"] = [_candidate(choice, native, beside_of(beside, choice.index)) for choice in answer.choices]
    body |= extras
    if answer.usage is not None:
        body["usageMetadata"] = write_usage(answer.usage, answer.service_tier if native else "")
    return _encode(body | identity(model, answer.id, answer.created))


def identity(model: str, answer_id: str, created: int) -> dict[str, Any]:
    """The members that tell which answer it is. The ids of Google's answers are opaque: any will do."""
    instant = instant_of(created) if created else ""
    return {
        MODEL: model,
        **({"createTime": instant} if instant else {}),
        **({"responseId": answer_id} if answer_id else {}),
    }


def refused_whole(choices: tuple[Choice, ...], extras: dict[str, Any]) -> bool:
    """Whether the prompt was refused before any candidate was begun."""
    feedback = extras.get("promptFeedback")
    said = isinstance(feedback, dict) and bool(feedback.get("blockReason"))
    return said and not any(choice.parts or choice.stop != "filter" for choice in choices)


def beside_of(beside: Any, index: int) -> dict[str, Any]:
    """What only this dialect knows of a candidate."""
    found = beside.get(str(index)) if isinstance(beside, dict) else None
    return found if isinstance(found, dict) else {}


def _candidate(choice: Choice, native: bool, beside: dict[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    texts: list[tuple[int, Text]] = []
    for part in choice.parts:
        made = answer_part(part)
        if made is None:
            continue
        if isinstance(part, Text):
            texts.append((len(parts), part))
        parts.append(made)
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}} if parts else {}
    return candidate | ending(choice, native, beside, texts)


def ending(choice: Choice, native: bool, beside: dict[str, Any], texts: list[tuple[int, Text]]) -> dict[str, Any]:
    """What a candidate says besides its content: why it stopped, what it is grounded on."""
    made: dict[str, Any] = {"finishReason": reason_of(choice.stop, choice.word, native), "index": choice.index}
    made |= beside
    if beside.keys().isdisjoint(("groundingMetadata", "citationMetadata")):
        grounding = write_grounding(texts)
        if grounding is not None:
            made["groundingMetadata"] = grounding
    logprobs = write_logprobs(choice.logprobs or {})
    if logprobs is not None:
        made["logprobsResult"] = logprobs
    return made


def answer_part(part: Part) -> dict[str, Any] | None:
    """A whole part of an answer; None where there is nothing to say."""
    match part:
        case Text() | Thinking():
            made = words_part(part.text, part) | proof(part, part.signature, part.signer)
            return made if part.text or part.signature else None
        case ToolCall():
            return call_part(part, part.arguments) | proof(part, part.signature, part.signer)
        case Refusal(text):
            return {"text": text} if text else None
        case MediaPart():
            try:
                return media_part(part, "", native=True)
            except Misfit:
                return {"fileData": {"fileUri": part.url}}
        case Opaque(dialect, value) if dialect == NAME:
            return value
    return None


def splice(body: bytes, public_model: str) -> tuple[bytes, Usage | None]:
    """The answer with its `modelVersion` replaced, and its usage. Every other byte stays.

    An answer without `modelVersion` gets none. Raises jsonio.BadBody where the body is no JSON object.
    """
    fields = read_trusting(body)
    raw = fields.get("usageMetadata")
    usage = read_usage(value_in(raw)) if raw is not None else None
    if MODEL not in fields:
        return body, usage
    return fields.replace(MODEL, quote(public_model)), usage
