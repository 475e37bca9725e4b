"""Errors as OpenAI's clients read them, whole and inside a stream. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode


def envelope(error: Mapping[str, Any]) -> bytes:
    """`{"error": {"message", "type", "param", "code", ...}}`. Status and time to wait are those of the HTTP answer."""
    return _encode({"error": {name: value for name, value in error.items() if name not in ("status", "retry_after")}})


def event(error: Mapping[str, Any]) -> bytes:
    """The same as one server-sent event. The official clients raise on it; no `[DONE]` follows."""
    return b"data: " + envelope(error) + b"\n\n"
