"""The proxy that plays a failing database or Redis fails as it is told to, and only then."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.proxy import Bandwidth, BlackHole, Down, Latency, Limit, Pause, Proxy, Reset, Slicer


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says what it hears."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    made = Proxy("127.0.0.1", echo, seed=7)
    yield made
    made.stop()


@pytest.fixture
def connect(proxy: Proxy) -> Iterator[Callable[[], socket.socket]]:
    made: list[socket.socket] = []

    def connect() -> socket.socket:
        made.append(socket.create_connection(("127.0.0.1", proxy.port), timeout=10))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def said(connection: socket.socket, size: int, patience: float = 10.0) -> bytes:
    """What comes until there are so many bytes, or an end, or nothing for so long."""
    connection.settimeout(patience)
    data = b""
    try:
        while len(data) < size and (piece := connection.recv(65536)):
            data += piece
    except TimeoutError:
        pass
    return data


def asked(connection: socket.socket, text: bytes, patience: float = 10.0) -> bytes:
    connection.sendall(text)
    return said(connection, len(text), patience)


def test_it_passes_everything_on_while_nothing_is_wrong(connect):
    text = bytes(range(256)) * 2000
    assert asked(connect(), text) == text


@pytest.mark.parametrize(
    ("fault", "least"),
    [(Latency(0.05, 0.01), 0.08), (Bandwidth(20_000), 0.1), (Slicer(50, 0.002), 0.1)],
    ids=str,
)
def test_what_only_takes_longer_arrives_whole(proxy, connect, fault, least):
    proxy.fail(fault)
    text = bytes(range(250)) * 5
    began = time.monotonic()
    assert asked(connect(), text) == text
    assert time.monotonic() - began >= least


def test_a_pause_holds_everything_back_until_it_is_over(proxy, connect):
    connection = connect()
    assert asked(connection, b"before") == b"before"
    proxy.fail(Pause())
    assert asked(connection, b"meanwhile", 0.2) == b""
    proxy.heal()
    assert said(connection, 9) == b"meanwhile"


def test_what_fell_into_a_black_hole_never_comes_and_its_connection_stays_lost(proxy, connect):
    connection = connect()
    assert asked(connection, b"before") == b"before"
    proxy.fail(BlackHole())
    assert asked(connection, b"meanwhile", 0.1) == b"" == asked(connect(), b"new", 0.1)
    proxy.heal()
    assert asked(connection, b"after", 0.1) == b""
    assert asked(connect(), b"after") == b"after"


def test_connections_are_reset_and_new_ones_too(proxy, connect):
    connection = connect()
    assert asked(connection, b"before") == b"before"
    proxy.fail(Reset())
    with pytest.raises(ConnectionError):
        asked(connection, b"x")
        asked(connection, b"x")
    with pytest.raises(ConnectionError):
        new = connect()
        time.sleep(0.1)
        asked(new, b"x")
        asked(new, b"x")


def test_while_it_is_down_it_refuses_and_afterwards_it_is_back_on_its_port(proxy, connect):
    connection = connect()
    assert asked(connection, b"before") == b"before"
    proxy.fail(Down())
    assert said(connection, 1, 5) == b""
    with pytest.raises(ConnectionError):
        connect()
    proxy.heal()
    assert asked(connect(), b"after") == b"after"


def test_a_connection_ends_after_its_limit(proxy, connect):
    proxy.fail(Limit(10))
    connection = connect()
    assert asked(connection, b"1234567") == b"1234567"
    connection.sendall(b"1234567")
    assert said(connection, 7) == b"123"


def test_whom_a_fault_strikes_is_drawn_from_the_seed(echo):
    def struck(seed: int) -> list[bool]:
        proxy = Proxy("127.0.0.1", echo, seed=seed)
        proxy.fail(BlackHole(share=0.5))
        found = []
        for _ in range(12):
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
                found.append(asked(connection, b"x", 0.03) == b"")
        proxy.stop()
        return found

    first = struck(3)
    assert {True, False} == set(first)
    assert first == struck(3)
