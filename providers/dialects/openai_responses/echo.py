"""The response object: what it repeats of the request, what it counts, and the ids in it. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from providers.dialects.canon import Began, Request, Text
from providers.dialects.openai_responses.items import MADE, NAME
from providers.dialects.openai_responses.tools import write_choice, write_tools
from providers.dialects.openai_responses.writing import inner, said
from providers.dialects.usage import Usage

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
#: Members that an answer repeats as the request had them, and what it says of those that were not given.
_REPEATED: Final[dict[str, Any]] = {
    "background": False,
    "max_tool_calls": None,
    "previous_response_id": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "truncation": "disabled",
}
#: What an answer says of the members that the request left out.
_DEFAULTS: Final[dict[str, Any]] = {
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "user": None,
}


def base_of(began: Began, request: Request) -> str:
    """The stem of the ids that an answer of another API is given. The same answer has the same ones each time."""
    if _PLAIN.fullmatch(began.id):
        return MADE + began.id
    seed = began.id or f"{began.created} {began.model} {len(request.messages)}"
    return MADE + hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def response_id(began: Began, base: str) -> str:
    """The id of the response."""
    return began.id if began.id and (began.dialect == NAME or began.id.startswith("resp_")) else f"resp_{base}"


def frame(request: Request, model: str) -> dict[str, Any]:
    """A response object without id, time, status, output and usage."""
    own = request.dialect == NAME
    extras = request.notes | request.extras if own else {}
    repeated = {name: extras.get(name, default) for name, default in _REPEATED.items()}
    choice = write_choice(request)
    out = _DEFAULTS | repeated | {"model": model} | said(request)
    if choice is not None:
        out["tool_choice"] = choice
    if request.parallel_tools is not None:
        out["parallel_tool_calls"] = request.parallel_tools
    asked = request.reasoning
    effort, summary = (asked.effort, asked.summary) if asked is not None else (None, None)
    out["reasoning"] = {"effort": effort, "summary": summary, **inner(extras, "reasoning")}
    out["text"] = {"format": {"type": "text"}, "verbosity": "medium", **out.get("text", {})}
    out["tools"], _ = write_tools(request.tools)
    out["instructions"] = _instructions(request)
    if "conversation" in extras:
        said_as = extras["conversation"]
        out["conversation"] = {"id": said_as} if isinstance(said_as, str) else said_as
    return out


def _instructions(request: Request) -> str | None:
    first = request.messages[0] if request.messages else None
    if first is None or not first.notes.get("instructions"):
        return None
    return "".join(part.text for part in first.parts if isinstance(part, Text))


def tier(word: str, otherwise: str) -> str:
    """A service tier in OpenAI's words."""
    return word if word in _TIERS else otherwise


def usage_object(usage: Usage | None) -> dict[str, Any] | None:
    """The counts as this API has them; null where it would have to make up a total."""
    if usage is None or usage.input is None or usage.output is None:
        return None
    read, written = usage.cache_read, usage.cache_write
    into: dict[str, int] = {}
    if read is not None or written is not None:
        into["cached_tokens"] = read or 0
    if written is not None:
        into["cache_write_tokens"] = written
    out: dict[str, Any] = {"input_tokens": usage.input}
    if into:
        out["input_tokens_details"] = into
    out["output_tokens"] = usage.output
    if usage.reasoning is not None:
        out["output_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return out | {"total_tokens": usage.input + usage.output}
