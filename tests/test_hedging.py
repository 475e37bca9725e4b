"""Hedged models: a second place is asked where the first is late, and the first to begin is the one that serves."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from django.core.exceptions import ValidationError

from api.answer import EventStream
from api.errors import ApiError, Fault
from api.forward import _Forward
from api.trip import Trip
from providers.models import CatalogModel
from routing import repatch, revisions
from routing.explain import explain
from routing.health import CONSECUTIVE, USUAL, Circuit, Health, health
from routing.hedge_after import After, read
from routing.models import PublicModel
from routing.store import store
from tests.test_holding import asked_there

database = pytest.mark.django_db(transaction=True)

#: Longer than any test waits for it: who waited for it would fail by the clock.
SLOW = "late:20"


def hedged(plane: Any, *upstreams: str, after: str = "50 ms", daily: int = 1000, **values: Any) -> str:
    """A public model whose routes lead to these scenarios."""
    routes = ((plane.account, upstream) for upstream in upstreams)
    name: str = plane.world.model("hedged", *routes, hedge_after=after, hedge_daily=daily, **values).name
    plane.settle()
    return name


def gone(plane: Any, model: str) -> bool:
    """Whether the gateway dropped every request for this model."""
    return all(seen.gone_at is not None for seen in plane.upstream.requests if seen.json["model"] == model)


class OneTurn(_Forward):
    """A race whose first place refuses the request in the turn of the loop in which the second one answers."""

    def __init__(self, response: Any) -> None:
        super().__init__(Trip("chat/completions", "openai-completions", None), cast(Any, None))
        self._both = asyncio.Barrier(2)
        self.request: asyncio.Task[Any] | None = None
        self._response = response

    def _next(self, *, beside: Any = None) -> Any:
        return "second"

    async def _in_turn(self, candidate: Any, *, later: bool) -> Any:
        if self.trip.when_sent is not None and not later:
            self.trip.when_sent.set_result(None)
        await self._both.wait()
        if not later:
            raise ApiError(Fault.INVALID_PARAMETER)
        return self._response


class AtOnce:
    """A hedge without delay and without a ceiling."""

    delay = 0.0

    async def is_allowed(self) -> bool:
        return True


def test_an_answer_is_not_lost_to_a_refusal_of_the_same_turn() -> None:
    async def race() -> Any:
        return await OneTurn("answer")._race(cast(Any, "first"), cast(Any, AtOnce()))

    assert asyncio.run(race()) == "answer"


class TooLate(OneTurn):
    """A race whose request is cancelled in the turn of the loop in which the first place begins a stream."""

    async def _in_turn(self, candidate: Any, *, later: bool) -> Any:
        cast(asyncio.Task[Any], self.request).cancel()
        return self._response


def test_a_stream_that_began_when_the_request_ended_is_given_up() -> None:
    dropped = []

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b""

    async def drop() -> None:
        dropped.append(True)

    async def race() -> None:
        too_late = TooLate(EventStream(pieces(), drop, ()))
        too_late.request = asyncio.current_task()
        with pytest.raises(asyncio.CancelledError):
            await too_late._race(cast(Any, "first"), cast(Any, AtOnce()))

    asyncio.run(race())
    assert dropped == [True]


def counted(plane: Any) -> list[int]:
    """Requests that were hedged, and those that the place asked later served, by the metrics."""
    told = plane.client.get("/metrics").text
    names = ("jackfield_requests_hedged_total", "jackfield_hedges_won_total")
    return [int(re.search(rf"^{name} (\d+)", told, re.MULTILINE)[1]) for name in names]  # type: ignore[index]


@database
@pytest.mark.parametrize("stream", [False, True])
def test_a_late_place_is_raced_and_given_up(plane: Any, stream: bool) -> None:
    with revisions.recording("tester"):
        for name in (SLOW, "ok"):
            facts = {"price_input": 3_000_000, "price_output": 9_000_000}
            CatalogModel.objects.create(provider=plane.account.provider, model=name, **facts)
    model = hedged(plane, SLOW, "ok")
    started = time.monotonic()
    answer = plane.ask(model, stream=stream)
    assert time.monotonic() - started < 10
    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("[DONE]") is stream
    assert answer.headers["x-jackfield-route"] == "up/ok"
    assert answer.headers["x-jackfield-attempts"] == "2"
    [row] = plane.rows()
    assert (row.outcome, row.hedged, row.attempts, row.upstream_model) == ("ok", True, 2, "ok")
    assert [(one["model"], one["verdict"]) if "verdict" in one else one["model"] for one in row.attempt_log] == [
        (SLOW, "outrun"),
        "ok",
    ]
    assert row.attempt_log[0]["us"] >= 50_000
    assert (row.input_tokens, row.cost_micro) == (7, 48), "7 tokens in at $3, 3 out at $9 a million"
    assert row.hedge_cost_micro == row.attempt_log[0]["cost_micro"] == 21, "the prompt, at the loser's price"
    plane.eventually(lambda: gone(plane, SLOW))
    assert health.in_flight((plane.account.id, SLOW)) == health.in_flight((plane.account.id, "ok")) == 0


@database
def test_what_hedging_did_is_told(plane: Any) -> None:
    """Counted, and shown where an operator looks."""
    model = hedged(plane, SLOW, "ok", after="20 ms", daily=2)
    before = counted(plane)
    for _ in range(2):
        plane.ask(model)
    plane.rows(2)
    assert [now - then for now, then in zip(counted(plane), before, strict=True)] == [2, 2]
    told = repatch.use_of(model)
    assert "2 hedged, for $0.0000 more at least and 2 of unknown cost." in told
    [place, last] = explain(store.current, model)["candidates"]
    assert place["hedged_after"] == "20 ms (0.02 s now), at most 2 requests a day"
    assert last["hedged_after"] is None


@database
def test_the_first_serves_where_it_is_quicker_in_the_end(plane: Any) -> None:
    model = hedged(plane, "late:0.3", SLOW)
    answer = plane.ask(model)
    assert (answer.status_code, answer.headers["x-jackfield-route"]) == (200, "up/late:0.3")
    [row] = plane.rows()
    assert row.hedged
    assert [one.get("verdict", "") for one in row.attempt_log] == ["", "outrun"]
    assert row.hedge_cost_micro is None, "a price that is not known is not zero"
    plane.eventually(lambda: gone(plane, SLOW))


@database
def test_who_answers_in_time_is_asked_alone(plane: Any) -> None:
    model = hedged(plane, "ok", "ok:other", after="5 s")
    assert plane.ask(model).headers["x-jackfield-attempts"] == "1"
    [row] = plane.rows()
    assert not row.hedged
    assert row.hedge_cost_micro is None
    assert asked_there(plane) == ["ok"]


@database
def test_failures_in_a_race_are_no_answer(plane: Any) -> None:
    model = hedged(plane, "late:0.4", "status:503", "ok")
    answer = plane.ask(model)
    assert (answer.status_code, answer.headers["x-jackfield-route"]) == (200, "up/late:0.4"), "the other goes on"
    asked_there(plane)
    both = plane.world.model("both", (plane.account, "half"), (plane.account, "status:500"), hedge_after="20 ms").name
    plane.account.timeouts = {"first_byte": 0.3, "gap": 0.3}
    plane.account.save()
    plane.settle()
    assert plane.ask(both).status_code in (500, 504)
    assert asked_there(plane) == ["half", "status:500"]


@database
def test_what_the_second_cannot_be_told_does_not_end_the_race(plane: Any, world: Any) -> None:
    """Its upstream is of another dialect, which has no word for what was asked."""
    other = world.account("other", plane.upstream.url, family="anthropic-messages", keys=["k"], private_network=True)
    routes = ((plane.account, "late:0.3"), (other, "ok"))
    model = world.model("mixed", *routes, hedge_after="20 ms").name
    plane.settle()
    answer = plane.ask(model, n=3)
    assert (answer.status_code, answer.headers["x-jackfield-route"]) == (200, "up/late:0.3")
    assert asked_there(plane) == ["late:0.3"]


@database
def test_the_callers_fault_ends_the_race(plane: Any) -> None:
    model = hedged(plane, SLOW, "status:400", "ok")
    started = time.monotonic()
    assert plane.ask(model).status_code == 400
    assert time.monotonic() - started < 10
    assert asked_there(plane) == [SLOW, "status:400"]


@database
def test_the_days_ceiling_holds_for_all_requests_together(plane: Any) -> None:
    model = hedged(plane, "late:0.3", "ok", daily=3)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: plane.ask(model), range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum(row.hedged for row in plane.rows(8)) <= 3
    for _ in range(3):
        assert plane.ask(model).status_code == 200
    rows = plane.rows(11)
    assert sum(row.hedged for row in rows) == 3
    assert sorted(asked_there(plane)) == ["late:0.3"] * 11 + ["ok"] * 3


@database
def test_a_percentile_needs_answers_to_be_of(plane: Any) -> None:
    model = hedged(plane, "late:0.2", "ok", after="p95")
    assert plane.ask(model).headers["x-jackfield-attempts"] == "1", "nothing is known yet"
    for _ in range(USUAL):
        watch = health.watch((plane.account.id, "late:0.2"))
        watch.began(0.02)
        watch.served()
    assert plane.ask(model).headers["x-jackfield-route"] == "up/ok"


@database
def test_who_always_loses_late_is_left(plane: Any) -> None:
    """Without it a place that hangs would cost every request the wait."""
    model = hedged(plane, SLOW, "ok", after="20 ms")
    for _ in range(CONSECUTIVE):
        assert plane.ask(model).headers["x-jackfield-attempts"] == "2"
    assert health.circuit((plane.account.id, SLOW)) is Circuit.OPEN
    assert plane.ask(model).headers["x-jackfield-attempts"] == "1"


@database
def test_a_client_that_leaves_ends_both(plane: Any) -> None:
    model = hedged(plane, SLOW, "late:20:too", after="20 ms")
    body = {"model": model, "messages": []}
    with pytest.raises(Exception, match="timed out"):
        plane.client.post("/v1/chat/completions", json=body, timeout=0.5)
    [row] = plane.rows()
    assert (row.outcome, row.hedged, row.attempts) == ("client_gone", True, 2)
    assert len(plane.upstream.requests) == 2
    plane.eventually(lambda: all(seen.gone_at is not None for seen in plane.upstream.requests))
    assert health.in_flight((plane.account.id, SLOW)) == 0


@database
def test_an_answer_of_the_background_and_a_count_are_asked_once(plane: Any) -> None:
    model = hedged(plane, "late:0.2", "ok", after="1 ms")
    for path, body in (
        ("/v1/messages/count_tokens", {"model": model, "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/responses", {"model": model, "input": "hi", "background": True}),
    ):
        plane.client.post(path, json=body)
    assert len({seen.json["model"] for seen in plane.upstream.requests}) <= 1


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", None),
        ("800 ms", After(0.8)),
        ("800ms", After(0.8)),
        ("1.5 s", After(1.5)),
        ("p95", After(share=0.95)),
        ("p10", After(share=0.1)),
    ],
)
def test_what_a_model_may_say(said: str, meant: After | None) -> None:
    assert read(said) == meant


@pytest.mark.parametrize("said", ["0 ms", "p5", "p100", "95", "1 h", "601 s", "-1 s", "1e3 ms", "p\uff19\uff15"])
def test_what_it_may_not_say(said: str) -> None:
    with pytest.raises(ValueError, match="800 ms, 2 s, or p95"):
        read(said)


@database
def test_the_form_and_the_document_refuse_it(world: Any) -> None:
    model = world.model("m")
    model.hedge_after = "soon"
    with pytest.raises(ValidationError, match="p95"):
        model.full_clean()


@database
def test_r_rel_15_what_was_written_past_the_form_is_not_served(plane: Any, unchecked: None) -> None:
    """The last good revision serves on, and the next good one is taken."""
    model = hedged(plane, "ok", "ok:other", after="5 s")
    served = store.current.revision
    with revisions.recording("somebody past the form"):
        PublicModel.objects.update(hedge_after="soon")
    plane.eventually(lambda: store.problem)
    assert plane.ask(model).status_code == 200
    assert store.current.revision == served and "no time to hedge after" in store.problem
    with revisions.recording("tester"):
        PublicModel.objects.update(hedge_after="p95")
    plane.settle()
    assert plane.ask(model).status_code == 200


def test_losing_counts_only_where_it_took_longer_than_it_nearly_ever_does() -> None:
    now = [0.0]
    made = Health(clock=lambda: now[0])
    place = (1, "m")
    for _ in range(USUAL):
        watch = made.watch(place)
        watch.began(1.0)
        watch.served()
    for _ in range(3 * CONSECUTIVE):
        watch = made.watch(place)
        now[0] += 0.9
        watch.outrun()
    assert made.circuit(place) is Circuit.CLOSED, "as quick as ever"
    for _ in range(CONSECUTIVE):
        watch = made.watch(place)
        now[0] += 1.1
        watch.outrun()
    assert made.circuit(place) is Circuit.OPEN
    assert made.in_flight(place) == 0
