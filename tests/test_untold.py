"""Members that one dialect alone has, toward an upstream of another: each survives, is refused, or named as left out.

What would change the answer is never only named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from providers import transport

pytestmark = pytest.mark.django_db(transaction=True)

USER = {"role": "user", "content": "hi"}
PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "claude", "messages": [USER]}),
    "legacy": ("/v1/completions", {"model": "claude", "prompt": "hi"}),
    "responses": ("/v1/responses", {"model": "chat", "input": [USER]}),
    "anthropic": ("/v1/messages", {"model": "chat", "max_tokens": 99, "messages": [USER]}),
    "google": ("/v1beta/models/chat:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
UPLOAD = {"type": "container_upload", "file_id": "f"}
SUMMARY = {"type": "compaction", "content": "x"}
VIDEO = {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}, "videoMetadata": {"startOffset": "9s"}}

#: client, members, the parameter that the refusal names
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("chat", {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "modalities"),
    ("chat", {"modalities": ["audio"]}, "modalities"),
    ("chat", {"response_format": {"type": "grammar", "grammar": "root ::= x"}}, "response_format"),
    ("chat", {"data_sources": [{"type": "azure_search"}]}, "data_sources"),
    ("chat", {"documents": [{"text": "x"}]}, "documents"),
    ("chat", {"search_parameters": {"mode": "on"}}, "search_parameters"),
    ("chat", {"plugins": [{"id": "web"}]}, "plugins"),
    ("chat", {"enable_search": True}, "enable_search"),
    ("chat", {"guided_regex": "a+"}, "guided_regex"),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "other_thing", "x": 1}]}]}, "messages"),
    ("legacy", {"guided_json": {"type": "object"}}, "guided_json"),
    ("responses", {"prompt": {"id": "pmpt_1"}}, "prompt"),
    ("responses", {"prompt": {"id": "pmpt_1"}, "input": None}, "prompt"),
    ("responses", {"conversation": "conv_1"}, "conversation"),
    ("responses", {"background": True}, "background"),
    ("responses", {"tools": [FUNCTION], "tool_choice": {"type": "file_search"}}, "tool_choice"),
    ("responses", {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "tools"),
    ("responses", {"input": [{"type": "compaction", "encrypted_content": "x"}, USER]}, "input"),
    ("responses", {"input": [USER, {"type": "computer_call_output", "call_id": "c", "output": {}}]}, "input"),
    ("anthropic", {"container": "container_1"}, "container"),
    ("anthropic", {"container": {"skills": [{"type": "anthropic", "skill_id": "pptx"}]}}, "container"),
    ("anthropic", {"mcp_servers": [{"type": "url", "url": "https://m.example", "name": "m"}]}, "mcp_servers"),
    ("anthropic", {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "tools"),
    (
        "anthropic",
        {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
        "messages",
    ),
    (
        "anthropic",
        {"messages": [{"role": "assistant", "content": [{"type": "compaction", "content": "x"}]}, USER]},
        "messages",
    ),
    ("google", {"cachedContent": "cachedContents/1"}, "cachedContent"),
    ("google", {"cached_content": "cachedContents/1"}, "cachedContent"),
    ("google", {"tools": [{"urlContext": {}}]}, "tools"),
    ("google", {"contents": [{"role": "user", "parts": [VIDEO]}]}, "contents"),
]
#: client, members, the name in `x-jackfield-dropped`
NAMED: list[tuple[str, dict[str, Any], str]] = [
    ("chat", {"prediction": {"type": "content", "content": "x"}}, "prediction"),
    ("chat", {"safety_identifier": "x"}, "safety_identifier"),
    ("chat", {"provider": {"order": ["x"]}}, "provider"),
    ("chat", {"repetition_penalty": 1.1}, "repetition_penalty"),
    ("chat", {"logit_bias": {"1": 1}}, "logit_bias"),
    ("chat", {"web_search_options": {"search_context_size": "high"}}, "search_context_size"),
    ("responses", {"truncation": "auto"}, "truncation"),
    ("responses", {"max_tool_calls": 1}, "max_tool_calls"),
    ("responses", {"context_management": [{"type": "compaction", "compact_threshold": 1000}]}, "context_management"),
    ("responses", {"include": ["web_search_call.action.sources"]}, "include"),
    ("anthropic", {"context_management": {"edits": []}}, "context_management"),
    ("anthropic", {"mcp_servers": []}, "mcp_servers"),
    ("anthropic", {"speed": "fast"}, "speed"),
    ("anthropic", {"top_k": 4}, "top_k"),
    ("google", {"safetySettings": [{"category": "C", "threshold": "T"}]}, "safetySettings"),
    ("google", {"labels": {"a": "b"}}, "labels"),
    ("google", {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}}, "generationConfig"),
]
#: client, members, what the upstream is told
SAID: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("chat", {"web_search_options": {}}, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("chat", {"modalities": ["text"]}, {}),
    ("responses", {"text": {"verbosity": "low"}}, {"verbosity": "low"}),
    ("responses", {"prompt": None, "conversation": None}, {}),
    ("anthropic", {"output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
    ("google", {"generationConfig": {"candidateCount": 2}}, {"n": 2}),
]


@pytest.fixture
def sent(plane: Any) -> Iterator[list[dict[str, Any]]]:
    """What was sent: the model `claude` is Anthropic's, `chat` speaks OpenAI's chat."""
    found: list[dict[str, Any]] = []
    claude = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "up", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hello"}], "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    choice = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
    chat = {"id": "1", "object": "chat.completion", "created": 1, "model": "up", "choices": [choice]}

    def answer(request: httpx.Request) -> httpx.Response:
        found.append(json.loads(request.content))
        return httpx.Response(200, json=claude if request.url.host == "a.example" else chat)

    transport.install(httpx.MockTransport(answer))
    for name, family, base in (
        ("claude", "anthropic-messages", "https://a.example"),
        ("chat", "openai-completions", "https://c.example/v1"),
    ):
        provider = plane.world.provider(name, family=family)
        account = plane.world.account(name, base, keys=("key-1",), provider=provider)
        plane.world.model(name, (account, "claude-sonnet-4-5" if name == "claude" else "gpt-5"))
    plane.settle()
    yield found
    transport.install(None)


def ask(plane: Any, client: str, members: dict[str, Any]) -> httpx.Response:
    path, body = PLACES[client]
    answer: httpx.Response = plane.client.post(path, json=body | members)
    return answer


def test_what_the_answer_depends_on_is_refused(plane: Any, sent: list[dict[str, Any]]) -> None:
    for client, members, param in REFUSED:
        answer = ask(plane, client, members)
        assert (answer.status_code, answer.headers.get("x-jackfield-error")) == (400, "unsupported_parameter"), members
        error = answer.json()["error"]
        if client in ("chat", "legacy", "responses"):
            assert (error["param"] or "").startswith(param), members
        else:
            assert param.lower() in error["message"].lower() or param in ("messages", "tools", "contents"), error
    assert sent == []


def test_what_does_no_harm_is_left_out_and_named(plane: Any, sent: list[dict[str, Any]]) -> None:
    for client, members, name in NAMED:
        answer = ask(plane, client, members)
        assert answer.status_code == 200, answer.text
        assert name in answer.headers["x-jackfield-dropped"].split(","), members
        assert not members.keys() & sent.pop().keys() - {"generationConfig", "tools"}, members


def test_what_can_be_said_is_said(plane: Any, sent: list[dict[str, Any]]) -> None:
    for client, members, told in SAID:
        answer = ask(plane, client, members)
        assert (answer.status_code, answer.headers.get("x-jackfield-dropped")) == (200, ""), (members, answer.text)
        body = sent.pop()
        assert {name: body.get(name) for name in told} == told


def test_a_count_is_not_taken_of_half_a_conversation(plane: Any, sent: list[dict[str, Any]]) -> None:
    path, body = PLACES["google"]
    path = path.replace("generateContent", "countTokens")
    assert plane.client.post(path, json=body).headers["x-jackfield-estimated"] == "1"
    answer = plane.client.post(path, json=body | {"cachedContent": "cachedContents/1"})
    assert (answer.status_code, answer.headers["x-jackfield-error"]) == (400, "unsupported_parameter")
    assert sent == []


def test_upstreams_of_the_same_dialect_get_it(plane: Any, sent: list[dict[str, Any]]) -> None:
    body = {**PLACES["anthropic"][1], "model": "claude", "container": "container_1"}
    assert plane.client.post("/v1/messages", json=body).status_code == 200
    assert sent.pop()["container"] == "container_1"
