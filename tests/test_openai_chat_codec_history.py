"""Earlier turns as chat upstreams are told them: what other dialects said, and thoughts with their proofs."""

from __future__ import annotations

from typing import Any

import pytest

from providers.dialects.canon import (
    Cache,
    Citation,
    Media,
    Message,
    Misfit,
    Opaque,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tests.chat_wire import asked, foreign, sent, written

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_what_other_dialects_say_of_history_is_left_out_or_said_otherwise() -> None:
    history = (
        Message("developer", (Text("a"), Text("b", cache=Cache()))),
        Message("user", (Text("q"), Opaque("anthropic_messages", {"type": "container_upload"}))),
        Message(
            "assistant",
            (
                Thinking("hm", "sig", "anthropic_messages"),
                Text("one ", citations=(Citation(url="u"),)),
                Text("two"),
                ToolCall("c1", "f", signature="s", signer="google_generate"),
            ),
        ),
        Message("tool", (ToolResult("c1", (Text("r"), Media("image", data="QQ==", media_type="image/png"))),)),
        Message("tool", (ToolResult("c2", (Text("r2"),), failed=True),)),
    )
    out = written(foreign(*history), "deep", reasons=True)
    system, user, assistant, one, two, shown = out.body["messages"]
    assert system == {"role": "system", "content": "a\n\nb"}
    assert user == {"role": "user", "content": "q"}
    assert assistant == {"role": "assistant", "content": "one two", "tool_calls": [CALL], "reasoning_content": "hm"}
    assert one == {"role": "tool", "tool_call_id": "c1", "content": "r"}
    assert two == {"role": "tool", "tool_call_id": "c2", "content": "Error:\nr2"}
    assert shown["role"] == "user" and shown["content"][1]["image_url"]["url"] == "data:image/png;base64,QQ=="
    assert set(out.dropped) == {"cache_control", "opaque:container_upload", "citations", "thinking"}
    assert "reasoning_content" not in sent(foreign(*history), "gpt-4.1")["messages"][2]


def test_thoughts_go_back_to_whom_they_came_from() -> None:
    details = [
        {"type": "reasoning.summary", "summary": "s", "format": "openai-responses-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "E", "format": "openai-responses-v1", "id": "rs_1", "index": 0},
        {"type": "reasoning.text", "text": "a", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "text": "b", "signature": "S", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "text": "c", "signature": "jf1:anthropic_messages::T", "index": 2},
    ]
    request = asked(messages=[{"role": "assistant", "content": "x", "reasoning_details": details}])
    first, second, third = request.messages[0].parts[:3]
    assert (first.text, first.summary, second.text) == ("s", True, "ab")
    assert (third.signature, third.signer) == ("T", "anthropic_messages")
    out = written(request)
    kept = out.body["messages"][0]["reasoning_details"]
    assert [each.get("data") or each.get("signature") for each in kept] == [None, "E", "S"]
    assert kept[1]["id"] == "rs_1" and kept[2]["format"] == "anthropic-claude-v1"
    assert out.dropped == ("thinking",)


@pytest.mark.parametrize(
    ("quirk", "expected"),
    [
        ("reasoning", {"reasoning": "hm", "content": "a"}),
        ("none", {"content": "a"}),
        (
            "content",
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "a"},
                ]
            },
        ),
    ],
)
def test_thoughts_of_earlier_turns_as_the_route_says(quirk: str, expected: dict[str, Any]) -> None:
    request = asked(messages=[{"role": "assistant", "content": "a", "reasoning": "hm"}])
    assert sent(request, quirks={"thoughts": quirk})["messages"] == [{"role": "assistant", **expected}]


@pytest.mark.parametrize(
    "part",
    [
        Media("video", data="QQ=="),
        Media("image", file_id="f"),
        Media("document", file_id="f"),
        Media("document", url="https://x"),
        Media("audio", url="https://x"),
    ],
)
def test_what_must_not_be_left_out_is_refused(part: Media) -> None:
    with pytest.raises(Misfit) as problem:
        sent(foreign(Message("user", (part,))))
    assert problem.value.unsupported and problem.value.param == "messages[0]"


def test_documents_of_others() -> None:
    plain = Media("document", text="words", name="a.txt", media_type="text/plain")
    coded = Media("document", data="d29yZHM=", media_type="text/plain")
    paper = Media("document", data="QQ==", media_type="application/pdf")
    body = sent(foreign(Message("user", (plain, coded, paper))))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "a.txt\n\nwords"},
        {"type": "text", "text": "words"},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "document.pdf"}},
    ]


def test_cache_marks_are_spelt_as_the_client_did_or_as_the_route_says() -> None:
    content = [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}]
    request = asked(messages=[{"role": "user", "content": content}])
    assert sent(request, "gpt-5.4")["messages"][0]["content"] == content
    marked = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert sent(request, quirks={"cache_marks": "cache_control"})["messages"][0]["content"] == [marked]
    own = asked(messages=[{"role": "user", "content": [marked]}])
    assert sent(own)["messages"][0]["content"] == [marked]
    other = foreign(Message("user", (Text("a", cache=Cache("1h")),)))
    assert sent(other)["messages"][0]["content"] == "a"
    assert sent(other, quirks={"cache_marks": "cache_control"})["messages"][0]["content"] == [marked]
