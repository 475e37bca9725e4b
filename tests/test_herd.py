"""Everybody's first request at once, at a process that has just begun to listen (R-REL-24)."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from django.conf import settings as configured
from django.db.backends.utils import CursorWrapper

from api.protocol import GuardedProtocol
from tests.conftest import serve
from tests.crowd import chat, post

CLIENTS = 500


async def _one(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    line = await reader.readline()
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return line


def test_r_rel_24_five_hundred_first_requests_ask_no_database_and_all_are_served(plane: Any, monkeypatch: Any) -> None:
    """What is asked is asked by the thread that looks for news, as often as always; no request waits for a lock, a file
    or another's first one. The upstream's connections are made as they are needed: nothing is warmed up."""
    from project.asgi import application

    request = post("/v1/chat/completions", plane.token, chat(plane.scenario("ok")))
    plane.gateway.stop()
    asked: list[tuple[str, float]] = []
    execute = CursorWrapper.execute

    def spy(self: Any, sql: str, params: Any = None) -> Any:
        asked.append((threading.current_thread().name, time.monotonic()))
        return execute(self, sql, params)

    cold = serve(application, lifespan="on", http=GuardedProtocol, loop="uvloop")
    monkeypatch.setattr(CursorWrapper, "execute", spy)
    start = time.monotonic()

    async def herd() -> list[bytes]:
        return await asyncio.gather(*(_one(cold.port, request) for _ in range(CLIENTS)))

    lines = asyncio.run(herd())
    seconds = time.monotonic() - start
    monkeypatch.undo()
    cold.stop()
    assert set(lines) == {b"HTTP/1.1 200 OK\r\n"}
    assert {name for name, _ in asked} <= {"snapshot"}
    looks = 1 + seconds / configured.POLL_INTERVAL
    assert len(asked) <= 3 + 2 * looks, "no more than without any request"
    assert len(plane.rows(CLIENTS)) == CLIENTS
