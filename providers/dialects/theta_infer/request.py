"""Requests for Theta's on-demand service: a conversation of words as the input of a job. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Request, Target, Written
from providers.dialects.plain_text import left_out, words_of

NAME: Final = "theta_infer"
_KNOWN: Final = frozenset({"max_tokens", "temperature", "top_p"})


def write_request(request: Request, target: Target) -> Written:
    """Raises Misfit."""
    dropped = left_out(request, _KNOWN)
    messages = []
    for message in request.messages:
        role = "system" if message.role == "developer" else message.role
        messages.append({"role": role, "content": words_of(message.parts, dropped)})
        if message.name:
            dropped["name"] = None
    given: dict[str, Any] = {"messages": messages, "stream": False}
    for name in sorted(_KNOWN):
        value = getattr(request, name)
        if value is not None:
            given[name] = value
    return Written({"input": given}, tuple(dropped))
