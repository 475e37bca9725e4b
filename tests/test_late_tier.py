"""The service tier that an upstream tells at the end of its stream reaches clients as that of a whole answer does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.dialects.canon import Request
from providers.dialects.registry import CLIENTS, UPSTREAMS
from providers.dialects.sse import Event
from providers.dialects.streams import Translation, assemble

CHAT = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up"}
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "up", "service_tier": "auto"}
SAID = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
CLAUDE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": []}
PART = {"content": {"parts": [{"text": "hi"}], "role": "model"}, "index": 0}

#: upstream's dialect -> (events by name, as they come; the tier in the hub's words)
STREAMS: dict[str, tuple[list[tuple[str | None, Any]], str]] = {
    "openai_chat": (
        [
            (None, {**CHAT, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}}]}),
            (None, {**CHAT, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            (
                None,
                {**CHAT, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "service_tier": "flex"},
            ),
            (None, "[DONE]"),
        ],
        "flex",
    ),
    "openai_responses": (
        [
            ("response.created", {"type": "response.created", "response": {**RESPONSE, "output": []}}),
            (
                "response.completed",
                {
                    "type": "response.completed",
                    "response": {**RESPONSE, "status": "completed", "output": [SAID], "service_tier": "priority"},
                },
            ),
        ],
        "priority",
    ),
    "anthropic_messages": (
        [
            ("message_start", {"type": "message_start", "message": {**CLAUDE, "usage": {"input_tokens": 1}}}),
            (
                "content_block_start",
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hi"}},
            ),
            ("content_block_stop", {"type": "content_block_stop", "index": 0}),
            (
                "message_delta",
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": 1, "service_tier": "priority"},
                },
            ),
            ("message_stop", {"type": "message_stop"}),
        ],
        "priority",
    ),
    "google_generate": (
        [
            (None, {"responseId": "r", "modelVersion": "up", "candidates": [PART]}),
            (
                None,
                {
                    "candidates": [{**PART, "finishReason": "STOP"}],
                    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "serviceTier": "flex"},
                },
            ),
        ],
        "flex",
    ),
    "bedrock_converse": (
        [
            ("messageStart", {"role": "assistant"}),
            ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hi"}}),
            ("contentBlockStop", {"contentBlockIndex": 0}),
            ("messageStop", {"stopReason": "end_turn"}),
            ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 1}, "serviceTier": {"type": "flex"}}),
        ],
        "flex",
    ),
}
MEMBERS = {
    "openai_chat": ("service_tier", ()),
    "openai_responses": ("service_tier", ("response",)),
    "anthropic_messages": ("service_tier", ("usage",)),
    "google_generate": ("serviceTier", ("usageMetadata",)),
}


def events(dialect: str) -> list[Event]:
    made = []
    for name, value in STREAMS[dialect][0]:
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        made.append(Event(raw=b"data: " + data + b"\n\n", data=data, name=name, at=6))
    return made


@pytest.mark.parametrize("client", MEMBERS)
@pytest.mark.parametrize("upstream", STREAMS)
def test_the_streamed_tier_is_that_of_the_whole_answer(upstream: str, client: str) -> None:
    speaks = CLIENTS[client]
    request = Request(dialect=client, notes={"stream_options": {"include_usage": True}})
    translation = Translation(UPSTREAMS[upstream].reader(), speaks.writer("m", request))
    out = b"".join(translation.feed(event) or b"" for event in events(upstream))
    out += b"" if translation.done_seen else translation.end()
    assert translation.error is None
    reader = UPSTREAMS[upstream].reader()
    answer = assemble([delta for event in events(upstream) for delta in reader.feed(event)] + list(reader.end()))
    assert answer.service_tier == STREAMS[upstream][1]
    whole = json.loads(speaks.write_answer(answer, "m", request))
    name, path = MEMBERS[client]
    streamed = [tier for one in _told(out) if (tier := _within(one, (*path, name)))]
    wanted = _within(whole, (*path, name)) or _within(whole, (name,))
    assert streamed[-1:] == ([wanted] if wanted else [])
    if client.startswith("openai"):
        assert wanted == STREAMS[upstream][1]


def _told(out: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in out.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def _within(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
