"""Bodies to begin with: those recorded beside the repository where they are at hand, and a few of our own."""

from __future__ import annotations

import base64
import functools
import json
import struct
import zlib
from pathlib import Path
from typing import Any

from providers.dialects.canon import Answer, Choice, Citation, Text, Thinking, ToolCall
from providers.dialects.registry import CLIENTS
from providers.dialects.streams import retold
from providers.dialects.usage import Usage

CASSETTES = Path(__file__).resolve().parents[3] / "shared" / "cassettes"

#: (recorded API, streamed or None for both) -> the dialect of its bodies
APIS = {
    "chat.completions": "openai_chat",
    "chat": "openai_chat",
    "completions": "completions",
    "responses": "openai_responses",
    "messages": "anthropic_messages",
    "vertex:streamRawPredict": "anthropic_messages",
    "vertex:rawPredict": "anthropic_messages",
    "google:generateContent": "google_generate",
    "google:streamGenerateContent": "google_generate",
    "vertex:generateContent": "google_generate",
    "vertex:streamGenerateContent": "google_generate",
    "bedrock:converse": "bedrock_converse",
    "bedrock:converse-stream": "bedrock_converse",
    "cohere.v2.chat": "cohere_chat",
    "api.chat": "ollama_native",
}
_ANSWER = Answer(
    dialect="openai_chat",
    id="a1",
    model="m",
    created=1,
    choices=(
        Choice(
            (
                Thinking("hm", "c2ln", "anthropic_messages"),
                Text("Hello there", (Citation("https://a.example/", "A", start=0, end=5),)),
                ToolCall("call_1", "weather", '{"at":"here"}'),
                ToolCall("call_2", "time", "{}"),
            ),
            "tool",
            word="tool_calls",
        ),
    ),
    usage=Usage(7, 5, 2, None, 1),
)
_TURN = [{"role": "user", "content": "hi"}]
_SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
#: Of each dialect that clients speak, a request.
_REQUESTS: dict[str, list[Any]] = {
    "openai_chat": [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},  # noqa: E501
                {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"at\":1}"}}]},  # noqa: E501
                {"role": "tool", "tool_call_id": "c", "content": "ok"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": _SCHEMA, "strict": True}}],
            "tool_choice": "auto", "temperature": 0.5, "max_tokens": 9, "stop": ["x"], "stream": True,
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": _SCHEMA}},
            "reasoning_effort": "low", "metadata": {"a": "b"}, "stream_options": {"include_usage": True},
        }
    ],
    "completions": [{"model": "m", "prompt": "hi", "max_tokens": 3, "stop": "x", "n": 1}],
    "openai_responses": [
        {
            "model": "m",
            "instructions": "be brief",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "https://a.example/i.png"}]},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "AAAA"},  # noqa: E501
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "ok"},
            ],
            "tools": [{"type": "function", "name": "f", "parameters": _SCHEMA}, {"type": "web_search"}],
            "text": {"format": {"type": "json_schema", "name": "s", "schema": _SCHEMA}},
            "reasoning": {"effort": "low", "summary": "auto"}, "max_output_tokens": 9,
        }
    ],
    "anthropic_messages": [
        {
            "model": "m",
            "max_tokens": 2000,
            "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}]},  # noqa: E501
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "AAAA"}, {"type": "tool_use", "id": "c", "name": "f", "input": {"at": 1}}]},  # noqa: E501
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "ok"}]}]},  # noqa: E501
            ],
            "tools": [{"name": "f", "input_schema": _SCHEMA}], "tool_choice": {"type": "auto"},
            "thinking": {"type": "enabled", "budget_tokens": 1024}, "stop_sequences": ["x"], "temperature": 1,
        }
    ],
    "google_generate": [
        {
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"at": 1}}, "thoughtSignature": "AAAA"}]},  # noqa: E501
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "ok"}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": _SCHEMA}]}, {"googleSearch": {}}],
            "generationConfig": {"maxOutputTokens": 9, "stopSequences": ["x"], "responseMimeType": "application/json", "responseSchema": _SCHEMA, "thinkingConfig": {"thinkingBudget": 5}},  # noqa: E501
        }
    ],
}  # fmt: skip
_CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}, {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "AAAA"}}}]}},  # noqa: E501
    "stopReason": "tool_use", "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
}  # fmt: skip
_CONVERSING: list[tuple[str, Any]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "AAAA"}}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "hi"}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"citation": {"title": "t", "location": {"web": {"url": "https://a.example/"}}}}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": "{}"}}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("contentBlockStart", {"contentBlockIndex": 3, "start": {"toolResult": {"toolUseId": "t", "type": "x"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"toolResult": [{"text": "x"}]}}),
    ("contentBlockStop", {"contentBlockIndex": 3}),
    ("contentBlockStart", {"contentBlockIndex": 4, "start": {"image": {"format": "png"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 4, "delta": {"image": {"source": {"bytes": "AAAA"}}}}),
    ("contentBlockStop", {"contentBlockIndex": 4}),
    ("messageStop", {"stopReason": "tool_use", "additionalModelResponseFields": {"stop_sequence": "x"}}),
    ("metadata", {"usage": {"inputTokens": 3, "outputTokens": 4}, "metrics": {"latencyMs": 5}}),
]  # fmt: skip
_COHERE: list[Any] = [
    {"type": "message-start", "id": "a", "delta": {"message": {"role": "assistant"}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}},
    {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}}}},  # noqa: E501
    {"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}}},
    {"type": "tool-call-end", "index": 0},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hi"}}}},
    {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {"start": 0, "end": 2, "text": "hi", "sources": [{"type": "tool", "id": "s", "tool_output": {"url": "https://a.example/"}}]}}}},  # noqa: E501
    {"type": "content-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 3, "output_tokens": 4}}}},  # noqa: E501
]  # fmt: skip
_OLLAMA: list[Any] = [
    {"model": "m", "created_at": "2024-01-01T00:00:00Z", "message": {"role": "assistant", "thinking": "hm"}, "done": False},  # noqa: E501
    {"model": "m", "message": {"role": "assistant", "content": "hi", "images": ["AAAA"]}, "done": False},
    {"model": "m", "message": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}, "done": False},
    {"model": "m", "message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 4},  # noqa: E501
]  # fmt: skip
_JOB = {
    "body": {
        "infer_requests": [
            {
                "id": "i",
                "state": "success",
                "output": {
                    "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1},
                },
            }
        ]
    }
}
_ERRORS = [
    {"error": {"message": "no", "type": "invalid_request_error", "code": "x", "param": "p"}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
    [{"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "5s"}]}}],
    {"message": "Too many requests", "__type": "ThrottlingException"},
    {"detail": [{"msg": "bad", "loc": ["body"]}]},
]
_TOKENS = [
    {
        "access_token": "t",
        "expires_in": 3600,
        "token_type": "bearer",
        "refresh_token": "r",
        "resource_url": "a.example",
    },
    {"token": "t;proxy-ep=proxy.a.example", "expires_at": 1795230245, "endpoints": {"api": "https://api.a.example"}},
    {"device_code": "d", "user_code": "u", "verification_uri": "https://a.example/d", "interval": 5, "expires_in": 900},
    {"device_auth_id": "d", "user_code": "u", "interval": "5", "authorization_code": "c", "code_verifier": "v"},
    {"access_token": "e30.eyJleHAiOjF9.s", "refresh_token": "r", "id_token": "e30.e30.s", "expires_in": "3600"},
    {"error": "authorization_pending"},
    {"error": "slow_down", "interval": 10},
]
_LISTS = [
    {"object": "list", "data": [{"id": "m-1", "object": "model"}, {"id": "m-2"}], "has_more": False},
    {"models": [{"name": "models/m-1"}], "nextPageToken": "x"},
    ["m-1", "m-2"],
]
_COUNTS = [{"input_tokens": 5}, {"totalTokens": 5}, {"inputTokens": 5}]


def frame(name: str, payload: bytes) -> bytes:
    """One frame of an AWS event stream."""
    pairs = ((":message-type", "event"), (":event-type", name))
    headers = b"".join(
        bytes([len(k)]) + k.encode() + b"\x07" + struct.pack(">H", len(v)) + v.encode() for k, v in pairs
    )
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _enveloped(body: bytes) -> bytes:
    """Each JSON object of the body as Code Assist wraps it."""
    before, events = (b"data: ", body.split(b"\n\n")) if body.startswith(b"data: ") else (b"", [body])
    wrapped = (b'{"response":' + event.removeprefix(before) + b',"traceId":"t"}' for event in events if event)
    return b"".join(before + one + (b"\n\n" if before else b"") for one in wrapped)


def _own() -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for name, client in CLIENTS.items():
        key = "completions" if name not in _REQUESTS else name
        found[f"request {key}"] = [_json(body) for body in _REQUESTS[key]]
        request = client.read_request(_REQUESTS[key][0])
        found[f"answer {key}"] = [client.write_answer(_ANSWER, "m", request)]
        found[f"stream {key}"] = [retold(_ANSWER, client.writer("m", request))]
    for kind in ("answer", "stream"):
        found[f"{kind} google_code_assist"] = [_enveloped(body) for body in found[f"{kind} google_generate"]]
    found["answer bedrock_converse"] = [_json(_CONVERSED)]
    found["stream bedrock_converse"] = [b"".join(frame(name, _json(body)) for name, body in _CONVERSING)]
    found["answer cohere_chat"] = [
        _json(
            {
                "id": "a",
                "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}], "citations": []},
                "finish_reason": "COMPLETE",
                "usage": {"tokens": {"input_tokens": 1}},
            }
        )
    ]
    found["stream cohere_chat"] = [b"".join(b"data: " + _json(event) + b"\n\n" for event in _COHERE)]
    found["answer ollama_native"] = [
        _json(
            {
                **_OLLAMA[3],
                "message": {"role": "assistant", "content": "hi", "tool_calls": _OLLAMA[2]["message"]["tool_calls"]},
            }
        )
    ]
    found["stream ollama_native"] = [b"".join(_json(line) + b"\n" for line in _OLLAMA)]
    found["answer gitlab_duo"] = [b'"hi"', b'{"response":"hi"}', b'{"message":"no"}']
    found["answer theta_infer"] = [_json(_JOB)]
    for name, bodies in (("error", _ERRORS), ("token", _TOKENS), ("list", _LISTS), ("count", _COUNTS)):
        found[name] = [_json(body) for body in bodies]
    return found


@functools.cache
def seeds(*, recorded: bool = True) -> dict[str, list[bytes]]:
    """Bodies by what they are: `request <dialect>`, `answer <dialect>`, `stream <dialect>`, `error`, `token` ..."""
    found = _own()
    for path in sorted(CASSETTES.glob("*.jsonl")) if recorded else []:
        for line in path.read_text(encoding="utf-8").splitlines():
            _add(found, json.loads(line))
    return found


def _add(found: dict[str, list[bytes]], case: dict[str, Any]) -> None:
    body = case["response_body"] or ""
    whole = base64.b64decode(body) if case["response_encoding"] == "base64" else body.encode()
    dialect = APIS.get(case["api"])
    if case["status"] >= 400:
        found["error"].append(whole)
    elif case["api"] == "models":
        found["list"].append(whole)
    elif "count" in case["api"]:
        found["count"].append(whole)
    elif dialect is not None and whole:
        found.setdefault(f"{'stream' if case['stream'] else 'answer'} {dialect}", []).append(whole)
        if case["request_encoding"] == "json" and f"request {dialect}" in found:
            found[f"request {dialect}"].append(_json(case["request_body"]))
