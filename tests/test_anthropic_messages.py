"""Requests of Anthropic's Messages API: read from its clients, and written again for its upstreams."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.dialects.anthropic_messages.count_tokens import write_count_request
from providers.dialects.anthropic_messages.reading import read_request
from providers.dialects.anthropic_messages.writing import write_request
from providers.dialects.canon import (
    Message,
    Misfit,
    Request,
    Target,
    Text,
    Tool,
)

OWN = "anthropic_messages"
OLD = Target(model="claude-sonnet-4-20250514")
USER = Message("user", (Text("Hi"),))
PNG = "iVBORw0KGgo="


def asked(*messages: Message, **members: Any) -> Request:
    """A request of an OpenAI client."""
    return Request(dialect="openai_chat", messages=messages or (USER,), **members)


def sent(request: Request, target: Target = OLD) -> dict[str, Any]:
    return write_request(request, target).body


def again(body: dict[str, Any], model: str = "claude-opus-4-6") -> dict[str, Any]:
    """The body, read and written in this dialect."""
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **body}
    return write_request(read_request(body), Target(model=model, stream=body.get("stream", False))).body


# --- what a client says comes back out -------------------------------------------------------------------------------

EPHEMERAL = {"type": "ephemeral", "ttl": "1h"}
BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "a", "cache_control": EPHEMERAL},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}, "transformations": {}},
    {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
    {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "words"},
        "title": "T",
        "context": "C",
        "citations": {"enabled": True},
        "cache_control": {"type": "ephemeral"},
    },
    {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
    {"type": "document", "source": {"type": "file", "file_id": "file_2"}},
    {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "words"}]}},
    {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "found"}]},
    {"type": "container_upload", "file_id": "file_3"},
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block['type']}-{block.get('source', {})!s:.30}")
def test_blocks_of_a_user_come_back(block: dict[str, Any]) -> None:
    content = [{"type": "text", "text": "See:"}, block]
    assert again({"messages": [{"role": "user", "content": content}]})["messages"][0]["content"] == content


def test_a_turn_with_tools_comes_back() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "secret"},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
                {"type": "text", "text": "cited", "citations": [{"type": "char_location", "cited_text": "c"}]},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"b": 1, "a": [None]}},
                {"type": "tool_use", "id": "t2", "name": "f", "input": {}, "caller": {"type": "x", "tool_id": "y"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "seen"}, BLOCKS[1], BLOCKS[4]],
                    "cache_control": EPHEMERAL,
                },
                {"type": "tool_result", "tool_use_id": "t2", "content": "bad", "is_error": True},
                {"type": "text", "text": "and?"},
            ],
        },
    ]
    tools = [{"name": "look", "input_schema": {"type": "object"}, "strict": True, "defer_loading": True}]
    assert again({"messages": messages, "tools": tools})["messages"] == messages


def test_what_a_client_of_this_api_got_wrong_the_upstream_tells_it() -> None:
    wrong = {"max_tokens": 256, "thinking": {"type": "enabled", "budget_tokens": 8192}, "temperature": 0.2, "top_k": 3}
    written = again(wrong, "claude-sonnet-4-5")
    assert {name: written[name] for name in wrong} == wrong


def test_what_only_one_dialect_knows_in_a_result_comes_back() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "n"}]}
    read = read_request({"messages": [{"role": "user", "content": [result]}]})
    assert read.messages[0].role == "tool"
    assert sent(read)["messages"] == [{"role": "user", "content": [result]}]


@pytest.mark.parametrize(
    "members",
    [
        {"system": "Be brief."},
        {
            "system": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "b"},
            ]
        },
        {"stream": True, "temperature": 0.5, "top_k": 3, "stop_sequences": ["X"], "metadata": {"user_id": "u"}},
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 2048}},
        {"output_config": {"effort": "max", "task_budget": {"type": "tokens", "total": 9}}},
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "minProperties": 1}}}},
        {"service_tier": "standard_only", "container": "c", "context_management": {"edits": []}, "mcp_servers": []},
        {"tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}]},
        {"tools": [{"type": "web_search_20260209", "name": "web_search", "max_uses": 2, "blocked_domains": ["x.y"]}]},
        {"tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "any"}},
        {
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        },
        {"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "none"}},
    ],
)
def test_members_come_back(members: dict[str, Any]) -> None:
    written = again(members)
    assert {name: written.get(name) for name in members} == members


def test_instructions_in_the_conversation_stay_where_the_model_takes_them() -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "from now on"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert again({"messages": turns}, "claude-opus-4-8")["messages"] == turns
    older = again({"messages": turns, "system": "first"}, "claude-opus-4-6")
    assert [block["text"] for block in older["system"]] == ["first", "from now on"]
    assert [turn["role"] for turn in older["messages"]] == ["user", "assistant", "user"]


def test_a_search_is_told_in_openais_words() -> None:
    tool = {
        "type": "web_search_20250305",
        "name": "web_search",
        "allowed_domains": ["a.example"],
        "user_location": {"type": "approximate", "city": "Rome"},
    }
    (read,) = read_request({"messages": [], "tools": [tool]}).tools
    assert (read.kind, read.value) == (
        "web_search",
        {
            "filters": {"allowed_domains": ["a.example"]},
            "user_location": {"type": "approximate", "city": "Rome"},
        },
    )
    foreign = Tool("web_search", value={**read.value, "search_context_size": "low"})
    written = write_request(asked(tools=(foreign,)), OLD)
    assert written.body["tools"] == [tool]
    assert written.dropped == ("search_context_size",)


def test_a_count_of_tokens_is_asked_with_its_own_members() -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "system": "s", "temperature": 1, "stream": True}
    counted = write_count_request(read_request(body), Target(model="claude-sonnet-4-5", stream=True)).body
    assert counted == {"model": "claude-sonnet-4-5", "messages": body["messages"], "system": "s"}


# --- anything at all -------------------------------------------------------------------------------------------------

WORDS = [
    "type",
    "text",
    "role",
    "content",
    "user",
    "assistant",
    "source",
    "data",
    "tool_use",
    "tool_result",
    "id",
    "name",
]
WORDS += [
    "input",
    "thinking",
    "image",
    "document",
    "base64",
    "url",
    "file",
    "system",
    "enabled",
    "budget_tokens",
    "none",
]
WORDS += [
    "citations",
    "signature",
    "title",
    "redacted_thinking",
    "tool_use_id",
    "search_result",
    "custom",
    "any",
    "tool",
]
SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=3)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=12,
)
BODY = st.fixed_dictionaries(
    {
        "messages": JSON
        | st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "assistant", "system"]), "content": JSON | st.lists(JSON)}
            ),
            max_size=3,
        )
    },
    optional={
        **dict.fromkeys(
            ("system", "tools", "tool_choice", "thinking", "output_config", "metadata", "max_tokens"), JSON
        ),
        **dict.fromkeys(("temperature", "top_p", "top_k", "stop_sequences", "max_tokens", "stream", "other"), JSON),
    },
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=BODY, model=st.sampled_from(["claude-sonnet-4-5", "claude-opus-5-5", "x"]))
def test_any_json_is_read_or_refused(body: dict[str, Any], model: str) -> None:
    for source in (body, body.get("other")):
        if not isinstance(source, dict):
            continue
        try:
            request = read_request(source)
            for dialect in (OWN, "openai_chat"):
                write_request(msgspec.structs.replace(request, dialect=dialect), Target(model=model))
        except Misfit as refused:
            assert refused.message


def test_a_tool_input_nested_too_deeply_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}
    block = {"type": "tool_use", "id": "t", "name": "f", "input": deep}
    with pytest.raises(Misfit):
        read_request({"messages": [{"role": "assistant", "content": [block]}]})
