"""Function calls that Vertex streams in pieces reach clients whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.dialects.canon import BadAnswer, Request, ToolCall
from providers.dialects.google_generate.gathering import Gathering
from providers.dialects.registry import CLIENTS, UPSTREAMS
from providers.dialects.sse import Splitter
from providers.dialects.streams import Translation, assemble

CALL: list[dict[str, Any]] = [
    {"name": "light", "id": "call-1", "willContinue": True},
    {"partialArgs": [{"jsonPath": "$.place", "stringValue": "Bos", "willContinue": True}], "willContinue": True},
    {"partialArgs": [{"jsonPath": "$.place", "stringValue": "ton"}], "willContinue": True},
    {"partialArgs": [{"jsonPath": "$.level", "numberValue": 50}, {"jsonPath": "$.on", "boolValue": True}]},
    {"partialArgs": [{"jsonPath": "$.rooms[0]['a name']", "stringValue": "x"}], "willContinue": True},
    {"partialArgs": [{"jsonPath": "$.rooms[1]", "nullValue": "NULL_VALUE"}], "willContinue": True},
    {},
]
ARGUMENTS = {"place": "Boston", "level": 50, "on": True, "rooms": [{"a name": "x"}, None]}


def chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"responseId": "r", "candidates": [{"content": {"parts": list(parts), "role": "model"}, **more}]}


def chunks(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*(chunk({"functionCall": call}) for call in calls), chunk({"text": ""}, finishReason="STOP")]


def calls_of(chunks: list[dict[str, Any]]) -> list[ToolCall]:
    gathering = Gathering()
    deltas = [delta for one in chunks for delta in gathering.feed(one)]
    parts = assemble([*deltas, *gathering.end()]).choices[0].parts
    return [part for part in parts if isinstance(part, ToolCall)]


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "anthropic_messages", "google_generate"])
def test_every_client_gets_it_whole(client: str) -> None:
    stream = b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in chunks(CALL))
    request = Request(dialect=client)
    translation = Translation(UPSTREAMS["google_generate"].reader(), CLIENTS[client].writer("m", request))
    out = b"".join(translation.feed(event) or b"" for event in Splitter().feed(stream)) + translation.end()
    assert translation.error is None
    reader, splitter = UPSTREAMS[client].reader(), Splitter()
    told = [delta for event in (*splitter.feed(out), *splitter.close()) for delta in reader.feed(event)]
    answer = assemble([*told, *reader.end()])
    [call] = [part for part in answer.choices[0].parts if isinstance(part, ToolCall)]
    assert (call.name, json.loads(call.arguments)) == ("light", ARGUMENTS)
    assert answer.choices[0].stop == "tool"


def test_calls_end_where_others_begin() -> None:
    """The last, empty piece may be missing; a call that comes whole is one as before."""
    whole: dict[str, Any] = {"name": "other", "args": {"a": 1}}
    found = calls_of(chunks([*CALL[:3], whole, CALL[0], CALL[1]]))
    assert [(call.name, json.loads(call.arguments)) for call in found] == [
        ("light", {"place": "Boston"}),
        ("other", {"a": 1}),
        ("light", {"place": "Bos"}),
    ]
    assert calls_of(chunks([{"name": "none", "willContinue": True}, {}]))[0].arguments == "{}"
    ended = {**CALL[2], "willContinue": False}
    assert len(calls_of(chunks([*CALL[:2], ended, {}]))) == 1


@pytest.mark.parametrize(
    "piece",
    [
        {"jsonPath": "place", "stringValue": "x"},
        {"jsonPath": "$", "stringValue": "x"},
        {"jsonPath": "$[0]", "stringValue": "x"},
        {"jsonPath": "$.a[*]", "stringValue": "x"},
        {"jsonPath": "$.a[7]", "stringValue": "x"},
        {"jsonPath": "$" + ".a" * 65, "stringValue": "x"},
        {"stringValue": "x"},
        7,
    ],
)
def test_what_is_no_piece(piece: Any) -> None:
    with pytest.raises(BadAnswer):
        calls_of(chunks([CALL[0], {"partialArgs": [piece]}]))


def test_a_piece_of_nothing() -> None:
    with pytest.raises(BadAnswer):
        calls_of(chunks([{"partialArgs": [{"jsonPath": "$.a", "numberValue": 1}]}]))
