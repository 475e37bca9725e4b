"""Many raw clients at once, for tests of a process that has more to do than it can: each is one socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from typing import Any


def post(path: str, token: str, body: bytes, *more: bytes) -> bytes:
    """A whole POST."""
    lines = [
        b"POST %s HTTP/1.1" % path.encode(),
        b"host: localhost",
        b"content-type: application/json",
        b"authorization: Bearer " + token.encode(),
        b"content-length: %d" % len(body),
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chat(model: str, *, stream: bool = False, text: str = "hi") -> bytes:
    """The body of a chat completion."""
    return json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}).encode()


class Crowd:
    """Open sockets, closed together."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._sockets: list[socket.socket] = []

    def open(self, said: bytes = b"", *, receive_buffer: int = 0) -> socket.socket:
        """One more, which has said this."""
        one = socket.socket()
        if receive_buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        one.settimeout(10)
        one.connect(("127.0.0.1", self.port))
        self._sockets.append(one)
        if said:
            one.sendall(said)
        return one

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        self._sockets.clear()


@contextlib.contextmanager
def crowd(port: int) -> Iterator[Crowd]:
    made = Crowd(port)
    try:
        yield made
    finally:
        made.close()


def narrow(gateway: Any) -> None:
    """What the gateway sends on connections that come from now on does not pile up in the kernel."""
    listening = gateway.server.servers[0].sockets[0]
    with socket.socket(fileno=os.dup(listening.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def answer(one: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer that has a length, on a connection that may stay open."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = one.recv(65536)
        assert part, f"closed after {got!r}"
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    line, *rows = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    while len(body) < int(headers["content-length"]):
        part = one.recv(65536)
        assert part, f"closed within a body: {got!r}"
        body += part
    return int(line.split()[1]), headers, body


def closed(one: socket.socket) -> bool:
    """Whether the other side closes it, whatever else it says before."""
    try:
        while one.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True
