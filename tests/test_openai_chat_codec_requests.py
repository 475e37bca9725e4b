"""What chat clients ask, as the hub understands it, and what chat upstreams are asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.canon import (
    Cache,
    Format,
    Media,
    Message,
    Misfit,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.chat_wire import CLIENT, asked, foreign, sent, written
from tests.test_openai_chat_codec import json_values

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(*messages: dict[str, Any]) -> tuple[Message, ...]:
    return asked(messages=list(messages)).messages


def parts(content: Any, role: str = "user", **members: Any) -> tuple[Any, ...]:
    (message,) = read({"role": role, "content": content, **members})
    return message.parts


def test_every_role() -> None:
    found = read(
        {"role": "developer", "content": "d"},
        {"role": "system", "content": [{"type": "text", "text": "s"}], "name": "n"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "t"},
        {"role": "assistant", "function_call": {"name": "g", "arguments": "{}"}},
        {"role": "function", "name": "g", "content": "r"},
    )
    assert [message.role for message in found] == [
        "developer",
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
    ]
    assert found[1] == Message("system", (Text("s"),), "n")
    assert found[3].parts == (ToolCall("c1", "f"),)
    assert found[4].parts == (ToolResult("c1", (Text("t"),), "f"),)
    (call,) = found[5].parts
    assert found[6].parts == (ToolResult(call.id, (Text("r"),), "g"),)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("a", cache=Cache("1h")),
        ),
        ({"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}, Text("a", cache=Cache())),
        ({"type": "image_url", "image_url": {"url": "https://x/y.png"}}, Media("image", url="https://x/y.png")),
        ({"type": "image_url", "image_url": "https://x/y.png"}, Media("image", url="https://x/y.png")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/gif;base64,QQ==", "detail": "low"}},
            Media("image", data="QQ==", media_type="image/gif", detail="low"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
            Media("audio", data="QQ==", media_type="audio/mpeg"),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Media("document", file_id="file-1")),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}},
            Media("document", data="QQ==", media_type="application/pdf", name="a.pdf"),
        ),
        ({"type": "video_url", "video_url": {"url": "https://x/y"}}, Media("video", url="https://x/y")),
        (
            {"type": "document_url", "document_url": "https://x/y"},
            Media("document", url="https://x/y", extras={"type": "document_url"}),
        ),
        ({"type": "odd", "x": 1}, Opaque("openai_chat", {"type": "odd", "x": 1})),
    ],
)
def test_every_part_is_understood_and_goes_back_out(part: dict[str, Any], expected: Any) -> None:
    assert parts([{"type": "text", "text": "see"}, part]) == (Text("see"), expected)
    out = sent(asked(messages=[{"role": "user", "content": [{"type": "text", "text": "see"}, part]}]), "gpt-4.1")
    back = asked(messages=out["messages"]).messages[0].parts
    assert back == (Text("see"), expected)


def test_an_assistants_turn() -> None:
    found = parts(
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}],
        "assistant",
        refusal="no",
        audio={"id": "audio_1"},
        tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "g", "input": "free"}}],
        annotations=[{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0}}],
    )
    assert found[0] == Thinking("hm")
    assert found[1].text == "a" and found[1].citations[0].url == "u"
    assert found[2:4] == (Refusal("no"), Media("audio", file_id="audio_1"))
    assert found[4] == ToolCall("c", "g", "free", free=True)


def test_the_result_of_a_free_call_is_free() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "g", "input": "free"}}
    found = read({"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "r"})
    assert found[1].parts == (ToolResult("c", (Text("r"),), "g", free=True),)


def test_a_mark_on_a_message_is_one_on_its_last_part() -> None:
    assert parts("a", cache_control={"type": "ephemeral"}) == (Text("a", cache=Cache()),)


def test_tools() -> None:
    custom = {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}}
    search = {"type": "openrouter:web_search", "parameters": {"max_uses": 1}}
    place = {"type": "approximate", "approximate": {"country": "DE"}}
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    request = asked(
        tools=[{"type": "function", "function": function}, custom, search],
        web_search_options={"search_context_size": "low", "user_location": place},
    )
    assert request.tools[0] == Tool("function", "f", "d", {"type": "object"}, True)
    assert (request.tools[1].kind, request.tools[1].name) == ("free", "g")
    assert request.tools[2] == Tool("opaque", dialect="openai_chat", value=search)
    assert request.tools[3] == Tool(
        "web_search",
        value={"search_context_size": "low", "user_location": {"type": "approximate", "country": "DE"}},
    )
    body = sent(request)
    assert body["tools"] == [{"type": "function", "function": function}, custom, search]
    assert body["web_search_options"] == {"search_context_size": "low", "user_location": place}


def test_legacy_functions_are_tools_one_at_a_time() -> None:
    request = asked(functions=[{"name": "f", "parameters": {}}], function_call={"name": "f"})
    assert request.tools[0].name == "f" and request.parallel_tools is False
    assert request.tool_choice == ToolChoice("named", "f")
    assert sent(request)["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {}}}]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", ToolChoice("none")),
        ("auto", ToolChoice("auto")),
        ("required", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("named", "f")),
        ({"type": "custom", "custom": {"name": "g"}}, ToolChoice("named", "g")),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "custom", "custom": {"name": "g"}},
                    ],
                },
            },
            ToolChoice("required", allowed=("f", "g")),
        ),
    ],
)
def test_every_tool_choice(choice: Any, expected: ToolChoice) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]
    request = asked(tools=tools, tool_choice=choice)
    assert request.tool_choice == expected
    assert sent(request)["tool_choice"] == choice


def test_formats() -> None:
    schema = {"type": "object"}
    shape = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    assert asked(response_format=shape).format == Format(schema, "n", "", True)
    assert sent(asked(response_format=shape))["response_format"] == shape
    assert asked(response_format={"type": "json_object"}).format == Format()
    assert asked(response_format={"type": "text"}).format is None
    grammar = {"type": "grammar", "grammar": "g"}
    assert sent(asked(response_format=grammar))["response_format"] == grammar


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_effort": "high"}, Reasoning("high")),
        ({"reasoning_effort": "default"}, None),
        ({"reasoning": {"effort": "low", "exclude": True}}, Reasoning("low", show=False)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget=2000)),
        ({"reasoning": {"enabled": True}}, Reasoning("medium")),
        ({"reasoning": {"enabled": False}}, Reasoning("none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 99}}, Reasoning(budget=99)),
        ({"thinking": {"type": "disabled"}}, Reasoning("none")),
        ({"enable_thinking": False}, Reasoning("none")),
        ({"enable_thinking": True, "thinking_budget": 5}, Reasoning(budget=5)),
        ({"include_reasoning": False}, Reasoning(show=False)),
    ],
)
def test_every_way_to_ask_for_thought(members: dict[str, Any], expected: Reasoning | None) -> None:
    request = asked(**members)
    assert request.reasoning == expected
    assert {name: value for name, value in sent(request).items() if name not in ("model", "messages")} == members


@pytest.mark.parametrize(
    ("quirks", "expected"),
    [
        ({}, {"reasoning_effort": "low"}),
        ({"reasoning_field": "reasoning"}, {"reasoning": {"max_tokens": 3000}}),
        ({"reasoning_field": "thinking"}, {"thinking": {"type": "enabled"}}),
        ({"reasoning_field": "enable_thinking"}, {"enable_thinking": True, "thinking_budget": 3000}),
        ({"reasoning_field": "none"}, {}),
        ({"efforts": ["high"]}, {"reasoning_effort": "high"}),
    ],
)
def test_thought_is_asked_for_as_the_route_says(quirks: dict[str, Any], expected: dict[str, Any]) -> None:
    request = foreign(reasoning=Reasoning(budget=3000))
    out = written(request, reasons=True, quirks=quirks)
    assert {name: value for name, value in out.body.items() if name not in ("model", "messages")} == expected
    assert out.dropped == (() if expected else ("reasoning_effort",))


@pytest.mark.parametrize(
    ("model", "wanted", "said"),
    [
        ("o3", "max", "high"),
        ("o4-mini", "none", "low"),
        ("gpt-5", "none", "minimal"),
        ("gpt-5.1", "minimal", "none"),
        ("gpt-5-pro", "low", "high"),
        ("gpt-5-codex", "minimal", "low"),
        ("gpt-oss-20b", "max", "high"),
        ("openai/gpt-5.2", "max", "xhigh"),
        ("grok-9", "xhigh", "xhigh"),
    ],
)
def test_an_effort_the_model_does_not_know_becomes_the_nearest(model: str, wanted: str, said: str) -> None:
    out = written(asked(reasoning_effort=wanted), model)
    assert out.body["reasoning_effort"] == said
    assert out.dropped == (("reasoning_effort",) if wanted == "none" else ())  # it thinks, whatever it is told


@pytest.mark.parametrize(
    ("model", "more", "field"),
    [
        ("gpt-4.1", {}, "max_tokens"),
        ("o3-mini", {}, "max_completion_tokens"),
        ("openai/gpt-5-mini", {}, "max_completion_tokens"),
        ("gpt-35-turbo", {}, "max_tokens"),
        ("openai/gpt-oss-120b", {}, "max_tokens"),
        ("m", {"reasons": True}, "max_completion_tokens"),
        ("gpt-5", {"quirks": {"max_tokens_field": "max_tokens"}}, "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_model_knows(model: str, more: dict[str, Any], field: str) -> None:
    for asked_for in ("max_tokens", "max_completion_tokens"):
        body = sent(asked(**{asked_for: 7}), model, **more)
        assert {name for name in body if "max_" in name} == {field} and body[field] == 7


def test_reasoning_models_are_not_asked_what_they_refuse() -> None:
    request = asked(temperature=0.2, top_p=1, presence_penalty=1, logit_bias={"1": 2}, seed=1)
    out = written(request, "o3")
    assert set(out.body) == {"model", "messages", "seed"}
    assert out.dropped == ("temperature", "presence_penalty", "logit_bias")
    assert sent(request, "gpt-4.1")["temperature"] == 0.2
    one_by_one = asked(tools=[{"type": "function", "function": {"name": "f"}}], parallel_tool_calls=False)
    assert "parallel_tool_calls" not in sent(one_by_one, "o3-mini") and "parallel_tool_calls" in sent(one_by_one)


@pytest.mark.parametrize(
    ("members", "model", "param"),
    [
        ({"logprobs": True}, "gpt-5", "logprobs"),
        ({"stop": "x"}, "o4-mini", "stop"),
        ({"web_search_options": {}}, "gpt-4.1", "tools[0]"),
    ],
)
def test_what_an_answer_would_show_to_be_missing_is_refused(members: dict[str, Any], model: str, param: str) -> None:
    with pytest.raises(Misfit) as problem:
        sent(asked(**members), model)
    assert problem.value.unsupported and problem.value.param == param and model not in problem.value.message


def test_a_tool_that_cannot_be_forced_is_refused() -> None:
    search = Tool("web_search", "web_search")
    with pytest.raises(Misfit) as problem:
        sent(foreign(tools=(search,), tool_choice=ToolChoice("named", "web_search")))
    assert problem.value.unsupported and problem.value.param == "tool_choice"


def test_a_stream_is_asked_for_with_its_usage() -> None:
    request = asked(stream=True, stream_options={"include_obfuscation": False})
    assert sent(request, stream=True)["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert "stream_options" not in sent(request)
    assert "stream_options" not in sent(request, stream=True, quirks={"stream_usage": False})
    assert sent(foreign(), stream=True)["stream_options"] == {"include_usage": True}


def test_unknown_members_go_out_again_in_this_dialect_alone() -> None:
    request = asked(prediction={"type": "content", "content": "x"}, provider={"order": ["a"]})
    assert sent(request)["prediction"] == {"type": "content", "content": "x"}
    out = written(foreign(extras={"container": "c"}, top_k=3, metadata={"a": "b"}, service_tier="auto"))
    assert set(out.body) == {"model", "messages"}
    assert set(out.dropped) == {"container", "top_k", "metadata", "service_tier"}


def test_a_tool_of_another_provider_is_refused() -> None:
    with pytest.raises(Misfit, match="computer_20250124"):
        sent(foreign(tools=(Tool("opaque", dialect="anthropic_messages", value={"type": "computer_20250124"}),)))


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [1]}, "messages[0].role"),
        ({"messages": [{"role": "bot", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0]"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stop": [1]}, "stop"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"response_format": "json"}, "response_format"),
        ({"logit_bias": []}, "logit_bias"),
        ({"modalities": "text"}, "modalities"),
    ],
)
def test_a_wrong_type_is_named(members: dict[str, Any], param: str) -> None:
    with pytest.raises(Misfit) as problem:
        asked(**members)
    assert problem.value.param == param and not problem.value.unsupported


MEMBERS = (
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "stop",
    "reasoning",
    "functions",
    "web_search_options",
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(MEMBERS), json_values), st.lists(json_values, min_size=1, max_size=3))
def test_whatever_a_client_sends_it_is_read_or_refused(body: dict[str, Any], contents: list[Any]) -> None:
    messages = [{"role": "assistant", "content": each, "tool_calls": each, "audio": each} for each in contents]
    for each in (body, {"messages": messages, **body}, {**body, "messages": [{"role": "user", "content": contents}]}):
        try:
            sent(CLIENT.read_request(each))
        except Misfit as problem:
            assert problem.message
