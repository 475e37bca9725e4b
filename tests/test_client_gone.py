"""A client that left: the upstream is closed at once, one row says so, and nothing is lost for those who come after."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import pytest

from api.protocol import GuardedProtocol
from api.room import room
from routing.health import health
from tests.crowd import chat, crowd, narrow, post
from tests.promises import within

pytestmark = pytest.mark.django_db(transaction=True)


def send(plane: Any, model: str, *, stream: bool) -> socket.socket:
    """One request on a socket of its own, answered or not."""
    body = json.dumps({"model": model, "stream": stream, "messages": []}).encode()
    connection = socket.create_connection(("127.0.0.1", plane.gateway.port))
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s" % (plane.token.encode(), len(body), body)
    )
    return connection


@pytest.mark.parametrize(
    ("scenario", "stream"),
    [("hang", False), ("half", False), ("hang", True), ("drip:0.05", True), ("drip:30", True)],
    ids=["buffered before the first byte", "buffered after it", "stream before it", "stream", "silent stream"],
)
def test_the_upstream_is_closed_within_250_ms(plane: Any, scenario: str, stream: bool) -> None:
    """R-REL-18."""
    model, asked = plane.scenario(scenario), plane.upstream.requests
    for took in within(0.25):
        number = len(took)
        connection = send(plane, model, stream=stream)
        plane.eventually(lambda number=number: len(asked) > number)
        time.sleep(0.15)
        left = time.monotonic()
        connection.close()
        took.append(plane.eventually(lambda number=number: asked[number].gone_at) - left)
    rows = plane.rows(len(took))
    for row in rows:
        assert (row.outcome, row.status, row.attempts) == ("client_gone", 499, 1)
        assert row.total_us is not None
    time.sleep(0.05)
    assert len(plane.rows()) == len(took), "one row each"


def test_a_client_that_leaves_while_sending_its_body(plane: Any) -> None:
    connection = socket.create_connection(("127.0.0.1", plane.gateway.port))
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %s\r\ncontent-length: 1000\r\n\r\n{" % plane.token.encode()
    )
    time.sleep(0.1)
    connection.close()
    (row,) = plane.rows()
    assert row.outcome == "client_gone"
    assert not plane.upstream.requests


@pytest.mark.parametrize("how", ["it leaves", "it stalls"])
def test_a_client_that_is_gone_before_its_stream_could_begin(plane: Any, monkeypatch: Any, how: str) -> None:
    """What it asked for before fills its connection: the stream's headers wait until nobody is there to read them."""
    if how == "it stalls":
        monkeypatch.setattr(GuardedProtocol, "stall_deadline", 0.3)
    model = plane.scenario("drip:0.05")
    place = (plane.account.id, "drip:0.05")
    large = b"GET /v1/openapi.json HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\n\r\n"
    asked = post("/v1/chat/completions", plane.token, chat(model, stream=True))
    narrow(plane.gateway)
    with crowd(plane.gateway.port) as clients:
        one = clients.open(receive_buffer=4096)
        one.sendall(large % plane.token.encode() + asked)
        plane.eventually(lambda: health.in_flight(place) == 1)
        plane.eventually(lambda: plane.upstream.requests)
        if how == "it leaves":
            time.sleep(0.15)
            one.close()
        (row,) = plane.rows()
    assert (row.outcome, row.status, row.attempts) == ("client_gone", 499, 1)
    plane.eventually(lambda: plane.upstream.requests[0].gone_at)
    assert (room.in_hand, health.in_flight(place)) == (0, 0)


@pytest.mark.slow
def test_three_thousand_cancels_leave_the_pool_whole(plane: Any) -> None:
    """The cancel-churn gate: after 3,000 clients that left at every stage, every later request succeeds."""
    from api import journal

    models = [plane.scenario("hang"), plane.scenario("half"), plane.scenario("drip:0.05"), plane.scenario("ok")]
    host = ("127.0.0.1", plane.gateway.port)
    requests = []
    for number, model in enumerate(models):
        body = json.dumps({"model": model, "stream": number == 2, "messages": []}).encode()
        requests.append(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer %s\r\ncontent-length: %d\r\n\r\n%s" % (plane.token.encode(), len(body), body)
        )

    async def leave(number: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            _, writer = await asyncio.open_connection(*host)
            writer.write(requests[number % 4])
            await asyncio.sleep((number % 7) * 0.002)
            writer.transport.abort()

    async def churn() -> None:
        gate = asyncio.Semaphore(100)
        await asyncio.gather(*(leave(number, gate) for number in range(3_000)))

    asyncio.run(churn())
    plane.eventually(lambda: room.in_hand == 0 and not len(journal.current().inflight), 60)
    assert all(plane.ask(models[3]).status_code == 200 for _ in range(100))
    metrics = plane.client.get("/metrics").text
    assert "jackfield_upstream_in_use 0" in metrics
    assert "jackfield_requests_active 0" in metrics
    plane.eventually(lambda: plane.upstream.open <= 101, 30)  # what idles in the pool, none of it in use
    assert plane.ask(models[3]).headers["x-jackfield-attempts"] == "1"
