"""Whole JSON values that upstreams send, and what it is called when they are none. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import BadAnswer

#: What decoding raises where bytes are no JSON, no text, or nested beyond all sense.
UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def object_in(data: bytes) -> dict[str, Any] | None:
    """The JSON object that an event holds; None if it holds anything else."""
    try:
        found = msgspec.json.decode(data)
    except UNREADABLE:
        return None
    return found if isinstance(found, dict) else None


def value_of(answer: bytes) -> Any:
    """The JSON value that an upstream answered. Raises BadAnswer."""
    try:
        return msgspec.json.decode(answer)
    except UNREADABLE as error:
        raise BadAnswer("the upstream's answer is not JSON") from error
