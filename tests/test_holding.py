"""Requests that are served although places fail: circuits, what fits, the caller's own order of models."""

from __future__ import annotations

from typing import Any

import pytest

from providers.models import CatalogModel
from routing import revisions
from routing.health import CONSECUTIVE, Circuit, Failure, health
from tests.people import client

pytestmark = pytest.mark.django_db(transaction=True)

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def asked_there(plane: Any) -> list[str]:
    """What was asked of the upstream since the last call."""
    found = [seen.json["model"] for seen in plane.upstream.requests]
    plane.upstream.requests.clear()
    return found


def test_a_place_that_fails_is_left_after_some_failures(plane: Any) -> None:
    model = plane.scenario("status:500", "ok")
    for _ in range(CONSECUTIVE):
        assert plane.ask(model).status_code == 200
    assert asked_there(plane) == ["status:500", "ok"] * CONSECUTIVE
    for _ in range(3):
        answer = plane.ask(model)
        assert (answer.status_code, answer.headers["x-jackfield-attempts"]) == (200, "1")
    assert asked_there(plane) == ["ok"] * 3


def test_the_last_place_is_never_left(plane: Any) -> None:
    model = plane.scenario("status:500", "status:503")
    for _ in range(CONSECUTIVE):
        assert plane.ask(model).status_code == 503
    asked_there(plane)
    for _ in range(10):
        assert plane.ask(model).headers["x-jackfield-attempts"] == "1", "an outage costs one attempt a request"
    assert set(asked_there(plane)) == {"status:500", "status:503"}, "and whoever comes back is noticed"
    alone = plane.scenario("status:500", public="alone")
    assert plane.ask(alone).status_code == 500, "and nobody else is asked"


@pytest.mark.parametrize("scenario", ["status:400", "status:401", "limited:all"])
def test_callers_and_keys_do_not_open_circuits(plane: Any, scenario: str) -> None:
    model = plane.scenario(scenario, "ok")
    for _ in range(CONSECUTIVE + 1):
        plane.ask(model)
    assert health.circuit((plane.account.id, scenario)) is Circuit.CLOSED


def test_a_cut_stream_counts_and_a_client_that_left_does_not(plane: Any) -> None:
    model = plane.scenario("cut:2:fin", "ok")
    for _ in range(CONSECUTIVE):
        _, events = plane.stream(model)
        assert "[DONE]" not in events
    plane.rows(CONSECUTIVE)
    assert health.circuit((plane.account.id, "cut:2:fin")) is Circuit.OPEN
    _, events = plane.stream(model)
    assert events[-1] == "[DONE]"
    slow = plane.scenario("drip:0.05", public="slow")
    for _ in range(CONSECUTIVE):
        with plane.client.stream(
            "POST", "/v1/chat/completions", json={"model": slow, "messages": [], "stream": True}
        ) as answer:
            next(answer.iter_raw())
    plane.rows(2 * CONSECUTIVE + 1)
    assert health.figures((plane.account.id, "drip:0.05")).failures == {}
    plane.eventually(lambda: health.in_flight((plane.account.id, "drip:0.05")) == 0)


def test_a_callers_own_order_within_the_allowlist(plane: Any) -> None:
    for name in ("one", "two", "three"):
        plane.scenario("ok" if name != "one" else "status:500", public=name)
    answer = plane.ask("nobody", models=["one", "two"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "two" and answer.headers["x-jackfield-attempts"] == "2"
    assert not any("models" in seen.json for seen in plane.upstream.requests), "the list is for this gateway"
    assert asked_there(plane) == ["status:500", "ok"]
    answer = plane.client.post("/v1/chat/completions", json={"models": ["three"], "messages": []})
    assert answer.json()["model"] == "three"
    demo = plane.world.project("narrow", allow=["two"])
    token = plane.world.token(demo)
    plane.settle()
    headers = {"authorization": f"Bearer {token}"}
    answer = plane.client.post("/v1/chat/completions", json={"models": ["one", "two"], "messages": []}, headers=headers)
    assert answer.json()["model"] == "two"
    answer = plane.client.post("/v1/chat/completions", json={"models": ["one"], "messages": []}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    (first, *_) = plane.rows(4)
    assert (first.model, first.served_model) == ("nobody", "two")


@pytest.mark.parametrize("models", [["a"] * 6, "a", [1], [""], {"a": 1}])
def test_a_list_of_models_has_one_to_five_names(plane: Any, models: Any) -> None:
    answer = plane.ask("x", models=models)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "models")


def test_what_a_request_needs_is_looked_for_in_the_facts(plane: Any) -> None:
    with revisions.recording("tester"):
        CatalogModel.objects.create(
            provider=plane.account.provider,
            model="ok:plain",
            context=100,
            tools=False,
            structured_output=False,
            input_modalities=["text"],
        )
    model = plane.scenario("ok:plain", "ok:able")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    needs: list[dict[str, Any]] = [
        {"tools": [TOOL]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
        {"messages": [{"role": "user", "content": [image]}]},
        {"messages": [{"role": "user", "content": "long " * 200}]},
    ]
    for need in needs:
        assert plane.ask(model, **need).headers["x-jackfield-attempts"] == "1"
        assert asked_there(plane) == ["ok:able"], need
    plane.ask(model)
    assert asked_there(plane) == ["ok:plain"]
    alone = plane.scenario("ok:plain", public="alone")
    assert plane.ask(alone, tools=[TOOL]).status_code == 200, "facts may be wrong: what is left is asked"


TOO_LONG = "status:400:context_length_exceeded"
FORBIDDEN = "status:400:content_filter"


def test_what_is_too_long_goes_to_a_larger_context(plane: Any) -> None:
    with revisions.recording("tester"):
        for name, context in ((TOO_LONG, 1000), ("ok:small", 1000), ("ok:large", 2000)):
            CatalogModel.objects.create(provider=plane.account.provider, model=name, context=context)
    model = plane.scenario(TOO_LONG, "ok:small", "ok:large")
    answer = plane.ask(model)
    assert answer.status_code == 200
    assert asked_there(plane) == [TOO_LONG, "ok:large"], "by the facts"
    marked = plane.world.model(
        "marked",
        (plane.account, TOO_LONG, {"priority": 0}),
        (plane.account, "ok:unknown", {"priority": 1}),
        (plane.account, "ok:marked", {"priority": 2, "larger_context": True}),
    )
    plane.settle()
    assert plane.ask(marked.name).status_code == 200
    assert asked_there(plane) == [TOO_LONG, "ok:marked"], "or by the operator's mark"
    alone = plane.scenario(TOO_LONG, "ok:small", public="alone")
    answer = plane.ask(alone)
    assert (answer.status_code, "context_length" in answer.text) == (400, True)


def test_what_a_policy_forbids_goes_on_only_where_the_operator_allowed_it(plane: Any) -> None:
    strict = plane.scenario(FORBIDDEN, "ok", public="strict")
    assert plane.ask(strict).status_code == 400
    assert asked_there(plane) == [FORBIDDEN]
    plane.world.model("open", (plane.account, FORBIDDEN), (plane.account, "ok", {"priority": 1}), content_fallback=True)
    plane.settle()
    assert plane.ask("open").status_code == 200
    assert asked_there(plane) == [FORBIDDEN, "ok"]


@pytest.mark.parametrize("status", [408, 409, 500, 529])
def test_what_passes_elsewhere_is_asked_elsewhere(plane: Any, status: int) -> None:
    assert plane.ask(plane.scenario(f"status:{status}", "ok")).status_code == 200
    assert asked_there(plane) == [f"status:{status}", "ok"]


def test_a_sticky_models_conversations_stay_where_they_are_well(plane: Any) -> None:
    routes = [(plane.account, f"ok:{number}", {"priority": 0}) for number in range(6)]
    plane.world.model("sticky", *routes, sticky=True)
    plane.settle()
    seen = set()
    for conversation in range(12):
        begin = [{"role": "system", "content": "Be short."}, {"role": "user", "content": f"number {conversation}"}]
        messages = list(begin)
        for _ in range(3):
            plane.ask("sticky", messages=messages)
            messages += [{"role": "assistant", "content": "hello"}, {"role": "user", "content": "go on"}]
        (place,) = set(asked_there(plane))
        seen.add(place)
    assert len(seen) > 1, "not all at one place"
    one = {"user": "u-1"}
    for number in range(4):
        plane.ask("sticky", messages=[{"role": "user", "content": f"{number}"}], **one)
    (place,) = set(asked_there(plane))
    for _ in range(CONSECUTIVE):
        health.watch((plane.account.id, place)).failed(Failure.SERVER)
    for number in range(4):
        plane.ask("sticky", messages=[{"role": "user", "content": f"{number}"}], **one)
    (other,) = set(asked_there(plane))
    assert other != place, "it moves, once, and whole"


def test_the_plan_that_served_is_kept(plane: Any) -> None:
    model = plane.scenario("status:500", "ok")
    for _ in range(CONSECUTIVE + 1):
        plane.ask(model)
    plane.ask(plane.scenario("ok", public="alone"))
    *_, first, alone = plane.rows(CONSECUTIVE + 2)
    assert first.plan.startswith("up/ok | out: up/status:500: it failed and rests for ")
    assert alone.plan == "", "there was one place only"
    assert plane.rows()[0].plan == "up/status:500 > up/ok"
    page = client("auditor").get(f"/admin/api/usagerecord/{first.pk}/change/").content.decode()
    assert "left out: up/status:500: it failed and rests" in page
