"""Answers of GitLab Duo's chat: a JSON string, or an object around it. Pure."""

from __future__ import annotations

from providers.dialects.canon import Answer, BadAnswer, Choice, Text
from providers.dialects.gitlab_duo.request import NAME
from providers.dialects.values import value_of


def read_answer(body: bytes) -> Answer:
    """The answer, of which nothing is known but its words. Raises BadAnswer."""
    found = value_of(body)
    text = found
    if isinstance(found, dict):
        text = next((found[name] for name in ("response", "content") if isinstance(found.get(name), str)), None)
        if text is None and isinstance(found.get("message"), str):
            raise BadAnswer("the upstream's answer is a message of failure", {"message": found["message"]})
    if not isinstance(text, str):
        raise BadAnswer("the upstream's answer is no text")
    return Answer(dialect=NAME, choices=(Choice((Text(text),) if text else (), "end"),))
