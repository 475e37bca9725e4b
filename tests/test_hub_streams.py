"""The hub's streams: whole answers and pieces of them are the same thing, parts come one at a time, ends are told."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Began,
    Choice,
    Citation,
    Cited,
    Counted,
    Delta,
    Grew,
    Logprobs,
    Media,
    Noted,
    Opaque,
    PartBegan,
    PartEnded,
    Refusal,
    Signed,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.dialect import StreamError
from providers.dialects.reasoning import EFFORT_BUDGETS, budget_of, effort_of
from providers.dialects.signatures import framed, travels, unframed
from providers.dialects.sse import Event
from providers.dialects.streams import OneAtATime, Translation, assemble, dissect
from providers.dialects.usage import Usage

words = st.text(max_size=5)
signers = st.sampled_from(["anthropic_messages", "google_generate"])
cited = st.lists(st.builds(Citation, words, words), max_size=2).map(tuple)
proofs = st.tuples(st.just("S"), signers) | st.just(("", ""))
parts = (
    st.builds(lambda text, found, proof: Text(text, found, None, *proof), words, cited, proofs)
    | st.builds(lambda text, proof: Thinking(text, *proof, summary=True), words, proofs)
    | st.builds(lambda proof: ToolCall("i", "f", '{"a":1}', False, *proof), proofs)
    | st.builds(Refusal, words)
    | st.just(Thinking(signature="R", signer="anthropic_messages", redacted=True))
    | st.just(ToolCall("i", "g", "free", free=True))
    | st.just(Media("image", url="u"))
    | st.just(Opaque("d", {"a": 1}))
)
logs = st.none() | st.just({"content": [{"token": "a"}]})
choices = st.builds(
    lambda found, stop, log: Choice(tuple(found), stop, 0, "w", "s", log),
    st.lists(parts, max_size=4),
    st.sampled_from(["end", "tool", ""]),
    logs,
)
answers = st.builds(
    lambda found, usage, extras: Answer(
        dialect="d",
        id="i",
        model="m",
        created=1,
        choices=tuple(msgspec.structs.replace(choice, index=at) for at, choice in enumerate(found)),
        usage=usage,
        service_tier="t",
        extras=extras,
    ),
    st.lists(choices, max_size=3),
    st.none() | st.just(Usage(1, 2)),
    st.sampled_from([{}, {"a": 1}]),
)


@given(answers)
def test_an_answer_told_in_pieces_is_the_same_answer(answer: Answer) -> None:
    assert assemble(dissect(answer)) == answer


@given(answers)
def test_pieces_are_bracketed(answer: Answer) -> None:
    said = list(dissect(answer))
    assert isinstance(said[0], Began)
    check_brackets(said, most=1)


def check_brackets(said: list[Delta], most: int | None = None) -> None:
    """Parts begin before they grow and end before their choice stops; at most so many are open in a choice."""
    open_parts: dict[int, set[int]] = {}
    for delta in said:
        match delta:
            case PartBegan(index, _, choice):
                assert index not in open_parts.setdefault(choice, set())
                open_parts[choice].add(index)
                assert most is None or len(open_parts[choice]) <= most
            case Grew() | Signed() | Cited():
                assert delta.index in open_parts[delta.choice]
            case PartEnded(index, choice):
                open_parts[choice].remove(index)
            case Stopped():
                assert not open_parts.get(delta.choice)


@st.composite
def interleaved(draw: Any) -> list[Delta]:
    """The parts of two choices, open side by side, some of which never end."""
    lines: list[list[Delta]] = []
    for choice in (0, 1):
        for index in range(draw(st.integers(0, 4))):
            line: list[Delta] = [PartBegan(index, Text(""), choice)]
            line += [Grew(index, f"{choice}{index}{at}", choice) for at in range(draw(st.integers(0, 3)))]
            if draw(st.booleans()):
                line.append(Signed(index, "S", "x", choice))
            if draw(st.booleans()):
                line.append(PartEnded(index, choice))
            lines.append(line)
    said: list[Delta] = [Began("i")]
    # Parts begin in their order, and then grow in any.
    began: dict[int, int] = {}
    while any(lines):
        ready = [
            line
            for line in lines
            if line and (not isinstance(line[0], PartBegan) or line[0].index == began.get(line[0].choice, 0))
        ]
        line = draw(st.sampled_from(ready))
        delta = line.pop(0)
        if isinstance(delta, PartBegan):
            began[delta.choice] = delta.index + 1
        said.append(delta)
    return [*said, Counted(Usage(1, 1)), Stopped("end", 0), Stopped("length", 1)]


@given(interleaved())
def test_parts_come_one_at_a_time_and_nothing_is_lost(said: list[Delta]) -> None:
    order = OneAtATime()
    out = [ready for delta in said for ready in order.feed(delta)]
    check_brackets(out, most=1)
    assert assemble(out) == assemble(said)
    for choice in (0, 1):
        begun = [delta.index for delta in out if isinstance(delta, PartBegan) and delta.choice == choice]
        assert begun == sorted(begun)


def test_what_can_be_told_is_told_at_once() -> None:
    order = OneAtATime()
    first = [PartBegan(0, Text("")), Grew(0, "a")]
    assert [order.feed(delta) for delta in first] == [[delta] for delta in first]
    assert order.feed(PartBegan(1, Text(""))) == order.feed(Grew(1, "b")) == []
    assert order.feed(PartEnded(0)) == [PartEnded(0), PartBegan(1, Text("")), Grew(1, "b")]
    assert order.feed(Grew(1, "c")) == [Grew(1, "c")]
    assert order.feed(Logprobs({})) == [Logprobs({})]
    assert order.feed(Stopped("end")) == [PartEnded(1), Stopped("end")]


def test_arguments_are_an_object_unless_they_are_free() -> None:
    for free, expected in ((False, "{}"), (True, "")):
        said: list[Delta] = [PartBegan(0, ToolCall("i", "f", "", free)), PartEnded(0), Stopped("tool")]
        assert assemble(said).choices[0].parts == (ToolCall("i", "f", expected, free),)


def test_the_last_usage_counts_and_log_probabilities_add_up() -> None:
    said: list[Delta] = [
        Counted(Usage(1)),
        Logprobs({"content": [1]}),
        Logprobs({"content": [2], "refusal": [3]}),
        Noted({"a": 1}),
        Noted({"b": 2}),
        Stopped("end"),
        Counted(Usage(2)),
    ]
    answer = assemble(said)
    assert answer.usage == Usage(2) and answer.extras == {"a": 1, "b": 2}
    assert answer.choices[0].logprobs == {"content": [1, 2], "refusal": [3]}


# --- translation -----------------------------------------------------------------------------------------------------


class Said:
    """A reader whose events are prepared, and a writer that notes what it is told."""

    def __init__(self) -> None:
        self.done_seen = False
        self.error: StreamError | None = None
        self.finished = False
        self.left: list[Delta] = []
        self.heard: list[Delta] = []

    def read(self, event: Event) -> list[Delta]:
        match event.name:
            case "done":
                self.done_seen = self.finished = True
            case "error":
                self.error = StreamError(b"{}")
            case "bad":
                raise BadAnswer("odd")
            case "usage":
                return [Counted(Usage(3, 4))]
            case "text":
                return [PartBegan(0, Text("")), Grew(0, "a")]
        return []

    def end_reading(self) -> list[Delta]:
        return self.left

    def write(self, delta: Delta) -> bytes:
        self.heard.append(delta)
        return f"[{type(delta).__name__}]".encode()

    def end_writing(self) -> bytes:
        return b"[end]"


class Reads:
    def __init__(self, said: Said) -> None:
        self.said = said
        self.feed, self.end = said.read, said.end_reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self.said, name)


class Writes:
    def __init__(self, said: Said) -> None:
        self.feed, self.end = said.write, said.end_writing


def translation() -> tuple[Said, Translation]:
    said = Said()
    return said, Translation(Reads(said), Writes(said))  # type: ignore[arg-type]


def event(name: str) -> Event:
    return Event(b"raw", name, b"{}", 0)


def test_a_translation_ends_once_with_the_last_event() -> None:
    said, tap = translation()
    said.left = [PartEnded(0), Stopped("")]
    assert tap.feed(event("text")) == b"[PartBegan][Grew]"
    assert tap.feed(event("ping")) is None
    assert tap.feed(event("usage")) == b"[Counted]"
    assert tap.has_usage and tap.usage == Usage(3, 4)
    assert not tap.done_seen and not tap.finished
    assert tap.feed(event("done")) == b"[PartEnded][Stopped][end]"
    assert tap.done_seen and tap.finished


def test_a_translation_ends_what_its_upstream_left_open() -> None:
    said, tap = translation()
    tap.feed(event("text"))
    said.left, said.finished = [Stopped("")], True
    assert tap.finished and not tap.done_seen
    assert tap.end() == b"[PartEnded][Stopped][end]"


@pytest.mark.parametrize(("name", "malformed"), [("error", False), ("bad", True)])
def test_an_error_is_kept_and_not_told(name: str, malformed: bool) -> None:
    said, tap = translation()
    tap.feed(event("text"))
    assert tap.feed(event(name)) is None
    assert tap.error == StreamError(b"{}", malformed)
    said.finished = True
    assert not tap.finished and len(said.heard) == 2


# --- what travels through clients ------------------------------------------------------------------------------------


@given(st.text(min_size=1), signers, st.from_regex(r"[a-z_0-9]{0,8}", fullmatch=True))
def test_a_signature_comes_back_with_its_maker(signature: str, signer: str, item: str) -> None:
    assert unframed(framed(signature, signer, "openai_chat", item), "openai_chat") == (signature, signer, item)


def test_a_dialects_own_signatures_are_bare() -> None:
    assert framed("S", "openai_chat", "openai_chat") == "S"
    assert unframed("S", "openai_chat") == ("S", "openai_chat", "")
    assert unframed("", "openai_chat") == ("", "", "")


@pytest.mark.parametrize("text", ["jf1:", "jf1:a", "jf1:a:b", "jf1::::"])
def test_a_broken_frame_is_no_error(text: str) -> None:
    assert len(unframed(text, "openai_chat")) == 3


def test_an_effort_comes_back_from_its_budget() -> None:
    assert [effort_of(budget) for budget in EFFORT_BUDGETS.values()] == list(EFFORT_BUDGETS)
    assert (budget_of("none"), budget_of("odd"), effort_of(0), effort_of(-1)) == (0, None, "none", None)
    assert [effort_of(budget) for budget in (1, 3000, 10_000, 10**9)] == ["minimal", "low", "medium", "max"]
    assert sorted(EFFORT_BUDGETS.values()) == list(EFFORT_BUDGETS.values())


def test_a_frame_is_seen_in_a_request() -> None:
    """Relayed as it is, another upstream's proof would be refused: such a request is written anew."""
    frame = framed("S", "google_generate", "anthropic_messages")
    assert travels(json.dumps({"signature": frame}).encode())
    assert travels(json.dumps({"thoughtSignature": base64.b64encode(frame.encode()).decode()}).encode())
    assert not travels(b'{"signature":"EqQBc2ln","text":"of jf1: nothing"}')
