"""Items of earlier answers that a request names by their ids, as the Vercel AI SDK does from the second turn on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from api import keeping, recalling
from api.drain import drain
from api.models import StoredItem, StoredResponse
from tests.scripted import Call, Family, Turn
from tests.scripted_families import ANTHROPIC, CHAT, GOOGLE
from tests.scripted_responses import RESPONSES
from tests.sdk_fixtures import Fronts

pytestmark = pytest.mark.django_db(transaction=True)

OSLO = Call("toolu_oslo", "weather", {"city": "Oslo"})
ASKED = Turn("I look.", "One city.", "c2lnbmVkLWJ5LW1l", (OSLO,))
TOLD = Turn("Oslo is cold.")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
USER = {"role": "user", "content": "Oslo?"}
AGAIN = {"role": "user", "content": "And now?"}


@pytest.fixture(autouse=True)
def _empty(fronts: Fronts) -> None:
    drain()
    StoredResponse.objects.all().delete()
    cold()


@pytest.fixture
def client(fronts: Fronts) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{fronts.url}/v1", api_key=fronts.token, max_retries=0, timeout=20) as made:
        yield made


def cold() -> None:
    """As after a restart, or in another process: nothing is in memory."""
    keeping.memory.__init__()  # type: ignore[misc]  # as it begins


def named(answer: Any) -> list[dict[str, str]]:
    """The items of an answer, as that SDK says them in its next request."""
    return [{"type": "item_reference", "id": item.id} for item in answer.output]


def result(answer: Any) -> dict[str, str]:
    call = next(item for item in answer.output if item.type == "function_call")
    return {"type": "function_call_output", "call_id": call.call_id, "output": "cold"}


def asked(client: openai.OpenAI, items: list[Any], *, stream: bool = False, **more: Any) -> Any:
    body: Any = {"model": "m", "input": items, "tools": TOOLS, "reasoning": {"summary": "auto"}, **more}
    if not stream:
        return client.responses.create(**body)
    with client.responses.stream(**body) as events:
        return events.get_final_response()


@pytest.mark.parametrize("state", ["in memory", "not drained", "drained"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("family", [ANTHROPIC, CHAT, GOOGLE], ids=lambda family: family.name)
def test_two_turns_with_a_call_and_thoughts(
    fronts: Fronts, client: openai.OpenAI, family: Family, stream: bool, state: str
) -> None:
    upstream = fronts.model(family, ASKED, TOLD, Turn("Still."))

    def settle() -> None:
        if state != "in memory":
            cold()
        if state == "drained":
            drain()

    first = asked(client, [USER], stream=stream)
    assert {item.type for item in first.output} >= {"reasoning", "message", "function_call"}
    settle()
    items = [USER, *named(first), result(first)]
    second = asked(client, items, stream=stream)
    assert second.output_text == TOLD.text
    heard = upstream.asks[1].heard
    assert (heard.users, heard.said, heard.calls) == (["Oslo?"], ["I look."], [("weather", {"city": "Oslo"})])
    assert len(heard.results) == 1 and "cold" in heard.results[0][1]
    if family is not CHAT:
        assert ASKED.signature in heard.signatures, "the proof of the thought went back to who made it"
    settle()
    asked(client, [*items, *named(second), AGAIN], stream=stream)
    assert upstream.asks[2].heard.said == ["I look.", TOLD.text] and len(upstream.asks[2].heard.calls) == 1
    listed = list(client.responses.input_items.list(second.id, order="asc"))
    assert "item_reference" not in {item.type for item in listed}


@pytest.mark.parametrize("drained", [False, True])
def test_upstreams_of_this_api_get_the_items_too(fronts: Fronts, client: openai.OpenAI, drained: bool) -> None:
    """Ours may have been given by another upstream; what is not ours may be the upstream's, and stays as it came."""
    upstream = fronts.model(RESPONSES, ASKED, TOLD, Turn("Ok"), Turn("Ok"))
    first = asked(client, [USER])
    if drained:
        drain()
        cold()
    second = asked(client, [USER, *named(first), result(first)])
    kinds = [item.get("type", "message") for item in upstream.asks[1].json["input"]]
    assert kinds == ["message", "reasoning", "message", "function_call", "function_call_output"]
    assert not any("id" in item for item in upstream.asks[1].json["input"]), "an id would be looked for there"
    assert upstream.asks[1].heard.said == ["I look."]
    assert client.responses.retrieve(second.id).id == second.id

    theirs = {"id": "msg_theirs"}
    third = asked(client, [USER, *named(first)[1:2], {**theirs, "type": "item_reference"}, theirs, AGAIN])
    sent = upstream.asks[2].json["input"]
    assert sent[2:4] == [{**theirs, "type": "item_reference"}, theirs] and sent[1]["role"] == "assistant"
    assert third.output_text == "Ok"
    untouched = b'{"model": "m",  "input": [{"id": "msg_theirs",  "type": "item_reference"}]}'
    headers = {"content-type": "application/json", "authorization": f"Bearer {fronts.token}"}
    assert httpx.post(f"{fronts.url}/v1/responses", content=untouched, headers=headers, timeout=20).status_code == 200
    assert upstream.asks[3].json["input"] == [{**theirs, "type": "item_reference"}]


def test_what_the_upstream_alone_knows_the_beginning_of_is_not_kept(fronts: Fronts, client: openai.OpenAI) -> None:
    fronts.model(RESPONSES, TOLD)
    answer = asked(client, [{"type": "item_reference", "id": "msg_theirs"}, AGAIN])
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)
    drain()
    assert not StoredItem.objects.exists()


@pytest.mark.parametrize("bare", [False, True], ids=["typed", "bare"])
def test_an_unknown_item_elsewhere(fronts: Fronts, client: openai.OpenAI, bare: bool) -> None:
    upstream = fronts.model(ANTHROPIC)
    unknown = {"id": "msg_nowhere"} if bare else {"type": "item_reference", "id": "msg_nowhere"}
    with pytest.raises(openai.NotFoundError) as refused:
        asked(client, [USER, unknown, AGAIN])
    assert (refused.value.code, refused.value.param) == ("item_not_found", "input")
    assert "'msg_nowhere'" in refused.value.message and "`store` false" in refused.value.message
    assert upstream.asks == []


@pytest.mark.parametrize("state", ["in memory", "not drained", "drained"])
def test_another_projects_items(fronts: Fronts, client: openai.OpenAI, state: str, eventually: Any) -> None:
    from routing.revisions import latest
    from routing.store import store

    upstream = fronts.model(ANTHROPIC, ASKED, TOLD)
    first = asked(client, [USER])
    world = fronts.world
    other = client.with_options(api_key=world.token(world.project("other")))
    eventually(lambda: store.current.revision >= latest())
    if state != "in memory":
        cold()
    if state == "drained":
        drain()
    with pytest.raises(openai.NotFoundError) as refused:
        asked(other, [USER, *named(first), result(first)])
    assert refused.value.code == "item_not_found"
    assert asked(client, [USER, *named(first), result(first)]).output_text == TOLD.text
    assert len(upstream.asks) == 2


@pytest.mark.parametrize("drained", [False, True])
def test_no_upstream_is_asked_for_another_projects_items(
    fronts: Fronts, client: openai.OpenAI, drained: bool, eventually: Any
) -> None:
    """One that knows the key would put in any item of its own, whichever project was given it."""
    from routing.revisions import latest
    from routing.store import store

    upstream = fronts.model(RESPONSES, ASKED)
    first = asked(client, [USER])
    other = client.with_options(api_key=fronts.world.token(fronts.world.project("other")))
    eventually(lambda: store.current.revision >= latest())
    if drained:
        drain()
    with pytest.raises(openai.NotFoundError) as refused:
        asked(other, [{"type": "item_reference", "id": "msg_theirs"}, *named(first)[-1:], AGAIN])
    assert (refused.value.code, refused.value.param) == ("item_not_found", "input")
    assert len(upstream.asks) == 1


@pytest.mark.parametrize("drained", ["before", "after"])
def test_items_of_a_deleted_response(fronts: Fronts, client: openai.OpenAI, drained: str) -> None:
    """Also if the line that holds them is drained only then."""
    fronts.model(ANTHROPIC, ASKED)
    first = asked(client, [USER])
    if drained == "before":
        drain()
        assert StoredItem.objects.count() == len(first.output)
    client.responses.delete(first.id)
    for _ in range(2):
        with pytest.raises(openai.NotFoundError):
            asked(client, [USER, *named(first), result(first)])
        drain()
        cold()
    assert not StoredItem.objects.exists()


def test_items_go_with_their_responses_in_time(fronts: Fronts, client: openai.OpenAI, settings: Any) -> None:
    fronts.model(ANTHROPIC, ASKED)
    first = asked(client, [USER])
    drain()
    cold()
    settings.RESPONSES_DAYS = 1e-9
    with pytest.raises(openai.NotFoundError):
        asked(client, [USER, *named(first), result(first)])
    with CaptureQueriesContext(connection) as queries:
        assert recalling.forget_old() == 1
    assert not any('"sealed"' in query["sql"] for query in queries), "contents are not read to be deleted"
    assert not StoredItem.objects.exists() and not StoredResponse.objects.exists()


def test_what_is_drained_twice_is_there_once(fronts: Fronts, client: openai.OpenAI) -> None:
    fronts.model(ANTHROPIC, ASKED)
    first = asked(client, [USER])
    drain()
    from django.conf import settings

    for mark in keeping.folder(settings.HOME.journal).glob("*.pos"):
        mark.unlink()
    drain()
    assert StoredResponse.objects.count() == 1
    row = StoredItem.objects.select_related("response").first()
    assert row is not None and row.response.response_id == first.id
    assert StoredItem.objects.count() == len(first.output)
    ids = b"".join(item.id.encode() for item in first.output)
    assert bytes(row.digest) not in ids and len(row.digest) == 16


def test_only_references_are_looked_for(fronts: Fronts, client: openai.OpenAI, monkeypatch: Any) -> None:
    """The next turn right after finds its items in memory; only a lookup that misses goes to a thread, once."""
    hops: list[Any] = []
    to_thread = recalling.asyncio.to_thread

    async def hop(*args: Any) -> Any:
        hops.append(args)
        return await to_thread(*args)

    monkeypatch.setattr(recalling.asyncio, "to_thread", hop)
    fronts.model(ANTHROPIC, ASKED, TOLD, TOLD, TOLD)
    first = asked(client, [USER])
    asked(client, [{"role": "user", "content": 'what is an "item_reference", or {"id": "x"}?'}])
    asked(client, [USER, *named(first), result(first)])
    assert hops == []
    cold()
    asked(client, [USER, *named(first), *named(first), result(first)])
    assert len(hops) == 1


def test_too_many_or_too_large(fronts: Fronts, client: openai.OpenAI, settings: Any) -> None:
    upstream = fronts.model(ANTHROPIC, Turn("x" * 3000))
    many = [{"type": "item_reference", "id": f"msg_{number}"} for number in range(1001)]
    with pytest.raises(openai.BadRequestError) as refused:
        asked(client, many)
    assert refused.value.param == "input"
    first = asked(client, [USER])
    settings.MAX_BODY = 2000
    items = [USER, *named(first)]
    with pytest.raises(openai.APIStatusError) as large:
        client.responses.create(model="m", input=items)  # type: ignore[arg-type]  # as the SDK would
    assert large.value.status_code == 413
    assert len(upstream.asks) == 1


def test_counting_counts_the_items(fronts: Fronts, client: openai.OpenAI) -> None:
    fronts.model(CHAT, ASKED)
    first = asked(client, [USER])
    short = client.responses.input_tokens.count(model="m", input=[USER]).input_tokens  # type: ignore[list-item]  # plain
    long = client.responses.input_tokens.count(model="m", input=[USER, *named(first)])  # type: ignore[list-item]  # plain
    assert long.input_tokens > short
    assert json.loads(first.model_dump_json())["id"] == first.id
