"""Recorded exchanges of the Responses API, where they are at hand, and what several tests ask of them."""

from __future__ import annotations

import base64
import importlib.util
import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from providers.dialects.canon import Answer, Delta, Refusal, Text, Thinking, ToolCall
from providers.dialects.openai_responses.stream import Reader
from providers.dialects.sse import Splitter

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
FAMILIES = ("openai-responses", "azure", "bedrock", "openai-compatible")


@cache
def recorded() -> list[dict[str, Any]]:
    """Every exchange with POST /responses."""
    found = []
    for family in FAMILIES:
        path = SHARED / "cassettes" / f"{family}.jsonl"
        if path.exists():
            with path.open(encoding="utf-8") as lines:
                found += [case for case in map(json.loads, lines) if case["api"] == "responses"]
    return found


def answered(*, stream: bool) -> list[Any]:
    """The exchanges that went well, as parameters of a test."""
    import pytest

    cases = [case for case in recorded() if case["status"] == 200 and case["stream"] is stream]
    return [pytest.param(case, id=case["id"]) for case in cases] or [
        pytest.param(None, marks=pytest.mark.skip("no recordings here"))
    ]


def body_of(case: dict[str, Any]) -> bytes:
    body = case["response_body"] or ""
    return base64.b64decode(body) if case["response_encoding"] == "base64" else body.encode()


@cache
def neutral() -> ModuleType:
    spec = importlib.util.spec_from_file_location("neutral", SHARED / "tools" / "neutral.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(body: bytes, *cuts: int) -> list[Delta]:
    """What a reader hears of a stream that comes in these pieces."""
    reader, splitter = Reader(), Splitter()
    deltas: list[Delta] = []
    edges = [0, *sorted(cuts), len(body)]
    for start, end in pairwise(edges):
        for event in splitter.feed(body[start:end]):
            deltas += reader.feed(event)
    for event in splitter.close():
        deltas += reader.feed(event)
    assert reader.error is None
    return deltas + reader.end()


def response_in(stream: bytes) -> dict[str, Any]:
    """The response object of a stream's last event."""
    last = Splitter().feed(stream)[-1]
    return json.loads(last.data or b"")["response"]


def bare(answer: Answer) -> Answer:
    """Without what the two forms of one answer say in two ways: thoughts are encrypted anew, probabilities rounded."""
    (choice,) = answer.choices
    parts = tuple(
        msgspec.structs.replace(part, signature=part.signature[:4]) if isinstance(part, Thinking) else part
        for part in choice.parts
    )
    logprobs = choice.logprobs and {"content": [one["token"] for one in choice.logprobs["content"]]}
    choice = msgspec.structs.replace(choice, word="", parts=parts, logprobs=logprobs)
    return msgspec.structs.replace(answer, service_tier="", choices=(choice,))


def summary(answer: Answer) -> dict[str, Any]:
    """An answer as the neutral summary of a recording says it."""
    (choice,) = answer.choices
    parts, usage = choice.parts, answer.usage
    thoughts = [part for part in parts if isinstance(part, Thinking)]
    told = [part for part in thoughts if part.summary] or thoughts
    counts = {} if usage is None else {name: getattr(usage, name) for name in usage.__struct_fields__}
    return {
        "text": "".join(part.text for part in parts if isinstance(part, Text | Refusal)),
        "reasoning": "".join(part.text for part in told),
        "tools": [
            {"name": part.name, "args": part.arguments if part.free else json.loads(part.arguments)}
            for part in parts
            if isinstance(part, ToolCall)
        ],
        "stop": choice.stop,
        "usage": {name: count for name, count in counts.items() if count is not None},
    }


#: A request that says everything.
FULL = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"role": "developer", "content": "Use tools."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look:", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
                {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "input_image", "file_id": "file-1", "detail": "auto"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
                {"type": "input_file", "file_url": "https://x.test/a.pdf"},
                {"type": "input_file", "file_id": "file-2"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                {"type": "input_hologram", "data": 1},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "content": [{"type": "reasoning_text", "text": "c"}],
            "encrypted_content": "enc",
        },
        {"type": "reasoning", "id": "rs_2", "summary": []},
        {"type": "reasoning", "summary": [], "encrypted_content": "enc2"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {"type": "output_text", "text": "one", "annotations": []},
                {"type": "refusal", "refusal": "two"},
            ],
        },
        {"role": "assistant", "content": "three"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "namespace": "m"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_image", "image_url": "https://x"}],
        },
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"},
        {"type": "shell_call_output", "call_id": "c9", "output": []},
        {"type": "item_reference", "id": "msg_9"},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "function", "name": "g", "parameters": None, "strict": False, "defer_loading": True},
        {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "web_search_preview", "search_context_size": "low"},
        {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "h"}]},
        {"type": "mcp", "server_label": "s", "server_url": "https://s.test"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
    "parallel_tool_calls": False,
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    "reasoning": {"effort": "high", "summary": "auto", "context": "all_turns"},
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "max_output_tokens": 100,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_logprobs": 2,
    "metadata": {"a": "b"},
    "safety_identifier": "s1",
    "prompt_cache_key": "k",
    "service_tier": "flex",
    "store": False,
    "truncation": "auto",
    "previous_response_id": "resp_1",
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "brand_new": {"x": 1},
}
