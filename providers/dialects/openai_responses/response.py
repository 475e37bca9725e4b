"""A whole answer: read, written, and relayed with the public model name put in. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import Answer, BadAnswer, Choice, Part, Request, Stop, ToolCall
from providers.dialects.dialect import StreamError
from providers.dialects.jsonio import quote, read_trusting
from providers.dialects.openai_responses.composer import Composer
from providers.dialects.openai_responses.items import NAME, listed, parts_of, string
from providers.dialects.streams import dissect
from providers.dialects.usage import Usage, read_openai_usage, tokens
from providers.dialects.values import value_in, value_of

_encode: Final = msgspec.json.Encoder().encode
_REASONS: Final[dict[str, Stop]] = {
    "max_output_tokens": "length", "max_tokens": "length", "max_messages": "length", "content_filter": "filter",
    "steered": "pause",
}  # fmt: skip
_UNDERWAY: Final = frozenset({"queued", "in_progress"})
#: Members of every response, which are read or repeat the request.
_USUAL: Final = frozenset(
    {
        "id", "object", "created_at", "completed_at", "status", "background", "billing", "error", "incomplete_details",
        "instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "output", "output_text",
        "parallel_tool_calls", "previous_response_id", "prompt_cache_key", "prompt_cache_retention", "reasoning",
        "safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tools", "top_logprobs",
        "top_p", "truncation", "usage", "user", "frequency_penalty", "presence_penalty", "prompt_cache_options",
    }
)  # fmt: skip


def read_answer(body: bytes) -> Answer:
    """The answer. Raises BadAnswer; `error` of it is what the upstream said of a response that failed."""
    found = value_of(body)
    if not isinstance(found, dict):
        raise BadAnswer("The answer is not a JSON object.")
    failure = failure_of(found)
    if failure is not None:
        raise BadAnswer(string(failure.get("message")) or "The response failed.", failure)
    if not isinstance(found.get("output"), list):
        raise BadAnswer("The answer has no `output`.")
    return answer_of(found)


def failure_of(response: dict[str, Any]) -> dict[str, Any] | None:
    """What a response that failed says of it; None for one that did not."""
    error, status = response.get("error"), response.get("status")
    if status not in ("failed", "cancelled") and not (error and status is None):
        return None
    if isinstance(error, dict):
        return error
    return {"message": error if isinstance(error, str) else f"The response was {status}.", "code": "server_error"}


def stream_error(data: bytes, response: Any = None) -> StreamError:
    """What an event that ends a stream in failure says. That of `response.failed` lies deep in all that it repeats."""
    if not isinstance(response, dict):
        return StreamError(data)
    return StreamError(_encode({"error": failure_of(response) or {"message": "The response failed."}}))


def answer_of(response: dict[str, Any]) -> Answer:
    """A response object as an answer."""
    items = listed(response.get("output"))
    parts = tuple(part for item in items for _, part in parts_of(item))
    stop, word = stop_of(response, parts)
    logprobs = [one for item in items for part in listed(item.get("content")) for one in listed(part.get("logprobs"))]
    return Answer(
        dialect=NAME,
        id=string(response.get("id")),
        model=string(response.get("model")),
        created=tokens(response.get("created_at")) or 0,
        choices=(Choice(parts, stop, 0, word, logprobs={"content": logprobs} if logprobs else None),),
        usage=read_openai_usage(response.get("usage")),
        service_tier=string(response.get("service_tier")),
        extras=extras_of(response),
    )


def extras_of(response: dict[str, Any]) -> dict[str, Any]:
    """What only this dialect knows of an answer."""
    return {name: value for name, value in response.items() if name not in _USUAL and value is not None}


def stop_of(response: dict[str, Any], parts: tuple[Part, ...]) -> tuple[Stop, str]:
    """(why it stopped, in the upstream's word)."""
    details, status = response.get("incomplete_details"), string(response.get("status"))
    reason = string(details.get("reason")) if isinstance(details, dict) else ""
    if reason:
        return _REASONS.get(reason, "length"), reason
    if status == "incomplete":
        return "length", status
    if status in _UNDERWAY:
        return "pause", status
    return ("tool" if any(isinstance(part, ToolCall) for part in parts) else "end"), status


def write_answer(answer: Answer, model: str, request: Request) -> bytes:
    """The response object for a client that asked for the public model."""
    composer = Composer(model, request)
    for delta in dissect(answer):
        composer.feed(delta)
    composer.end()
    return _encode(composer.response())


def splice(body: bytes, public_model: str) -> tuple[bytes, Usage | None]:
    """The answer with its top-level `model` replaced, and its usage. Every other byte stays.

    An answer without `model` gets none. Raises jsonio.BadBody where the body is no JSON object.
    """
    fields = read_trusting(body)
    raw = fields.get("usage")
    usage = None if raw is None else read_openai_usage(value_in(raw))
    if "model" not in fields:
        return body, usage
    return fields.replace("model", quote(public_model)), usage
