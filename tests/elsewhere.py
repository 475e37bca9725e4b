"""Files at `files.example`, upstreams that say little and remember what they were asked, and a gateway between."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from providers import transport
from providers.exchange import Call, Outgoing

PNG = b"\x89PNG\r\n\x1a\n" + b"a picture" * 7
JPEG = b"\xff\xd8\xff\xe0" + b"another" * 5
PDF = b"%PDF-1.7\n" + b"a paper" * 9
HOST = "https://files.example"
#: Stands in each URL's query, as the signature of a signed URL does.
SECRET = "sig~Zq7!Wm4*Xk9"
CHAT = {"id": "c", "object": "chat.completion", "created": 1, "model": "u"}
ANSWERS: dict[str, Any] = {
    "openai-completions": {
        **CHAT,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "seen"}}],
    },
    "anthropic-messages": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "u",
        "content": [{"type": "text", "text": "seen"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "google-generative-ai": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "seen"}]}, "finishReason": "STOP"}]
    },
    "bedrock-converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "seen"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "inputTokens": 5,
    },
    "ollama-native": {"model": "u", "message": {"role": "assistant", "content": "seen"}, "done": True},
    "cohere-chat": {
        "id": "c",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "seen"}]},
    },
    "openai-responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "u",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "seen", "annotations": []}],
            }
        ],
    },
    "gitlab-duo": "seen",
}
ANSWERS |= {
    "google-vertex": ANSWERS["google-generative-ai"],
    "google-vertex-anthropic": ANSWERS["anthropic-messages"],
    "azure-openai": ANSWERS["openai-completions"],
}


class Elsewhere(ThreadingHTTPServer):
    """Serves files below / to GET, and every family's answer below /<family> to POST."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, Callable[[Handler], None]] = {}
        self.fetched: list[tuple[str, dict[str, str]]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.broken: set[str] = set()
        self.released = threading.Event()

    def put(self, path: str, body: bytes, kind: str = "", status: int = 200, **headers: str) -> str:
        """A file at a path; its URL, with a secret in it."""

        def answer(handler: Handler) -> None:
            handler.send_response(status)
            for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
                if value:
                    handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        self.files[path] = answer
        return f"{HOST}{path}?X-Signature={SECRET}"


class Handler(BaseHTTPRequestHandler):
    server: Elsewhere
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.fetched.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.server.files[self.path.partition("?")[0]](self)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        family = self.path.split("/")[1].partition(":")[0]
        self.server.asked.append((family, body))
        said = {"error": {"message": "no"}} if family in self.server.broken else ANSWERS[family]
        answer = json.dumps(said).encode()
        self.send_response(500 if family in self.server.broken else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Mapped(httpx.AsyncBaseTransport):
    """The real transport, for which `files.example` alone is the local server; all else meets the guard."""

    def __init__(self, local: str) -> None:
        self._local = local

    async def _look_up(self, host: str, port: int) -> list[str]:
        return {"inside.example.": ["10.1.2.3"], "127.0.0.1": ["127.0.0.1"]}[host]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(request, Outgoing) and request.target.startswith(HOST):
            call: Call = request.extensions["jackfield"]
            assert not call.private_network
            url = self._local + request.target.removeprefix(HOST)
            request = Outgoing(request.method, url, request.fields, b"", Call(True, call.timeouts, call.clock))
        loop = asyncio.get_running_loop()
        real = transport._by_loop.get(loop)  # which the gateway closes when it stops
        if real is None:
            real = transport._by_loop[loop] = transport.Transport(lookup=self._look_up)
        return await real.handle_async_request(request)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


class Place:
    """The gateway with a model per family, and files that anyone may read."""

    def __init__(self, server: Elsewhere, world: Any, gateway: Any, eventually: Callable[..., Any]) -> None:
        self.server, self._world, self._eventually = server, world, eventually
        self._local = f"http://127.0.0.1:{server.server_port}"
        self.http = httpx.Client(
            base_url=gateway.url, headers={"authorization": f"Bearer {world.token()}"}, timeout=30, trust_env=False
        )

    def model(
        self,
        *families: str,
        upstream: str = "u",
        name: str = "m",
        hedge_after: str = "",
        hedge_daily: int = 0,
        **quirks: Any,
    ) -> None:
        routes = []
        for family in families:
            provider = self._world.provider(f"at-{family}", family=family)
            account = self._world.account(
                f"{name}-{family}", f"{self._local}/{family}", provider=provider, keys=("k" * 24,), private_network=True
            )
            routes.append((account, upstream, {"quirks": quirks}))
        from routing.revisions import latest
        from routing.store import store

        self._world.model(name, *routes, hedge_after=hedge_after, hedge_daily=hedge_daily)
        self._eventually(lambda: store.current.revision >= latest())

    def chat(self, *urls: str, model: str = "m") -> httpx.Response:
        parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        said = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}]
        return self.http.post("/v1/chat/completions", json={"model": model, "messages": said})

    def messages(self, kind: str, url: str, model: str = "m") -> httpx.Response:
        part = {"type": kind, "source": {"type": "url", "url": url}}
        said = [{"role": "user", "content": [part, {"type": "text", "text": "What is this?"}]}]
        return self.http.post("/v1/messages", json={"model": model, "max_tokens": 9, "messages": said})

    @property
    def told(self) -> dict[str, Any]:
        """What the upstream was asked last."""
        return self.server.asked[-1][1]


@pytest.fixture
def place(elsewhere: Elsewhere, world: Any, gateway: Any, eventually: Callable[..., Any]) -> Iterator[Place]:
    """A gateway before upstreams that are asked in their own ways, and files that are fetched."""
    server = elsewhere
    for seen in (server.files, server.fetched, server.asked, server.broken):
        seen.clear()
    server.released.clear()
    made = Place(server, world, gateway, eventually)
    transport.install(Mapped(f"http://127.0.0.1:{server.server_port}"))
    yield made
    transport.install(None)
    server.released.set()
    made.http.close()


def found(value: Any, wanted: Any) -> bool:
    """Whether this stands anywhere in a body."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value == wanted or any(found(one, wanted) for one in inner)


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
