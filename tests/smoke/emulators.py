"""aimock, which speaks eight families' APIs, behind the gateway: the same text in every client's dialect."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anthropic
import httpx
import openai
from google.genai import errors

from tests.installation import free_port
from tests.smoke.acting import WEATHER
from tests.smoke.asking import askers
from tests.smoke.front import Front
from tests.smoke.packages import Missing, program
from tests.smoke.rounds import Round, rounds
from tests.smoke.rows import Row

QUESTION = "What do you say?"
ANSWER = "Ahoj, světe: “quoted”, two\nlines, and a 😀."
#: A question that is answered when the tool's result has come.
TOOL_QUESTION = "What is the weather?"
CITY = "Tromsø"
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
#: RuntimeError: what openai's client says of a stream without its last event.
PROBLEMS = (openai.OpenAIError, anthropic.AnthropicError, errors.APIError, httpx.HTTPError, RuntimeError)


def _fixtures() -> str:
    """aimock says its last word only to a conversation whose last message holds the tool's result."""
    call = {"name": "weather", "arguments": {"city": CITY}}
    found = [
        {"match": {"userMessage": QUESTION}, "response": {"content": ANSWER}},
        {
            "match": {"userMessage": TOOL_QUESTION, "hasToolResult": True, "toolResultContains": WEATHER},
            "response": {"content": ANSWER},
        },
        {
            "match": {"userMessage": TOOL_QUESTION, "toolName": "weather", "hasToolResult": False},
            "response": {"content": "I look.", "toolCalls": [call]},
        },
    ]
    return json.dumps({"fixtures": found})


@contextmanager
def aimock(folder: Path) -> Iterator[str]:
    """Its URL, once it answers."""
    (folder / "fixtures.json").write_text(_fixtures())
    port = free_port()
    command = [program("llmock"), "-p", str(port), "-f", folder / "fixtures.json"]
    with (folder / "aimock.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(url)
                break
            if process.poll() is not None or time.monotonic() > until:
                raise Missing(f"aimock did not start:\n{(folder / 'aimock.log').read_text()[-600:]}")
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
    goes = rounds(front.url, front.token)
    for name in PLACES:
        model = f"aimock-{name}"
        for dialect, ask in asks.items():
            yield Row(dialect, model, _wrong(partial(ask, model, QUESTION)))
        for dialect, go in goes.items():
            yield Row(f"tool: {dialect}", model, _gone_round(model, go))


def _gone_round(model: str, go: Round) -> str:
    cities = []

    def weather(city: str) -> str:
        cities.append(city)
        return WEATHER

    wrong = _wrong(lambda: go(model, TOOL_QUESTION, weather))
    return wrong or ("" if cities == [CITY] else f"the tool was called with {cities}")


def _wrong(ask: Callable[[], str]) -> str:
    try:
        text = ask()
    except PROBLEMS as problem:
        return f"{type(problem).__name__}: {problem}"
    return "" if text == ANSWER else f"read {text!r}"
