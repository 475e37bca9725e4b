"""Converse requests: what is written says what was asked, in the terms of each maker's models."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.answer_tool import ANSWER_TOOL
from providers.dialects.canon import (
    Cache,
    Citation,
    Format,
    Media,
    Message,
    Misfit,
    Opaque,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.converse import (
    GPT,
    LLAMA,
    MISTRAL,
    NOVA,
    NOVA_2,
    SCHEMA,
    SONNET,
    TIME,
    WEATHER,
    asked,
    read_request,
    refused,
    written,
)


def test_the_least_that_can_be_asked() -> None:
    body, dropped = written(asked())
    assert body == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    assert dropped == ()


def test_a_conversation_is_in_turns_and_loses_nothing() -> None:
    body, _ = written(
        asked(
            messages=(
                Message("system", (Text("be brief"),)),
                Message("assistant", (Text("hello"),)),
                Message("user", (Text("one"), Text(" "))),
                Message("user", (Text("two"),)),
                Message("developer", (Text("be kind"),)),
                Message("assistant", (Refusal("no"),)),
                Message("assistant", (Text(""),)),
                Message("user", (Text("three"),)),
            )
        )
    )
    assert body["system"] == [{"text": "be brief"}, {"text": "be kind"}]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert body["messages"][2]["content"] == [{"text": "one"}, {"text": "two"}]
    assert body["messages"][3]["content"] == [{"text": "no"}]


def test_without_words_of_the_user_there_are_some() -> None:
    for messages in ((), (Message("system", (Text("say hi"),)),), (Message("user", (Text(""),)),)):
        body, _ = written(asked(messages=messages))
        assert body["messages"][0]["role"] == "user"
        assert body["messages"][0]["content"]


def test_results_come_before_words_and_keep_what_they_hold() -> None:
    calls = (ToolCall("call|1", "weather", '{"at":"Rome"}'), ToolCall("b", "time", ""))
    results = (
        ToolResult("call|1", (Text("sunny"), Media("image", data="iVBORw0KGgo=", media_type="image/png"))),
        ToolResult("b", (), failed=True),
    )
    messages = (
        Message("user", (Text("?"),)),
        Message("assistant", calls),
        Message("user", (Text("wait"),)),
        Message("tool", results),
    )
    body, _ = written(asked(messages=messages, tools=(WEATHER, TIME)))
    first, second = (block["toolUse"] for block in body["messages"][1]["content"])
    assert (first["input"], second["input"], second["toolUseId"]) == ({"at": "Rome"}, {}, "b")
    one, other, words = body["messages"][2]["content"]
    assert one["toolResult"]["toolUseId"] == first["toolUseId"]
    assert one["toolResult"]["content"] == [
        {"text": "sunny"},
        {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
    ]
    assert other["toolResult"] == {"toolUseId": "b", "content": [{"text": "(no output)"}], "status": "error"}
    assert words == {"text": "wait"}


def test_arguments_that_are_no_object_go_into_one() -> None:
    calls = [ToolCall(str(at), "weather", text) for at, text in enumerate(("[1]", "{oops", "3"))]
    body, _ = written(asked(messages=(Message("user", (Text("?"),)), Message("assistant", tuple(calls)))))
    inputs = [block["toolUse"]["input"] for block in body["messages"][1]["content"]]
    assert inputs == [{"arguments": [1]}, {"arguments": "{oops"}, {"arguments": 3}]


def test_mistral_takes_results_as_json() -> None:
    results = Message("tool", (ToolResult("a", (Text("22"),)), ToolResult("b", (Text('{"t":22}'),), failed=True)))
    body, _ = written(asked(messages=(Message("assistant", (ToolCall("a", "x"),)), results)), MISTRAL)
    one, other = (block["toolResult"] for block in body["messages"][2]["content"])
    assert one["content"] == [{"json": {"output": "22"}}]
    assert other == {"toolUseId": "b", "content": [{"json": {"t": 22}}]}


def test_only_signed_thoughts_go_back_to_claude() -> None:
    thoughts = (
        Thinking("mine", "sig", "bedrock_converse"),
        Thinking("also mine", "sig2", "anthropic_messages"),
        Thinking(signature="AAAA", signer="bedrock_converse", redacted=True),
        Thinking(signature="hidden", signer="anthropic_messages", redacted=True),
        Thinking("other", "sig3", "google_generate"),
        Thinking("unsigned"),
    )
    messages = (Message("user", (Text("?"),)), Message("assistant", (*thoughts, Text("!"))))
    body, dropped = written(asked(messages=messages))
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "mine", "signature": "sig"}}},
        {"reasoningContent": {"reasoningText": {"text": "also mine", "signature": "sig2"}}},
        {"reasoningContent": {"redactedContent": "AAAA"}},
        {"reasoningContent": {"redactedContent": base64.b64encode(b"hidden").decode()}},
        {"text": "!"},
    ]
    assert dropped == ("thinking",)
    body, dropped = written(asked(messages=messages), GPT)
    assert body["messages"][1]["content"] == [{"text": "!"}]
    assert dropped == ("thinking",)


def test_documents_have_names_of_their_own_and_words_beside_them() -> None:
    parts = (
        Media("document", data="JVBERi0=", name="a/report_1.pdf"),
        Media("document", data="JVBERi0=", media_type="application/pdf", name="a/report_1.pdf"),
        Media("document", text="plain", extras={"citations": {"enabled": True}, "title": "Facts"}),
        Media("video", url="s3://bucket/film.mp4"),
    )
    body, _ = written(asked(*parts))
    *blocks, words = body["messages"][0]["content"]
    assert [block["document"]["name"] for block in blocks[:3]] == ["a report 1", "a report 1 2", "Facts"]
    assert [block["document"]["format"] for block in blocks[:3]] == ["pdf", "pdf", "txt"]
    assert blocks[2]["document"]["source"] == {"text": "plain"}
    assert blocks[2]["document"]["citations"] == {"enabled": True}
    assert blocks[3] == {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/film.mp4"}}}}
    assert words == {"text": "(see the document)"}
    body, _ = written(asked(parts[2], Text("?")), NOVA)
    assert body["messages"][0]["content"][0]["document"]["source"] == {"bytes": base64.b64encode(b"plain").decode()}


@pytest.mark.parametrize(
    "part",
    [
        Media("image", url="https://example.com/cat.png"),
        Media("image", file_id="file-1"),
        Media("image", data="AAAA", media_type="image/tiff"),
        Media("document", data="AAAA", media_type="application/zip"),
        Media("audio", data="AAAA"),
    ],
)
def test_what_cannot_be_carried_is_refused(part: Media) -> None:
    assert "This upstream takes no" in refused(asked(part))


def test_cache_marks_go_to_models_with_a_cache() -> None:
    request = asked(
        messages=(
            Message("system", (Text("long", cache=Cache()),)),
            Message("user", (Text("hi", cache=Cache("1h")),)),
        ),
        tools=(Tool("function", "weather", cache=Cache()),),
    )
    body, dropped = written(request)
    assert body["system"] == [{"text": "long"}, {"cachePoint": {"type": "default"}}]
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert dropped == ()
    body, dropped = written(request, NOVA)
    assert body["messages"][0]["content"][1] == {"cachePoint": {"type": "default"}}
    assert len(body["toolConfig"]["tools"]) == 1
    assert dropped == ("cache_control",)
    assert "cachePoint" not in json.dumps(written(request, LLAMA)[0])


def test_what_only_another_dialect_knows_is_named() -> None:
    own = Citation(dialect="bedrock_converse", value={"title": "a"})
    parts = (
        Opaque("anthropic_messages", {"type": "web_search_tool_result"}),
        Opaque("bedrock_converse", {"guardContent": {"text": {"text": "x"}}}),
        Text("cited", (Citation(url="https://x"),)),
        Text("mine", (own,)),
    )
    body, dropped = written(asked(*parts))
    assert body["messages"][0]["content"] == [
        {"guardContent": {"text": {"text": "x"}}},
        {"text": "cited"},
        {"citationsContent": {"content": [{"text": "mine"}], "citations": [{"title": "a"}]}},
    ]
    assert dropped == ("opaque:web_search_tool_result", "citations")


# --- tools -----------------------------------------------------------------------------------------------------------


def config(choice: ToolChoice | None, model: str = SONNET, **more: Any) -> dict[str, Any] | None:
    return written(asked(tools=(WEATHER, TIME), tool_choice=choice, **more), model)[0].get("toolConfig")


def names(found: dict[str, Any] | None) -> list[str]:
    return [block["toolSpec"]["name"] for block in (found or {}).get("tools", ())]


def test_tools_and_which_of_them_must_be_called() -> None:
    found = config(None)
    assert found is not None
    assert found["tools"][0]["toolSpec"] == {
        "name": "weather",
        "description": "Tells the weather.",
        "inputSchema": {"json": WEATHER.parameters},
    }
    assert "toolChoice" not in found
    assert "toolChoice" not in (config(ToolChoice("auto")) or {})
    assert (config(ToolChoice("required")) or {})["toolChoice"] == {"any": {}}
    assert (config(ToolChoice("named", "time")) or {})["toolChoice"] == {"tool": {"name": "time"}}
    assert names(config(ToolChoice("auto", allowed=("time",)))) == ["time"]
    assert config(ToolChoice("none")) is None


def test_a_named_tool_is_forced_by_being_the_only_one() -> None:
    found = config(ToolChoice("named", "time"), MISTRAL)
    assert names(found) == ["time"]
    assert (found or {})["toolChoice"] == {"any": {}}


def test_what_cannot_be_forced_is_refused() -> None:
    assert "tool_choice" in refused(asked(tools=(WEATHER,), tool_choice=ToolChoice("required")), LLAMA)
    with pytest.raises(Misfit):
        written(asked(tools=(WEATHER,), tool_choice=ToolChoice("named", "nothing")))
    with pytest.raises(Misfit):
        written(asked(tool_choice=ToolChoice("required")))


def test_calls_in_the_conversation_need_tools() -> None:
    messages = (Message("assistant", (ToolCall("a", "old.tool"),)), Message("tool", (ToolResult("a", (Text("1"),)),)))
    body, _ = written(asked(messages=messages))
    assert names(body["toolConfig"]) == ["old_tool"]
    body, dropped = written(asked(messages=messages, tools=(WEATHER,), tool_choice=ToolChoice("none")))
    assert names(body["toolConfig"]) == ["weather"]
    assert dropped == ("tool_choice",)


def test_tools_that_it_does_not_know_are_refused() -> None:
    for tool in (
        Tool("web_search"),
        Tool("opaque", dialect="anthropic_messages", value={"type": "bash"}),
    ):
        refused(asked(tools=(tool,)))
    refused(asked(tools=(Tool("function", "a.b"),)))
    body, _ = written(asked(tools=(Tool("web_search"),)), NOVA_2)
    assert body["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}]


def test_strict_tools_where_they_are_known() -> None:
    request = asked(tools=(Tool("function", "weather", strict=True),))
    assert written(request)[0]["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True
    assert written(request, NOVA)[1] == ("strict",)


def test_a_tool_that_takes_free_text_takes_it_as_an_argument() -> None:
    body, dropped = written(asked(tools=(Tool("free", "patch"),)))
    assert body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["required"] == ["input"]
    assert dropped == ("grammar",)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"$ref": "https://x/"}}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/N"}},
            "$defs": {"N": {"type": "object", "properties": {"n": {"anyOf": [{"$ref": "#/$defs/N"}]}}}},
        },
    ],
)
def test_a_schema_that_is_not_enforced_natively_is_a_tools(schema: dict[str, Any]) -> None:
    assert names(config(None, format=Format(schema))) == ["weather", "time", ANSWER_TOOL]
    body, dropped = written(asked(tools=(Tool("function", "x", parameters=schema, strict=True),)))
    assert "strict" not in body["toolConfig"]["tools"][0]["toolSpec"]
    assert dropped == ("strict",)


def test_a_schema_is_said_natively_where_it_can_be() -> None:
    body, _ = written(asked(format=Format(SCHEMA, "city", "A city")))
    found = body["outputConfig"]["textFormat"]
    assert found["type"] == "json_schema"
    assert found["structure"]["jsonSchema"]["name"] == "city"
    assert json.loads(found["structure"]["jsonSchema"]["schema"]) == {**SCHEMA, "additionalProperties": False}


@pytest.mark.parametrize(("model", "format"), [(NOVA, Format(SCHEMA)), (SONNET, Format()), (MISTRAL, Format())])
def test_else_json_is_the_arguments_of_a_tool(model: str, format: Format) -> None:
    found = config(None, model, format=format)
    assert names(found) == ["weather", "time", ANSWER_TOOL]
    assert (found or {})["toolChoice"] == {"any": {}}
    found = config(ToolChoice("none"), model, format=format)
    assert names(found) == [ANSWER_TOOL]
    assert names(config(ToolChoice("required"), model, format=format)) == ["weather", "time"]


def test_json_that_cannot_be_enforced_is_refused() -> None:
    refused(asked(format=Format(SCHEMA)), LLAMA)
    refused(asked(format=Format({"type": "array"})), NOVA)


TEXTS = st.text(alphabet="abc ü", min_size=1, max_size=8).filter(str.strip)
PARTS = st.one_of(
    TEXTS.map(Text),
    TEXTS.map(lambda text: Text(text, cache=Cache())),
    st.just(Media("image", data="iVBORw0KGgo=", media_type="image/png")),
)
ANSWERS = st.one_of(
    TEXTS.map(Text),
    TEXTS.map(lambda text: Thinking(text, "sig", "bedrock_converse")),
    st.integers(0, 9).map(lambda at: ToolCall(f"c{at}", "weather", f'{{"at": {at}}}')),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=3), st.lists(ANSWERS, min_size=1, max_size=3)), max_size=3),
    st.lists(PARTS, min_size=1, max_size=2),
    st.sampled_from([None, ToolChoice("required"), ToolChoice("named", "time")]),
    st.sampled_from([None, 5]),
)
def test_what_is_written_reads_as_what_was_asked(turns: Any, last: Any, choice: Any, limit: Any) -> None:
    messages = [
        message
        for question, answer in turns
        for message in (Message("user", tuple(question)), Message("assistant", tuple(answer)))
    ]
    messages.append(Message("user", tuple(last)))
    request = Request(
        dialect="bedrock_converse",
        messages=tuple(messages),
        tools=(WEATHER, TIME),
        tool_choice=choice,
        max_tokens=limit,
        stop=("END",),
        temperature=0.5,
        extras={"additionalModelResponseFieldPaths": ["/stop_sequence"]},
    )
    body, dropped = written(request)
    assert read_request(body) == request
    assert dropped == ()
