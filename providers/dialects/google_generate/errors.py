"""Errors as Google says them: a status word of google.rpc beside the HTTP status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode
_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def envelope(error: Mapping[str, Any]) -> bytes:
    """`{"error": {"code", "message", "status"}}`; our own `code` and `param` as ErrorInfo, where Google's are, and the
    seconds to wait as RetryInfo."""
    status = error.get("status")
    code = status if type(status) is int else 500
    word = _STATUSES.get(code) or ("INVALID_ARGUMENT" if 400 <= code < 500 else "INTERNAL")
    said: dict[str, Any] = {"code": code, "message": str(error.get("message") or ""), "status": word}
    reason, param = error.get("code"), error.get("param")
    if reason or param:
        info: dict[str, Any] = {"@type": "type.googleapis.com/google.rpc.ErrorInfo"}
        if reason:
            info["reason"] = str(reason)
        if param:
            info["metadata"] = {"param": str(param)}
        said["details"] = [info]
    if error.get("retry_after"):
        wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{error['retry_after']}s"}
        said["details"] = [*said.get("details", ()), wait]
    return _encode({"error": said})


def event(error: Mapping[str, Any]) -> bytes:
    """The same as one server-sent event. The official clients raise on an object that begins with `error`."""
    return b"data: " + envelope(error) + b"\n\n"
