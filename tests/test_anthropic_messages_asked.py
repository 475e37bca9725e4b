"""What clients of other dialects ask, written for upstreams of Anthropic's Messages API."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from providers.dialects.answer_tool import ANSWER_TOOL
from providers.dialects.anthropic_messages.reading import read_request
from providers.dialects.anthropic_messages.writing import write_request
from providers.dialects.canon import (
    DEFAULT_MAX_TOKENS,
    Cache,
    Citation,
    Format,
    Media,
    Message,
    Misfit,
    Opaque,
    Reasoning,
    Refusal,
    Request,
    Target,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from providers.dialects.claude import accepts

OWN = "anthropic_messages"
NEW = Target(model="claude-sonnet-5")
OLD = Target(model="claude-sonnet-4-20250514")
USER = Message("user", (Text("Hi"),))
WEATHER = Tool("function", "weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})
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


EPHEMERAL = {"type": "ephemeral", "ttl": "1h"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
# --- what clients of other dialects say ------------------------------------------------------------------------------


def test_a_conversation_of_another_dialect() -> None:
    written = write_request(
        asked(
            Message("system", (Text("one"),)),
            Message("developer", (Text("two"),)),
            Message("user", (Text("Hi"), Text("  "), Media("image", data=PNG, media_type="image/png"))),
            Message("user", (Text("there"),), name="bob"),
            Message("assistant", (Text(""), ToolCall("call.1", "weather", '{"city": "Rome"}'))),
            Message("tool", (ToolResult("call.1", (Media("image", url="https://a/b.png"),)),)),
            Message("tool", (ToolResult("call_2", (Text("no"),), failed=True),)),
            Message("user", (Text("so?"),)),
            Message("assistant", (Refusal("I will not."), Text("ok \n"))),
            tools=(WEATHER,),
            seed=7,
            logit_bias={"1": 2},
            frequency_penalty=0,
        ),
        OLD,
    )
    body = written.body
    assert body["system"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert body["max_tokens"] == DEFAULT_MAX_TOKENS
    call_id = body["messages"][1]["content"][0]["id"]
    assert call_id.startswith("call_1_")
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, IMAGE, {"type": "text", "text": "there"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": call_id, "name": "weather", "input": {"city": "Rome"}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": call_id,
                    "content": [{"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}],
                },
                {"type": "tool_result", "tool_use_id": "call_2", "content": "no", "is_error": True},
                {"type": "text", "text": "so?"},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "I will not."}, {"type": "text", "text": "ok"}],
        },
    ]
    assert set(written.dropped) == {"name", "seed", "logit_bias"}


def test_instructions_alone_are_what_the_user_asks() -> None:
    assert sent(asked(Message("system", (Text("Tell a joke."),))))["messages"] == [
        {"role": "user", "content": "Tell a joke."}
    ]
    with pytest.raises(Misfit):
        sent(asked(Message("user", (Text(" "),))))


def test_foreign_thoughts_citations_and_parts_are_left_out_by_name() -> None:
    parts = (
        Thinking("hm", "sig", "openai_responses"),
        Opaque("google_generate", {"type": "executableCode"}),
        Text("so", citations=(Citation(url="https://a"),)),
    )
    written = write_request(asked(USER, Message("assistant", parts), USER), OLD)
    assert written.dropped == ("thinking", "opaque:executableCode", "citations")
    assert written.body["messages"][1]["content"] == "so"
    mine = Thinking("hm", "sig", OWN)
    body = sent(asked(USER, Message("assistant", (mine, Text("so"))), USER))
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}


def test_the_proof_of_a_foreign_call_comes_back_through_a_client() -> None:
    """Google's thought signatures: this dialect has no place for them in a call."""
    content = [
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
        {"type": "redacted_thinking", "data": "jf1:google_generate:call_1:proof"},
        {"type": "redacted_thinking", "data": "own"},
    ]
    (read,) = read_request({"messages": [{"role": "assistant", "content": content}]}).messages
    assert read.parts == (
        ToolCall("call_1", "f", "{}", signature="proof", signer="google_generate"),
        Thinking("", "own", OWN, redacted=True),
    )


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), True, {"type": "auto"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("named", "weather"), None, {"type": "tool", "name": "weather"}),
        (ToolChoice("none"), False, {"type": "none"}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, expected: Any) -> None:
    body = sent(asked(tools=(WEATHER,), tool_choice=choice, parallel_tools=parallel))
    assert body.get("tool_choice") == expected


def test_allowed_tools_are_the_only_ones() -> None:
    other = Tool("function", "other")
    body = sent(asked(tools=(WEATHER, other), tool_choice=ToolChoice("required", allowed=("other",))))
    assert [tool["name"] for tool in body["tools"]] == ["other"]


def test_strict_tools_get_a_schema_that_is_enforced() -> None:
    schema = {"type": "object", "properties": {"n": {"type": ["integer", "null"], "minimum": 1}}, "required": ["n"]}
    tool = Tool("function", "f", parameters=schema, strict=True)
    written = write_request(asked(tools=(tool,)), NEW)
    assert written.body["tools"] == [
        {
            "name": "f",
            "strict": True,
            "input_schema": {
                "type": "object",
                "properties": {"n": {"anyOf": [{"type": "integer", "description": "{minimum: 1}"}, {"type": "null"}]}},
                "additionalProperties": False,
                "required": ["n"],
            },
        }
    ]
    older = write_request(asked(tools=(tool,)), OLD)
    assert older.body["tools"] == [{"name": "f", "input_schema": schema}]
    assert older.dropped == ("strict",)


def test_free_text_tools_take_one_string() -> None:
    call = ToolCall("c", "patch", "*** Begin", free=True)
    request = asked(
        USER,
        Message("assistant", (call,)),
        Message("tool", (ToolResult("c", (Text("ok"),), free=True),)),
        tools=(Tool("free", "patch", "Patches"),),
    )
    body = sent(request)
    assert body["tools"][0]["input_schema"]["required"] == ["input"]
    assert body["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}


# --- formats ---------------------------------------------------------------------------------------------------------

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_a_schema_is_said_where_the_model_is_held_to_it() -> None:
    body = sent(asked(format=Format(CITY, "city")), NEW)
    schema = {**CITY, "additionalProperties": False}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "tools" not in body


@pytest.mark.parametrize(("form", "target"), [(Format(CITY, "city"), OLD), (Format(), NEW)])
def test_elsewhere_a_tool_that_must_be_called_stands_in(form: Format, target: Target) -> None:
    body = sent(asked(format=form, reasoning=Reasoning("high")), target)
    assert body["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}
    assert body["tools"][0]["input_schema"]["type"] == "object"
    assert ("thinking" in body) == (target is NEW)  # older models do not think while they are made to call a tool
    with_tools = sent(asked(format=form, tools=(WEATHER,)), target)
    assert with_tools["tool_choice"] == {"type": "any"}
    forced = sent(asked(format=form, tools=(WEATHER,), tool_choice=ToolChoice("required")), target)
    assert [tool["name"] for tool in forced["tools"]] == ["weather"]


# --- how much, how freely --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort"),
    [
        ("claude-sonnet-4-20250514", Reasoning("low"), {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-sonnet-4-5", Reasoning(budget=64), {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-sonnet-4-5", Reasoning(budget=-1), {"type": "enabled", "budget_tokens": 8192}, None),
        ("claude-sonnet-4-5", Reasoning("none"), None, None),
        ("claude-3-5-haiku-latest", Reasoning("high"), None, None),
        ("claude-opus-4-6", Reasoning("xhigh"), {"type": "adaptive"}, "high"),
        ("claude-opus-4-6", Reasoning(budget=5000), {"type": "enabled", "budget_tokens": 5000}, None),
        ("claude-opus-4-7", Reasoning(budget=5000, show=True), {"type": "adaptive", "display": "summarized"}, "medium"),
        ("anthropic/claude-opus-4.8", Reasoning("minimal"), {"type": "adaptive"}, "low"),
        ("us.anthropic.claude-sonnet-5-v1:0", Reasoning("xhigh"), {"type": "adaptive"}, "xhigh"),
        ("claude-sonnet-5", Reasoning("none"), {"type": "disabled"}, None),
        ("claude-sonnet-5-5", Reasoning("none"), {"type": "between_tools"}, "low"),
        ("claude-fable-5", Reasoning("none"), None, "low"),
        ("claude-opus-5-5", Reasoning(budget=0), None, "low"),
        ("MiniMax-M2", Reasoning("medium"), {"type": "enabled", "budget_tokens": 8192}, None),
    ],
)
def test_thinking(model: str, reasoning: Reasoning, thinking: Any, effort: str | None) -> None:
    body = sent(asked(reasoning=reasoning, max_tokens=50_000), Target(model=model))
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort


@pytest.mark.parametrize(
    ("asked_for", "limit", "max_tokens", "budget"),
    [
        (None, None, 16384 + DEFAULT_MAX_TOKENS, 16384),
        (None, 64000, 64000, 16384),
        (None, 8192, 8192, 4096),
        (100_000, 32000, 32000, 16384),
        (4000, None, 4000, 2000),
        (1500, None, 1500, 1024),
        (1000, None, 1000, None),
    ],
)
def test_a_budget_is_less_than_all_that_may_be_said(
    asked_for: int | None, limit: int | None, max_tokens: int, budget: int | None
) -> None:
    request = asked(reasoning=Reasoning("high"), max_tokens=asked_for)
    written = write_request(request, Target(model="claude-sonnet-4-5", max_output=limit))
    assert written.body["max_tokens"] == max_tokens
    assert written.body.get("thinking", {}).get("budget_tokens") == budget
    assert ("reasoning_effort" in written.dropped) == (budget is None)


def test_no_budget_for_a_call_that_began_without_a_thought() -> None:
    """The API refuses to think on after a call whose thought it does not see."""
    turns = (USER, Message("assistant", (ToolCall("c", "weather"),)), Message("tool", (ToolResult("c"),)))
    request = asked(*turns, tools=(WEATHER,), reasoning=Reasoning("low"))
    assert write_request(request, OLD).dropped == ("reasoning_effort",)
    assert "thinking" in sent(asked(*turns, USER, USER, tools=(WEATHER,), reasoning=Reasoning("low")), NEW)


@pytest.mark.parametrize(
    ("model", "members", "kept", "dropped"),
    [
        (
            "claude-sonnet-4-0",
            {"temperature": 1.7, "top_p": 0.5, "top_k": 4},
            {"temperature": 1, "top_p": 0.5, "top_k": 4},
            ("temperature",),
        ),
        ("claude-sonnet-4-5", {"temperature": 0.2, "top_p": 0.5}, {"temperature": 0.2}, ("top_p",)),
        ("claude-opus-4-7", {"temperature": 0.2, "top_k": 4}, {}, ("temperature", "top_k")),
        (
            "claude-sonnet-4-0",
            {"temperature": 0.2, "top_p": 0.97, "top_k": 4, "reasoning": Reasoning("low")},
            {"top_p": 0.97},
            ("temperature", "top_k"),
        ),
    ],
)
def test_sampling(model: str, members: dict[str, Any], kept: dict[str, Any], dropped: tuple[str, ...]) -> None:
    written = write_request(asked(**members), Target(model=model))
    assert {name: written.body[name] for name in ("temperature", "top_p", "top_k") if name in written.body} == kept
    assert set(written.dropped) == set(dropped)


def test_what_a_model_takes_is_told_from_its_name() -> None:
    assert accepts("claude-haiku-4-5@20251001") == accepts("anthropic.claude-haiku-4-5-20251001-v1:0")
    assert accepts("claude-opus-4-20250514") == accepts("claude-opus-4-0")
    assert accepts("claude-next").adaptive
    assert not accepts("claude-2.1").budgets
    assert accepts("anthropic.claude-v2:1") == accepts("claude-2.0")
    assert accepts("anthropic.claude-instant-v1") == accepts("claude-instant-1")
    assert accepts("claude-mythos-preview").forcing == "never"
    assert accepts("kimi-k2").lenient


# --- what cannot be asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        asked(n=2),
        asked(logprobs=True),
        asked(modalities=("text", "audio")),
        asked(Message("user", (Media("audio", data="AA=="),))),
        asked(Message("user", (Media("image", file_id="file-1"),))),
        asked(Message("user", (Media("image", data="AA==", media_type="image/tiff"),))),
        asked(Message("user", (Media("document", data="AA==", media_type="application/msword"),))),
        asked(tools=(Tool("opaque", dialect="openai_responses", value={"type": "file_search"}),)),
        asked(format=Format({"type": "array"})),
    ],
)
def test_what_would_change_the_answer_is_refused(request_: Request) -> None:
    with pytest.raises(Misfit) as refused:
        write_request(request_, OLD)
    assert refused.value.unsupported


def test_a_tool_that_cannot_be_forced_is_refused() -> None:
    with pytest.raises(Misfit) as refused:
        sent(asked(tools=(WEATHER,), tool_choice=ToolChoice("required")), Target(model="claude-opus-5-5"))
    assert refused.value.unsupported


def test_documents_of_text_are_read_out() -> None:
    data = base64.b64encode("é".encode()).decode()
    body = sent(asked(Message("user", (Media("document", data=data, media_type="text/csv", name="n"),))))
    assert body["messages"][0]["content"] == [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}, "title": "n"}
    ]


def test_cache_marks_of_another_dialect_go_on() -> None:
    body = sent(asked(Message("user", (Text("a", cache=Cache("1h")),)), tools=(Tool("function", "f", cache=Cache()),)))
    assert body["messages"][0]["content"][0]["cache_control"] == EPHEMERAL
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral"}
