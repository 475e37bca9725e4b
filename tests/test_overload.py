"""More than a process can do: who is refused, how fast, in whose words, and what goes on (R-REL-22)."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api import memory
from api.pressure import IN_A_ROW, WARY, Lateness
from api.room import room
from tests.crowd import answer, chat, closed, crowd, post
from tests.promises import within

PATHS = {
    "/v1/chat/completions": ("error", "code"),
    "/v1/messages": ("error", "code"),
    "/v1beta/models/m:generateContent": ("error", "status"),
}


def figure(plane: Any, name: str) -> float:
    return float(plane.client.get("/metrics").text.partition(f"\n{name} ")[2].split("\n")[0])


def test_r_rel_22_who_is_refused_is_told_in_five_milliseconds(plane: Any, settings: Any) -> None:
    """In its own dialect, when to come again; the connection serves on, and no row is left."""
    settings.MAX_IN_FLIGHT = 0
    before = figure(plane, "jackfield_requests_shed_total")
    with crowd(plane.gateway.port) as clients:
        for path, names in PATHS.items():
            one = clients.open(post(path, plane.token, b"{}"))
            status, headers, body = answer(one)
            assert (status, headers["x-jackfield-error"], headers["retry-after"]) == (503, "gateway_overloaded", "1")
            assert headers["x-jackfield-request-id"].startswith("req_") and headers["x-jackfield-revision"] != "0"
            said = json.loads(body)[names[0]]
            assert said[names[1]] == ("UNAVAILABLE" if names[1] == "status" else "gateway_overloaded"), said
            one.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert answer(one)[2] == b"ok\n"
        one, request = clients.open(), post("/v1/chat/completions", plane.token, chat("m"))
        for took in within(0.005):
            times = []
            for _ in range(20):
                start = time.perf_counter()
                one.sendall(request)
                assert answer(one)[0] == 503
                times.append(time.perf_counter() - start)
            took.append(statistics.median(times))
    assert figure(plane, "jackfield_requests_shed_total") >= before + 3 + 20
    settings.MAX_IN_FLIGHT = 10
    assert plane.ask(plane.scenario("ok")).status_code == 200
    assert len(plane.rows()) == 1, "a request that was not taken leaves no row"


def test_r_rel_22_the_body_of_a_refused_request_is_no_request(plane: Any, settings: Any) -> None:
    """However it comes in pieces; and what follows it is answered in its turn."""
    inner = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    after = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    whole = post("/v1/chat/completions", plane.token, inner) + after
    head = len(whole) - len(inner) - len(after)
    settings.MAX_IN_FLIGHT = 0
    for cut in (0, head, head + 10, head + len(inner), head + len(inner) + 10):
        with crowd(plane.gateway.port) as clients:
            one = clients.open(whole[:cut])
            time.sleep(0.02)
            one.sendall(whole[cut:])
            got = b""
            while part := one.recv(65536):
                got += part
        assert got.count(b"HTTP/1.1 ") == 2 and b"ok\n" not in got, got
        assert got.startswith(b"HTTP/1.1 503 ") and b'"ready"' in got


def test_r_rel_22_a_refused_request_whose_body_does_not_come_is_closed(
    plane: Any, settings: Any, monkeypatch: Any
) -> None:
    from api.protocol import GuardedProtocol

    monkeypatch.setattr(GuardedProtocol, "linger", 0.1)
    settings.MAX_IN_FLIGHT = 0
    with crowd(plane.gateway.port) as clients:
        one = clients.open(post("/v1/chat/completions", plane.token, b"{}" * 1000)[:-10])
        assert answer(one)[0] == 503
        assert closed(one)


def test_r_rel_22_one_project_does_not_take_all_slots(plane: Any, settings: Any) -> None:
    """Alone it may take nine tenths; then it has its share, and others still come in, up to theirs."""
    settings.MAX_IN_FLIGHT = 20
    model = plane.scenario("hang")
    another = plane.world.token(plane.world.project("another"))
    third = plane.world.token(plane.world.project("third"))
    plane.settle()
    asked = post("/v1/chat/completions", plane.token, chat(model))
    with crowd(plane.gateway.port) as clients:
        for _ in range(18):
            clients.open(asked)
        plane.eventually(lambda: len(plane.upstream.requests) == 18)
        status, headers, body = answer(clients.open(asked))
        assert (status, headers["retry-after"]) == (429, "1")
        assert json.loads(body)["error"]["code"] == headers["x-jackfield-error"] == "project_share_taken"
        clients.open(post("/v1/chat/completions", another, chat(model)))
        clients.open(post("/v1/chat/completions", third, chat(model)))
        plane.eventually(lambda: len(plane.upstream.requests) == 20)
        assert answer(clients.open(post("/v1/chat/completions", third, chat(model))))[0] == 503, "it is full"
        assert figure(plane, "jackfield_requests_over_share_total") >= 1
    plane.eventually(lambda: room.in_hand == 0)
    assert plane.ask(plane.scenario("ok")).status_code == 200
    assert len(plane.rows(21)) == 21, "those that were served, or were cut when their clients left"


def test_r_rel_22_a_loop_is_behind_only_time_after_time() -> None:
    """One long pause is none; after an overload the first sign is enough for a while."""
    lateness = Lateness()
    assert not any(lateness.take(late, 0.25, now) for now, late in enumerate((9.0, 0.0, 9.0, 9.0, 0.2)))
    assert [lateness.take(0.3, 0.25, 10.0 + n) for n in range(IN_A_ROW)] == [False] * (IN_A_ROW - 1) + [True]
    assert not lateness.take(0.1, 0.25, 13.0)
    assert lateness.take(0.3, 0.25, 14.0)
    assert not lateness.take(0.1, 0.25, 14.0 + WARY)
    assert not lateness.take(0.3, 0.25, 15.0 + WARY)
    assert not any(Lateness().take(9.0, 0, float(now)) for now in range(10)), "0 is no limit"


@contextmanager
def busy(gateway: Any, seconds: float) -> Iterator[None]:
    """Each turn of the gateway's loop takes so long."""
    loop, over = gateway.server.loop, threading.Event()

    def turn() -> None:
        time.sleep(seconds)
        if not over.is_set():
            loop.call_soon(turn)

    loop.call_soon_threadsafe(turn)
    try:
        yield
    finally:
        over.set()


def test_r_rel_22_a_process_that_is_behind_takes_no_more(plane: Any, settings: Any) -> None:
    """Probes and what is cheap are answered all the same, and it recovers by itself."""
    settings.MAX_LAG = 0.02
    model = plane.scenario("ok")
    with busy(plane.gateway, 0.15):
        plane.eventually(lambda: room.full)
        refused = plane.ask(model)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error"]["code"] == "gateway_overloaded"
        assert plane.client.get("/v1/models").status_code == 200
        figures = plane.client.get("/metrics").text
        assert "\njackfield_overloaded 1\n" in figures
        assert float(figures.partition("\njackfield_loop_late_seconds ")[2].split("\n")[0]) > 0.02
    plane.eventually(lambda: not room.full)
    settings.MAX_LAG = 0.25
    assert plane.ask(model).status_code == 200
    assert len(plane.upstream.requests) == 1


@pytest.fixture
def tight(settings: Any, monkeypatch: Any) -> Callable[[float], None]:
    """Make so much of the memory that there may be used; by this process, which really uses it."""

    def set_to(share: float) -> None:
        memory.give_back()
        settings.MEMORY_LIMIT = int(memory.resident() / share)

    monkeypatch.setattr("api.pressure.GIVE_BACK_EVERY", 1e9)
    return set_to


def test_r_rel_22_a_process_that_is_short_of_memory_takes_few(
    plane: Any, settings: Any, tight: Any, monkeypatch: Any
) -> None:
    model = plane.scenario("ok")
    assert plane.ask(model).status_code == 200
    tight(0.925)
    plane.eventually(lambda: figure(plane, "jackfield_memory_used_ratio") > 0.9)
    assert plane.ask(model).status_code == 200, "or it would never serve again, should none come back"
    monkeypatch.setattr("api.room.FEW", 0)
    assert plane.ask(model).status_code == 503
    settings.MEMORY_LIMIT = 0
    plane.eventually(lambda: not room.full)
    assert plane.ask(model).status_code == 200


def test_r_rel_22_where_memory_runs_out_the_largest_request_is_ended(plane: Any, settings: Any, tight: Any) -> None:
    """Told where its client listens, dropped where it does not read; the row says why, and small ones go on."""
    hang, drip, flood = plane.scenario("hang"), plane.scenario("drip:0.05"), plane.scenario("flood:64")
    large, already = "x" * 4_000_000, plane.upstream.open
    with crowd(plane.gateway.port) as clients:
        small = clients.open(post("/v1/chat/completions", plane.token, chat(drip, stream=True)))
        waiting = clients.open(post("/v1/chat/completions", plane.token, chat(hang, text=large)))
        streaming = clients.open(post("/v1/chat/completions", plane.token, chat(drip, stream=True, text=large)))
        deaf = clients.open(
            post("/v1/chat/completions", plane.token, chat(flood, stream=True, text=large)), receive_buffer=4096
        )
        plane.eventually(lambda: len(plane.upstream.requests) == 4 and streaming.recv(1))
        time.sleep(0.1)
        tight(0.97)
        status, headers, body = answer(waiting)
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(body)["error"]["code"] == headers["x-jackfield-error"] == "gateway_memory"
        got = b""
        while not got.endswith(b"0\r\n\r\n"):
            got += streaming.recv(65536)
        assert b'"gateway_memory"' in got and b"[DONE]" not in got
        assert closed(deaf)
        plane.eventually(lambda: room.in_hand == 1)
        assert small.recv(65536), "who holds little goes on"
        settings.MEMORY_LIMIT = 0
        plane.eventually(lambda: plane.upstream.open == already + 1)
    rows = plane.rows(4)
    ended = [row for row in rows if row.error_code == "gateway_memory"]
    assert len(ended) == 3 and {(row.outcome, row.fault, row.status) for row in ended} == {("error", "gateway", 503)}
    assert [row.outcome for row in rows if row not in ended] == ["client_gone"]


def test_r_rel_22_the_limit_of_a_control_group_is_found(tmp_path: Path) -> None:
    """Of both versions, also above the group of the process, and where a container shows the host's path."""

    def write(folder: Path, **files: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)

    two, inside = tmp_path / "two", tmp_path / "two" / "a" / "b"
    write(two / "a", memory__max="1000\n", memory__current="950\n", memory__stat="anon 500\ninactive_file 150\n")
    write(inside, memory__max="max\n", memory__current="900\n", memory__stat="inactive_file 0\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/a/b\n")
    found = memory.group(two, membership)
    assert found is not None and found.share() == 0.8, "what the kernel may drop is not in use"
    one = tmp_path / "one"
    write(
        one / "memory",
        memory__limit_in_bytes="1000",
        memory__usage_in_bytes="700",
        memory__stat="total_inactive_file 0",
    )
    membership.write_text("5:cpu:/x\n4:memory:/of/the/host\n0::/\n")
    found = memory.group(one, membership)
    assert found is not None and found.share() == 0.7
    write(one / "memory", memory__limit_in_bytes=str((1 << 63) - 4096))
    assert memory.group(one, membership) is None
    assert memory.group(tmp_path / "none", tmp_path / "none") is None
    assert memory.share_of(0, None) == 0.0 and memory.share_of(memory.resident() * 2, None) == pytest.approx(0.5, 0.2)
