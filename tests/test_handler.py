"""The same views on both handlers, and what the hop-free one promises."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.handler import DataHandler
from providers import transport
from tests.faults.fixtures import KEYS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stock(plane: Any) -> Iterator[httpx.Client]:
    """The same URLs on Django's own ASGI handler, in a server of its own."""
    from django.core.handlers.asgi import ASGIHandler

    from tests.conftest import serve

    django = ASGIHandler()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await django(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await transport.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    served = serve(application, loop="uvloop", lifespan="on")
    with httpx.Client(base_url=served.url, headers=plane.client.headers, timeout=20, trust_env=False) as client:
        yield client
    served.stop()


VARYING = {"date", "server", "x-jackfield-request-id", "transfer-encoding", "content-length"}


def told(answer: httpx.Response) -> Any:
    """What must be equal on both."""
    headers = {
        name: value for name, value in answer.headers.items() if name.startswith(("x-jackfield", "content-type"))
    }
    return answer.status_code, answer.content, {n: v for n, v in headers.items() if n not in VARYING}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/chat/completions", {"model": "m-ok"}),
        ("POST", "/v1/chat/completions", {"model": "m-ok", "stream": True}),
        ("POST", "/v1/chat/completions", {"model": "unknown"}),
        ("POST", "/v1/chat/completions", []),
        ("GET", "/v1/models", None),
        ("GET", "/v1/models/m-ok", None),
        ("GET", "/v1/models/none", None),
        ("GET", "/v1/none", None),
        ("PUT", "/v1/models", None),
        ("GET", "/healthz", None),
    ],
)
def test_both_handlers_answer_alike(plane: Any, stock: httpx.Client, method: str, path: str, body: Any) -> None:
    plane.scenario("ok")
    ours = plane.client.request(method, path, json=body)
    theirs = stock.request(method, path, json=body)
    assert told(ours) == told(theirs)


def test_a_strangers_request_is_the_same_on_both(plane: Any, stock: httpx.Client) -> None:
    headers = {"authorization": "Bearer no"}
    ours, theirs = (client.get("/v1/models", headers=headers) for client in (plane.client, stock))
    assert told(ours) == told(theirs) and ours.status_code == 401


def test_a_bug_is_answered_in_the_envelope(plane: Any, monkeypatch: Any) -> None:
    from api import forward

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(forward, "answer", broken)
    answer = plane.ask(plane.scenario("ok"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    (row,) = plane.rows()
    assert (row.outcome, row.fault, row.error_code) == ("error", "gateway", "internal_error")
    assert answer.headers["x-jackfield-error"] == "internal_error"
    assert answer.headers["x-jackfield-request-id"] == row.request_id


def test_bogus_hosts_are_not_remembered() -> None:
    handler = DataHandler()
    for number in range(200):
        assert not handler._host_is_ours({"headers": [(b"host", b"bogus-%d.example" % number)]})
    assert handler._host_is_ours({"headers": [(b"host", b"127.0.0.1:8000")]})
    assert handler._hosts == {b"127.0.0.1:8000"}


def test_refusals_before_any_view_say_the_same_of_themselves(plane: Any) -> None:
    """docs/errors.md promises code and request id of every error."""
    answer = plane.client.get("/v1/models", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert answer.headers["x-jackfield-error"] == "host_refused"
    assert answer.headers["x-jackfield-request-id"] and int(answer.headers["x-jackfield-revision"]) > 0


def scope(path: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        **more,
    }


def test_on_another_server_a_leaving_client_is_noticed_by_listening(plane: Any) -> None:
    """Where the protocol does not tell, `http.disconnect` does."""
    from project.asgi import data_plane as handler

    body = json.dumps({"model": plane.scenario("hang")}).encode()
    headers = [
        (b"host", b"localhost"),
        (b"authorization", f"Bearer {plane.token}".encode()),
        (b"content-type", b"application/json"),
    ]

    async def run() -> list[Any]:
        sent: list[Any] = []
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            while not plane.upstream.requests:
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        async with asyncio.timeout(5):
            await handler(scope("/v1/chat/completions", method="POST", headers=headers), receive, send)
        await transport.aclose()
        return sent

    assert asyncio.run(run()) == []
    assert plane.rows()[0].outcome == "client_gone"


def test_probes(plane: Any) -> None:
    """Readiness says what serves; the figures name what was served, to who has an admin token."""
    model = plane.scenario("ok", public="probed")
    plane.ask(model)
    assert plane.client.get("/healthz").text == "ok\n"
    ready = plane.client.get("/readyz")
    state = ready.json()
    assert ready.status_code == 200
    assert state["ready"] and state["database"] and not state["draining"] and state["revision"] > 0
    admin = {"authorization": f"Bearer {plane.world.token(kind='a')}"}
    plane.settle()
    metrics = plane.client.get("/metrics", headers=admin).text
    assert f'jackfield_requests_total{{model="{model}",account="up",status="200",outcome="ok"}} 1' in metrics
    assert 'jackfield_request_seconds_bucket{le="+Inf"}' in metrics
    assert f"jackfield_revision {plane.client.get('/readyz').json()['revision']}" in metrics
    assert KEYS[0] not in metrics and plane.token not in metrics


def test_strangers_see_figures_and_no_names(plane: Any, monkeypatch: Any, settings: Any) -> None:
    """R-HTTP-04: the probes are on the public listener, and loopback is where proxies are."""
    from routing.store import store

    model = plane.scenario("ok", public="secret-project-x")
    plane.ask(model)
    said = {"problem": "the route secret-project-x is refused", "age_seconds": 1.0}
    monkeypatch.setattr(store, "status", lambda: said)
    admin = plane.world.token(kind="a")
    plane.settle()
    for token in ("", plane.token, "jf_nonsense", admin[:-1] + "x"):
        with httpx.Client(base_url=plane.gateway.url, trust_env=False) as client:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            metrics, ready = (client.get(path, headers=headers) for path in ("/metrics", "/readyz"))
        assert (metrics.status_code, ready.status_code) == (200, 200)
        assert 'jackfield_requests_total{status="200",outcome="ok"} ' in metrics.text
        assert 'account="' not in metrics.text and 'model="' not in metrics.text
        assert "secret-project-x" not in metrics.text + ready.text
        assert ready.json()["problem"] is True
    state = plane.client.get("/readyz", headers={"authorization": f"Bearer {admin}"}).json()
    assert state["problem"] == said["problem"]
    settings.METRICS_OPEN = True
    assert "secret-project-x" in plane.client.get("/metrics").text


def test_a_stopping_process_is_not_ready(plane: Any) -> None:
    """R-REL-21."""
    from api import health

    health.stop()
    try:
        answer = plane.client.get("/readyz")
        assert (answer.status_code, answer.json()["draining"]) == (503, True)
        assert plane.client.get("/healthz").status_code == 200
    finally:
        health.start()


@pytest.mark.parametrize("stream", [True, False])
def test_who_outlasts_the_grace_of_a_stop_is_told(plane: Any, stream: bool) -> None:
    """R-REL-21: a stream ends with an error event and no [DONE], a buffered request with the same error."""
    from api import health

    plane.gateway.server.config.timeout_graceful_shutdown = 1
    asked = {"model": plane.scenario("drip:0.3" if stream else "hang"), "messages": [], "stream": stream}

    def stop() -> None:
        plane.eventually(lambda: plane.upstream.requests)
        plane.gateway.server.should_exit = True

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        answer = plane.client.post("/v1/chat/completions", json=asked)
        stopper.join()
        plane.gateway.thread.join(5)
    finally:
        health.start()
    if stream:
        *_, last = [part.removeprefix("data: ") for part in answer.text.split("\n\n") if part.startswith("data: ")]
        assert answer.status_code == 200 and json.loads(last)["error"]["code"] == "stopping"
    else:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stopping")
    (row,) = plane.rows()
    assert (row.outcome, row.error_code) == ("interrupted", "stopping")
    assert answer.headers["x-jackfield-request-id"] == row.request_id


def test_one_place_ends_any_exception() -> None:
    """docs/decisions/one-boundary.md. Elsewhere what is caught is named, or raised again."""
    import ast

    from django.conf import settings

    found = []
    for room in ("api", "keys", "project", "providers", "routing"):
        for path in (settings.BASE_DIR / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                blanket = isinstance(node, ast.ExceptHandler) and (
                    node.type is None or (isinstance(node.type, ast.Name) and node.type.id in _ANYTHING)
                )
                if blanket and not any(isinstance(part, ast.Raise) and part.exc is None for part in node.body):
                    found.append(path.relative_to(settings.BASE_DIR).as_posix())
    assert found == ["api/handler.py"]


_ANYTHING = {"Exception", "BaseException"}


def test_what_a_start_makes_is_frozen_once(transactional_db: None, monkeypatch: Any) -> None:
    """The collector need not look at the first snapshot again and again: it is there before the freeze."""
    import gc

    from project.asgi import application
    from routing.store import store
    from tests.conftest import serve

    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(store.source))
    served = serve(application, lifespan="on", loop="uvloop")
    served.stop()
    assert frozen == ["database"]
