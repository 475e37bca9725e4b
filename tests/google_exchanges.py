"""Recorded exchanges with Gemini, where the recordings are at hand, and how to read a stream of it in tests."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from providers.dialects.canon import Answer, Delta, Target
from providers.dialects.google_generate.dialect import GOOGLE_GENERATE
from providers.dialects.streams import assemble

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
FILES = ("google-generatecontent.jsonl", "vertex.jsonl")
TARGET = Target(model="gemini-2.5-flash")


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
    return [*deltas, *reader.end()]


def read(case: dict) -> Answer:
    body = case["response_body"].encode()
    return assemble(told(body)) if case["stream"] else GOOGLE_GENERATE.upstream.read_answer(body)


def sse(*responses: dict) -> bytes:
    return b"".join(b"data: " + json.dumps(response).encode() + b"\r\n\r\n" for response in responses)
