"""Answers of Theta's on-demand service: a job, which is pending, processing, success or error. Pure."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from providers.dialects.canon import Answer, BadAnswer, Choice, Stop, Text
from providers.dialects.dialect import Later
from providers.dialects.theta_infer.request import NAME
from providers.dialects.usage import Usage, read_openai_usage
from providers.dialects.values import value_of

_UNDER_WAY: Final = frozenset({"pending", "processing"})
_SECONDS: Final = 3.0
_STOPS: Final[dict[str, Stop]] = {"stop": "end", "length": "length", "content_filter": "filter"}


def again(body: bytes) -> Later | None:
    """Where to ask for a job that is under way."""
    try:
        job = _job(body)
    except BadAnswer:
        return None
    name, state = job.get("id"), job.get("state")
    if not isinstance(state, str) or state not in _UNDER_WAY or not isinstance(name, str) or not name:
        return None
    return Later(f"/infer_request/{quote(name, safe='')}", _SECONDS)


def read_answer(body: bytes) -> Answer:
    """The answer of a job that is done. Raises BadAnswer."""
    job = _job(body)
    if job.get("state") == "error" or job.get("error"):
        said = job.get("error")
        error = said if isinstance(said, dict) else {"message": str(said or "The job failed.")}
        raise BadAnswer("the job failed", error)
    output, name = job.get("output"), job.get("id")
    text, word, usage = _of_choices(output) if isinstance(output, dict) and "choices" in output else _words(output)
    choice = Choice((Text(text),) if text else (), _STOPS.get(word, "end"), word=word)
    return Answer(dialect=NAME, id=name if isinstance(name, str) else "", choices=(choice,), usage=usage)


def _job(body: bytes) -> dict[str, Any]:
    found = value_of(body)
    inner = found.get("body") if isinstance(found, dict) else None
    jobs = inner.get("infer_requests") if isinstance(inner, dict) else None
    if not isinstance(jobs, list) or not jobs or not isinstance(jobs[0], dict):
        raise BadAnswer("the upstream's answer holds no job")
    return jobs[0]


def _words(output: object) -> tuple[str, str, Usage | None]:
    """Output as text, or as an object that holds it."""
    if isinstance(output, dict):
        output = next((output[name] for name in ("text", "content") if isinstance(output.get(name), str)), None)
    if not isinstance(output, str):
        raise BadAnswer("the job's output holds no text")
    return output, "", None


def _of_choices(output: dict[str, Any]) -> tuple[str, str, Usage | None]:
    """Output as OpenAI's chat has it."""
    choices = output["choices"]
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = first.get("message")
    text = message.get("content") if isinstance(message, dict) else first.get("text")
    if not isinstance(text, str):
        raise BadAnswer("the job's output holds no text")
    word, usage = first.get("finish_reason"), output.get("usage")
    return text, word if isinstance(word, str) else "", read_openai_usage(usage) if isinstance(usage, dict) else None
