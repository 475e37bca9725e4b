"""Errors as Anthropic's clients read them, whole and inside a stream. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode

_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SERVER: Final = 500


def error_type(status: int) -> str:
    """Anthropic's word for an error of this status."""
    return _TYPES.get(status) or ("invalid_request_error" if status < _SERVER else "api_error")


def envelope(error: Mapping[str, Any]) -> bytes:
    """`{"type": "error", "error": {"type", "message"}}`, with our own `code`, which Anthropic has none of."""
    status = error.get("status")
    kind = error_type(status if isinstance(status, int) else _SERVER)
    said = {"type": kind, "message": str(error.get("message") or "")}
    if error.get("code"):
        said["code"] = str(error["code"])
    return _encode({"type": "error", "error": said})


def event(error: Mapping[str, Any]) -> bytes:
    """The same as one server-sent event. The official clients raise on it; no `message_stop` follows."""
    return b"event: error\ndata: " + envelope(error) + b"\n\n"
