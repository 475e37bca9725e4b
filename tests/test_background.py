"""Responses made in the background: asked for, asked after and called off through OpenAI's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from django.conf import settings

from api import keeping
from api.drain import drain
from api.models import StoredResponse, UsageRecord
from keys.pool import pool
from providers import transport
from providers.models import Account, CatalogModel, Provider

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = ("key-of-the-first", "key-of-the-second")


class Jobs:
    """An upstream of the Responses API whose jobs move on when a test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, Any]] = []
        self.status = "queued"
        self.refuses: dict[str, httpx.Response] = {}
        self.jobs: dict[str, dict[str, Any]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["authorization"].removeprefix("Bearer ")
        body = json.loads(request.content) if request.content else None
        self.sent.append((request.method, str(request.url), key, body))
        if key in self.refuses:
            return self.refuses[key]
        if body is not None:
            name = f"resp_{len(self.jobs)}"
            self.jobs[name] = body
            return self._streamed(name) if body.get("stream") else httpx.Response(200, json=self.told(name))
        name, _, tail = request.url.path.removeprefix("/v1/responses/").partition("/")
        if tail == "cancel" and self.status in ("queued", "in_progress"):
            self.status = "cancelled"
        return httpx.Response(200, json=self.told(name))

    def told(self, name: str) -> dict[str, Any]:
        done = self.status in ("completed", "cancelled")
        text = {"type": "output_text", "text": "at last", "annotations": []}
        said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
        return {
            "id": name,
            "object": "response",
            "created_at": 1,
            "status": self.status,
            "background": self.jobs[name].get("background", False),
            "error": {"code": "server_error", "message": "It broke."} if self.status == "failed" else None,
            "model": "up",
            "previous_response_id": None,
            "output": [said] if self.status == "completed" else [],
            "usage": {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100} if done else None,
        }

    def _streamed(self, name: str) -> httpx.Response:
        """A stream that breaks off while the job is under way."""
        events = [{"type": "response.queued", "sequence_number": 0, "response": self.told(name)}]
        data = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=data.encode())


@pytest.fixture
def jobs(plane: Any) -> Iterator[Jobs]:
    """Behind the model `own`, which costs 2 and 10 dollars per million tokens."""
    drain()
    StoredResponse.objects.all().delete()
    UsageRecord.objects.all().delete()
    cold()
    made = Jobs()
    transport.install(httpx.MockTransport(made))
    provider = plane.world.provider("native", family="openai-responses")
    account = plane.world.account("native", "https://r.example/v1", keys=KEYS, provider=provider)
    CatalogModel.objects.create(provider=provider, model="up", price_input=2_000_000, price_output=10_000_000)
    plane.world.model("own", (account, "up"))
    plane.settle()
    yield made
    transport.install(None)
    pool.cooling._until.clear()


def cold() -> None:
    """As in another process: nothing is in memory."""
    keeping.memory.__init__()  # type: ignore[misc]  # as it begins


def booked() -> list[tuple[int | None, int | None, int | None]]:
    drain()
    return [(row.input_tokens, row.output_tokens, row.cost_micro) for row in UsageRecord.objects.order_by("id")]


def test_it_is_polled_to_its_end(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    asked = openai_client.responses.create(model="own", input="think", background=True)
    assert (asked.status, asked.model) == ("queued", "own")
    jobs.status = "in_progress"
    raw = openai_client.responses.with_raw_response.retrieve(asked.id)
    assert (raw.parse().status, raw.parse().model) == ("in_progress", "own")
    assert raw.headers["x-jackfield-route"] == "native/up"
    jobs.status = "completed"
    done = openai_client.responses.retrieve(asked.id)
    assert (done.status, done.output_text, done.model) == ("completed", "at last", "own")
    assert jobs.sent == [
        ("POST", "https://r.example/v1/responses", KEYS[0], {"model": "up", "input": "think", "background": True}),
        ("GET", f"https://r.example/v1/responses/{asked.id}", KEYS[0], None),
        ("GET", f"https://r.example/v1/responses/{asked.id}", KEYS[0], None),
    ]
    assert openai_client.responses.retrieve(asked.id) == done
    assert len(jobs.sent) == 3  # it is kept
    assert openai_client.responses.cancel(asked.id) == done
    assert len(jobs.sent) == 3
    assert booked() == [(1000, 100, 3000)]
    row = UsageRecord.objects.get()
    assert (row.endpoint, row.account, row.outcome, row.status) == ("responses", "native", "ok", 200)


@pytest.mark.parametrize("drained", [0, 1, 2])
def test_it_is_booked_once_whoever_hears_of_it(
    plane: Any, openai_client: openai.OpenAI, jobs: Jobs, drained: int
) -> None:
    """Each process may have kept it as waiting, and hear of its end by itself; lines are drained in any order."""
    asked = openai_client.responses.create(model="own", input="think", background=True)
    waiting = dict(keeping.memory._turns)
    if drained > 0:
        assert booked() == [(None, None, None)]
        assert StoredResponse.objects.get().waiting
    jobs.status = "completed"
    for _ in range(2):
        keeping.memory._turns.update(waiting)
        assert openai_client.responses.retrieve(asked.id).output_text == "at last"
        if drained > 1:
            assert booked() == [(1000, 100, 3000)]
    assert len(jobs.sent) == 3
    cold()
    assert openai_client.responses.retrieve(asked.id).output_text == "at last"
    assert booked() == [(1000, 100, 3000)]
    assert not StoredResponse.objects.get().waiting
    cold()
    assert openai_client.responses.retrieve(asked.id).output_text == "at last"
    assert len(jobs.sent) == 3


def test_the_end_may_be_drained_before_the_beginning(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    asked = openai_client.responses.create(model="own", input="think", background=True)
    jobs.status = "completed"
    journal = settings.HOME.journal
    texts = {path: path.read_bytes() for at in (keeping.folder(journal), journal) for path in at.glob("*.jsonl")}
    openai_client.responses.retrieve(asked.id)
    for path, before in texts.items():
        later = path.read_bytes()[len(before) :]
        assert later
        path.write_bytes(later + before)
    assert booked() == [(1000, 100, 3000)]
    assert not StoredResponse.objects.get().waiting


def test_it_is_cancelled(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    asked = openai_client.responses.create(model="own", input="think", background=True)
    assert openai_client.responses.cancel(asked.id).status == "cancelled"
    assert jobs.sent[-1] == ("POST", f"https://r.example/v1/responses/{asked.id}/cancel", KEYS[0], None)
    assert openai_client.responses.retrieve(asked.id).status == "cancelled"
    assert len(jobs.sent) == 2
    assert booked() == [(1000, 100, 3000)]
    with pytest.raises(openai.BadRequestError, match="no answer to go on from"):
        openai_client.responses.create(model="own", input="and?", previous_response_id=asked.id)
    jobs.status = "completed"
    usual = openai_client.responses.create(model="own", input="x")
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.responses.cancel(usual.id)
    assert refused.value.code == "unsupported_parameter"


def test_one_that_failed_says_so(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    asked = openai_client.responses.create(model="own", input="think", background=True)
    jobs.status = "failed"
    for _ in range(2):
        found = openai_client.responses.retrieve(asked.id)
        assert (found.status, found.error and found.error.message) == ("failed", "It broke.")
    assert len(jobs.sent) == 2
    assert booked() == [(None, None, None)]


def test_another_project_does_not_see_it(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    asked = openai_client.responses.create(model="own", input="think", background=True)
    other = openai_client.with_options(api_key=plane.world.token(plane.world.project("other")))
    plane.settle()
    for ask in (other.responses.retrieve, other.responses.cancel, other.responses.delete):
        with pytest.raises(openai.NotFoundError):
            ask(asked.id)
    assert len(jobs.sent) == 1


def test_the_key_that_asked_is_asked_with(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    jobs.refuses[KEYS[0]] = httpx.Response(429, json={"error": {"message": "slow down", "type": "rate_limit"}})
    asked = openai_client.responses.create(model="own", input="think", background=True)
    jobs.refuses.clear()
    pool.cooling._until.clear()
    openai_client.responses.retrieve(asked.id)
    assert [key for _, _, key, _ in jobs.sent] == [*KEYS, KEYS[1]]


def test_who_loses_the_stream_can_ask_after_it(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    with pytest.raises(openai.APIError):
        list(openai_client.responses.create(model="own", input="think", background=True, stream=True))
    jobs.status = "completed"
    assert openai_client.responses.retrieve("resp_0").output_text == "at last"
    assert booked() == [(1000, 100, 3000)]
    answer = plane.client.get("/v1/responses/resp_0?stream=true")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "stream")


def test_a_turn_goes_on_from_it(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    first = openai_client.responses.create(model="own", input="think", background=True)
    with pytest.raises(openai.BadRequestError, match="no answer to go on from"):
        openai_client.responses.create(model="own", input="and?", previous_response_id=first.id)
    jobs.status = "completed"
    second = openai_client.responses.create(model="own", input="and?", previous_response_id=first.id, background=True)
    told = jobs.sent[-1][3]
    assert [item.get("role") for item in told["input"]] == ["user", "assistant", "user"]
    assert second.previous_response_id == first.id
    jobs.status = "in_progress"
    third = openai_client.responses.create(model="own", input="more", background=True, previous_response_id=second.id)
    jobs.status = "completed"
    assert openai_client.responses.retrieve(third.id).previous_response_id == second.id


def test_what_the_upstream_alone_can_go_on_from(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    first = openai_client.responses.create(model="own", input="think", background=True, conversation="conv_1")
    assert openai_client.responses.retrieve(first.id).status == "queued"
    jobs.status = "completed"
    assert openai_client.responses.retrieve(first.id).output_text == "at last"
    openai_client.responses.create(model="own", input="and?", previous_response_id=first.id)
    assert jobs.sent[-1][3]["previous_response_id"] == first.id
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.input_items.list(first.id)


def test_deleted_is_deleted(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    asked = openai_client.responses.create(model="own", input="think", background=True)
    drain()
    openai_client.responses.delete(asked.id)
    for _ in range(2):
        with pytest.raises(openai.NotFoundError):
            openai_client.responses.retrieve(asked.id)
        cold()
        drain()
    assert not StoredResponse.objects.get().waiting
    assert len(jobs.sent) == 1


def test_why_it_cannot_be_asked_after(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    asked = openai_client.responses.create(model="own", input="think", background=True)

    def said() -> tuple[int, str]:
        answer = plane.client.get(f"/v1/responses/{asked.id}")
        assert KEYS[0] not in answer.text
        return answer.status_code, answer.json()["error"]["code"]

    gone = {"error": {"message": f"No response, {KEYS[0]}.", "type": "invalid_request_error", "code": "not_found"}}
    jobs.refuses[KEYS[0]] = httpx.Response(404, json=gone)
    assert said() == (404, "not_found")
    jobs.refuses[KEYS[0]] = httpx.Response(200, json={"id": "another", "status": "completed"})
    assert said() == (502, "upstream_bad_answer")
    jobs.refuses[KEYS[0]] = httpx.Response(200, content=b"no json")
    assert said() == (502, "upstream_bad_answer")
    jobs.refuses.clear()
    account = Account.objects.get(name="native")
    account.base_url = "https://elsewhere.example/v1"
    account.save()
    plane.settle()
    assert said() == (400, "provider_key_missing")  # its keys are sealed for where they were entered
    assert len(jobs.sent) == 4
    account.enabled = False
    account.save()
    plane.settle()
    assert said() == (503, "no_candidate")
    assert booked() == [(None, None, None)]


def test_others_do_no_work_in_the_background(plane: Any, openai_client: openai.OpenAI) -> None:
    provider = plane.world.provider("codex", family="openai-codex-responses")
    account = plane.world.account("codex", "https://c.example", keys=("key-1",), provider=provider)
    plane.world.model("codex", (account, "up"))
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.responses.create(model=plane.scenario("ok"), input="x", background=True)
    assert refused.value.param == "background"
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.responses.create(model="codex", input="x", background=True)
    assert refused.value.param == "background"


def test_private_addresses_are_out_of_reach(plane: Any, openai_client: openai.OpenAI, jobs: Jobs) -> None:
    native = Provider.objects.get(slug="native")
    account = plane.world.account("inside", "https://127.0.0.1/v1", keys=("key-1",), provider=native)
    plane.world.model("inside", (account, "up"))
    plane.settle()
    asked = openai_client.responses.create(model="inside", input="think", background=True)
    transport.install(None)
    with pytest.raises(openai.InternalServerError) as refused:
        openai_client.responses.retrieve(asked.id)
    assert refused.value.code == "egress_refused"


def test_who_asks_after_it_is_counted_among_the_requests_in_hand(
    plane: Any, openai_client: openai.OpenAI, jobs: Jobs, settings: Any
) -> None:
    asked = openai_client.responses.create(model="own", input="think", background=True)
    settings.MAX_IN_FLIGHT = 0
    for call in (openai_client.responses.retrieve, openai_client.responses.cancel):
        with pytest.raises(openai.InternalServerError) as refused:
            call(asked.id)
        assert (refused.value.status_code, refused.value.code) == (503, "gateway_overloaded")
    assert len(jobs.sent) == 1
    settings.MAX_IN_FLIGHT = 1
    jobs.status = "completed"
    assert openai_client.responses.retrieve(asked.id).output_text == "at last"
    settings.MAX_IN_FLIGHT = 0
    assert openai_client.responses.retrieve(asked.id).output_text == "at last", "nobody is asked"
