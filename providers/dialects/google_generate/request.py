"""Requests as clients of Gemini's API send them. Pure.

The model and whether to stream stand in the URL: the integrator puts them into the Request.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import Misfit, Request
from providers.dialects.google_generate.config import read_config, read_tool_choice, read_tools
from providers.dialects.google_generate.contents import read_contents
from providers.dialects.google_generate.members import below, message, text
from providers.dialects.google_generate.words import NAME

_KNOWN: Final = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier", "model"}
)


def read_request(body: dict[str, Any]) -> Request:
    """A request; `model` is left empty. Raises canon.Misfit."""
    try:
        return _read(message(body, ""))
    except RecursionError as error:
        raise Misfit("The request is nested too deeply.") from error


def _read(body: dict[str, Any]) -> Request:
    extras = {name: value for name, value in body.items() if name not in _KNOWN}
    messages = read_contents(body)
    if not any(said.role != "system" for said in messages):
        raise Misfit("contents must hold at least one message.", "contents")
    return Request(
        dialect=NAME,
        messages=messages,
        tools=read_tools(body),
        tool_choice=read_tool_choice(body, extras),
        service_tier=text(body, "serviceTier"),
        **read_config(body, extras),
        extras=extras,
    )


def read_count(body: dict[str, Any]) -> Request:
    """The request whose tokens `countTokens` is to count: `generateContentRequest`, or the body's own members.

    The Gemini API's `generateContentRequest` names its model, which is put into the Request. Raises canon.Misfit.
    """
    found = message(body, "")
    whole = below(found, "generateContentRequest", "")
    if whole is None:
        return read_request(found)
    request = read_request(whole)
    model = text(whole, "model", "generateContentRequest").removeprefix("models/")
    return msgspec.structs.replace(request, model=model)


def write_count(total: int) -> bytes:
    """The answer of `countTokens`."""
    return b'{"totalTokens":%d}' % total
