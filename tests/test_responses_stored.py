"""Responses that a project comes back to, through OpenAI's own client, whatever the upstream speaks."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai
import pytest

from api import keeping, recalling
from api.drain import drain
from api.models import StoredResponse
from keys import ring as rings
from keys import rotation
from keys.sealing import key_id_of
from providers import transport
from tests.faults.fixtures import KEYS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty(plane: Any) -> None:
    drain()
    StoredResponse.objects.all().delete()
    keeping.memory.__init__()  # type: ignore[misc]  # as it begins


@pytest.fixture
def client(plane: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{plane.gateway.url}/v1", api_key=plane.token, max_retries=0) as made:
        yield made


def cold() -> None:
    """As after a restart: nothing is in memory."""
    keeping.memory.__init__()  # type: ignore[misc]  # as it begins


def asked(plane: Any) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in plane.upstream.requests[-1].json["messages"]]


@pytest.mark.parametrize("state", ["in memory", "not drained", "drained"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_goes_on(plane: Any, client: openai.OpenAI, state: str, stream: bool) -> None:
    model = plane.scenario("ok")
    said = "one two three" if stream else KEYS[0]

    def ask(text: str, **more: Any) -> Any:
        if not stream:
            return client.responses.create(model=model, input=text, **more)
        with client.responses.stream(model=model, input=text, **more) as events:
            for _ in events:
                pass
            return events.get_final_response()

    first = ask("hi", instructions="Be short.")
    assert first.previous_response_id is None
    if state != "in memory":
        cold()
    if state == "drained":
        drain()
        assert StoredResponse.objects.count() == 1
    second = ask("and then?", previous_response_id=first.id)
    assert second.previous_response_id == first.id != second.id
    assert asked(plane) == [("user", "hi"), ("assistant", said), ("user", "and then?")]
    third = ask("and?", previous_response_id=second.id)
    assert [text for _, text in asked(plane)] == ["hi", said, "and then?", said, "and?"]
    assert "previous_response_id" not in plane.upstream.requests[-1].json
    kept = client.responses.retrieve(third.id)
    assert (kept.id, kept.output_text, kept.previous_response_id) == (third.id, said, second.id)
    assert kept.model == model


def test_input_items(plane: Any, client: openai.OpenAI) -> None:
    model = plane.scenario("ok")
    first = client.responses.create(model=model, input="hi")
    second = client.responses.create(model=model, input="again", previous_response_id=first.id)
    page = client.responses.input_items.list(second.id, order="asc", limit=2)
    assert [(item.type, item.role, item.content[0].text) for item in page.data] == [
        ("message", "user", "hi"),
        ("message", "assistant", KEYS[0]),
    ]
    assert page.has_more
    everything = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.content[0].text for item in everything] == ["hi", KEYS[0], "again"]
    newest = next(iter(client.responses.input_items.list(second.id)))
    assert newest.content[0].text == "again"
    for query in ("limit=0", "limit=1000", "limit=x", "after=nothing"):
        answer = plane.client.get(f"/v1/responses/{second.id}/input_items?{query}")
        assert answer.status_code == 400


def test_another_project_sees_nothing(plane: Any, client: openai.OpenAI) -> None:
    model = plane.scenario("ok")
    first = client.responses.create(model=model, input="hi")
    other = client.with_options(api_key=plane.world.token(plane.world.project("other")))
    plane.settle()
    drain()
    for missing in (
        lambda: other.responses.retrieve(first.id),
        lambda: other.responses.delete(first.id),
        lambda: other.responses.input_items.list(first.id),
        lambda: other.responses.create(model=model, input="x", previous_response_id=first.id),
        lambda: client.responses.retrieve("resp_nothing"),
        lambda: client.responses.create(model=model, input="x", previous_response_id="resp_nothing"),
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            missing()
        assert refused.value.code == "response_not_found"
    assert len(plane.upstream.requests) == 1
    assert client.responses.retrieve(first.id).id == first.id


@pytest.mark.parametrize("drained", [False, True])
def test_deleted_is_deleted(plane: Any, client: openai.OpenAI, drained: bool) -> None:
    """Also if the line that holds it is drained only then."""
    first = client.responses.create(model=plane.scenario("ok"), input="hi")
    if drained:
        drain()
    client.responses.delete(first.id)
    for _ in range(2):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(first.id)
        cold()
        drain()
    assert len(StoredResponse.objects.get().sealed) < 200
    with pytest.raises(openai.NotFoundError):
        client.responses.delete(first.id)


def test_not_stored_if_not_wanted(plane: Any, client: openai.OpenAI, settings: Any) -> None:
    model = plane.scenario("ok")
    unkept = [client.responses.create(model=model, input="hi", store=False).id]
    settings.RESPONSES_DAYS = 0.0
    unkept.append(client.responses.create(model=model, input="hi").id)
    settings.RESPONSES_DAYS = 30.0
    for name in unkept:
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(name)
    drain()
    assert not StoredResponse.objects.exists()


def test_contents_are_sealed_and_bound(plane: Any, client: openai.OpenAI) -> None:
    first = client.responses.create(model=plane.scenario("ok"), input="a great secret")
    from django.conf import settings as configured

    waiting = b"".join(path.read_bytes() for path in keeping.folder(configured.HOME.journal).glob("*.jsonl"))
    assert first.id.encode() in waiting
    assert b"secret" not in waiting
    drain()
    row = StoredResponse.objects.get()
    assert b"secret" not in bytes(row.sealed)
    row.response_id = "resp_moved"
    row.save()
    cold()
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_moved")


def test_the_ring_rotates_under_them(plane: Any, client: openai.OpenAI, settings: Any, tmp_path: Any) -> None:
    own = tmp_path / "ring.json"
    shutil.copy(settings.RING_FILE, own)
    settings.RING_FILE = own
    first = client.responses.create(model=plane.scenario("ok"), input="hi")
    second = client.responses.create(model=plane.scenario("ok"), input="hi")
    client.responses.delete(second.id)
    drain()
    cold()
    for step in (rotation.add, rotation.promote):
        rings.change(settings.RING_FILE, step)
    with pytest.raises(rings.BadRing):
        rings.change(settings.RING_FILE, rotation.retire)
    StoredResponse.objects.get(response_id=second.id)
    rotation.rewrap_all()
    assert set(rotation.in_use()) >= {rings.current().primary}
    keys = [key_id_of(bytes(row.sealed)) for row in StoredResponse.objects.all()]
    assert keys == [rings.current().primary] * 2
    assert client.responses.retrieve(first.id).id == first.id


def test_they_are_forgotten_in_time(plane: Any, client: openai.OpenAI) -> None:
    first = client.responses.create(model=plane.scenario("ok"), input="hi")
    drain()
    cold()
    StoredResponse.objects.update(created_at=datetime.now(UTC) - timedelta(days=31))
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    assert recalling.forget_old() == 1
    assert not StoredResponse.objects.exists()


def test_no_query_and_no_thread_without_an_earlier_response(plane: Any, monkeypatch: Any) -> None:
    """The next turn right after finds it in memory; only a lookup that misses goes to a thread."""
    from django.db.backends.utils import CursorWrapper

    model = plane.scenario("ok")
    gateway = plane.gateway.thread.ident
    used: list[str] = []
    execute, to_thread = CursorWrapper.execute, recalling.asyncio.to_thread

    def ask(**more: Any) -> Any:
        return plane.client.post("/v1/responses", json={"model": model, "input": "hi", **more}).json()

    def query(self: Any, sql: str, params: Any = None) -> Any:
        if threading.get_ident() == gateway:
            used.append(sql)
        return execute(self, sql, params)

    async def hop(*args: Any) -> Any:
        used.append("thread")
        return await to_thread(*args)

    ask()
    monkeypatch.setattr(CursorWrapper, "execute", query)
    monkeypatch.setattr(recalling.asyncio, "to_thread", hop)
    first = ask()
    plane.client.post("/v1/responses", json={"model": model, "input": "hi", "stream": True})
    ask(previous_response_id=first["id"])
    assert used == []
    cold()
    assert ask(previous_response_id=first["id"])["previous_response_id"] == first["id"]
    assert used == ["thread"]


def test_a_database_that_is_away(plane: Any, client: openai.OpenAI, monkeypatch: Any) -> None:
    from django.db import OperationalError

    def fail(*_: Any) -> Any:
        raise OperationalError("away") from sqlite3.OperationalError()

    first = client.responses.create(model=plane.scenario("ok"), input="hi")
    cold()
    monkeypatch.setattr(recalling, "_row", fail)
    with pytest.raises(openai.InternalServerError) as refused:
        client.responses.retrieve(first.id)
    assert refused.value.code == "responses_away"


# --- an upstream that speaks the Responses API itself -----------------------------------------------------------------


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
    plane: Any, client: openai.OpenAI, native: Any, stream: bool
) -> None:
    """Another key may be used for the next turn, whose owner has none of the earlier ones."""

    def ask(**more: Any) -> Any:
        if not stream:
            return client.responses.create(model="own", **more)
        events = list(client.responses.create(model="own", stream=True, **more))
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
    assert client.responses.retrieve(second.id).previous_response_id == first.id
    assert client.responses.retrieve(second.id).model == "own"


def test_what_is_not_ours_is_the_upstreams(plane: Any, client: openai.OpenAI, native: Any) -> None:
    client.responses.create(model="own", input="x", previous_response_id="resp_theirs")
    client.responses.create(model="own", input="x", conversation="conv_1")
    client.responses.create(model="own", input="x", background=True)
    assert [sorted(body.keys() - {"model", "input"}) for body in native()] == [
        ["previous_response_id"],
        ["conversation"],
        ["background"],
    ]
    for name in ("resp_up1", "resp_up2"):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(name)  # we have half of it only


@pytest.mark.parametrize("more", [{"conversation": "conv_1"}, {"background": True}])
def test_others_are_refused_what_they_cannot(plane: Any, client: openai.OpenAI, more: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=plane.scenario("ok"), input="x", **more)
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


def test_memory_is_bounded() -> None:
    memory = keeping.Memory(most=10)
    for number in range(20):
        memory.put(1, str(number), b"abcd")
    assert [memory.get(1, str(number)) for number in range(17, 20)] == [None, b"abcd", b"abcd"]
    assert memory.get(2, "19") is None
    memory.put(1, "large", b"x" * 11)
    assert memory.get(1, "large") is None
    assert keeping.Memory(believed=-1.0).get(1, "a") is None
    late = keeping.Memory(believed=-1.0)
    late.put(1, "a", b"x")
    assert late.get(1, "a") is None
