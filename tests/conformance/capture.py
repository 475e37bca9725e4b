"""An upstream of every family that keeps what it is asked and says as little as its API allows; a gateway before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from conformance.runs import PLACES
from installation import installation

FAMILIES = {**PLACES, "ollama-native": ("", "none")}
#: (a model that does not think, one that does)
MODELS = {
    "openai-completions": ("gpt-4.1", "gpt-5.2"),
    "azure-openai": ("gpt-4.1", "gpt-5.2"),
    "openai-responses": ("gpt-4.1", "gpt-5.2"),
    "anthropic-messages": ("claude-sonnet-4-5", "claude-sonnet-4-5"),
    "google-vertex-anthropic": ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5@20250929"),
    "google-generative-ai": ("gemini-2.5-flash", "gemini-2.5-flash"),
    "google-vertex": ("gemini-2.5-flash", "gemini-2.5-flash"),
    "bedrock-converse": ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0",) * 2,
    "cohere-chat": ("command-a-03-2025", "command-a-reasoning-08-2025"),
    "ollama-native": ("llama3.2", "qwen3"),
}
_KEY = "sk-capture-0123456789abcdef"
_USAGE = {"input_tokens": 1, "output_tokens": 1}
_CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": _USAGE,
}
_GOOGLE = {"candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}
_ITEM = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "ok", "annotations": []}],
}
ANSWERS: dict[str, Any] = {
    "openai-completions": _CHAT,
    "azure-openai": _CHAT,
    "openai-responses": {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [_ITEM]},
    "anthropic-messages": _MESSAGE,
    "google-vertex-anthropic": _MESSAGE,
    "google-generative-ai": _GOOGLE,
    "google-vertex": _GOOGLE,
    "bedrock-converse": {
        "output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    },
    "cohere-chat": {
        "id": "c",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "ok"}]},
    },
    "ollama-native": {"model": "m", "message": {"role": "assistant", "content": "ok"}, "done": True},
}


class Capture(ThreadingHTTPServer):
    """Bodies by what the gateway calls the request."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: dict[str, Any] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Capture

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies[self.headers["x-request-id"]] = json.loads(body)
        answer = json.dumps(ANSWERS[self.path.split("/")[1]]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def document(upstream: str) -> str:
    """A provider and an account per family; two public models each: `<family>` and `<family>-thinks`."""
    parts = []
    for family, (path, credential) in FAMILIES.items():
        keys = "" if credential == "none" else 'keys = ["env:CAPTURE_KEY"]\n'
        parts.append(
            f'[[provider]]\nid = "up-{family}"\nfamily = "{family}"\nbase_url = "{upstream}/{family}{path}"\n'
            f'credential = "{credential}"\n[[account]]\nname = "up-{family}"\nprovider = "up-{family}"\n'
            f"private_network = true\n{keys}"
        )
        parts += [
            f'[[model]]\nname = "{family}{suffix}"\nservice = "text"\n'
            f'routes = [{{ account = "up-{family}", model = "{model}" }}]\n'
            for suffix, model in zip(("", "-thinks"), MODELS[family], strict=True)
        ]
    return "\n".join(parts)


@contextmanager
def capturing(home: Path) -> Iterator[tuple[str, str, Capture]]:
    """(the gateway's URL, a token, the upstream)."""
    capture = Capture()
    Thread(target=capture.serve_forever, daemon=True).start()
    try:
        with installation(home, CAPTURE_KEY=_KEY, JACKFIELD_FETCH_MAX="0") as place:
            place.apply(document(f"http://127.0.0.1:{capture.server_port}"))
            server = place.serve()
            yield server.url, place.token(), capture
    finally:
        capture.shutdown()
        capture.server_close()
