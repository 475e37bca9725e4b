"""A request, written for an upstream of this API. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from providers.dialects.canon import Format, Misfit, Request, Target, Text, Thinking, Written
from providers.dialects.openai_responses.items import NAME
from providers.dialects.openai_responses.models import CODEX, effort_for, fit_codex, refuses_sampling
from providers.dialects.openai_responses.outgoing import Outgoing
from providers.dialects.openai_responses.reading import ENCRYPTED, LOGPROBS
from providers.dialects.openai_responses.tools import write_choice, write_tools
from providers.dialects.reasoning import effort_of

#: OpenAI refuses less.
_LEAST_TOKENS: Final = 16
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
#: Sampling and the like, for which this API has no words.
_UNSAID: Final = ("top_k", "min_p", "frequency_penalty", "presence_penalty", "seed", "logit_bias")


def write_request(request: Request, target: Target) -> Written:
    """The request's body. Raises Misfit."""
    _refuse(request)
    own = request.dialect == NAME
    out = Outgoing(request)
    items = out.items()
    body: dict[str, Any] = {"model": target.model, "input": items}
    if out.instructions:
        body["instructions"] = out.instructions
    if target.stream:
        body["stream"] = True
    body |= _tools(request)
    body |= said(request)
    reasoning = _reasoning(request, target, out)
    if reasoning:
        body["reasoning"] = reasoning
    if own:
        kept = request.notes | request.extras
        body |= {name: value for name, value in kept.items() if "." not in name and name != "tool_choice"}
        if not target.stream:
            body.pop("stream_options", None)
    else:
        body |= _foreign(request, target, out, body)
        for name in ("temperature", "top_p") if refuses_sampling(target) else ():
            if body.pop(name, None) not in (None, 1):
                out.drop(name)
    return Written(fit_codex(body) if target.family == CODEX else body, tuple(out.dropped))


def _refuse(request: Request) -> None:
    """Raises Misfit for what must not be left out."""
    if request.n is not None and request.n > 1:
        raise Misfit("This model gives one answer at a time: leave `n` out.", "n", unsupported=True)
    if request.stop:
        raise Misfit("This model's API has no stop sequences: leave `stop` out.", "stop", unsupported=True)
    if request.audio is not None or any(word != "text" for word in request.modalities):
        raise Misfit("This model answers in text only.", "modalities", unsupported=True)


def _tools(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {}
    written, missing = write_tools(request.tools)
    if missing:
        kind = missing[0].value.get("type") or missing[0].name
        raise Misfit(f"The model has no tool of the type `{kind}`: leave it out of `tools`.", "tools", unsupported=True)
    if written:
        body["tools"] = written
    choice = write_choice(request)
    if choice is not None and (written or request.dialect == NAME):
        body["tool_choice"] = choice
    if request.parallel_tools is not None and (written or request.dialect == NAME):
        body["parallel_tool_calls"] = request.parallel_tools
    return body


def said(request: Request) -> dict[str, Any]:
    """The members that are the same in a request and in the answer that repeats them."""
    own = request.dialect == NAME
    body: dict[str, Any] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_logprobs": request.top_logprobs,
        "max_output_tokens": request.max_tokens,
        "metadata": request.metadata or None,
        "prompt_cache_key": request.cache_key or None,
        "store": request.store,
    }
    if request.user and not (own and "safety_identifier" in request.notes):
        body["user"] = request.user
    if request.service_tier and (own or request.service_tier in _TIERS):
        body["service_tier"] = request.service_tier
    text: dict[str, Any] = inner(request.extras, "text") if own else {}
    if request.format is not None:
        text["format"] = _format(request.format)
    if request.verbosity:
        text["verbosity"] = request.verbosity
    body["text"] = text or None
    return {name: value for name, value in body.items() if value is not None}


def inner(extras: dict[str, Any], name: str) -> dict[str, Any]:
    """The members of `text` or `reasoning` that the hub does not know."""
    return {path.partition(".")[2]: value for path, value in extras.items() if path.startswith(f"{name}.")}


def _format(form: Format) -> dict[str, Any]:
    if form.schema is None:
        return {"type": "json_object"}
    out: dict[str, Any] = {
        "type": "json_schema",
        "name": _NOT_IN_A_NAME.sub("_", form.name)[:64] or "answer",
        "schema": form.schema,
    }
    if form.description:
        out["description"] = form.description
    if form.strict is not None:
        out["strict"] = form.strict
    return out


def _reasoning(request: Request, target: Target, out: Outgoing) -> dict[str, Any]:
    own = request.dialect == NAME
    rest: dict[str, Any] = inner(request.extras, "reasoning") if own else {}
    asked = request.reasoning
    if asked is None:
        return rest
    effort = asked.effort
    if effort is None and asked.budget is not None:
        effort = effort_of(asked.budget)
    if effort is not None and not own:
        wanted, effort = effort, effort_for(target, effort)
        if wanted == "none" != effort and target.reasons is not False:
            out.drop("reasoning_effort")  # it thinks, whatever it is told
    summary = asked.summary or ("auto" if asked.show and not own else None)
    if target.reasons is False and not own:
        if effort not in (None, "none"):
            out.drop("reasoning_effort")
        return {}
    words = {"effort": effort, "summary": summary}
    return rest | {name: value for name, value in words.items() if value is not None}


def _foreign(request: Request, target: Target, out: Outgoing, body: dict[str, Any]) -> dict[str, Any]:
    """What is added to another dialect's request, and named of it."""
    if any(tool.cache is not None for tool in request.tools):
        out.drop("cache_control")
    for name in _UNSAID:
        if getattr(request, name) is not None:
            out.drop(name)
    if request.service_tier and request.service_tier not in _TIERS:
        out.drop("service_tier")
    more: dict[str, Any] = {}
    if request.max_tokens is not None and request.max_tokens < _LEAST_TOKENS:
        out.drop("max_tokens")
        more["max_output_tokens"] = _LEAST_TOKENS
    more["store"] = bool(request.store)
    include = [LOGPROBS] if request.logprobs else []
    if _thinks(request, target):
        include.append(ENCRYPTED)
    if include:
        more["include"] = include
    if request.format is not None and request.format.schema is None and not _names_json(request):
        # OpenAI refuses JSON mode where nothing in the input says the word.
        more["input"] = [*body["input"], {"type": "message", "role": "developer", "content": "Answer in JSON."}]
    return more


def _thinks(request: Request, target: Target) -> bool:
    """Whether encrypted thoughts may be asked for: models that do not reason refuse it."""
    if target.reasons is not None:
        return target.reasons
    asked = request.reasoning
    if asked is not None and (asked.effort not in (None, "none") or asked.adaptive or bool(asked.budget)):
        return True
    parts = (part for message in request.messages for part in message.parts)
    return any(isinstance(part, Thinking) and part.signer == NAME for part in parts)


def _names_json(request: Request) -> bool:
    texts = (part.text for message in request.messages for part in message.parts if isinstance(part, Text))
    return any("json" in text.lower() for text in texts)
