"""A request, written as an upstream of this API takes it. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.anthropic_messages.effort import Effort
from providers.dialects.anthropic_messages.tools import Tools
from providers.dialects.anthropic_messages.turns import Turns
from providers.dialects.anthropic_messages.words import NAME
from providers.dialects.canon import Misfit, Request, Target, Written
from providers.dialects.claude import accepts

_TIERS: Final = {"auto": "auto", "priority": "auto", "default": "standard_only"}
_LONGEST_USER: Final = 256
#: What has no like here and does no harm left out, with the hub's name where it is another.
_UNSAID: Final = {
    "min_p": "min_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "logit_bias": "logit_bias",
    "metadata": "metadata",
    "store": "store",
    "cache_key": "prompt_cache_key",
    "verbosity": "verbosity",
}


def write_request(request: Request, target: Target) -> Written:
    """The body of `POST /v1/messages`. Raises canon.Misfit."""
    _refuse(request)
    own = request.dialect == NAME
    dropped: dict[str, None] = {}
    able = accepts(target.model)
    tools = Tools(request, able, dropped)
    turns = Turns(request, able, dropped)
    effort = Effort(request, target, able, dropped, forced=tools.forced, unthinking=turns.unthinking)
    body: dict[str, Any] = {"model": target.model, "max_tokens": effort.max_tokens, **turns.said(), **tools.said()}
    if target.stream:
        body["stream"] = True
    if effort.thinking is not None:
        body["thinking"] = effort.thinking
    config = {"effort": effort.effort, "format": tools.form}
    body["output_config"] = {name: value for name, value in config.items() if value is not None}
    body.update(effort.sampling())
    body.update(_rest(request, dropped))
    for name, value in request.extras.items() if own else ():
        body[name] = {**body.get(name, {}), **value} if name in ("output_config", "metadata") else value
    if not body["output_config"]:
        del body["output_config"]
    return Written(body, tuple(dropped))


def _refuse(request: Request) -> None:
    """What would be another answer if it were left out."""
    if request.n is not None and request.n > 1:
        raise Misfit("The model gives one answer per request; leave out `n`.", "n", unsupported=True)
    if request.logprobs or request.top_logprobs:
        raise Misfit("The model tells no log probabilities; leave out `logprobs`.", "logprobs", unsupported=True)
    odd = [kind for kind in request.modalities if kind != "text"]
    if odd:
        raise Misfit(f"The model answers with text and not with {odd[0]}.", "modalities", unsupported=True)


def _rest(request: Request, dropped: dict[str, None]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    stop = [sequence for sequence in request.stop if sequence.strip()]
    if stop:
        made["stop_sequences"] = stop
    if len(stop) < len(request.stop):
        dropped["stop"] = None
    if request.user and (request.dialect == NAME or len(request.user) <= _LONGEST_USER):
        made["metadata"] = {"user_id": request.user}
    elif request.user:
        dropped["user"] = None
    if request.service_tier in _TIERS:
        made["service_tier"] = _TIERS[request.service_tier]
    elif request.service_tier:
        dropped["service_tier"] = None
    for member, name in _UNSAID.items():
        if getattr(request, member) not in (None, "", 0, {}):
            dropped[name] = None
    return made
