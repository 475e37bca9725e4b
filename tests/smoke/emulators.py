"""aimock, which speaks eight families' APIs, behind the gateway: the same text in every client's dialect."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anthropic
import httpx
import openai
from google.genai import errors

from tests.installation import free_port
from tests.smoke.asking import askers
from tests.smoke.front import Front
from tests.smoke.packages import program

QUESTION = "What do you say?"
ANSWER = "Ahoj, světe: “quoted”, two\nlines, and a 😀."
#: name -> (family, what follows the origin, credential, a model that aimock knows)
PLACES = {
    "openai": ("openai-completions", "/v1", "bearer", "gpt-4o"),
    "openai-responses": ("openai-responses", "/v1", "bearer", "gpt-4o"),
    "anthropic": ("anthropic-messages", "", "header", "claude-sonnet-4-5"),
    "gemini": ("google-generative-ai", "/v1beta", "query", "gemini-2.5-flash"),
    "vertex": (
        "google-vertex",
        "/v1/projects/p/locations/us-central1/publishers/google/models/{model}",
        "bearer",
        "gemini-2.5-flash",
    ),
    "bedrock": ("bedrock-converse", "", "bearer", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "azure": (
        "azure-openai",
        "/openai/deployments/{model}/chat/completions?api-version=2024-10-21",
        "header",
        "gpt-4o",
    ),
    "cohere": ("cohere-chat", "/v2", "bearer", "command-r-plus"),
    "ollama": ("ollama-native", "", "bearer", "llama3.2"),
}
Row = tuple[str, str, str]


@contextmanager
def aimock(folder: Path) -> Iterator[str]:
    """Its URL, once it answers."""
    fixture = {"fixtures": [{"match": {"userMessage": QUESTION}, "response": {"content": ANSWER}}]}
    (folder / "fixtures.json").write_text(json.dumps(fixture))
    port = free_port()
    command = [program("llmock"), "-p", str(port), "-f", folder / "fixtures.json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                httpx.get(url)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def document(url: str) -> str:
    parts = [
        f"""
[[provider]]
id = "aimock-{name}"
family = "{family}"
base_url = "{url}{place}"
credential = "{credential}"

[[account]]
name = "aimock-{name}"
provider = "aimock-{name}"
private_network = true
keys = ["env:SMOKE_KEY"]

[[model]]
name = "aimock-{name}"
service = "text"
routes = [{{ account = "aimock-{name}", model = "{model}" }}]
"""
        for name, (family, place, credential, model) in PLACES.items()
    ]
    return "".join(parts)


def check(front: Front) -> Iterator[Row]:
    asks = askers(front.url, front.token)
    for name in PLACES:
        for dialect, ask in asks.items():
            try:
                text = ask(f"aimock-{name}", QUESTION)
            except (openai.OpenAIError, anthropic.AnthropicError, errors.APIError, httpx.HTTPError) as problem:
                yield dialect, f"aimock-{name}", f"{type(problem).__name__}: {problem}"
                continue
            yield dialect, f"aimock-{name}", "" if text == ANSWER else f"read {text!r}"
