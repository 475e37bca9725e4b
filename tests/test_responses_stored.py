"""Responses that a project comes back to, through OpenAI's own client, whatever the upstream speaks."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import openai
import pytest

from api import keeping, recalling
from api.drain import drain
from api.models import StoredResponse
from keys import ring as rings
from keys import rotation
from keys.sealing import key_id_of
from tests.faults.fixtures import KEYS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty(plane: Any) -> None:
    drain()
    StoredResponse.objects.all().delete()
    keeping.memory.__init__()  # type: ignore[misc]  # as it begins


def cold() -> None:
    """As after a restart: nothing is in memory."""
    keeping.memory.__init__()  # type: ignore[misc]  # as it begins


def asked(plane: Any) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in plane.upstream.requests[-1].json["messages"]]


@pytest.mark.parametrize("state", ["in memory", "not drained", "drained"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_goes_on(plane: Any, openai_client: openai.OpenAI, state: str, stream: bool) -> None:
    model = plane.scenario("ok")
    said = "one two three" if stream else KEYS[0]

    def ask(text: str, **more: Any) -> Any:
        if not stream:
            return openai_client.responses.create(model=model, input=text, **more)
        with openai_client.responses.stream(model=model, input=text, **more) as events:
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
    kept = openai_client.responses.retrieve(third.id)
    assert (kept.id, kept.output_text, kept.previous_response_id) == (third.id, said, second.id)
    assert kept.model == model


def test_input_items(plane: Any, openai_client: openai.OpenAI) -> None:
    model = plane.scenario("ok")
    first = openai_client.responses.create(model=model, input="hi")
    second = openai_client.responses.create(model=model, input="again", previous_response_id=first.id)
    page = openai_client.responses.input_items.list(second.id, order="asc", limit=2)
    assert [(item.type, item.role, item.content[0].text) for item in page.data] == [
        ("message", "user", "hi"),
        ("message", "assistant", KEYS[0]),
    ]
    assert page.has_more
    everything = list(openai_client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.content[0].text for item in everything] == ["hi", KEYS[0], "again"]
    newest = next(iter(openai_client.responses.input_items.list(second.id)))
    assert newest.content[0].text == "again"
    for query in ("limit=0", "limit=1000", "limit=x", "after=nothing"):
        answer = plane.client.get(f"/v1/responses/{second.id}/input_items?{query}")
        assert answer.status_code == 400


def test_another_project_sees_nothing(plane: Any, openai_client: openai.OpenAI) -> None:
    model = plane.scenario("ok")
    first = openai_client.responses.create(model=model, input="hi")
    other = openai_client.with_options(api_key=plane.world.token(plane.world.project("other")))
    plane.settle()
    drain()
    for missing in (
        lambda: other.responses.retrieve(first.id),
        lambda: other.responses.delete(first.id),
        lambda: other.responses.input_items.list(first.id),
        lambda: other.responses.create(model=model, input="x", previous_response_id=first.id),
        lambda: openai_client.responses.retrieve("resp_nothing"),
        lambda: openai_client.responses.create(model=model, input="x", previous_response_id="resp_nothing"),
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            missing()
        assert refused.value.code == "response_not_found"
        going_on = refused.value.param == "previous_response_id"
        assert ("whole conversation" in refused.value.message) is going_on, refused.value.message
    assert len(plane.upstream.requests) == 1
    assert openai_client.responses.retrieve(first.id).id == first.id


@pytest.mark.parametrize("drained", [False, True])
def test_deleted_is_deleted(plane: Any, openai_client: openai.OpenAI, drained: bool) -> None:
    """Also if the line that holds it is drained only then."""
    first = openai_client.responses.create(model=plane.scenario("ok"), input="hi")
    if drained:
        drain()
    openai_client.responses.delete(first.id)
    for _ in range(2):
        with pytest.raises(openai.NotFoundError):
            openai_client.responses.retrieve(first.id)
        cold()
        drain()
    assert len(StoredResponse.objects.get().sealed) < 200
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.delete(first.id)


def test_not_stored_if_not_wanted(plane: Any, openai_client: openai.OpenAI, settings: Any) -> None:
    model = plane.scenario("ok")
    unkept = [openai_client.responses.create(model=model, input="hi", store=False).id]
    settings.RESPONSES_DAYS = 0.0
    unkept.append(openai_client.responses.create(model=model, input="hi").id)
    settings.RESPONSES_DAYS = 30.0
    for name in unkept:
        with pytest.raises(openai.NotFoundError):
            openai_client.responses.retrieve(name)
    drain()
    assert not StoredResponse.objects.exists()


def test_contents_are_sealed_and_bound(plane: Any, openai_client: openai.OpenAI) -> None:
    first = openai_client.responses.create(model=plane.scenario("ok"), input="a great secret")
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
        openai_client.responses.retrieve("resp_moved")


def test_the_ring_rotates_under_them(plane: Any, openai_client: openai.OpenAI, settings: Any, tmp_path: Any) -> None:
    own = tmp_path / "ring.json"
    shutil.copy(settings.RING_FILE, own)
    settings.RING_FILE = own
    first = openai_client.responses.create(model=plane.scenario("ok"), input="hi")
    second = openai_client.responses.create(model=plane.scenario("ok"), input="hi")
    openai_client.responses.delete(second.id)
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
    assert openai_client.responses.retrieve(first.id).id == first.id


def test_they_are_forgotten_in_time(plane: Any, openai_client: openai.OpenAI) -> None:
    first = openai_client.responses.create(model=plane.scenario("ok"), input="hi")
    drain()
    cold()
    StoredResponse.objects.update(created_at=datetime.now(UTC) - timedelta(days=31))
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(first.id)
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


def test_a_database_that_is_away(plane: Any, openai_client: openai.OpenAI, monkeypatch: Any) -> None:
    from django.db import OperationalError

    def fail(*_: Any) -> Any:
        raise OperationalError("away") from sqlite3.OperationalError()

    first = openai_client.responses.create(model=plane.scenario("ok"), input="hi")
    cold()
    monkeypatch.setattr(recalling, "_row", fail)
    with pytest.raises(openai.InternalServerError) as refused:
        openai_client.responses.retrieve(first.id)
    assert refused.value.code == "responses_away"


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


def test_what_is_drained_is_not_read_again(plane: Any, openai_client: openai.OpenAI) -> None:
    """Whoever asks for ids that nobody has would have all of it read each time."""
    model = plane.scenario("ok")
    project = plane.world.project().id
    first = openai_client.responses.create(model=model, input="hi")
    assert recalling._undrained((project,), first.id) is not None
    drain()
    assert recalling._undrained((project,), first.id) is None
    second = openai_client.responses.create(model=model, input="hi")
    found = recalling._undrained((project,), second.id)
    assert found is not None and found.id == second.id
    cold()
    assert [openai_client.responses.retrieve(one.id).id for one in (first, second)] == [first.id, second.id]
