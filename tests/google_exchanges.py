"""Recorded exchanges with Gemini, where the recordings are at hand, and how to read a stream of it in tests."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from providers.dialects.canon import Answer, Cited, Delta, Grew, PartBegan, PartEnded, Signed, Stopped
from providers.dialects.google_generate.dialect import GOOGLE_GENERATE
from providers.dialects.google_generate.tap import Tap
from providers.dialects.sse import Splitter
from providers.dialects.streams import assemble

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
FILES = ("google-generatecontent.jsonl", "vertex.jsonl")
PUBLIC = "best/of:all@1"


def recorded() -> list[dict]:
    """The exchanges of generateContent and streamGenerateContent at both hosts."""
    cases = []
    for name in FILES:
        path = SHARED / "cassettes" / name
        if path.exists():
            cases += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [case for case in cases if case["api"].endswith("enerateContent")]


def answered(stream: bool) -> list[dict]:
    return [case for case in recorded() if case["status"] < 400 and case["stream"] is stream]


def neutral() -> ModuleType:
    spec = importlib.util.spec_from_file_location("neutral", SHARED / "tools" / "neutral.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(body: bytes, cut: int | None = None) -> list[Delta]:
    """The deltas of a whole stream, read in chunks of `cut` bytes."""
    chunks = [body] if cut is None else [body[at : at + cut] for at in range(0, len(body), cut)]
    return told_in(chunks)


def told_in(chunks: Iterable[bytes]) -> list[Delta]:
    reader, splitter = GOOGLE_GENERATE.upstream.reader(), GOOGLE_GENERATE.upstream.splitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)] + splitter.close()
    deltas = [delta for event in events for delta in reader.feed(event)]
    assert reader.error is None
    assert not reader.done_seen
    return bracketed([*deltas, *reader.end()])


def bracketed(deltas: list[Delta]) -> list[Delta]:
    """The same, after a look at their order: nothing is said of a part that is not open, and no choice goes on."""
    open_parts, stopped = set(), set()
    for delta in deltas:
        if isinstance(delta, PartBegan | Grew | Signed | Cited | PartEnded | Stopped):
            assert delta.choice not in stopped
        match delta:
            case PartBegan(index, _, choice):
                open_parts.add((choice, index))
            case PartEnded(index, choice):
                open_parts.remove((choice, index))
            case Grew() | Signed() | Cited():
                assert (delta.choice, delta.index) in open_parts
            case Stopped(_, choice):
                stopped.add(choice)
    assert not open_parts
    return deltas


def read(case: dict) -> Answer:
    body = case["response_body"].encode()
    return assemble(told(body)) if case["stream"] else GOOGLE_GENERATE.upstream.read_answer(body)


def sse(*responses: dict) -> bytes:
    return b"".join(b"data: " + json.dumps(response).encode() + b"\r\n\r\n" for response in responses)


def tapped(body: bytes, cut: int | None = None) -> tuple[bytes, Tap]:
    """A stream as it is relayed, and the tap it went through."""
    tap, splitter = GOOGLE_GENERATE.client.tap(PUBLIC, False), Splitter()
    chunks = [body] if cut is None else [body[at : at + cut] for at in range(0, len(body), cut)]
    events = [event for chunk in chunks for event in splitter.feed(chunk)] + splitter.close()
    return b"".join(tap.feed(event) or b"" for event in events), tap
