"""Gemini's answers, whole and streamed: read alike, and written so that they are read as they were meant."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Choice,
    Citation,
    Media,
    Opaque,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.google_generate.dialect import GOOGLE_GENERATE
from providers.dialects.google_generate.words import STOPS
from providers.dialects.streams import assemble, dissect
from providers.dialects.usage import Usage
from tests.google_exchanges import sse, told

NAME = GOOGLE_GENERATE.name
ASKED = Request(dialect=NAME)


def read(body: dict) -> Answer:
    return GOOGLE_GENERATE.upstream.read_answer(json.dumps(body).encode())


def candidate(*parts: dict, reason: str = "STOP", **members: object) -> dict:
    content = {"parts": list(parts), "role": "model"}
    return {"candidates": [{"content": content, "finishReason": reason, "index": 0, **members}]}


def whole(answer: Answer) -> Answer:
    """What comes back of an answer that is written whole."""
    return GOOGLE_GENERATE.upstream.read_answer(GOOGLE_GENERATE.client.write_answer(answer, answer.model, ASKED))


def streamed(answer: Answer) -> Answer:
    """What comes back of an answer that is written as a stream."""
    writer = GOOGLE_GENERATE.client.writer(answer.model, ASKED)
    body = b"".join(writer.feed(delta) for delta in dissect(answer)) + writer.end()
    return assemble(told(body))


# --- reading ---------------------------------------------------------------------------------------------------------


def test_every_finish_reason_is_known():
    for word, stop in STOPS.items():
        assert read(candidate({"text": "x"}, reason=word)).choices[0] == Choice((Text("x"),), stop, 0, word)
    assert read(candidate(reason="SOMETHING_NEW")).choices[0].stop == "error"
    called = candidate({"functionCall": {"name": "f"}})
    assert read(called).choices[0].stop == "tool"


def test_a_call_ends_as_one_also_where_an_emulator_has_a_word_of_its_own_for_it():
    answer = read(candidate({"text": "I look."}, {"functionCall": {"name": "f"}}, reason="FUNCTION_CALL"))
    assert answer.choices[0].stop == "tool"
    written = json.loads(GOOGLE_GENERATE.client.write_answer(answer, "m", ASKED))
    assert written["candidates"][0]["finishReason"] == "STOP"
    assert read(candidate({"text": "x"}, reason="FUNCTION_CALL")).choices[0].stop == "end"


def test_a_refused_prompt_is_a_filtered_answer_and_goes_out_as_it_came():
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    answer = read(body)
    assert answer.choices == (Choice((), "filter", 0, "PROHIBITED_CONTENT"),)
    assert answer.usage == Usage(input=3)
    assert assemble(told(sse(body))) == answer
    assert whole(answer) == streamed(answer) == answer
    assert "candidates" not in json.loads(GOOGLE_GENERATE.client.write_answer(answer, "m", ASKED))


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        ({"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 10}, (5, 5, 3)),
        # Tools' tokens that the total holds, and such as the prompt's count holds already.
        (
            {"promptTokenCount": 5, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 14},
            (12, 2),
        ),
        (
            {"promptTokenCount": 12, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 14},
            (12, 2),
        ),
        # Thoughts that the candidates' count holds already.
        ({"promptTokenCount": 5, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 10}, (5, 5, 3)),
        ({"promptTokenCount": 5, "thoughtsTokenCount": 3}, (5, 3, 3)),
        ({"candidatesTokenCount": "many"}, None),
    ],
)
def test_usage(metadata, usage):
    found = read({**candidate(), "usageMetadata": metadata}).usage
    assert found == (None if usage is None else Usage(usage[0], usage[1], reasoning=usage[2] if usage[2:] else None))


def test_sound_is_counted_apart():
    metadata = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 4,
        "cachedContentTokenCount": 2,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}, {"modality": "AUDIO", "tokenCount": 6}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
    }
    usage = read({**candidate(), "usageMetadata": metadata}).usage
    assert usage == Usage(9, 4, 2, audio_input=6, audio_output=4)


def test_grounding_counts_bytes_and_citations_count_characters():
    text = "Zürich ist größer. Bern nicht."
    metadata = {
        "groundingChunks": [{"web": {"uri": "u1", "title": "t1"}}, {"retrievedContext": {"title": "t2", "text": "q"}}],
        "groundingSupports": [
            {"segment": {"endIndex": 21, "text": "Zürich ist größer."}, "groundingChunkIndices": [0, 1]},
        ],
        "webSearchQueries": ["zürich"],
    }
    answer = read(candidate({"text": text}, groundingMetadata=metadata))
    (part,) = answer.choices[0].parts
    assert [(one.url, one.title, one.quote, one.start, one.end) for one in part.citations] == [
        ("u1", "t1", "", 0, 18),
        ("", "t2", "q", 0, 18),
    ]
    assert answer.extras["candidates"]["0"]["groundingMetadata"] == metadata
    pieces = [{"candidates": [{"content": {"parts": [{"text": piece}]}}]} for piece in (text[:9], text[9:])]
    last = candidate({"text": ""}, groundingMetadata=metadata)
    assert assemble(told(sse(*pieces, last))) == answer
    assert whole(answer) == streamed(answer) == answer


def test_citation_metadata():
    sources = {"citationSources": [{"startIndex": 4, "endIndex": 8, "uri": "u", "license": "mit"}]}
    answer = read(candidate({"text": "say this"}, reason="RECITATION", citationMetadata=sources))
    (citation,) = answer.choices[0].parts[0].citations
    assert (citation.url, citation.start, citation.end) == ("u", 4, 8)
    assert answer.choices[0].stop == "filter"


def test_log_probabilities():
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}, {"token": "!"}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}]}, {"candidates": []}],
    }
    answer = read(candidate({"text": "é!"}, logprobsResult=result))
    first, second = answer.choices[0].logprobs["content"]
    assert first == {
        "token": "é",
        "logprob": -0.5,
        "bytes": [195, 169],
        "top_logprobs": [{"token": "é", "logprob": -0.5, "bytes": [195, 169]}],
    }
    assert (second["token"], second["logprob"], second["top_logprobs"]) == ("!", 0.0, [])
    assert whole(answer) == streamed(answer) == answer


def test_parts_of_an_answer():
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    draft = {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thought": True}
    answer = read(
        candidate(
            {"text": "hm", "thought": True},
            draft,
            code,
            {"text": "a"},
            {"text": "b"},
            {"text": "", "thoughtSignature": "c2ln"},
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "f", "args": {"a": 1}}},
        )
        | {"responseId": "r", "modelVersion": "m", "createTime": "2026-02-17T11:12:40.135001Z"}
    )
    thought, drafted, opaque, text, image, *calls = answer.choices[0].parts
    assert (thought, drafted, opaque) == (Thinking("hm"), Opaque(NAME, draft), Opaque(NAME, code))
    assert text == Text("ab", signature="c2ln", signer=NAME)
    assert image == Media("image", data="AA==", media_type="image/png", extras={"thoughtSignature": "c2ln"})
    assert calls[0].id != calls[1].id
    assert [call.arguments for call in calls] == ['{"a":1}', '{"a":1}']
    assert (answer.id, answer.model, answer.created) == ("r", "m", 1771326760)
    other = read(candidate({"functionCall": {"name": "f"}}) | {"responseId": "s"})
    assert other.choices[0].parts[0].id not in {call.id for call in calls}
    assert whole(answer) == streamed(answer) == answer


def test_candidates_keep_apart():
    pieces = (
        {"candidates": [{"index": at, "content": {"parts": [{"text": words}]}}]}
        for at, words in ((0, "a"), (1, "b"), (0, "c"))
    )
    ends = {"candidates": [{"index": 1, "finishReason": "MAX_TOKENS"}, {"index": 0, "finishReason": "STOP"}]}
    answer = assemble(told(sse(*pieces, ends)))
    assert [choice.parts for choice in answer.choices] == [(Text("ac"),), (Text("b"),)]
    assert [choice.stop for choice in answer.choices] == ["end", "length"]
    assert whole(answer) == streamed(answer) == answer


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"error":{"code":500}}', b"{}", b'{"candidates":5}', b'{"candidates":[5]}']
)
def test_what_is_no_answer(body):
    with pytest.raises(BadAnswer):
        GOOGLE_GENERATE.upstream.read_answer(body)


# --- writing ---------------------------------------------------------------------------------------------------------


def test_answers_of_other_dialects():
    cited = Text("Ölfund", (Citation("https://a.b", "A", start=0, end=2), Citation("", "B", "quoted")))
    answer = Answer(
        dialect="anthropic_messages",
        id="msg_1",
        model="claude",
        created=1700000000,
        choices=(
            Choice(
                (
                    Thinking("hm", "c2ln+/=", "anthropic_messages"),
                    Thinking("", "enc", "anthropic_messages", redacted=True),
                    cited,
                    Refusal("no"),
                    Opaque("anthropic_messages", {"type": "server_tool_use"}),
                    ToolCall("toolu_1", "f", "{}"),
                ),
                "refusal",
                0,
                "refusal",
            ),
        ),
        usage=Usage(10, 7, 3, 1, 2),
        extras={"container": 1},
    )
    body = json.loads(GOOGLE_GENERATE.client.write_answer(answer, "public", ASKED))
    assert (body["modelVersion"], body["responseId"], body["createTime"]) == ("public", "msg_1", "2023-11-14T22:13:20Z")
    assert "container" not in body
    assert body["usageMetadata"] == {
        "promptTokenCount": 10,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 3,
        "totalTokenCount": 17,
    }
    (made,) = body["candidates"]
    assert made["finishReason"] == "SAFETY"
    assert [next(iter(part)) for part in made["content"]["parts"]] == ["text"] * 4 + ["functionCall"]
    assert made["groundingMetadata"] == {
        "groundingChunks": [
            {"web": {"uri": "https://a.b", "title": "A"}},
            {"retrievedContext": {"title": "B", "text": "quoted"}},
        ],
        "groundingSupports": [
            {"segment": {"partIndex": 2, "endIndex": 3, "text": "Öl"}, "groundingChunkIndices": [0]},
        ],
    }
    for back in (whole(answer), streamed(answer)):
        assert back.choices[0].parts[:2] == answer.choices[0].parts[:2]
        assert back.usage == msgspec.structs.replace(answer.usage, cache_write=None)
    # A stream tells what a text is grounded on at its end, when only the last text can still be cited.
    last = msgspec.structs.replace(answer, choices=(msgspec.structs.replace(answer.choices[0], parts=(cited,)),))
    for back in (whole(answer).choices[0].parts[2], streamed(last).choices[0].parts[0]):
        found = [(one.url, one.title, one.quote, one.start, one.end) for one in back.citations]
        assert found == [("https://a.b", "A", "", 0, 2), ("", "B", "quoted", None, None)]


def test_thoughts_that_an_upstream_counts_apart_are_not_taken_off_the_answer():
    answer = Answer(dialect="openai_chat", choices=(Choice(),), usage=Usage(1, 5, reasoning=9))
    counts = json.loads(GOOGLE_GENERATE.client.write_answer(answer, "public", ASKED))["usageMetadata"]
    assert (counts["candidatesTokenCount"], counts["thoughtsTokenCount"], counts["totalTokenCount"]) == (5, 9, 15)


def test_a_foreign_stream_is_written_piece_by_piece():
    answer = Answer(
        dialect="openai_chat",
        id="c",
        choices=(Choice((Text("ab"), ToolCall("1", "f", '{"a":1}')), "tool", 0, "tool_calls"),),
        usage=Usage(1, 2),
    )
    writer = GOOGLE_GENERATE.client.writer("public", ASKED)
    events = [json.loads(event[6:]) for event in map(writer.feed, dissect(answer)) if event]
    last = json.loads(writer.end()[6:])
    parts = [event["candidates"][0]["content"]["parts"] for event in [*events, last]]
    call = {"functionCall": {"name": "f", "args": {"a": 1}, "id": "1"}}
    assert parts == [[{"text": "ab"}], [call], [{"text": ""}]]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert {event["modelVersion"] for event in [*events, last]} == {"public"}
    assert last["usageMetadata"]["totalTokenCount"] == 3


# --- properties ------------------------------------------------------------------------------------------------------

WORDS = st.text(min_size=1, max_size=8)
SIGNED = st.sampled_from([("", ""), ("c2ln", NAME), ("x:+/=", "anthropic_messages")])
ARGUMENTS = st.dictionaries(WORDS, st.integers(0, 9), max_size=2).map(lambda found: msgspec.json.encode(found).decode())
PART = st.one_of(
    st.builds(lambda text, signed: Text(text, signature=signed[0], signer=signed[1]), WORDS, SIGNED),
    st.builds(lambda text, signed: Thinking(text, *signed), WORDS, SIGNED),
    st.builds(
        lambda id, name, args, signed: ToolCall(id, name, args, signature=signed[0], signer=signed[1]),
        *(WORDS, WORDS, ARGUMENTS, SIGNED),
    ),
    st.builds(
        lambda url: Media("image", url=f"https://a.b/{url}.png", media_type="image/png"), st.text("ab", max_size=3)
    ),
    st.builds(lambda code: Opaque(NAME, {"executableCode": {"code": code}}), WORDS),
)


def sayable(parts: list) -> tuple:
    """Without texts beside texts and thoughts beside thoughts, which are one in this dialect."""
    kept = []
    for part in parts:
        if not (kept and isinstance(part, Text | Thinking) and type(kept[-1]) is type(part)):
            kept.append(part)
    return tuple(kept)


STOPPED = st.sampled_from([("end", "STOP"), ("length", "MAX_TOKENS"), ("filter", "SAFETY"), ("error", "OTHER")])


def chosen(index: int) -> st.SearchStrategy[Choice]:
    def build(parts: list, stopped: tuple[str, str]) -> Choice:
        said = sayable(parts)
        called = any(isinstance(part, ToolCall) for part in said)
        return Choice(said, "tool" if called and stopped[0] == "end" else stopped[0], index, stopped[1])

    return st.builds(build, st.lists(PART, max_size=4), STOPPED)


COUNT = st.none() | st.integers(0, 99)
ANSWERS = st.builds(
    lambda choices, id, created, counts, tier: Answer(
        dialect=NAME,
        id=id,
        model="m",
        created=created,
        choices=choices,
        usage=None
        if counts is None
        else Usage(counts[0], counts[1] + (counts[3] or 0), counts[2], reasoning=counts[3]),
        service_tier=tier if counts is not None else "",
    ),
    st.one_of(st.tuples(chosen(0)), st.tuples(chosen(0), chosen(1))),
    *(WORDS, st.integers(0, 2**32), st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99), COUNT, COUNT)),
    st.sampled_from(["", "flex"]),
)


@settings(max_examples=150, deadline=None)
@given(ANSWERS)
def test_what_can_be_said_comes_back_the_same(answer):
    assert whole(answer) == answer
    assert streamed(answer) == answer
