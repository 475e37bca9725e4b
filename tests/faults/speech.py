"""What an upstream says, in each dialect: a text and its usage, whole and as the events of a stream. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Speech:
    """`whole` and `events` take (text, input tokens, output tokens)."""

    whole: Callable[[str, int, int], bytes]
    #: a stream; until its last event has come it is not over
    events: Callable[[str, int, int], list[bytes]]
    #: how many of the events come before the first that speaks of an end
    before_end: int
    #: the event that holds the usage
    usage_at: int


def _data(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _typed(*values: dict[str, Any]) -> list[bytes]:
    return [b"event: " + value["type"].encode() + b"\n" + _data(value) for value in values]


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


# --- OpenAI's chat completions ----------------------------------------------------------------------------------------


def _chat_usage(input: int, output: int) -> dict[str, int]:
    return {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}


def _chat(text: str, input: int, output: int) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "up"}
    return json.dumps({**head, "choices": [choice], "usage": _chat_usage(input, output)}).encode()


def _chat_events(text: str, input: int, output: int) -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "up"}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        return _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    one, two = _halves(text)
    return [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": one}),
        chunk({"content": two}),
        chunk({}, "stop"),
        _data({**head, "choices": [], "usage": _chat_usage(input, output)}),
        b"data: [DONE]\n\n",
    ]


# --- OpenAI's responses -----------------------------------------------------------------------------------------------


def _response(text: str, input: int, output: int, status: str = "completed") -> dict[str, Any]:
    usage = {"input_tokens": input, "output_tokens": output, "total_tokens": input + output}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "up"}
    return {**head, "output": [_item(text)] if text else [], "usage": usage if text else None}


def _item(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


def _responses(text: str, input: int, output: int) -> bytes:
    return json.dumps(_response(text, input, output)).encode()


def _response_events(text: str, input: int, output: int) -> list[bytes]:
    where = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    one, two = _halves(text)
    part = {"type": "output_text", "text": "", "annotations": []}
    return _typed(
        {"type": "response.created", "response": _response("", 0, 0, "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": _item("")},
        {"type": "response.content_part.added", **where, "part": part},
        {"type": "response.output_text.delta", **where, "delta": one},
        {"type": "response.output_text.delta", **where, "delta": two},
        {"type": "response.output_item.done", "output_index": 0, "item": _item(text)},
        {"type": "response.completed", "response": _response(text, input, output)},
    )


# --- Anthropic's messages ---------------------------------------------------------------------------------------------


def _message(text: str, input: int, output: int) -> dict[str, Any]:
    content = [{"type": "text", "text": text}] if text else []
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": content}
    usage = {"input_tokens": input, "output_tokens": output}
    return {**head, "stop_reason": "end_turn" if text else None, "usage": usage}


def _messages(text: str, input: int, output: int) -> bytes:
    return json.dumps(_message(text, input, output)).encode()


def _message_events(text: str, input: int, output: int) -> list[bytes]:
    one, two = _halves(text)
    return _typed(
        {"type": "message_start", "message": _message("", input, 1)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": two}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": output}},
        {"type": "message_stop"},
    )


# --- Google's generateContent -----------------------------------------------------------------------------------------


def _content(text: str, usage: tuple[int, int] | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if usage is None:
        return {"candidates": [candidate], "modelVersion": "up"}
    counts = {"promptTokenCount": usage[0], "candidatesTokenCount": usage[1], "totalTokenCount": sum(usage)}
    return {"candidates": [{**candidate, "finishReason": "STOP"}], "usageMetadata": counts, "modelVersion": "up"}


def _google(text: str, input: int, output: int) -> bytes:
    return json.dumps(_content(text, (input, output))).encode()


def _google_events(text: str, input: int, output: int) -> list[bytes]:
    one, two = _halves(text)
    return [_data(_content(one, None)), _data(_content(two, None)), _data(_content("", (input, output)))]


SPEECHES = {
    "chat": Speech(_chat, _chat_events, before_end=3, usage_at=4),
    "responses": Speech(_responses, _response_events, before_end=5, usage_at=6),
    "messages": Speech(_messages, _message_events, before_end=5, usage_at=5),
    "google": Speech(_google, _google_events, before_end=2, usage_at=2),
}


def dialect_at(path: str) -> str:
    """What is spoken at a path."""
    if "enerateContent" in path:
        return "google"
    ending = path.partition("?")[0].rpartition("/")[2]
    return ending if ending in SPEECHES else "chat"
