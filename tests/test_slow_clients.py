"""Clients that are slow, silent or many: what they cost, and when they are let go (R-REL-23)."""

from __future__ import annotations

import gc
import json
import time
from typing import Any

import aiohttp
import pytest

from api.connections import connections
from api.protocol import GuardedProtocol
from tests.crowd import Crowd, answer, chat, closed, crowd, narrow, post

HEALTHZ = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


def test_r_rel_23_a_slow_reader_holds_at_most_256_kib(plane: Any) -> None:
    """Unsent bytes and those that the engine holds; its upstream has to wait for it."""
    asked = post("/v1/chat/completions", plane.token, chat(plane.scenario("flood:64"), stream=True))

    def held() -> int:
        unsent = sum(one.holds() for one in tuple(connections._all))
        unread = sum(one._size for one in gc.get_objects() if isinstance(one, aiohttp.StreamReader))
        return unsent + unread

    readers = 8
    with crowd(plane.gateway.port) as clients:
        for _ in range(readers):
            clients.open(asked, receive_buffer=4096)
        plane.eventually(lambda: held() > readers * 16 * 1024)
        most, end = 0, time.monotonic() + 0.7
        while time.monotonic() < end:
            most = max(most, held())
            time.sleep(0.02)
        # A piece on its way from the one to the other is in neither.
        assert most / readers + 48 * 1024 <= 256 * 1024, most / readers
        assert plane.ask(plane.scenario("ok")).status_code == 200
    plane.eventually(lambda: not len(connections) or held() == 0)


def test_r_rel_23_a_trickled_body_is_closed_and_one_that_keeps_up_is_not(plane: Any, monkeypatch: Any) -> None:
    """After a grace it must come at 1 KiB a second; here a tenth of that, after a tenth of a second."""
    from api import body

    monkeypatch.setattr(body, "GRACE", 0.2)
    monkeypatch.setattr(body, "SLOWEST", 1024.0)
    monkeypatch.setattr(GuardedProtocol, "linger", 0.1)
    request = post("/v1/chat/completions", plane.token, chat(plane.scenario("ok"), text="x" * 1500))
    head = len(request) - 1500
    with crowd(plane.gateway.port) as clients:
        good, slow = clients.open(request[:head]), clients.open(request[:head])
        for n in range(0, 1500, 300):  # 6 kB a second, and 200 bytes
            time.sleep(0.05)
            good.sendall(request[head + n : head + n + 300])
            slow.sendall(request[head + n // 30 : head + n // 30 + 10])
        assert answer(good)[0] == 200
        status, headers, said = answer(slow)
        assert (status, headers["x-jackfield-error"]) == (408, "body_timeout")
        assert json.loads(said)["error"]["code"] == "body_timeout"
        assert closed(slow)
    assert len(plane.upstream.requests) == 1


def test_r_rel_23_at_the_limit_who_waits_longest_makes_room(plane: Any, settings: Any) -> None:
    """Whether it is silent or trickles; who has a request in hand stays."""
    hang = post("/v1/chat/completions", plane.token, chat(plane.scenario("hang")))
    before = len(connections)
    settings.MAX_CONNECTIONS = 64 + before
    with crowd(plane.gateway.port) as clients:
        busy = clients.open(hang)
        plane.eventually(lambda: plane.upstream.requests)
        waiting = [clients.open(b"GET / HTTP/1.1\r\nx-a: b\r\n" if n % 2 else b"") for n in range(62)]
        plane.eventually(lambda: len(connections) == before + 63)
        waiting[0].sendall(HEALTHZ)
        assert answer(waiting[0])[0] == 200
        newcomers = [clients.open() for _ in range(3)]
        for one in newcomers:
            one.sendall(HEALTHZ)
            assert answer(one)[0] == 200
        # The client of the fixture waits too, and longer than any of these.
        plane.eventually(lambda: len(connections) <= 64 + before)
        gone = [n for n, one in enumerate(waiting) if _hung_up(one)]
        assert gone and 0 not in gone and gone == list(range(1, 1 + len(gone))), gone
        assert not _hung_up(busy)


def _hung_up(one: Any) -> bool:
    one.settimeout(0.01)
    return closed(one)


def test_r_rel_23_with_no_room_at_all_probes_are_still_answered(plane: Any, settings: Any) -> None:
    """An orchestrator that gets no answer would restart a process that is merely busy."""
    request = post("/v1/chat/completions", plane.token, chat(plane.scenario("hang")))
    plane.client.close()
    plane.eventually(lambda: not len(connections))
    settings.MAX_CONNECTIONS = 64
    with crowd(plane.gateway.port) as clients:
        for _ in range(64):
            clients.open(request)
        plane.eventually(lambda: len(plane.upstream.requests) == 64, 20)
        extra = clients.open(HEALTHZ)
        assert answer(extra)[2] == b"ok\n"
        extra.sendall(request)
        status, headers, _ = answer(extra)
        assert (status, headers["x-jackfield-error"]) == (503, "gateway_overloaded")
        assert (headers["retry-after"], headers["connection"]) == ("1", "close")
        assert closed(extra)
        further = [clients.open() for _ in range(80)]
        plane.eventually(lambda: len(connections) <= 64 + 64)
        assert any(_hung_up(one) for one in further)
        assert len(plane.upstream.requests) == 64


def test_r_rel_23_a_flood_of_requests_behind_one_another_is_cut(plane: Any) -> None:
    """A few may wait, and are answered in their order; thousands would fill the memory from one packet."""
    hang = post("/v1/chat/completions", plane.token, chat(plane.scenario("hang")))
    with crowd(plane.gateway.port) as clients:
        one = clients.open(HEALTHZ * 16)
        assert [answer_of_many(one) for _ in range(16)] == [b"ok\n"] * 16
        assert closed(clients.open(hang + HEALTHZ * 5000))
        assert closed(clients.open(HEALTHZ * 5000))
    plane.eventually(lambda: all(seen.gone_at for seen in plane.upstream.requests))
    assert plane.client.get("/healthz").status_code == 200


_rest: dict[Any, bytes] = {}


def answer_of_many(one: Any) -> bytes:
    """The body of the next of several answers that may come at once."""
    got = _rest.pop(one, b"")
    while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < 3:
        got += one.recv(65536)
    body = got.partition(b"\r\n\r\n")[2]
    _rest[one] = body[3:]
    return body[:3]


def test_r_rel_23_stray_bytes_do_not_keep_a_refused_connection(plane: Any, settings: Any, monkeypatch: Any) -> None:
    """After a refusal from the protocol as after any answer: they count as the beginning of a request."""
    monkeypatch.setattr(GuardedProtocol, "header_deadline", 0.3)
    settings.MAX_IN_FLIGHT = 0
    with crowd(plane.gateway.port) as clients:
        one = clients.open(post("/v1/chat/completions", plane.token, chat("m")))
        assert answer(one)[0] == 503
        time.sleep(0.5)
        one.sendall(HEALTHZ)
        assert answer(one)[0] == 200, "it may wait for longer than a head may take"
        one.sendall(post("/v1/chat/completions", plane.token, chat("m")))
        assert answer(one)[0] == 503
        assert trickle_ends(clients, one)


def trickle_ends(clients: Crowd, one: Any) -> bool:
    one.settimeout(0.05)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            one.sendall(b"\r\n")
            if one.recv(10) == b"":
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def stays(held: Any) -> bool:
    """Whether what is unsent is not merely on its way."""
    time.sleep(0.02)
    found = held.holds()
    time.sleep(0.02 * bool(found))
    return bool(found and held.holds() == found)


def unread(plane: Any, clients: Crowd, number: int) -> list[Any]:
    """Clients that leave refusals unread, too little for the gateway to wait for them; its connections with those."""
    narrow(plane.gateway)
    open_now = plane.gateway.server.server_state.connections
    before = set(open_now)
    request = post("/v1/chat/completions", "nobody", chat("m"))
    there = []
    for n in range(number):
        one = clients.open(receive_buffer=4096)
        (held,) = plane.eventually(lambda n=n: len(found := open_now - before) == n + 1 and found - set(there))
        while not stays(held):
            one.sendall(request)
        there.append(held)
    assert all(0 < held.holds() < GuardedProtocol.most_unsent and not held.flow.write_paused for held in there)
    return there


def test_r_rel_23_who_made_room_does_not_stay_for_what_it_leaves_unread(
    plane: Any, settings: Any, monkeypatch: Any
) -> None:
    """A close waits until all is sent: a few may take their last answers, and the next one ends the first of them."""
    monkeypatch.setattr("api.connections._LEAVING", 2)
    plane.client.close()
    plane.eventually(lambda: not len(connections))
    settings.MAX_CONNECTIONS = 8
    open_now = plane.gateway.server.server_state.connections
    with crowd(plane.gateway.port) as clients:
        slow = unread(plane, clients, 8)
        for _ in range(8):
            assert answer(clients.open(HEALTHZ))[0] == 200
        plane.eventually(lambda: len(open_now) <= 8 + 2)
        assert len(connections) == len(open_now), "who is on the way out counts until it is gone"
        assert open_now >= set(slow[-2:])


@pytest.mark.parametrize("why", ["it waited", "its request never ended", "it was refused"])
def test_r_rel_23_what_is_closed_is_gone_in_time_though_its_answer_is_unread(
    plane: Any, monkeypatch: Any, why: str
) -> None:
    monkeypatch.setattr(GuardedProtocol, "stall_deadline", 0.3)
    monkeypatch.setattr(GuardedProtocol, "header_deadline", 0.5 if why == "its request never ended" else 10.0)
    if why == "it waited":
        monkeypatch.setattr(plane.gateway.server.config, "timeout_keep_alive", 0.5)
    open_now = plane.gateway.server.server_state.connections
    with crowd(plane.gateway.port) as clients:
        (held,) = unread(plane, clients, 1)
        (one,) = clients._sockets
        if why == "its request never ended":
            one.sendall(b"GET / HT")
        elif why == "it was refused":
            one.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plane.eventually(lambda: held not in open_now, 3)
