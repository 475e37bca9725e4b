"""Chat completions on the wire: what was heard in a stream, and what a client is told."""

from __future__ import annotations

import itertools
import json
from typing import Any

from providers.dialects.canon import Answer, Delta, Message, Request, Target, Text, Written
from providers.dialects.openai_chat.dialect import OPENAI_CHAT
from providers.dialects.sse import Splitter
from providers.dialects.streams import OneAtATime, assemble, dissect
from tests.recordings import recorded

NAME = OPENAI_CHAT.name
assert OPENAI_CHAT.client is not None
CLIENT, UPSTREAM = OPENAI_CHAT.client, OPENAI_CHAT.upstream
FILES = ("openai-completions", "openai-compatible", "azure", "bedrock", "google-generatecontent")


def exchanges(stream: bool | None = None) -> list[Any]:
    """Recorded chats, of every provider that copies the API."""
    cases = [case for name in FILES for case in recorded(name, "chat.completions", "chat")]
    return [case for case in cases if stream is None or case["stream"] is stream]


def deltas_of(body: bytes, cuts: tuple[int, ...] = ()) -> tuple[list[Delta], Any]:
    """What a stream says, cut at these places, and its reader."""
    reader, splitter, said = UPSTREAM.reader(), Splitter(), []
    places = [0, *sorted(cuts), len(body)]
    events = [event for at, end in itertools.pairwise(places) for event in splitter.feed(body[at:end])]
    for event in [*events, *splitter.close()]:
        said += reader.feed(event)
    return said + reader.end(), reader


def heard(body: bytes) -> Answer:
    """The whole answer that a stream said."""
    said, reader = deltas_of(body)
    assert reader.error is None and reader.finished
    return assemble(said)


def asked(**members: Any) -> Request:
    """A request as a client sends it."""
    return CLIENT.read_request({"model": "m", "messages": [{"role": "user", "content": "hi"}], **members})


def foreign(*messages: Message, **members: Any) -> Request:
    """A request of a client of another dialect."""
    return Request(dialect="anthropic_messages", messages=messages or (Message("user", (Text("hi"),)),), **members)


def sent(request: Request, model: str = "m", **target: Any) -> dict[str, Any]:
    """The body for an upstream."""
    return written(request, model, **target).body


def written(request: Request, model: str = "m", **target: Any) -> Written:
    return UPSTREAM.write_request(request, Target(model=model, **target))


def told(answer: Answer, request: Request | None = None) -> dict[str, Any]:
    """The completion that a client gets."""
    return json.loads(CLIENT.write_answer(answer, "public", request or asked()))


def streamed(answer: Answer, request: Request | None = None) -> bytes:
    """The stream that a client gets."""
    writer, order = CLIENT.writer("public", request or asked()), OneAtATime()
    said = [writer.feed(ready) for delta in dissect(answer) for ready in order.feed(delta)]
    return b"".join(said) + writer.end()


def chunks(body: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream that ends as it must."""
    events = body.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
