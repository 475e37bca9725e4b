"""Upstreams that break HTTP, TLS or their word, through the gateway: each has its code, and the next one serves."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from providers import transport
from providers.engine import tls_context
from providers.limits import PASSING
from routing.health import health
from tests.faults.upstream import completion
from tests.wires import Upstream as Bytes
from tests.wires import answering, gone

pytestmark = pytest.mark.django_db(transaction=True)

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ANSWER = completion("served")


def whole(body: bytes = ANSWER, *more: bytes) -> bytes:
    return HEAD + b"".join(line + b"\r\n" for line in more) + b"content-length: %d\r\n\r\n" % len(body) + body


class Rude:
    """Upstreams at the level of bytes, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.servers: list[Bytes] = []

    def serve(self, script: Any, tls: ssl.SSLContext | None = None) -> Bytes:
        server = Bytes(script)
        server.tls = tls  # type: ignore[attr-defined]  # read where it listens
        asyncio.run_coroutine_threadsafe(server.__aenter__(), self._loop).result(5)
        self.servers.append(server)
        return server

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        for server in self.servers:
            server.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def rude() -> Iterator[Rude]:
    made = Rude()
    yield made
    made.stop()


@pytest.fixture
def leads(plane: Any) -> Callable[..., str]:
    """A model whose first route leads to this URL; `then`: it has a second one, to an upstream that serves."""

    def make(url: str, *, then: bool = True, **timeouts: float) -> str:
        health.clear()
        number = len(made)
        made.append(url)
        account = plane.world.account(
            f"rude-{number}", url, keys=(f"rude-key-{number}",), private_network=True, timeouts=timeouts
        )
        routes = [(account, "x"), *([(plane.account, "ok")] if then else [])]
        plane.world.model(f"rude-model-{number}", *routes)
        plane.settle()
        return f"rude-model-{number}"

    made: list[str] = []
    return make


def told(plane: Any, model: str) -> tuple[int, str, float]:
    """Status, code and seconds of one request."""
    began = time.monotonic()
    answer = plane.ask(model)
    return answer.status_code, answer.headers.get("x-jackfield-error", ""), time.monotonic() - began


def verdicts(plane: Any, number: int) -> list[str]:
    return [attempt.get("verdict", "") for row in plane.rows(number) for attempt in row.attempt_log]


# --- before a byte is sent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [False, True])
def test_r_rel_02_a_name_that_does_not_resolve(plane: Any, leads: Any, monkeypatch: Any, slow: bool) -> None:
    real, over = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        if "nowhere" not in str(host):
            return real(host, *rest, **more)
        if slow:
            over.wait(20)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("providers.resolving.LOOKUP_DEADLINE", 0.3)
    url = f"http://nowhere-{slow}.example/v1"
    try:
        assert told(plane, leads(url, then=False))[:2] == (502, "upstream_dns")
        status, _, seconds = told(plane, leads(url))
        assert status == 200 and seconds < 2.8, "a look-up may take 3 s"
        assert verdicts(plane, 2) == ["upstream_dns", "upstream_dns", ""]
    finally:
        over.set()


@pytest.fixture
def trusted(monkeypatch: Any) -> trustme.CA:
    """An authority that the gateway trusts; every name of `vendor.example` is this machine."""
    authority, real = trustme.CA(), socket.getaddrinfo
    made = tls_context()  # of its own: it trusts more than others do
    authority.configure_trust(made)
    monkeypatch.setattr(transport, "shared_tls_context", lambda: made)

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith("vendor.example") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return authority


def test_r_rel_03_a_certificate_that_nobody_vouches_for(
    trusted: trustme.CA, plane: Any, leads: Any, rude: Rude
) -> None:
    past, day = datetime(2020, 1, 1, tzinfo=UTC), timedelta(days=1)
    certificates = {
        "good": trusted.issue_cert("api.vendor.example"),
        "expired": trusted.issue_cert("api.vendor.example", not_before=past, not_after=past + day),
        "of another name": trusted.issue_cert("vendor.example"),
        "not valid yet": trusted.issue_cert("api.vendor.example", not_before=datetime.now(UTC) + day),
        "self-signed": trustme.CA().issue_cert("api.vendor.example"),
    }
    for kind, certificate in certificates.items():
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(tls)
        server = rude.serve(answering(whole()), tls)
        url = f"https://api.vendor.example:{server.port}/v1"
        if kind == "good":
            assert told(plane, leads(url, then=False))[:2] == (200, "")
            continue
        assert told(plane, leads(url, then=False))[:2] == (502, "upstream_tls"), kind
        status, _, seconds = told(plane, leads(url))
        assert status == 200 and seconds < 10, kind
        assert server.requests == [], "nothing is said without a certificate"
    assert verdicts(plane, 9) == ["", *["upstream_tls", "upstream_tls", ""] * 4]


def test_r_rel_03_a_handshake_that_does_not_end(plane: Any, leads: Any, rude: Rude) -> None:
    kind = ""

    async def script(upstream: Any, reader: Any, writer: Any) -> None:
        if kind == "hangs up":
            await reader.read(100)
            raise ConnectionError
        if kind == "speaks plainly":
            writer.write(whole())
        await gone(reader)

    url = f"https://127.0.0.1:{rude.serve(script).port}/v1"
    stalled, failed = (504, "upstream_tls_timeout"), (502, "upstream_tls")
    for kind, expected in {"stalls": stalled, "hangs up": failed, "speaks plainly": failed}.items():
        limit = {"connect": 0.3} if kind == "stalls" else {}
        assert told(plane, leads(url, then=False, **limit))[:2] == expected, kind
        status, _, seconds = told(plane, leads(url, **limit))
        assert status == 200 and seconds < 4.5, "the connection alone may take 5 s"
    first, later = "upstream_tls_timeout", "upstream_tls"
    assert verdicts(plane, 6) == [first, first, "", *[later, later, ""] * 2]


# --- no first byte --------------------------------------------------------------------------------------------------


def test_r_rel_04_no_first_byte(plane: Any) -> None:
    """504, or the next one, as soon as the limit is over; the upstream is let go. Without it: 60 s."""
    status, code, seconds = told(plane, plane.scenario("hang", first_byte=0.3))
    assert (status, code) == (504, "upstream_timeout") and 0.3 <= seconds < 5
    status, _, seconds = told(plane, plane.scenario("hang", "ok", first_byte=0.3))
    assert status == 200 and 0.3 <= seconds < 5
    hung = [seen for seen in plane.upstream.requests if seen.json["model"] == "hang"]
    assert len(hung) == 2
    plane.eventually(lambda: all(seen.gone_at for seen in hung))
    assert all(seen.gone_at - seen.at < 5 for seen in hung), "a busy machine adds its own"


# --- limits ---------------------------------------------------------------------------------------------------------


def test_r_rel_09_nobody_waits_in_the_gateway(plane: Any) -> None:
    status, code, seconds = told(plane, plane.scenario(f"limited:all:ra-{PASSING:.0f}"))
    assert (status, code) == (429, "upstream_rate_limit") and seconds < 5


# --- answers that are none ------------------------------------------------------------------------------------------

CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
ODD = {
    "http 1.0": (HEAD.replace(b"1.1", b"1.0") + b"\r\n" + ANSWER, ""),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + whole(), ""),
    "trailers": (CHUNKED + b"%x\r\n%s\r\n0\r\nx-sum: 1\r\n\r\n" % (len(ANSWER), ANSWER), ""),
    "chunk extensions": (CHUNKED + b"%x;a=b\r\n%s\r\n0;c\r\n\r\n" % (len(ANSWER), ANSWER), ""),
    "gzip": (whole(gzip.compress(ANSWER), b"content-encoding: gzip"), ""),
    "deflate": (whole(zlib.compress(ANSWER), b"content-encoding: deflate"), ""),
    "switching": (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nx", "upstream_error"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "upstream_bad_answer"),
    "a part": (whole(ANSWER[:40]).replace(b"200 OK", b"206 Partial Content"), "upstream_bad_answer"),
    "redirect": (b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n", "upstream_redirect"),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n", "upstream_redirect"),
    "too short": (whole()[:-9], "upstream_protocol"),
    "too long": (whole() + b"more", "upstream_protocol"),
    "two lengths": (whole(ANSWER, b"content-length: 3"), "upstream_protocol"),
    "length and chunks": (whole(ANSWER, b"transfer-encoding: chunked"), "upstream_protocol"),
    "no http": (ANSWER, "upstream_protocol"),
    "many headers": (HEAD + b"x: y\r\n" * 5000 + b"\r\n" + ANSWER, "upstream_protocol"),
    "long header": (HEAD + b"x: " + b"y" * 200_000 + b"\r\n\r\n" + ANSWER, "upstream_protocol"),
    "many trailers": (CHUNKED + b"1\r\n{\r\n0\r\n" + b"x: y\r\n" * 5000, "upstream_protocol"),
    "bad chunk": (CHUNKED + b"zz\r\n{\r\n0\r\n\r\n", "upstream_protocol"),
    "brotli": (whole(b"\x0b\x02\x80{}\x03", b"content-encoding: br"), "upstream_protocol"),
    "gzip twice": (whole(gzip.compress(gzip.compress(ANSWER)), b"content-encoding: gzip, gzip"), "upstream_protocol"),
    "half a gzip": (whole(gzip.compress(ANSWER)[:-6], b"content-encoding: gzip"), "upstream_protocol"),
    "announced": (HEAD + b"content-length: 99999999999\r\n\r\n", "upstream_too_large"),
}


@pytest.mark.parametrize("streamed", [False, True])
def test_r_rel_11_odd_answers_are_taken_and_bad_ones_have_their_code(
    plane: Any, leads: Any, rude: Rude, streamed: bool
) -> None:
    """And where one is bad the next upstream serves; no connection is left behind."""
    said = iter(())

    async def script(upstream: Any, reader: Any, writer: Any) -> None:
        request = await upstream.request(reader)
        assert b"accept-encoding: identity\r\n" in request.lower()
        writer.write(next(said))
        await writer.drain()
        raise ConnectionError

    url = f"http://127.0.0.1:{rude.serve(script).port}/v1"
    alone, two = leads(url, then=False), leads(url)
    more = {"stream": True} if streamed else {}
    for name, (reply, code) in ODD.items():
        said = iter((reply, reply))
        health.clear()
        answer = plane.ask(alone, **more)
        status = 504 if "timeout" in code else 502 if code else 200
        assert (answer.status_code, answer.headers.get("x-jackfield-error", "")) == (status, code), name
        assert code or "served" in answer.text, name
        health.clear()
        answer = plane.ask(two, **more)
        assert answer.status_code == 200, name
        assert answer.headers["x-jackfield-attempts"] == ("2" if code else "1"), name
    assert "\njackfield_upstream_in_use 0\n" in plane.client.get("/metrics").text


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("kind", ["deflate", "endless"])
def test_r_rel_11_a_bomb_costs_no_more_than_twice_the_cap(
    plane: Any, leads: Any, rude: Rude, kind: str, monkeypatch: Any
) -> None:
    cap = 16 * 1024 * 1024
    plane.ask(plane.scenario("ok"))
    for one in list(transport._by_loop.values()):
        monkeypatch.setattr(one, "_max_body", cap)
    zeros = zlib.compress(b'{"x":"' + b"0" * 60_000_000)

    async def script(upstream: Any, reader: Any, writer: Any) -> None:
        await upstream.request(reader)
        if kind == "endless":
            writer.write(CHUNKED)
            while True:
                writer.write(b"10000\r\n%s\r\n" % (b"0" * 0x10000))
                await writer.drain()
        writer.write(whole(zeros, b"content-encoding: " + kind.encode()))

    url = f"http://127.0.0.1:{rude.serve(script).port}/v1"
    model = leads(url, then=False)
    before, most, over = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert told(plane, model)[:2] == (502, "upstream_too_large")
    finally:
        over.set()
        watcher.join()
    assert most - before < 2 * cap
