"""Requests of the Responses API, read and written; what `previous_response_id` stands for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.dialects.canon import (
    Answer,
    Cache,
    Choice,
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
from providers.dialects.openai_responses.reading import read_request
from providers.dialects.openai_responses.response import write_answer
from providers.dialects.openai_responses.turns import carried, continued
from providers.dialects.openai_responses.writing import write_request
from tests.responses_cases import FULL, recorded

NAME = "openai_responses"
TARGET = Target(model="up")


def written(request: Request, target: Target = TARGET) -> dict[str, Any]:
    return write_request(request, target).body


def again(body: dict[str, Any]) -> dict[str, Any]:
    return written(read_request(body), Target(model=body["model"], stream=bool(body.get("stream"))))


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request with what may be said in two ways said in one."""
    out = {name: value for name, value in body.items() if value not in (None, {}, [], "")}
    if not out.get("stream"):
        out.pop("stream", None)
    if "include" in out:
        out["include"] = sorted(out["include"])
    if "tools" in out:
        out["tools"] = [{name: one for name, one in tool.items() if one not in (None, "")} for tool in out["tools"]]
    items = body["input"]
    out["input"] = [_item(one) for one in ([{"role": "user", "content": items}] if isinstance(items, str) else items)]
    if out.get("text") == {"format": {"type": "text"}}:
        del out["text"]
    return out


def _item(item: dict[str, Any]) -> dict[str, Any]:
    item = {name: value for name, value in item.items() if value is not None}
    if "role" in item:
        item.setdefault("type", "message")
        if isinstance(item["content"], str):
            kind = "output_text" if item["role"] == "assistant" else "input_text"
            item["content"] = [{"type": kind, "text": item["content"]}]
        item["content"] = [
            {name: value for name, value in part.items() if name != "logprobs" and value != []}
            for part in item["content"]
        ]
    if item["type"] in ("function_call", "custom_tool_call", "reasoning"):
        item.pop("status", None)
    return item


# --- requests ---------------------------------------------------------------------------------------------------------

CASES = [pytest.param(case, id=case["id"]) for case in recorded()]


@pytest.mark.parametrize("case", CASES)
def test_a_recorded_request_comes_out_as_it_went_in(case):
    body = case["request_body"]

    assert plain(again(body)) == plain(body)


def test_everything_a_client_says_goes_on_to_another_host_of_the_same_api():
    assert plain(again(FULL)) == plain(FULL)


def test_items_between_two_words_of_the_client_are_one_turn_in_their_order():
    request = read_request(FULL)

    assert [message.role for message in request.messages] == [
        "system", "developer", "user", "assistant", "tool", "user", "assistant", "user",
    ]  # fmt: skip
    turn = request.messages[3].parts
    assert [type(part) for part in turn] == [
        Thinking, Thinking, Thinking, Opaque, Thinking, Text, Refusal, Text, Opaque, ToolCall, ToolCall,
    ]  # fmt: skip
    assert turn[2] == Thinking("c", "enc", NAME, id="rs_1")
    assert turn[4] == Thinking("", "enc2", NAME, redacted=True)
    assert turn[9] == ToolCall("c1", "f", "{}", item_id="fc_1", extras={"namespace": "m"})
    assert request.messages[4].parts == (
        ToolResult("c1", (Media("image", url="https://x"),), "f"),
        ToolResult("c2", (Text("ok"),), "patch", free=True),
    )


def test_the_rest_of_a_request_in_the_hubs_words():
    request = read_request(FULL)

    assert request.tool_choice == ToolChoice("required", allowed=("f",))
    assert request.format == Format({"type": "object"}, "n")
    assert request.reasoning == Reasoning("high", show=True, summary="auto")
    assert (request.logprobs, request.top_logprobs, request.max_tokens) == (True, 2, 100)
    assert (request.user, request.cache_key, request.verbosity, request.store) == ("s1", "k", "low", False)
    assert [tool.kind for tool in request.tools] == ["function", "function", "free", "web_search", "function", "opaque"]
    # Extras are what other dialects must leave out, and name.
    assert request.extras.keys() == {
        "previous_response_id", "truncation", "brand_new", "stream_options", "reasoning.context",
    }  # fmt: skip
    assert read_request({"input": "hi"}).messages == (Message("user", (Text("hi"),)),)
    assert read_request({"input": "x", "tool_choice": {"type": "custom", "name": "p"}}).tool_choice == ToolChoice(
        "named", "p"
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": 3}, "input"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"content": "x"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
        ({"reasoning": "high"}, "reasoning"),
        ({"temperature": True}, "temperature"),
    ],
)
def test_what_cannot_be_read_is_named(body, param):
    with pytest.raises(Misfit) as caught:
        read_request(body)

    assert caught.value.param == param
    assert not caught.value.unsupported


def test_functions_in_a_namespace_are_functions_to_every_other_dialect():
    request = read_request(FULL | {"input": [*FULL["input"], {
        "type": "function_call", "call_id": "c5", "name": "h", "arguments": "{}", "namespace": "n"}]})  # fmt: skip

    assert request.tools[4].name == request.messages[-1].parts[0].name == "n__h"
    assert plain(again(FULL))["tools"][4] == FULL["tools"][4]
    assert written(request)["input"][-1] == {
        "type": "function_call", "call_id": "c5", "name": "h", "arguments": "{}", "namespace": "n",
    }  # fmt: skip
    answer = Answer(dialect="other", id="x", choices=(Choice((ToolCall("c6", "n__h"), ToolCall("c7", "f")), "tool"),))
    called, other = json.loads(write_answer(answer, "m", request))["output"]
    assert (called["namespace"], called["name"]) == ("n", "h")
    assert "namespace" not in other
    long = {"type": "namespace", "name": "n" * 60, "tools": [{"type": "function", "name": "h" * 60}]}
    assert len(read_request({"input": "x", "tools": [long]}).tools[0].name) == 64


def foreign(**members: Any) -> Request:
    return Request(dialect="anthropic_messages", **({"messages": (Message("user", (Text("hi"),)),)} | members))


def test_a_request_of_another_api():
    request = foreign(
        messages=(
            Message("system", (Text("S"),)),
            Message("user", (Text("look"), Media("image", data="AAAA", media_type="image/png"))),
            Message(
                "assistant",
                (
                    Thinking("hm", "sig", "anthropic_messages"),
                    Thinking("so", "enc", NAME, id="rs_7"),
                    Text("I call."),
                    ToolCall("toolu_1", "f", '{"a":1}'),
                    ToolCall("x" * 80, "f", ""),
                ),
            ),
            Message("tool", (ToolResult("toolu_1", (Text("1"),)), ToolResult("x" * 80, (), failed=True))),
        ),
        tools=(Tool("function", "f", "does"),),
        tool_choice=ToolChoice("named", "f"),
        reasoning=Reasoning(budget=8192, show=True),
        max_tokens=5,
        top_k=3,
        seed=1,
        service_tier="standard_only",
        user="u",
    )

    done = write_request(request, Target(model="up", stream=True))

    long_id = done.body["input"][5]["call_id"]
    assert done.body == {
        "model": "up",
        "stream": True,
        "input": [
            {"type": "message", "role": "system", "content": "S"},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "look"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                ],
            },
            {
                "type": "reasoning",
                "id": "rs_7",
                "summary": [{"type": "summary_text", "text": "so"}],
                "encrypted_content": "enc",
            },
            {"type": "message", "role": "assistant", "content": "I call."},
            {"type": "function_call", "call_id": "toolu_1", "name": "f", "arguments": '{"a":1}'},
            {"type": "function_call", "call_id": long_id, "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "1"},
            {"type": "function_call_output", "call_id": long_id, "output": ""},
        ],
        "tools": [
            {
                "type": "function",
                "name": "f",
                "description": "does",
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            }
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "medium", "summary": "auto"},
        "max_output_tokens": 16,
        "user": "u",
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert len(long_id) <= 64
    assert done.dropped == (
        "thinking", "is_error", "top_k", "seed", "service_tier", "max_tokens",
    )  # fmt: skip


def test_marks_on_tools_are_named():
    tools = (Tool("function", "f", cache=Cache()),)
    assert write_request(foreign(tools=tools), Target(model="m")).dropped == ("cache_control",)


def test_encrypted_thoughts_are_asked_only_of_models_that_think():
    assert "include" not in written(foreign())
    assert written(foreign(), Target(model="m", reasons=True))["include"] == ["reasoning.encrypted_content"]
    assert "include" not in written(foreign(reasoning=Reasoning("high")), Target(model="m", reasons=False))
    assert "reasoning" not in written(foreign(reasoning=Reasoning("high")), Target(model="m", reasons=False))


@pytest.mark.parametrize(
    ("model", "effort", "taken"),
    [
        ("gpt-5", "max", "high"),
        ("gpt-5.1", "minimal", "none"),
        ("openai.gpt-5.6-luna", "max", "xhigh"),
        ("o3", "none", "low"),
        ("grok-4.3", "max", "max"),
    ],
)
def test_openais_models_hear_of_the_efforts_they_know(model, effort, taken):
    request = foreign(reasoning=Reasoning(effort), temperature=0.2, top_p=1)
    done = write_request(request, Target(model=model))

    assert done.body["reasoning"] == {"effort": taken}
    thinks = ("reasoning_effort",) if effort == "none" else ()  # whatever it is told
    assert done.dropped == (() if model == "grok-4.3" else (*thinks, "temperature"))
    told = write_request(request, Target(model=model, quirks={"sampling": True, "efforts": ["none"]}))
    assert (told.body["temperature"], told.body["reasoning"]) == (0.2, {"effort": "none"})


def test_codexs_backend_takes_system_prompts_as_instructions_only():
    target = Target(model="gpt-5.5", family="openai-codex-responses")
    own = written(read_request({"model": "m", "instructions": "I", "input": "x", "store": True}), target)
    other = written(
        foreign(messages=(Message("system", (Text("A"), Text("B"))), Message("user", (Text("x"),)))), target
    )
    bare = written(foreign(), target)

    assert [body["instructions"] for body in (own, other, bare)] == ["I", "A\n\nB", "You are a helpful assistant."]
    for body in (own, other, bare):
        assert (body["store"], body["stream"], len(body["input"])) == (False, True, 1)


def test_json_mode_says_the_word_that_the_api_looks_for():
    assert written(foreign(format=Format()))["input"][-1]["content"] == "Answer in JSON."
    told = (Message("user", (Text("Give me JSON"),)),)
    assert len(written(foreign(format=Format(), messages=told))["input"]) == 1
    schema = written(foreign(format=Format({"type": "object"}, "my shape", strict=True)))["text"]["format"]
    assert schema == {"type": "json_schema", "name": "my_shape", "schema": {"type": "object"}, "strict": True}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"stop": ("END",)}, "stop"),
        ({"tools": (Tool("opaque", "bash", dialect="anthropic_messages", value={"type": "bash_1"}),)}, "tools"),
        ({"modalities": ("text", "audio")}, "modalities"),
        ({"messages": (Message("user", (Media("video", data="AA", media_type="video/mp4"),)),)}, "input"),
        ({"messages": (Message("user", (Media("image", file_id="file_1"),)),)}, "input"),
        ({"messages": (Message("assistant", (Media("audio", data="AA"),)),)}, "input"),
    ],
)
def test_what_must_not_be_left_out_is_refused(members, param):
    with pytest.raises(Misfit) as caught:
        written(foreign(**members))

    assert caught.value.unsupported
    assert caught.value.param == param


def test_a_search_is_asked_for_in_the_words_of_this_api():
    words = {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"city": "Bern"}}}
    body = written(foreign(tools=(Tool("web_search", value=words),)))

    assert body["tools"] == [
        {
            "type": "web_search",
            "search_context_size": "low",
            "user_location": {"type": "approximate", "city": "Bern"},
        }
    ]


# --- the next turn ----------------------------------------------------------------------------------------------------


def test_the_next_turn_begins_with_what_was_asked_and_answered():
    body = {"model": "m", "input": "hi", "instructions": "not carried"}
    response = {
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc", "status": None},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
                {"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}]},
        ]
    }  # fmt: skip

    items = carried(body, response)
    following = continued({"input": "and?", "previous_response_id": "resp_1", "instructions": "new"}, items)

    assert "previous_response_id" not in following
    assert following["input"] == [
        {"type": "message", "role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        },
        {"type": "message", "role": "user", "content": "and?"},
    ]
    assert plain(again(following | {"model": "m"}))["input"] == plain(following)["input"]
