"""Answers and streams of other dialects, as chat clients are told them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.canon import (
    Answer,
    Choice,
    Citation,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.streams import assemble
from providers.dialects.usage import Usage
from tests.chat_wire import NAME, UPSTREAM, asked, chunks, deltas_of, heard, streamed, told

USAGE = Usage(10, 7, 3, 2, 4, 1, 1)
CLAUDE = Answer(
    dialect="anthropic_messages",
    id="msg_01Abc",
    model="claude-x",
    created=5,
    choices=(
        Choice(
            (
                Thinking("hm", "S", "anthropic_messages"),
                Thinking("", "R", "anthropic_messages", redacted=True),
                Text("one ", citations=(Citation(url="https://a", title="t", quote="q"),)),
                Text("two", citations=(Citation(quote="of a document"),)),
                ToolCall("t1", "f", '{"a":1}'),
                ToolCall("t2", "g", "{}"),
            ),
            "tool",
            word="tool_use",
        ),
    ),
    usage=USAGE,
    extras={"container": "c"},
)


def test_an_answer_of_another_dialect() -> None:
    assert told(CLAUDE) == {
        "id": "chatcmpl-msg_01Abc",
        "object": "chat.completion",
        "created": 5,
        "model": "public",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "one two",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "reasoning_details": [
                        {
                            "type": "reasoning.text",
                            "text": "hm",
                            "signature": "jf1:anthropic_messages::S",
                            "format": "anthropic-claude-v1",
                            "index": 0,
                        },
                        {
                            "type": "reasoning.encrypted",
                            "data": "jf1:anthropic_messages::R",
                            "format": "anthropic-claude-v1",
                            "index": 1,
                        },
                    ],
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://a",
                                "title": "t",
                                "start_index": 0,
                                "end_index": 4,
                                "content": "q",
                            },
                        }
                    ],
                    "tool_calls": [
                        {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                        {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 7,
            "total_tokens": 17,
            "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2, "audio_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 1},
        },
    }


def test_the_thoughts_come_back_with_the_next_turn() -> None:
    said = Thinking("sum", "E", "openai_responses", id="rs_1", summary=True)
    (choice,) = CLAUDE.choices
    answer = msgspec.structs.replace(CLAUDE, choices=(msgspec.structs.replace(choice, parts=(said, *choice.parts)),))
    body = streamed(answer)
    for message in (told(answer)["choices"][0]["message"], gathered(body, False), gathered(body, True)):
        parts = asked(messages=[message]).messages[0].parts
        assert parts[:3] == (said, *choice.parts[:2])


def gathered(body: bytes, glued: bool) -> dict[str, Any]:
    """The message that a client makes of a stream: of all entries, or, as OpenAI's own, of those of an index one."""
    message: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_details": []}
    for chunk in chunks(body):
        for choice in chunk["choices"]:
            message["content"] += choice["delta"].get("content") or ""
            message["reasoning_details"] += choice["delta"].get("reasoning_details") or []
    if glued:
        entries: dict[int, dict[str, Any]] = {}
        for entry in message["reasoning_details"]:
            whole = entries.setdefault(entry["index"], {})
            for name, value in entry.items():
                adds_up = name in whole and name not in ("index", "type")
                whole[name] = whole[name] + value if adds_up else value
        message["reasoning_details"] = list(entries.values())
    return message


def test_a_stream_begins_with_the_role_and_ends_with_the_reason() -> None:
    found = chunks(streamed(CLAUDE))
    assert all("usage" not in chunk and chunk["id"] == "chatcmpl-msg_01Abc" for chunk in found)
    choices = [chunk["choices"][0] for chunk in found]
    assert choices[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert all("role" not in choice["delta"] for choice in choices[1:])
    assert choices[-1]["delta"] == {} and choices[-1]["finish_reason"] == "tool_calls"
    assert all(choice["finish_reason"] is None for choice in choices[:-1])
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", [])]
    assert [(call["index"], call.get("id")) for call in calls] == [(0, "t1"), (0, None), (1, "t2"), (1, None)]


def test_the_usage_comes_in_a_last_chunk_if_it_was_asked_for() -> None:
    found = chunks(streamed(CLAUDE, asked(stream_options={"include_usage": True})))
    assert all(chunk["usage"] is None for chunk in found[:-1])
    assert found[-1]["choices"] == [] and found[-1]["usage"] == told(CLAUDE)["usage"]


def test_entries_of_lists_bear_an_index_in_a_stream() -> None:
    text = Text("ab", citations=(Citation(url="u"), Citation(url="v", start=1, end=2)))
    pictures = (Media("image", url="x"), Media("image", url="y"))
    deltas = [
        chunk["choices"][0]["delta"]
        for chunk in chunks(streamed(Answer(choices=(Choice((Text("c"), text, *pictures), "end"),))))
    ]
    notes = [entry for delta in deltas for entry in delta.get("annotations", [])]
    assert [(entry["index"], entry["url_citation"]["start_index"]) for entry in notes] == [(0, 1), (1, 2)]
    assert [entry["url_citation"]["end_index"] for entry in notes] == [3, 3]
    assert [entry["index"] for delta in deltas for entry in delta.get("images", [])] == [0, 1]


def test_counts_that_are_unknown_are_left_out() -> None:
    answer = msgspec.structs.replace(CLAUDE, usage=Usage(output=4))
    assert told(answer)["usage"] == {"completion_tokens": 4}
    assert "usage" not in told(msgspec.structs.replace(CLAUDE, usage=None))


def test_who_does_not_want_thoughts_sees_none() -> None:
    request = asked(reasoning={"exclude": True})
    assert not {"reasoning_content", "reasoning_details"} & set(told(CLAUDE, request)["choices"][0]["message"])
    assert b"reasoning" not in streamed(CLAUDE, request)


def test_a_client_of_functions_is_told_of_one_call() -> None:
    request = asked(functions=[{"name": "f"}])
    choice = told(CLAUDE, request)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert choice["finish_reason"] == "function_call" and "tool_calls" not in choice["message"]
    found = [chunk["choices"][0]["delta"].get("function_call") for chunk in chunks(streamed(CLAUDE, request))]
    calls = [call for call in found if call]
    assert calls == [{"name": "f", "arguments": ""}, {"arguments": '{"a":1}'}]


@pytest.mark.parametrize(
    ("stop", "parts", "word"),
    [
        ("end", (Text("a"),), "stop"),
        ("length", (), "length"),
        ("tool", (ToolCall("i", "f"),), "tool_calls"),
        ("filter", (), "content_filter"),
        ("sequence", (), "stop"),
        ("refusal", (), "content_filter"),
        ("refusal", (Refusal("no"),), "stop"),
        ("pause", (), "stop"),
        ("error", (), "error"),
        ("", (ToolCall("i", "f"),), "tool_calls"),
        ("", (), "stop"),
    ],
)
def test_every_reason_to_stop(stop: Any, parts: tuple[Part, ...], word: str) -> None:
    answer = Answer(choices=(Choice(parts, stop),))
    assert told(answer)["choices"][0]["finish_reason"] == word
    assert chunks(streamed(answer))[-1]["choices"][0]["finish_reason"] == word


def test_content_is_null_only_beside_something_else() -> None:
    for parts, content in (((), ""), ((ToolCall("i", "f"),), None), ((Refusal("no"),), None), ((Text("a"),), "a")):
        message = told(Answer(choices=(Choice(parts),)))["choices"][0]["message"]
        assert message["content"] == content


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
names = st.from_regex(r"[a-z]{1,5}", fullmatch=True)
own = st.builds(
    Thinking,
    texts,
    st.sampled_from(["", "anthropic-claude-v1;;Sig", ";id;Sig", "Sig"]),
    st.just(NAME),
    st.just(False),
).map(lambda part: part if part.signature else msgspec.structs.replace(part, signer=""))
others = st.builds(Thinking, texts, st.just("Sig"), st.sampled_from(["anthropic_messages", "google_generate"]))
summaries = st.builds(
    Thinking, texts, st.just("Sig"), st.just("openai_responses"), st.just(False), st.just("rs_1"), st.just(True)
)
hidden = st.builds(Thinking, st.just(""), st.just("Sig"), st.just("anthropic_messages"), st.just(True))
citations = st.builds(
    lambda url, at: Citation(
        url,
        "t",
        "",
        at,
        at + 1,
        NAME,
        {"type": "url_citation", "url_citation": {"url": url, "title": "t", "start_index": at, "end_index": at + 1}},
    ),
    texts,
    st.integers(0, 9),
)
calls = st.builds(
    ToolCall,
    names,
    names,
    st.sampled_from(["{}", '{"a":1}', '{"b":"ä"}']),
    st.just(False),
    st.just("Sig"),
    st.sampled_from(["google_generate", NAME]),
) | st.builds(ToolCall, names, names, texts, st.just(True))
pictures = st.builds(Media, st.just("image"), st.just(""), st.just("QQ=="), st.just(""), st.just("image/png"))
sounds = st.builds(lambda text: Media("audio", data="QUJD", text=text, extras={"id": "a1", "expires_at": 7}), texts)
choices = st.builds(
    lambda thoughts, text, refusal, images, sound, notes, calls, stop: Choice(
        (*thoughts, *text, *refusal, *images, *sound, *notes, *calls), *stop, logprobs={"content": [{"token": "a"}]}
    ),
    st.lists(own | others | summaries | hidden, max_size=1) | st.lists(others | summaries | hidden, max_size=3),
    st.lists(st.builds(Text, texts, st.lists(citations, max_size=2).map(tuple)), max_size=1),
    st.lists(st.builds(Refusal, texts), max_size=1),
    st.lists(pictures, max_size=2),
    st.lists(sounds, max_size=1),
    st.lists(st.just(Opaque(NAME, {"type": "file", "file": {"hash": "h"}})), max_size=1),
    st.lists(calls, max_size=3, unique_by=lambda call: call.id),
    st.sampled_from([("end", 0, "stop"), ("length", 0, "length"), ("tool", 0, "tool_calls")]),
)
answers = st.builds(
    lambda found, usage: Answer(
        dialect=NAME,
        id="gen-1",
        model="public",
        created=3,
        choices=tuple(msgspec.structs.replace(choice, index=at) for at, choice in enumerate(found)),
        usage=usage,
        service_tier="flex",
        extras={"system_fingerprint": "fp"},
    ),
    st.lists(choices, min_size=1, max_size=2),
    st.sampled_from([USAGE, Usage(1, 2)]),
)


@settings(max_examples=120, deadline=None)
@given(answers)
def test_what_this_dialect_can_say_is_read_as_it_was_written(answer: Answer) -> None:
    assert UPSTREAM.read_answer(json.dumps(told(answer)).encode()) == answer
    over = heard(streamed(answer, asked(stream_options={"include_usage": True})))
    assert msgspec.structs.replace(over, extras={}, choices=()) == msgspec.structs.replace(
        answer, extras={}, choices=()
    )
    for found, expected in zip(over.choices, answer.choices, strict=True):
        assert msgspec.structs.replace(found, parts=()) == msgspec.structs.replace(expected, parts=())
        # What was said aloud comes whole, and so when all else is said.
        assert sorted(map(repr, found.parts)) == sorted(map(repr, expected.parts))


def test_calls_side_by_side_are_told_apart() -> None:
    body = b"".join(
        b"data: "
        + json.dumps({"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": calls}}]}).encode()
        + b"\n\n"
        for calls in (
            [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}],
            [{"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"x"'}}],
            [{"index": 0, "function": {"arguments": '{"y":'}}, {"index": 1, "function": {"arguments": ":1}"}}],
            [{"index": 0, "function": {"arguments": "2}"}}],
            [{"index": 0, "id": "c", "function": {"name": "h", "arguments": "{}"}}],
            [{"id": "", "function": {"name": "i", "arguments": {"z": 1}}}],
        )
    )
    said, _ = deltas_of(body + b"data: [DONE]\n\n")
    found = assemble(said).choices[0].parts
    assert found == (
        ToolCall("a", "f", '{"y":2}'),
        ToolCall("b", "g", '{"x":1}'),
        ToolCall("c", "h", "{}"),
        ToolCall("call_x_3", "i", '{"z": 1}'),
    )


def test_what_an_answer_rests_on_becomes_citations_of_its_text() -> None:
    body = {
        "id": "p",
        "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}],
        "citations": ["https://a"],
        "search_results": [{"url": "https://a", "title": "t", "snippet": "s"}],
    }
    answer = UPSTREAM.read_answer(json.dumps(body).encode())
    assert answer.choices[0].parts == (Text("a", (Citation("https://a", "t", "s"),)),)
    assert answer.extras["citations"] == ["https://a"]
    body["choices"] = [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]
    assert heard(b"data: " + json.dumps(body).encode() + b"\n\n").choices == answer.choices
