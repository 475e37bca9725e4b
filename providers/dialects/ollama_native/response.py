"""Whole answers of Ollama's chat. Pure."""

from __future__ import annotations

from providers.dialects.canon import Answer, Choice, Part, Text, Thinking
from providers.dialects.ollama_native.messages import NAME
from providers.dialects.ollama_native.reading import (
    calls_of,
    created_of,
    extras_of,
    images_of,
    logprobs_of,
    message_of,
    stop_of,
    text_of,
    usage_of,
)
from providers.dialects.values import value_of


def read_answer(body: bytes) -> Answer:
    """The answer, which has no id. Raises BadAnswer."""
    found = value_of(body)
    message = message_of(found)
    thought, text, word = text_of(message, "thinking"), text_of(message, "content"), text_of(found, "done_reason")
    calls = calls_of(found, message)
    parts: list[Part] = [Thinking(thought)] if thought else []
    parts += [Text(text)] if text else []
    parts += [*images_of(message), *calls]
    choice = Choice(tuple(parts), stop_of(word, bool(calls)), word=word, logprobs=logprobs_of(found))
    return Answer(
        dialect=NAME,
        model=text_of(found, "model"),
        created=created_of(found),
        choices=(choice,),
        usage=usage_of(found),
        extras=extras_of(found),
    )
