"""An upstream that says turns it was given, in the API of one family, and remembers what it was asked.

Turns and what is read of requests are the same whatever the family, so a test names what must arrive once for all.
Nothing here needs Django: the smoke checks start it beside other programs too.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
#: What every turn costs.
IN, OUT = 11, 7


@dataclass(frozen=True)
class Call:
    """A tool call that the upstream makes."""

    id: str
    name: str
    arguments: Json


@dataclass(frozen=True)
class Turn:
    """What the upstream says once."""

    text: str = ""
    thought: str = ""
    signature: str = ""
    calls: tuple[Call, ...] = ()


@dataclass
class Heard:
    """What a request says, whatever the family. `results`: (id or name of the call, text)."""

    system: str = ""
    users: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    results: list[tuple[str, str]] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    #: arguments of the calls that bear a signature themselves, as Google's do
    signed_calls: list[Json] = field(default_factory=list)


@dataclass(frozen=True)
class Family:
    """How one family writes turns and is read; `place` is what its base URL ends in, `model` one that it
    serves: what may be asked of a model depends on which it is. `variables` are an account's.
    """

    name: str
    model: str
    place: str
    credential: str
    body: Callable[[Turn], Json]
    events: Callable[[Turn], bytes]
    heard: Callable[[Json], Heard]
    variables: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    json: Json
    heard: Heard


class Scripted:
    """Runs in threads of its own. Turns are said in order, or chosen by a function of what was heard."""

    def __init__(self, family: Family, choose: Callable[[Heard], Turn] | None = None) -> None:
        self.family = family
        self.turns: list[Turn] = []
        self.asks: list[Ask] = []
        self.choose = choose or (lambda heard: self.turns.pop(0))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"upstream": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}{self.family.place}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, headers: dict[str, str], body: Json) -> tuple[str, bytes]:
        """Content type and bytes."""
        if "count" in path or path.endswith("/input_tokens"):
            self.asks.append(Ask(path, headers, body, Heard()))
            tokens = len(json.dumps(body)) // 4
            return "application/json", json.dumps({"input_tokens": tokens, "totalTokens": tokens}).encode()
        heard = self.family.heard(body)
        self.asks.append(Ask(path, headers, body, heard))
        turn = self.choose(heard)
        if body.get("stream") or "streamGenerateContent" in path:
            return "text/event-stream", self.family.events(turn)
        return "application/json", json.dumps(self.family.body(turn)).encode()


def sse(*events: Json, named: bool) -> bytes:
    lines = [(f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join(lines).encode()


def halves(text: str) -> list[str]:
    """Two pieces, cut inside a word."""
    return [piece for piece in (text[: len(text) // 2], text[len(text) // 2 :]) if piece]


def text_of(content: Any) -> str:
    """The text of a string, or of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())


class _Handler(BaseHTTPRequestHandler):
    upstream: Scripted
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        kind, answer = self.upstream.answer(self.path, headers, body)
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass
