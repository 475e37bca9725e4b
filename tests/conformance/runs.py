"""Each recording behind the gateway, asked in each client dialect: what came out otherwise than it was recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from conformance.clients import Clients
from conformance.recordings import CASSETTES, SHARED, family_of, recorded
from installation import Installation, Server, free_port, installation

#: family -> what follows the replay server's slot in the base URL, and the credential.
PLACES = {
    "openai-completions": ("/v1", "bearer"),
    "openai-responses": ("/v1", "bearer"),
    "anthropic-messages": ("", "header"),
    "google-generative-ai": ("/v1beta", "query"),
    "google-vertex": ("/v1/projects/p/locations/l/publishers/google/models/{model}", "bearer"),
    "google-vertex-anthropic": ("/v1/projects/p/locations/l/publishers/anthropic/models/{model}", "bearer"),
    "azure-openai": ("/openai/deployments/{model}/chat/completions?api-version=2024-10-21", "header"),
    "bedrock-converse": ("", "bearer"),
    "cohere-chat": ("/v2", "bearer"),
}
PARTS = ("text", "reasoning", "tools", "stop", "usage")


@contextmanager
def replaying() -> Iterator[str]:
    """The replay server's URL."""
    port = free_port()
    command = [sys.executable, str(SHARED / "tools" / "replay_server.py"), "--port", str(port)]
    process = subprocess.Popen([*command, "--cassettes", str(CASSETTES)], stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                httpx.get(f"{url}/__replay/health")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def document(upstream: str) -> str:
    """A provider, an account and a public model per family."""
    parts = []
    for family, (path, credential) in PLACES.items():
        parts.append(f'''
[[provider]]
id = "replay-{family}"
family = "{family}"
base_url = "{upstream}/current/{family}{path}"
credential = "{credential}"
[[account]]
name = "replay-{family}"
provider = "replay-{family}"
private_network = true
keys = ["env:REPLAY_KEY"]
[[model]]
name = "said-{family}"
service = "text"
routes = [{{ account = "replay-{family}", model = "recorded-model" }}]
''')
    return "".join(parts)


class Run:
    """A gateway in front of the recordings."""

    def __init__(self, upstream: str, place: Installation, server: Server) -> None:
        self.upstream = upstream
        self.clients = Clients(server.url, place.token())

    def mismatches(self, case: dict[str, Any], dialect: str) -> list[str]:
        """What an SDK read otherwise than it was recorded; empty: all is as it was."""
        family = family_of(case)
        httpx.put(f"{self.upstream}/__replay/current/{family}", content=case["id"]).raise_for_status()
        read = self.clients.ask(dialect, f"said-{family}", bool(case["stream"]))
        expected = recorded(case)
        if expected.get("error"):
            return _compare_errors(case, read, expected["error"])
        if read.get("error"):
            return [f"error: {str(read['error'])[:300]}"]
        return [
            f"{part}: {str(read[part])[:160]!r} instead of {str(expected[part])[:160]!r}"
            for part in PARTS
            if not _same(part, read[part], expected[part])
        ]


def _compare_errors(case: dict[str, Any], read: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    failure = read.get("error")
    if not failure:
        return ["the recorded error came as an answer"]
    wrong = []
    if case["status"] >= 400 and failure["status"] != case["status"]:
        wrong.append(f"status: {failure['status']} instead of {case['status']}")
    message = str(expected.get("message") or "")
    if message and "***" not in message and message[:60] not in f"{failure['body']}{failure['message']}":
        wrong.append(f"message: {failure['message'][:200]!r} instead of {message[:200]!r}")
    return wrong


def _same(part: str, read: Any, expected: Any) -> bool:
    if part == "usage":  # what was recorded must be told; a count that was not recorded is a dialect's zero
        return all(read.get(name) == value or (not value and not read.get(name)) for name, value in expected.items())
    return bool(read == expected)


@contextmanager
def running(home: Any) -> Iterator[Run]:
    """A gateway of its own, on SQLite, with the recordings behind it."""
    os.environ.pop("DATABASE_URL", None)
    with replaying() as upstream, installation(home, REPLAY_KEY="sk-replay-0123456789abcdef") as place:
        place.apply(document(upstream))
        yield Run(upstream, place, place.serve())
