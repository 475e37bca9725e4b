"""Errors as clients of this API read them, whole and inside a stream. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode
_MEMBERS: Final = ("message", "type", "param", "code")


def envelope(error: Mapping[str, Any]) -> bytes:
    """`{"error": {"message", "type", "param", "code", ...}}`."""
    return _encode({"error": _said(error)})


def event(error: Mapping[str, Any]) -> bytes:
    """The two events with which OpenAI ends a stream that failed.

    Its libraries raise on the first; clients that follow the response's life, as Codex does, end with the second.
    """
    said = _said(error)
    code = said["code"] or _code(error.get("status"))
    first = {
        "type": "error",
        "sequence_number": 0,
        "code": code,
        "message": said["message"],
        "param": said["param"],
        "error": said,
    }
    response = {
        "id": "resp_failed",
        "object": "response",
        "created_at": 0,
        "status": "failed",
        "error": {"code": code, "message": said["message"]},
        "incomplete_details": None,
        "model": "",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
        "metadata": {},
    }
    second = {"type": "response.failed", "sequence_number": 1, "response": response}
    return b"event: error\ndata: " + _encode(first) + b"\n\nevent: response.failed\ndata: " + _encode(second) + b"\n\n"


def _said(error: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in error.items() if name not in (*_MEMBERS, "status", "retry_after")}
    return {name: error.get(name) for name in _MEMBERS} | rest


def _code(status: Any) -> str:
    if status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(status, int) and 400 <= status < 500 else "server_error"
