"""The Responses API with upstreams that speak it themselves, and what only those can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from providers import transport

pytestmark = pytest.mark.django_db(transaction=True)


def response(number: int, text: str) -> dict[str, Any]:
    return {
        "id": f"resp_up{number}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "up",
        "previous_response_id": None,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            },
        ],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    }


@pytest.fixture
def native(plane: Any) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The model `own` at such an upstream; gives the bodies it was sent."""
    sent: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        sent.append(body)
        made = response(len(sent), f"answer {len(sent)}")
        if not body.get("stream"):
            return httpx.Response(200, json=made)
        events = (
            {"type": "response.created", "response": {**made, "status": "in_progress", "output": []}},
            {"type": "response.completed", "response": made},
        )
        data = b"".join(
            b"event: %s\ndata: %s\n\n" % (one["type"].encode(), json.dumps(one).encode())  # type: ignore[attr-defined]
            for one in events
        )
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=data)

    transport.install(httpx.MockTransport(answer))
    provider = plane.world.provider("native", family="openai-responses")
    account = plane.world.account("native", "https://r.example/v1", keys=("key-1",), provider=provider)
    plane.world.model("own", (account, "up"))
    plane.settle()
    yield lambda: sent
    transport.install(None)


@pytest.mark.parametrize("stream", [False, True])
def test_the_same_dialect_gets_the_whole_conversation(
    plane: Any, openai_client: openai.OpenAI, native: Any, stream: bool
) -> None:
    """Another key may be used for the next turn, whose owner has none of the earlier ones."""

    def ask(**more: Any) -> Any:
        if not stream:
            return openai_client.responses.create(model="own", **more)
        events = list(openai_client.responses.create(model="own", stream=True, **more))
        assert {event.response.previous_response_id for event in events} == {more.get("previous_response_id")}
        return events[-1].response

    first = ask(input="hi")
    second = ask(input=[{"role": "user", "content": "more"}], previous_response_id=first.id)
    assert (first.id, second.id, second.previous_response_id) == ("resp_up1", "resp_up2", "resp_up1")
    assert "previous_response_id" not in native()[1]
    assert native()[1]["input"] == [
        {"type": "message", "role": "user", "content": "hi"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "answer 1", "annotations": []}],
        },
        {"role": "user", "content": "more"},
    ]
    assert openai_client.responses.retrieve(second.id).previous_response_id == first.id
    assert openai_client.responses.retrieve(second.id).model == "own"


def test_what_is_not_ours_is_the_upstreams(plane: Any, openai_client: openai.OpenAI, native: Any) -> None:
    openai_client.responses.create(model="own", input="x", previous_response_id="resp_theirs")
    openai_client.responses.create(model="own", input="x", conversation="conv_1")
    openai_client.responses.create(model="own", input="x", background=True)
    assert [sorted(body.keys() - {"model", "input"}) for body in native()] == [
        ["previous_response_id"],
        ["conversation"],
        ["background"],
    ]
    for name in ("resp_up1", "resp_up2"):
        with pytest.raises(openai.NotFoundError):
            openai_client.responses.retrieve(name)  # we have half of it only


@pytest.mark.parametrize("more", [{"conversation": "conv_1"}, {"background": True}])
def test_others_are_refused_what_they_cannot(plane: Any, openai_client: openai.OpenAI, more: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.responses.create(model=plane.scenario("ok"), input="x", **more)
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", next(iter(more)))
    assert plane.upstream.requests == []


def test_store_is_not_dropped_where_we_store(plane: Any) -> None:
    provider = plane.world.provider("claude", family="anthropic-messages")
    account = plane.world.account("claude", "https://a.example", keys=("key-1",), provider=provider)
    plane.world.model("claude", (account, "claude-sonnet-4-5"))
    plane.settle()
    message = {
        "id": "msg_same_each_time",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    transport.install(httpx.MockTransport(lambda _: httpx.Response(200, json=message)))
    try:
        answers = [
            plane.client.post("/v1/responses", json={"model": "claude", "input": text, "store": True, "seed": 1})
            for text in ("one", "two")
        ]
    finally:
        transport.install(None)
    assert "store" not in answers[0].headers["x-jackfield-dropped"].split(",")
    assert len({answer.json()["id"] for answer in answers}) == 2
    for answer in answers:
        assert plane.client.get(f"/v1/responses/{answer.json()['id']}").json() == answer.json()


@pytest.mark.parametrize("more", [{"previous_response_id": 7}, {"previous_response_id": "a", "conversation": "b"}])
def test_wrong_references(plane: Any, more: dict[str, Any]) -> None:
    answer = plane.client.post("/v1/responses", json={"model": plane.scenario("ok"), "input": "x", **more})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "previous_response_id")
