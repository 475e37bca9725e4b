"""The main job on real input: every recorded chat exchange comes through the gateway to the official client unchanged.

The recordings lie beside the project, not in it; without them this file has nothing to replay and says so.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import openai
import pytest

from installation import Installation, Server, free_port, installation

pytestmark = pytest.mark.slow

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
CASSETTES = SHARED / "cassettes"
FILES = ("openai-completions.jsonl", "openai-compatible.jsonl")


def _cases() -> list[dict[str, Any]]:
    cases = []
    for name in FILES:
        path = CASSETTES / name
        if path.exists():
            with path.open(encoding="utf-8") as lines:
                cases += [case for case in map(json.loads, lines) if case["api"] in ("chat.completions", "chat")]
    return [case for case in cases if case["request_encoding"] == "json" and case["method"] == "POST"]


CASES = _cases()


@pytest.fixture(scope="module")
def neutral() -> ModuleType:
    """The reader of any family's reply that lies beside the recordings."""
    spec = importlib.util.spec_from_file_location("neutral", SHARED / "tools" / "neutral.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The replay server, on a port of its own."""
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            str(SHARED / "tools" / "replay_server.py"),
            "--port",
            str(port),
            "--cassettes",
            str(CASSETTES),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(1200):
            try:
                httpx.get(f"{url}/__replay/health")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("recorded"), REPLAY_KEY="sk-replay-0123456789abcdef") as it:
        models = sorted({case["request_body"].get("model") or "none" for case in CASES})
        routes = "\n".join(
            f'[[model]]\nname = "public-{i}"\nservice = "text"\nroutes = [{{ account = "replay", model = "{model}" }}]'
            for i, model in enumerate(models)
        )
        it.apply(
            f"""
[[provider]]
id = "replay"
family = "openai-completions"
base_url = "{upstream}/current/test/v1"
credential = "bearer"
[[account]]
name = "replay"
provider = "replay"
private_network = true
keys = ["env:REPLAY_KEY"]
{routes}
"""
        )
        it.public = {model: f"public-{i}" for i, model in enumerate(models)}  # type: ignore[attr-defined]
        yield it


@pytest.fixture(scope="module")
def server(place: Installation) -> Server:
    return place.serve()


@pytest.fixture(scope="module")
def client(place: Installation, server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=place.token(), max_retries=0, timeout=30)


def _hides_usage(case: dict[str, Any]) -> bool:
    """An upstream that sends a usage-only chunk to a caller who did not ask: hidden, as the API has it."""
    if not case["stream"] or (case["request_body"].get("stream_options") or {}).get("include_usage"):
        return False
    for line in case["response_body"].splitlines():
        if line.startswith("data: {"):
            chunk = json.loads(line[6:])
            if chunk.get("usage") and not chunk.get("choices"):
                return True
    return False


def _read(client: openai.OpenAI, neutral: ModuleType, body: dict[str, Any], stream: bool) -> dict[str, Any]:
    """What the official client reads, in the neutral form."""
    fields = {name: value for name, value in body.items() if name not in ("model", "messages", "stream")}
    summary = neutral.S()
    pieces: list[dict[str, Any]] = []
    failed = None
    try:
        answer = client.chat.completions.create(
            model=body["model"], messages=body["messages"], stream=stream, extra_body=fields
        )
        for piece in answer if stream else [answer]:
            pieces.append(piece.model_dump(warnings=False))
            assert pieces[-1].get("model") in (None, "", body["model"]), "the answer names the public model"
    except openai.APIStatusError as error:
        wire = error.body if isinstance(error.body, dict) else {"message": str(error.body)}
        failed = {"type": wire.get("type"), "message": wire.get("message"), "status": error.status_code}
    except openai.APIError as error:
        wire = error.body if isinstance(error.body, dict) else {}
        failed = {"type": wire.get("type"), "message": wire.get("message") or error.message}
    neutral.chat(summary, pieces)
    summary.error = failed or summary.error
    out: dict[str, Any] = summary.out()
    return out


@pytest.mark.skipif(not CASES, reason="no recordings beside the project")
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_recording_comes_through_unchanged(
    case: dict[str, Any], upstream: str, place: Installation, client: openai.OpenAI, neutral: ModuleType
) -> None:
    httpx.put(f"{upstream}/__replay/current/test", content=case["id"]).raise_for_status()
    httpx.delete(f"{upstream}/__replay/log")
    body = dict(case["request_body"])
    recorded_model = body.get("model") or "none"
    body["model"] = place.public[recorded_model]  # type: ignore[attr-defined]

    read = _read(client, neutral, body, bool(body.get("stream")))

    recorded = neutral.of_case(case) or {}
    if recorded.get("error") and case["status"] >= 400:
        assert read["error"], "the recorded error came as an answer"
        assert read["error"]["status"] == case["status"]
        wire = json.loads(case["response_body"]) if case["response_body"].startswith("{") else {}
        if isinstance(wire.get("error"), dict) and wire["error"].get("type"):
            assert read["error"]["type"] == wire["error"]["type"]
        if recorded["error"].get("message") and "***" not in recorded["error"]["message"]:  # masks of keys go too
            assert str(recorded["error"]["message"])[:80] in str(read["error"]["message"])
    else:
        for part in ("text", "reasoning", "tools", "stop"):
            assert read[part] == recorded[part], part
        if not _hides_usage(case):
            assert read["usage"] == recorded["usage"]
        assert bool(read["error"]) == bool(recorded["error"])

    (sent,) = httpx.get(f"{upstream}/__replay/log").json()
    expected = dict(case["request_body"], model=recorded_model)
    arrived = dict(sent["body"])
    if body.get("stream") and not (expected.get("stream_options") or {}).get("include_usage"):
        options = arrived.pop("stream_options", None) or {}
        options.pop("include_usage", None)
        if expected.get("stream_options") or options:
            arrived["stream_options"] = options
    if not body.get("stream"):
        arrived.pop("stream", None) if "stream" not in expected else None
    assert arrived == expected, "the upstream got the recorded request with only the model replaced"
    headers = {name.lower(): value for name, value in sent["headers"]}
    assert headers["authorization"] == "Bearer sk-replay-0123456789abcdef"
    assert "x-api-key" not in headers and "cookie" not in headers
    assert sent["path"].endswith("/chat/completions")


@pytest.mark.skipif(not CASSETTES.exists(), reason="the recordings are not beside the repository")
def test_all_recordings_were_found() -> None:
    """With fewer the file above would show less than it says."""
    assert len(CASES) >= 160
