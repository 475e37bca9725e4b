"""The way of a request asks no database, hops to no thread and blocks on nothing."""

from __future__ import annotations

import asyncio
import builtins
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asgiref.sync
import pytest
from django.db import connections

pytestmark = pytest.mark.django_db(transaction=True)


def requests(plane: Any) -> None:
    """One of each kind."""
    for model in ("m-ok", "m-status-500-ok", "m-limited-all", "m-cut-2-fin", "unknown"):
        for stream in (False, True):
            plane.ask(model, stream=stream)
    plane.client.post("/v1/embeddings", json={"model": "m-embeds", "input": "hi"})
    plane.client.post("/v1beta/models/m-embeds:embedContent", json={"content": {"parts": [{"text": "hi"}]}})
    plane.client.post("/v1/images/generations", json={"model": "m-paints", "prompt": "hi"})
    plane.client.get("/v1/models")
    plane.client.get("/v1/models/m-ok")
    plane.client.get("/v1/models", headers={"authorization": "Bearer no"})
    plane.client.get("/readyz")


@pytest.fixture
def warm(plane: Any) -> Any:
    """All scenarios mapped, and every connection and cache of the gateway's thread made."""
    plane.scenario("ok")
    plane.scenario("status:500", "ok")
    plane.scenario("limited:all")
    plane.scenario("cut:2:fin")
    plane.world.model("m-embeds", (plane.account, "ok"), service="embedding")
    plane.world.model("m-paints", (plane.account, "ok"), service="image")
    plane.settle()
    requests(plane)
    return plane


def server_thread(plane: Any) -> int | None:
    return plane.gateway.thread.ident


def test_no_query(warm: Any, monkeypatch: Any) -> None:
    """0 queries on /v1, whatever comes of the request."""
    asked: list[str] = []
    gateway = server_thread(warm)
    from django.db.backends.utils import CursorWrapper

    execute = CursorWrapper.execute

    def spy(self: Any, sql: str, params: Any = None) -> Any:
        if threading.get_ident() == gateway:
            asked.append(sql)
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", spy)
    requests(warm)
    assert asked == []
    assert connections


def test_no_thread_is_used(warm: Any, monkeypatch: Any) -> None:
    used: list[str] = []
    gateway = server_thread(warm)

    def refuse(name: str, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == gateway:
                used.append(name)
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse("submit", ThreadPoolExecutor.submit))
    monkeypatch.setattr(
        asgiref.sync.SyncToAsync, "__call__", refuse("sync_to_async", asgiref.sync.SyncToAsync.__call__)
    )
    monkeypatch.setattr(threading.Thread, "start", refuse("thread", threading.Thread.start))
    monkeypatch.setattr(asyncio, "to_thread", refuse("to_thread", asyncio.to_thread))
    requests(warm)
    assert used == []


def test_nothing_blocks(warm: Any, monkeypatch: Any) -> None:
    """No file is opened, no name looked up and no socket connected the blocking way."""
    done: list[str] = []
    gateway = server_thread(warm)

    def watch(name: str, real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == gateway:
                done.append(f"{name} {args[:1]}")
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(builtins, "open", watch("open", builtins.open))
    monkeypatch.setattr(socket, "getaddrinfo", watch("getaddrinfo", socket.getaddrinfo))
    monkeypatch.setattr(socket, "create_connection", watch("create_connection", socket.create_connection))
    requests(warm)
    assert done == []
