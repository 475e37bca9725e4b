"""The same short answer as each kind of upstream says it, whole and streamed: "hello", 7 tokens in and 3 out."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.faults.upstream import DONE, USAGE, chunk, completion
from tests.test_eventstream import frame, text

_USAGE = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


def _events(*events: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in events)


def _typed(*events: dict[str, Any]) -> bytes:
    return _events(*((event["type"], event) for event in events))


_ITEM = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": []}],
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "up",
    "output": [_ITEM],
    "usage": _USAGE,
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "up",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
_GOOGLE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
    "modelVersion": "up",
}
_COHERE_USAGE = {"tokens": {"input_tokens": 7, "output_tokens": 3}}
_CONVERSE_USAGE = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}

WHOLE: dict[str, bytes] = {
    "chat": completion("hello"),
    "responses": json.dumps(_RESPONSE).encode(),
    "messages": json.dumps(_MESSAGE).encode(),
    "google": json.dumps(_GOOGLE).encode(),
    "assist": json.dumps({"response": _GOOGLE, "traceId": "t1"}).encode(),
    "cohere": json.dumps(
        {
            "id": "c1",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
            "finish_reason": "COMPLETE",
            "usage": _COHERE_USAGE,
        }
    ).encode(),
    "converse": json.dumps(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
            "stopReason": "end_turn",
            "usage": _CONVERSE_USAGE,
        }
    ).encode(),
    "gitlab": b'"hello"',
    "theta": json.dumps(
        {"status": "success", "body": {"infer_requests": [{"id": "j", "state": "success", "output": "hello"}]}}
    ).encode(),
}


def _frame(kind: str, payload: dict[str, Any]) -> bytes:
    headers = text(":event-type", kind) + text(":content-type", "application/json") + text(":message-type", "event")
    return frame(headers, json.dumps(payload).encode())


STREAMED: dict[str, bytes] = {
    "chat": b"".join([chunk({"role": "assistant", "content": "hel"}), chunk({"content": "lo"}), chunk({}, "stop")])
    + USAGE
    + DONE,
    "responses": _typed(
        {"type": "response.created", "response": {**_RESPONSE, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**_ITEM, "content": []}},
        {
            "type": "response.content_part.added",
            "output_index": 0,
            "item_id": "msg_1",
            "content_index": 0,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        {
            "type": "response.output_text.delta",
            "output_index": 0,
            "item_id": "msg_1",
            "content_index": 0,
            "delta": "hello",
        },
        {"type": "response.output_item.done", "output_index": 0, "item": _ITEM},
        {"type": "response.completed", "response": _RESPONSE},
    ),
    "messages": _typed(
        {"type": "message_start", "message": {**_MESSAGE, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ),
    "google": b"data: " + WHOLE["google"] + b"\r\n\r\n",
    "assist": b"data: " + WHOLE["assist"] + b"\r\n\r\n",
    "cohere": _typed(
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hello"}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": _COHERE_USAGE}},
    ),
    "converse": b"".join(
        [
            _frame("messageStart", {"role": "assistant"}),
            _frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hello"}}),
            _frame("contentBlockStop", {"contentBlockIndex": 0}),
            _frame("messageStop", {"stopReason": "end_turn"}),
            _frame("metadata", {"usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 1}}),
        ]
    ),
}
_ENDINGS = (
    ("/api/v4/chat/completions", "gitlab"),
    ("/chat/completions", "chat"),
    ("/responses", "responses"),
    ("/messages", "messages"),
    ("awPredict", "messages"),
    ("/v1internal:generateContent", "assist"),
    ("/v1internal:streamGenerateContent", "assist"),
    ("enerateContent", "google"),
    ("/chat", "cohere"),
    ("/converse", "converse"),
    ("/converse-stream", "converse"),
)


def dialect_of(path: str) -> str:
    """What is spoken at this path."""
    if "/infer_request/" in path:
        return "theta"
    return next(dialect for ending, dialect in _ENDINGS if path.endswith(ending))


def reply(request: httpx.Request) -> httpx.Response:
    """What the vendor at this URL answers, streamed where it was asked for so."""
    path, body = request.url.path, json.loads(request.content or b"{}")
    dialect = dialect_of(path)
    streamed = dialect in STREAMED and (body.get("stream") or "tream" in path)
    kind = "application/json"
    if streamed:
        kind = "application/vnd.amazon.eventstream" if dialect == "converse" else "text/event-stream"
    return httpx.Response(
        201 if dialect == "gitlab" else 200,
        headers={"content-type": kind},
        content=STREAMED[dialect] if streamed else WHOLE[dialect],
    )
