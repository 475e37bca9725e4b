"""Cohere chat requests: what is written says what was asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.answer_tool import ANSWER_TOOL
from providers.dialects.canon import (
    Citation,
    Format,
    Media,
    Message,
    Misfit,
    Opaque,
    Part,
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
from providers.dialects.cohere_chat.dialect import COHERE_CHAT
from tests.recordings import recorded

PLAIN = "command-a-03-2025"
THINKS = "command-a-reasoning-08-2025"
WEATHER = Tool("function", "weather", "Tells the weather.", {"type": "object", "properties": {"at": {}}})
TIME = Tool("function", "time")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def asked(*parts: Part, **more: Any) -> Request:
    messages = more.pop("messages", (Message("user", parts or (Text("hi"),)),))
    return Request(dialect=more.pop("dialect", "openai_chat"), messages=messages, **more)


def written(request: Request, model: str = PLAIN, **more: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = COHERE_CHAT.upstream.write_request(request, Target(model=model, **more))
    json.dumps(found.body)
    return found.body, found.dropped


def refused(request: Request) -> None:
    with pytest.raises(Misfit) as caught:
        written(request)
    assert caught.value.unsupported


def test_the_least_that_can_be_asked() -> None:
    body, dropped = written(asked(), stream=True)
    assert body == {"model": PLAIN, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    assert dropped == ()


def test_a_conversation_keeps_its_order() -> None:
    messages = (
        Message("system", (Text("brief"),)),
        Message("user", (Text("a"), Text("b")), name="eve"),
        Message("assistant", (Refusal("no"), Text(""))),
        Message("assistant", (Text(""),)),
        Message("developer", (Text("kind"),)),
        Message("user", (Text("c"), Opaque("openai_responses", {"type": "item"}))),
    )
    body, dropped = written(asked(messages=messages))
    assert body["messages"] == [
        {"role": "system", "content": "brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "no"},
        {"role": "system", "content": "kind"},
        {"role": "user", "content": "c"},
    ]
    assert dropped == ("name", "opaque:item")


def test_images_and_documents() -> None:
    parts = (
        Media("image", url="https://x/cat.png", detail="low"),
        Media("image", data="/9j/AAAA"),
        Media("document", text="facts", name="facts.txt"),
        Media("document", data="aGk=", media_type="text/plain"),
        Media("document", text="to cite", extras={"citations": {"enabled": True}, "title": "Cite me"}),
    )
    body, _ = written(asked(*parts))
    assert body["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://x/cat.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/AAAA"}},
        {"type": "text", "text": "facts.txt\n\nfacts"},
        {"type": "text", "text": "hi"},
    ]
    assert body["documents"] == [{"id": "doc:0", "data": {"title": "Cite me", "text": "to cite"}}]


@pytest.mark.parametrize(
    "part",
    [
        Media("image", file_id="file-1"),
        Media("document", data="JVBERi0=", media_type="application/pdf"),
        Media("audio", data="AAAA", media_type="audio/wav"),
        Media("video", url="https://x/film.mp4"),
    ],
)
def test_what_cannot_be_carried_is_refused(part: Media) -> None:
    refused(asked(part))


def test_calls_and_results() -> None:
    messages = (
        Message("user", (Text("?"),)),
        Message("assistant", (Text("look"), ToolCall("a", "weather", '{"at":"Rome"}'), ToolCall("b", "time", ""))),
        Message(
            "tool",
            (
                ToolResult("a", (Text("sunny"),)),
                ToolResult("b", (Media("image", url="https://x/"), Media("document", text="doc")), failed=True),
            ),
        ),
        Message("tool", (ToolResult("c"),)),
        Message("user", (Text("!"),)),
    )
    body, dropped = written(asked(messages=messages))
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "look",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"at":"Rome"}'}},
                {"id": "b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "sunny"},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [
                {"type": "text", "text": "(see the image that follows)"},
                {"type": "document", "document": {"data": {"text": "doc"}}},
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/"}}]},
        {"role": "user", "content": "!"},
    ]
    assert dropped == ("is_error",)


def test_thoughts_go_back_as_they_came() -> None:
    turn = (Thinking("hm"), ToolCall("a", "weather"))
    messages = (Message("assistant", turn), Message("assistant", (Thinking("so"), Text("it rains"))))
    body, dropped = written(asked(messages=messages), THINKS)
    assert body["messages"][0]["content"] == [{"type": "thinking", "thinking": "hm"}]
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "so"}
    assert dropped == ()
    body, dropped = written(asked(messages=messages))
    assert body["messages"][0]["tool_plan"] == "hm"
    assert body["messages"][1] == {"role": "assistant", "content": "it rains"}
    assert dropped == ("thinking",)


def test_citations_of_its_own_go_back_once_each() -> None:
    value = {"start": 0, "end": 1, "text": "a", "content_index": 1}
    own = Citation(dialect="cohere_chat", value=value)
    text = Text("abc", (own, own, Citation(url="https://x")))
    body, dropped = written(asked(messages=(Message("assistant", (Thinking("hm"), text)),)))
    assert body["messages"][0]["citations"] == [{**value, "content_index": 0}]
    assert dropped == ("thinking", "citations")


# --- tools and JSON --------------------------------------------------------------------------------------------------


def test_tools_and_which_of_them_must_be_called() -> None:
    def made(choice: ToolChoice | None) -> tuple[list[str], Any]:
        body, _ = written(asked(tools=(WEATHER, TIME), tool_choice=choice))
        return [tool["function"]["name"] for tool in body.get("tools", ())], body.get("tool_choice")

    both = ["weather", "time"]
    assert made(None) == (both, None)
    assert made(ToolChoice("auto")) == (both, None)
    assert made(ToolChoice("none")) == (both, "NONE")
    assert made(ToolChoice("required")) == (both, "REQUIRED")
    assert made(ToolChoice("required", allowed=("time",))) == (["time"], "REQUIRED")
    assert made(ToolChoice("named", "time")) == (["time"], "REQUIRED")
    body, _ = written(asked(tools=(WEATHER, TIME)))
    assert body["tools"][0]["function"] == {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": WEATHER.parameters,
    }
    assert body["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_a_choice_that_cannot_be_made_is_refused() -> None:
    for choice in (ToolChoice("named", "nothing"), ToolChoice("required")):
        with pytest.raises(Misfit):
            written(asked(tool_choice=choice))
    for tool in (Tool("web_search"), Tool("opaque", dialect="google_generate", value={})):
        refused(asked(tools=(tool,)))


def test_a_tool_that_takes_free_text_takes_it_as_an_argument() -> None:
    body, dropped = written(asked(tools=(Tool("free", "patch"),)))
    assert body["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert dropped == ("grammar",)


def test_strictness_is_for_all_tools_or_none() -> None:
    strict = Tool("function", "s", strict=True)
    assert written(asked(tools=(strict,)))[0]["strict_tools"] is True
    body, dropped = written(asked(tools=(strict, TIME)))
    assert "strict_tools" not in body
    assert dropped == ("strict",)


def test_json() -> None:
    assert written(asked(format=Format()))[0]["response_format"] == {"type": "json_object"}
    body, _ = written(asked(format=Format(SCHEMA, "city")))
    assert body["response_format"] == {"type": "json_object", "json_schema": SCHEMA}


def test_json_beside_tools_is_the_arguments_of_one() -> None:
    body, _ = written(asked(format=Format(SCHEMA), tools=(TIME,)))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["time", ANSWER_TOOL]
    assert body["tools"][1]["function"]["parameters"] == SCHEMA
    assert (body["tool_choice"], "response_format" in body) == ("REQUIRED", False)
    body, _ = written(asked(format=Format(SCHEMA), tools=(TIME,), tool_choice=ToolChoice("none")))
    assert [tool["function"]["name"] for tool in body["tools"]] == [ANSWER_TOOL]
    refused(asked(format=Format({"type": "array"}), tools=(TIME,)))


# --- knobs -----------------------------------------------------------------------------------------------------------


def test_knobs_under_its_own_names() -> None:
    body, dropped = written(
        asked(
            max_tokens=9000,
            stop=("a", "b"),
            temperature=0.2,
            top_p=1.0,
            top_k=900,
            frequency_penalty=0.5,
            presence_penalty=-1.0,
            seed=7,
            logprobs=True,
        ),
        max_output=8000,
    )
    del body["model"], body["messages"]
    assert body == {
        "max_tokens": 8000,
        "stop_sequences": ["a", "b"],
        "temperature": 0.2,
        "p": 0.99,
        "k": 500,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.0,
        "seed": 7,
        "logprobs": True,
    }
    assert dropped == ("presence_penalty",)


@pytest.mark.parametrize(
    ("model", "reasoning", "wanted", "dropped"),
    [
        (THINKS, Reasoning("medium"), {"type": "enabled", "token_budget": 8192}, ()),
        (THINKS, Reasoning(budget=500), {"type": "enabled", "token_budget": 500}, ()),
        (THINKS, Reasoning(budget=-1), {"type": "enabled"}, ()),
        (THINKS, Reasoning("low", -1, adaptive=True), {"type": "enabled", "token_budget": 2048}, ()),
        (THINKS, Reasoning("none"), {"type": "disabled"}, ()),
        (THINKS, Reasoning(summary="auto"), None, ()),
        (PLAIN, Reasoning("high"), None, ("reasoning_effort",)),
        (PLAIN, Reasoning("none"), None, ()),
    ],
)
def test_how_much_to_think(model: str, reasoning: Reasoning, wanted: Any, dropped: Any) -> None:
    body, named = written(asked(reasoning=reasoning), model)
    assert (body.get("thinking"), named) == (wanted, dropped)


def test_what_it_has_no_word_for_is_named() -> None:
    more = {"user": "u", "metadata": {"a": "b"}, "logit_bias": {"1": 1}, "service_tier": "flex", "min_p": 0.1}
    assert set(written(asked(parallel_tools=False, tools=(TIME,), **more))[1]) == {*more, "parallel_tool_calls"}


@pytest.mark.parametrize(
    "more", [{"n": 2}, {"top_logprobs": 3}, {"audio": {}}, {"modalities": ("image",)}, {"stop": tuple("abcdef")}]
)
def test_what_would_change_the_answer_is_refused(more: dict[str, Any]) -> None:
    refused(asked(**more))


# --- there and back --------------------------------------------------------------------------------------------------


def read_content(content: Any) -> tuple[Any, ...]:
    parts: list[Part] = []
    for block in [{"type": "text", "text": content}] if isinstance(content, str) else content or ():
        match block:
            case {"type": "text", "text": text}:
                parts.append(Text(text))
            case {"type": "thinking", "thinking": text}:
                parts.append(Thinking(text))
            case {"type": "image_url", "image_url": {"url": url, **rest}}:
                parts.append(Media("image", url=url, detail=rest.get("detail", "")))
            case _:
                parts.append(Opaque("cohere_chat", block))
    return tuple(parts)


def read_message(said: dict[str, Any]) -> Message:
    if said["role"] == "tool":
        return Message("tool", (ToolResult(said["tool_call_id"], read_content(said["content"])),))
    plan = (Thinking(said["tool_plan"]),) if said.get("tool_plan") else ()
    calls = [
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in said.get("tool_calls", ())
    ]
    return Message(said["role"], (*plan, *read_content(said.get("content")), *calls))


def read_request(body: dict[str, Any]) -> Request:
    format = body.get("response_format")
    choice = body.get("tool_choice")
    known = ("model", "messages", "stream", "tools", "tool_choice", "temperature", "thinking", "response_format")
    return Request(
        dialect="cohere_chat",
        messages=tuple(read_message(said) for said in body["messages"]),
        tools=tuple(
            Tool("function", tool["function"]["name"], tool["function"]["description"], tool["function"]["parameters"])
            for tool in body.get("tools", ())
        ),
        tool_choice=ToolChoice("required" if choice == "REQUIRED" else "none") if choice else None,
        format=Format(format.get("json_schema", format.get("schema"))) if format else None,
        reasoning=Reasoning(budget=body["thinking"].get("token_budget", -1)) if "thinking" in body else None,
        temperature=body.get("temperature"),
        extras={name: value for name, value in body.items() if name not in known},
    )


def settled(body: dict[str, Any]) -> dict[str, Any]:
    """A recorded request without what says nothing, and with one word for what has two."""
    made = json.loads(json.dumps(body))
    if made.get("stream") is False:
        del made["stream"]
    if "schema" in made.get("response_format", {}):
        made["response_format"]["json_schema"] = made["response_format"].pop("schema")
    for said in made["messages"]:
        content = said.get("content")
        if isinstance(content, list):
            content = [block for block in content if block.get("text") != ""]
            said["content"] = content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content
        if not said.get("content"):
            said.pop("content", None)
    return dict(made)


@pytest.mark.parametrize("case", recorded("cohere", "cohere.v2.chat"), ids=lambda case: case["id"])
def test_a_recorded_request(case: Any) -> None:
    body = case["request_body"]
    if any(
        isinstance(block, dict) and block["type"] == "document"
        for said in body["messages"]
        for block in said.get("content") or ()
    ):
        pytest.skip("a document among a tool's results is read by no client")
    made, dropped = written(read_request(body), body["model"], stream=bool(body.get("stream")))
    assert settled(made) == settled(body)
    assert dropped == ()


TEXTS = st.text(alphabet="abc ü", min_size=1, max_size=8)
SAID = st.one_of(TEXTS.map(Text), st.just(Media("image", url="https://x/", detail="low")))
DONE = st.one_of(TEXTS.map(Text), TEXTS.map(Thinking))
CALLS = st.lists(st.integers(0, 9).map(lambda at: ToolCall(f"c{at}", "weather", f'{{"at":{at}}}')), max_size=2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(SAID, min_size=1, max_size=3), st.lists(DONE, min_size=1, max_size=3), CALLS)))
def test_what_is_written_reads_as_what_was_asked(turns: Any) -> None:
    messages = []
    for question, answer, calls in turns:
        messages += [Message("user", tuple(question)), Message("assistant", (*answer, *calls))]
        messages += [Message("tool", (ToolResult(call.id, (Text("ok"),)),)) for call in calls]
    request = Request(dialect="cohere_chat", messages=tuple(messages), tools=(WEATHER,), temperature=0.5)
    body, dropped = written(request, THINKS)
    assert read_request(body) == request
    assert dropped == ()
