"""Each recording behind the gateway, asked in each client dialect: what came out otherwise than it was recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from conformance.clients import Clients
from conformance.recordings import CASSETTES, SHARED, cases, family_of, recorded
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
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "google_generate")
#: A key for each account: where one is limited, no other rests with it.
KEYS = {
    f"REPLAY_KEY_{at}_{number}": f"sk-replay-{at}-{number}-0123456789abcdef"
    for at in range(len(PLACES))
    for number in range(len(DIALECTS))
}
#: The replay server plays one recording per family at a time.
THREADS = 3
Case = dict[str, Any]
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
    """A provider per family; an account of its own and a public model per client dialect, so that a key that a
    recorded rate limit sends to rest is missed by nobody else.
    """
    parts = []
    for at, (family, (path, credential)) in enumerate(PLACES.items()):
        parts.append(f'''
[[provider]]
id = "replay-{family}"
family = "{family}"
base_url = "{upstream}/current/{family}{path}"
credential = "{credential}"
''')
        vendors = sorted({case["provider"] for case in cases() if family_of(case) == family})
        for number, dialect in enumerate(DIALECTS):
            parts.append(f"""
[[account]]
name = "replay-{family}-{dialect}"
provider = "replay-{family}"
private_network = true
keys = ["env:REPLAY_KEY_{at}_{number}"]
""")
            # A model per vendor: how one ends its streams is remembered of the upstream model.
            parts += [
                f"""
[[model]]
name = "{_name(family, vendor, dialect)}"
service = "text"
routes = [{{ account = "replay-{family}-{dialect}", model = "recorded-{vendor}" }}]
"""
                for vendor in vendors
            ]
    return "".join(parts)


def _name(family: str, vendor: str, dialect: str) -> str:
    return f"said-{family}-{vendor}-{dialect}"


class Run:
    """A gateway in front of the recordings."""

    def __init__(self, upstream: str, place: Installation, server: Server) -> None:
        self.upstream = upstream
        self.clients = Clients(server.url, place.token())

    def all(self, wanted: Iterable[tuple[Case, str]]) -> list[tuple[Case, str, list[str]]]:
        """(recording, dialect, what was wrong) of each; families side by side, the recorded limits last."""
        queues: dict[str, list[tuple[Case, str]]] = defaultdict(list)
        for case, dialect in sorted(wanted, key=lambda one: one[0]["status"] == 429):
            queues[family_of(case)].append((case, dialect))
        with ThreadPoolExecutor(THREADS) as pool:
            found = pool.map(self._in_turn, sorted(queues.values(), key=len, reverse=True))
            return [one for told in found for one in told]

    def _in_turn(self, queue: list[tuple[Case, str]]) -> list[tuple[Case, str, list[str]]]:
        return [(case, dialect, self.mismatches(case, dialect)) for case, dialect in queue]

    def mismatches(self, case: dict[str, Any], dialect: str) -> list[str]:
        """What an SDK read otherwise than it was recorded; empty: all is as it was."""
        family = family_of(case)
        httpx.put(f"{self.upstream}/__replay/current/{family}", content=case["id"]).raise_for_status()
        read = self.clients.ask(dialect, _name(family, case["provider"], dialect), bool(case["stream"]))
        expected = recorded(case)
        if expected.get("error"):
            return _compare_errors(case, read, expected["error"])
        if read.get("error"):
            return [f"error: {str(read['error'])[:300]}"]
        return [
            f"{part}: {str(read[part])[:160]!r} instead of {str(expected[part])[:160]!r}"
            for part in PARTS
            if not _same(part, dialect, read[part], expected[part])
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


#: Reasons to stop that a dialect has no word of its own for, and the nearest that it has.
NEAREST = {("anthropic_messages", "filter"): "refusal"}
#: Counts that a dialect cannot tell.
UNTOLD = {"google_generate": {"cache_write"}}


def _same(part: str, dialect: str, read: Any, expected: Any) -> bool:
    if part == "stop" and expected in (None, "queued", "complete"):
        return True  # recorded before the end, or by an upstream that gives no reason: any word will do
    if part == "stop":
        return bool(read in (expected, NEAREST.get((dialect, expected))))
    if part != "usage":
        return bool(read == expected)
    # What was recorded must be told; a count that was not recorded is a dialect's zero.
    told = {name: value for name, value in expected.items() if name not in UNTOLD.get(dialect, ())}
    if told.get("cache_read", 0) > told.get("input", 0) and dialect == "anthropic_messages":
        del told["input"]  # an upstream that counts its input without the cached part cannot be told in Anthropic's sum
    if read.get("output") == told.get("output", 0) + told.get("reasoning", 0):
        told.pop("output", None)  # an upstream that counts its reasoning apart: told as OpenAI counts
    return all(read.get(name) == value or (not value and not read.get(name)) for name, value in told.items())


@contextmanager
def running(home: Any) -> Iterator[Run]:
    """A gateway of its own, on SQLite, with the recordings behind it."""
    os.environ.pop("DATABASE_URL", None)
    with replaying() as upstream, installation(home, **KEYS) as place:
        place.apply(document(upstream))
        yield Run(upstream, place, place.serve())
