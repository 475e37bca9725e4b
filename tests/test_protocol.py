"""What the HTTP layer refuses, byte by byte (R-HTTP-02, R-REL-23)."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

import pytest

from api.protocol import GuardedProtocol

HOST = b"host: localhost\r\n"


def talk(gateway: Any, data: bytes, *, wait: float = 2.0) -> bytes:
    """Send raw bytes and read until the server closes or falls silent."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=wait) as connection:
        connection.sendall(data)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
        return answer


def one_answer(connection: socket.socket) -> bytes:
    """A whole answer of a connection that stays open, in however many pieces it comes."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "head",
    [
        HOST + b"content-length: 2\r\ntransfer-encoding: chunked\r\n",
        HOST + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n",
        HOST + b"content-length: 2\r\ncontent-length: 2\r\n",
        HOST + b"content-length: 2\r\ncontent-length: 3\r\n",
        HOST + HOST,
        HOST + b"host: other\r\n",
        b"accept: */*\r\n",
        HOST + b"x_api_key: a\r\n",
        HOST + b"content_length: 2\r\n",
        HOST + b"x-forwarded_for: a\r\n",
        HOST + b"authorization: a\r\nauthorization: b\r\n",
        HOST + b"x-a: b\x00c\r\n",
        HOST + b"x-a: b\x01c\r\n",
        HOST + b"x-a: b\r\n folded\r\n",
        HOST + b"x-a : b\r\n",
        HOST + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        HOST + b"transfer-encoding: gzip\r\n",
        HOST + b"transfer-encoding: gzip, chunked\r\n",
        HOST + b"transfer-encoding: chunked, chunked\r\n",
        HOST + b"transfer-encoding: identity, chunked\r\n",
        HOST + b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n",
        HOST + b"connection: upgrade\r\nupgrade: websocket\r\n",
        HOST + b"connection: upgrade\r\nupgrade: h2c\r\nupgrade: websocket\r\ncontent-length: 2\r\n",
        HOST + b"connection: upgrade\r\nupgrade: h2c, websocket\r\ncontent-length: 2\r\n",
        HOST + b"content-length: +2\r\n",
        HOST + b"content-length: -1\r\n",
    ],
)
def test_ambiguous_requests_are_refused_and_the_connection_closed(gateway: Any, head: bytes) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    answer = talk(gateway, b"POST /v1/models HTTP/1.1\r\n" + head + b"\r\n{}" + smuggled)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b"", answer
    assert answer.count(b"HTTP/1.1") <= 1
    assert b"ok\n" not in answer
    if answer:
        assert b"x-jackfield-error: invalid_http\r\n" in answer and b"x-jackfield-request-id: " in answer
        assert b"x-jackfield-revision: " in answer


@pytest.mark.parametrize("pieces", [1, 2, 0], ids=["one segment", "body apart", "byte by byte"])
@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"x"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_behind_an_upgrade_is_never_a_second_request(
    gateway: Any, upgrade: bytes, chunked: bool, pieces: int
) -> None:
    """R-HTTP-02. A wish for h2c is ignored, as a server may; any other upgrade is refused."""
    inner = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    if chunked:
        length, body = b"transfer-encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
    else:
        length, body = b"content-length: %d" % len(inner), inner
    wish = b"connection: keep-alive, Upgrade, HTTP2-Settings\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nupgrade: "
    head = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + wish + upgrade + b"\r\n" + length + b"\r\n\r\n"
    after = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    whole = head + body + after
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=2) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = {1: len(whole), 2: len(head), 0: 1}[pieces]
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            for start in range(0, len(whole), step):
                connection.sendall(whole[start : start + step])
                time.sleep(0.05 if pieces == 2 else 0)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
    assert b"ok\n" not in answer
    if upgrade == b"h2c":
        assert answer.startswith(b"HTTP/1.1 401 "), answer
        assert answer.count(b"HTTP/1.1") == 2 and b'"ready"' in answer, "the next request is where the body ends"
    elif answer:
        assert answer.startswith(b"HTTP/1.1 400 ") and b"Upgrade is not supported." in answer, answer
        assert answer.count(b"HTTP/1.1") == 1


def test_connect_is_refused(gateway: Any) -> None:
    answer = talk(
        gateway, b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1, answer


def test_an_upgrade_behind_a_request_in_hand_is_not_parsed(gateway: Any) -> None:
    one = b"GET /healthz HTTP/1.1\r\n" + HOST + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n"
    answer = talk(gateway, one * 3)
    assert answer.count(b"HTTP/1.1") <= 1, answer
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(one)
        assert one_answer(connection).endswith(b"ok\n")


@pytest.mark.parametrize(
    "head",
    [b"".join(b"x-%d: y\r\n" % n for n in range(64)), b"x-a: " + b"y" * 33_000 + b"\r\n"],
    ids=["65 headers", "33 KB"],
)
def test_too_many_or_large_headers(gateway: Any, head: bytes) -> None:
    answer = talk(gateway, b"GET /healthz HTTP/1.1\r\n" + HOST + head + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 "), answer[:200]
    assert b'"headers_too_large"' in answer


def test_a_header_without_an_end(gateway: Any) -> None:
    answer = talk(gateway, b"GET /healthz HTTP/1.1\r\n" + HOST + b"x-a: " + b"y" * 200_000)
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""


def test_headers_at_the_limit_pass(gateway: Any) -> None:
    head = b"".join(b"x-%d: y\r\n" % n for n in range(62))
    answer = talk(gateway, b"GET /healthz HTTP/1.1\r\n" + HOST + head + b"connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_headers_have_a_deadline(gateway: Any, monkeypatch: Any) -> None:
    """Also where they trickle, and on a connection that says nothing at all."""
    monkeypatch.setattr(GuardedProtocol, "header_deadline", 0.3)
    for first, trickle in ((b"", b""), (b"GET /healthz HTTP/1.1\r\n", b"x"), (b"\r\n", b"\r\n")):
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=0.1) as connection:
            connection.sendall(first)
            closed = False
            while not closed and time.monotonic() - start < 8:
                try:
                    connection.sendall(trickle)
                    closed = connection.recv(10) == b""
                except TimeoutError:
                    continue
                except ConnectionError:
                    closed = True
            assert closed, "by this deadline, not that of a whole request ten seconds later"


def test_an_idle_connection_is_kept(gateway: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(GuardedProtocol, "header_deadline", 0.8)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            assert one_answer(connection).startswith(b"HTTP/1.1 200 ")
            time.sleep(1.2)


@pytest.mark.parametrize(
    "host", [b"evil.example", b"localhost:0", b"localhost:99999", b"local_host", b"[::zz]", b"a b"]
)
def test_other_hosts_are_refused(gateway: Any, host: bytes) -> None:
    answer = talk(gateway, b"GET /healthz HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 "), answer


def test_a_slow_body_is_not_waited_for(plane: Any, monkeypatch: Any) -> None:
    from api import body

    monkeypatch.setattr(body, "GRACE", 0.3)
    monkeypatch.setattr(GuardedProtocol, "linger", 0.3)
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n"
        b"authorization: Bearer %s\r\ncontent-length: 1000\r\n\r\n{" % plane.token.encode()
    )
    start = time.monotonic()
    answer = talk(plane.gateway, head, wait=9)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert time.monotonic() - start < 8, "the connection is closed behind it"


def test_the_control_planes_bodies_are_limited_before_anyone_is_known(gateway: Any, monkeypatch: Any) -> None:
    """Stock Django would read all of it, for as long as it takes, and only then ask who sends it."""
    from api import body

    monkeypatch.setattr(body, "GRACE", 0.3)
    monkeypatch.setattr(GuardedProtocol, "linger", 0.3)
    head = b"POST /admin/login/ HTTP/1.1\r\n" + HOST + b"content-type: application/x-www-form-urlencoded\r\n"
    answer = talk(gateway, head + b"content-length: 2621441\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ") and b"x-jackfield-error: body_too_large" in answer, answer
    answer = talk(gateway, head + b"transfer-encoding: chunked\r\n\r\n" + b"10000\r\n%s\r\n" % (b"a" * 65536) * 41)
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    start = time.monotonic()
    answer = talk(gateway, head + b"content-length: 1000\r\n\r\na", wait=9)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert time.monotonic() - start < 8
    assert talk(gateway, head + b"content-length: 3\r\nconnection: close\r\n\r\na=b").startswith(b"HTTP/1.1 403 ")


def test_a_body_that_nobody_reads_is_not_waited_for(gateway: Any, monkeypatch: Any) -> None:
    """A refusal before the body: the rest is dropped for a moment, then the connection is closed."""
    monkeypatch.setattr(GuardedProtocol, "linger", 0.3)
    head = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"content-length: 100000\r\n\r\n" + b"{" * 1000
    answer = talk(gateway, head)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_the_answer_leaves_without_delay(gateway: Any) -> None:
    """uvloop sets TCP_NODELAY on what it accepts."""
    seen = []
    original = GuardedProtocol.connection_made

    def spy(self: GuardedProtocol, transport: Any) -> None:
        original(self, transport)
        seen.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    GuardedProtocol.connection_made = spy  # type: ignore[method-assign]
    try:
        talk(gateway, b"GET /healthz HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")
    finally:
        GuardedProtocol.connection_made = original  # type: ignore[method-assign]
    assert seen and all(seen)
