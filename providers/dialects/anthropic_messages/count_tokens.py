"""The endpoint that counts the tokens of a request, `POST /v1/messages/count_tokens`. Pure.

A client asks it with what `reading.read_request` reads.
"""

from __future__ import annotations

from typing import Final

import msgspec

from providers.dialects.anthropic_messages.writing import write_request
from providers.dialects.canon import Request, Target, Written

#: The members it takes.
_COUNTED: Final = ("cache_control", "messages", "model", "output_config", "system", "thinking", "tool_choice", "tools")


def write_count_request(request: Request, target: Target) -> Written:
    """The request as the endpoint that counts its tokens takes it. Raises canon.Misfit."""
    written = write_request(request, msgspec.structs.replace(target, stream=False))
    body = {name: value for name, value in written.body.items() if name in _COUNTED}
    return msgspec.structs.replace(written, body=body)


def write_count(count: int) -> bytes:
    """The endpoint's answer to a client: `{"input_tokens": n}`."""
    return msgspec.json.encode({"input_tokens": count})
