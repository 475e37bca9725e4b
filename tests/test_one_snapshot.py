"""A configuration that changes while requests are served: each is answered by one revision from start to end, and an
old one lives no longer than its last request (R-REL-16)."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import msgspec

from routing.models import Route
from routing.snapshot import ModelEntry, Snapshot
from routing.store import store
from tests.crowd import answer, chat, crowd, post

OTHER_KEY = "upstream-key-of-the-other"


def test_r_rel_16_a_remap_never_mixes_two_revisions(plane: Any, monkeypatch: Any) -> None:
    """Model, account and key of a request are those of the revision that its row and its answer name."""
    other = plane.world.account("other", plane.upstream.url, keys=(OTHER_KEY,), private_network=True)
    places = {("up", "ok:a"): plane.account, ("other", "ok:b"): other}
    model = plane.scenario("ok:a", public="patched")
    route = Route.objects.get(model__name=model)
    served: dict[int, tuple[str, str]] = {}
    take = store._take

    def note(snapshot: Snapshot, *rest: Any) -> None:
        (entry,) = snapshot.models["patched"].routes
        served[snapshot.revision] = snapshot.accounts[entry.account_id].name, entry.upstream_model
        take(snapshot, *rest)

    served[store.current.revision] = ("up", "ok:a")
    monkeypatch.setattr(store, "_take", note)
    over, answers = threading.Event(), []

    def load() -> None:
        with crowd(plane.gateway.port) as clients:
            one, request = clients.open(), post("/v1/chat/completions", plane.token, chat(model))
            while not over.is_set():
                one.sendall(request)
                answers.append(answer(one))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(16):
        (_, name), account = list(places.items())[(n + 1) % 2]
        Route.objects.get(pk=route.pk)
        route.account, route.upstream_model = account, name
        route.save()
        time.sleep(0.05)
    over.set()
    for thread in threads:
        thread.join(10)
    rows = plane.rows(len(answers))
    assert len(rows) == len(answers) > 50
    by_id = {row.request_id: row for row in rows}
    seen = set()
    for status, headers, body in answers:
        row = by_id[headers["x-jackfield-request-id"]]
        assert status == 200 and row.revision == int(headers["x-jackfield-revision"])
        account, upstream_model = served[row.revision]
        assert (row.account, row.upstream_model) == (account, upstream_model)
        assert headers["x-jackfield-route"] == f"{account}/{upstream_model}"
        key = msgspec.json.decode(body)["choices"][0]["message"]["content"]
        assert (key == OTHER_KEY) is (account == "other"), "the key is its account's, as that revision has it"
        seen.add((row.revision, account))
    assert len(seen) > 5 and len({account for _, account in seen}) == 2
    sent = {
        (one.json["model"], one.headers["authorization"] == f"Bearer {OTHER_KEY}") for one in plane.upstream.requests
    }
    assert sent == {("ok:a", False), ("ok:b", True)}, "nothing else reached an upstream"


def test_r_rel_16_a_request_under_way_ends_as_it_began(plane: Any) -> None:
    """Its second attempt too, though the route it takes was re-patched meanwhile."""
    model = plane.scenario("hang", "ok:old", public="fails-over", first_byte=0.6)
    before = store.current.revision
    with crowd(plane.gateway.port) as clients:
        one = clients.open(post("/v1/chat/completions", plane.token, chat(model)))
        plane.eventually(lambda: plane.upstream.requests)
        route = Route.objects.get(model__name=model, upstream_model="ok:old")
        route.upstream_model = "ok:new"
        route.save()
        plane.settle()
        assert plane.upstream.requests[-1].json["model"] == "hang", "still the first attempt"
        status, headers, _ = answer(one)
    assert (status, headers["x-jackfield-route"]) == (200, "up/ok:old")
    assert int(headers["x-jackfield-revision"]) == before < store.current.revision
    (row,) = plane.rows()
    assert (row.revision, row.upstream_model, row.attempts) == (before, "ok:old", 2)
    assert plane.ask(model).headers["x-jackfield-route"] == "up/ok:new"


def alive() -> list[int]:
    return sorted(one.revision for one in gc.get_objects() if isinstance(one, Snapshot))


def test_r_rel_16_ten_thousand_publishes_leak_nothing(plane: Any, monkeypatch: Any) -> None:
    """Without the collector's help: nothing but a request holds an old snapshot, also one that has served."""
    model, slow = plane.scenario("ok"), plane.scenario("hang", total=60.0)
    base = store.current
    asyncio.run_coroutine_threadsafe(store.stop(), plane.gateway.server.loop).result(5)
    gc.collect()
    others = len(alive()) - 1
    gc.disable()
    try:
        with crowd(plane.gateway.port) as clients:
            for n in range(1, 10_001):
                entry = base.models[model]
                table: dict[str, ModelEntry] = {
                    **base.models,
                    model: msgspec.structs.replace(entry, description=str(n)),
                }
                store.install(msgspec.structs.replace(base, revision=base.revision + n, models=table, memo={}))
                if n % 250 == 0:
                    assert plane.ask(model).headers["x-jackfield-revision"] == str(base.revision + n)
                if n == 5000:
                    clients.open(post("/v1/chat/completions", plane.token, chat(slow)))
                    plane.eventually(lambda: plane.upstream.requests[-1].json["model"] == "hang")
            del entry, table
            held = {base.revision, base.revision + 5000, base.revision + 10_000}
            plane.eventually(lambda: set(alive()) >= held and len(alive()) <= len(held) + others)
        plane.eventually(lambda: len(alive()) <= 2 + others)  # it went with its last request
    finally:
        gc.enable()
