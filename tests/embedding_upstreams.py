"""Upstreams of every family that embeds, as tests of embeddings share them: how each is asked, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types

from providers import transport

Json = dict[str, Any]
#: Floats that 32 bits hold whole.
ONE, TWO = [0.5, -0.25, 1.0], [0.125, 2.0, -3.0]
PLACE = "https://v.example/v1/projects/p/locations/l/publishers/google/models/{model}"


def say_openai(*vectors: list[float]) -> Json:
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": "up", "usage": {"prompt_tokens": 9, "total_tokens": 9}}


def say_gemini(*vectors: list[float]) -> Json:
    return {"embeddings": [{"values": vector} for vector in vectors], "usageMetadata": {"promptTokenCount": 9}}


def say_vertex(*vectors: list[float]) -> Json:
    counts = [9 - len(vectors) + 1, *(1 for _ in vectors[1:])]
    return {
        "predictions": [
            {"embeddings": {"values": vector, "statistics": {"truncated": False, "token_count": count}}}
            for vector, count in zip(vectors, counts, strict=True)
        ],
        "metadata": {"billableCharacterCount": 20},
    }


def say_cohere(*vectors: list[float]) -> Json:
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 9}}
    return {"id": "e-1", "embeddings": {"float": list(vectors)}, "texts": ["x"], "meta": meta}


def say_ollama(*vectors: list[float]) -> Json:
    return {"model": "up", "embeddings": list(vectors), "total_duration": 5, "prompt_eval_count": 9}


def say_titan(vector: list[float]) -> Json:
    return {"embedding": vector, "embeddingsByType": {"float": vector}, "inputTextTokenCount": 9}


class Kind:
    """How one family's upstream is asked for two texts of 64 dimensions by a client of OpenAI's, and answers."""

    def __init__(self, family: str, base: str, model: str, path: str, body: Json, says: Callable[..., Json]) -> None:
        self.family, self.base, self.model, self.path, self.body, self.says = family, base, model, path, body, says


def _asked(**more: Any) -> Json:
    return {"input": ["a", "b"], "dimensions": 64, **more}


def _requests(model: str) -> Json:
    texts = [{"model": model, "content": {"parts": [{"text": text}]}, "outputDimensionality": 64} for text in "ab"]
    return {"requests": texts}


KINDS = {
    "openai": Kind(
        "openai-completions",
        "https://o.example/v1",
        "up",
        "/v1/embeddings",
        _asked(model="up", encoding_format="float", user="u"),
        say_openai,
    ),
    "responses": Kind(
        "openai-responses",
        "https://o.example/v1/responses",
        "up",
        "/v1/embeddings",
        _asked(model="up", encoding_format="float", user="u"),
        say_openai,
    ),
    "azure": Kind(
        "azure-openai",
        "https://z.example/openai/deployments/up/chat/completions?api-version=1",
        "up",
        "/openai/deployments/up/embeddings",
        _asked(model="up", encoding_format="float", user="u"),
        say_openai,
    ),
    "sap": Kind(
        "sap-ai-core",
        "https://s.example",
        "d1",
        "/v2/inference/deployments/d1/embeddings",
        _asked(encoding_format="float", user="u"),
        say_openai,
    ),
    "generative": Kind(
        "google-generative-ai",
        "https://g.example/v1beta",
        "up",
        "/v1beta/models/up:batchEmbedContents",
        _requests("models/up"),
        say_gemini,
    ),
    "vertex": Kind(
        "google-vertex",
        PLACE,
        "text-embedding-005",
        "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict",
        {"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 64}},
        say_vertex,
    ),
    "vertex-later": Kind(
        "google-vertex",
        PLACE,
        "gemini-embedding-2",
        "/v1/projects/p/locations/l/publishers/google/models/gemini-embedding-2:batchEmbedContents",
        {
            "requests": [
                {"content": {"parts": [{"text": text}]}, "embedContentConfig": {"outputDimensionality": 64}}
                for text in "ab"
            ]
        },
        say_gemini,
    ),
    "cohere": Kind(
        "cohere-chat",
        "https://c.example/v2",
        "embed-v4.0",
        "/v2/embed",
        {
            "model": "embed-v4.0",
            "texts": ["a", "b"],
            "input_type": "search_document",
            "embedding_types": ["float"],
            "output_dimension": 64,
        },
        say_cohere,
    ),
    "ollama": Kind("ollama-native", "https://l.example", "up", "/api/embed", _asked(model="up"), say_ollama),
    "bedrock": Kind(
        "bedrock-converse",
        "https://b.example",
        "us.cohere.embed-v4:0",
        "/model/us.cohere.embed-v4:0/invoke",
        {
            "texts": ["a", "b"],
            "input_type": "search_document",
            "embedding_types": ["float"],
            "output_dimension": 64,
        },
        say_cohere,
    ),
}
#: Kinds whose upstreams speak OpenAI's dialect: they are sent the client's own bytes.
RELAYED = ("openai", "responses", "azure", "sap")


class Upstreams:
    """What was sent, and the answers to give."""

    def __init__(self) -> None:
        self.sent: list[httpx.Request] = []
        self.answers: list[httpx.Response] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return self.answers.pop(0)

    def say(self, body: Json, status: int = 200) -> None:
        self.answers.append(httpx.Response(status, json=body))

    def taken(self) -> tuple[httpx.Request, Json]:
        """The one request that was sent since this was asked last, and its body."""
        (request,) = self.sent
        self.sent.clear()
        return request, json.loads(request.content)

    @property
    def bodies(self) -> list[Json]:
        return [json.loads(request.content) for request in self.sent]


@pytest.fixture
def embedders() -> Iterator[Upstreams]:
    made = Upstreams()
    transport.install(httpx.MockTransport(made))
    yield made
    transport.install(None)


@pytest.fixture
def embeds_at(plane: Any) -> Callable[..., str]:
    """Makes a model at an upstream of a family."""

    def make(name: str, family: str, base: str, model: str, service: str = "embedding", **route: Any) -> str:
        provider = plane.world.provider(f"at-{name}", family=family)
        account = plane.world.account(f"at-{name}", base, keys=("key-1",), provider=provider)
        plane.world.model(f"of-{name}", (account, model, route), service=service)
        plane.settle()
        return f"of-{name}"

    return make


@pytest.fixture
def embeds(embeds_at: Any) -> Callable[[str], str]:
    """Makes a model of a kind."""

    def make(name: str) -> str:
        one = KINDS[name]
        return str(embeds_at(name, one.family, one.base, one.model))

    return make


@pytest.fixture
def google_client(plane: Any) -> Iterator[genai.Client]:
    """Google's own client, with the token of the project `demo`."""
    options = types.HttpOptions(base_url=plane.gateway.url)
    made = genai.Client(api_key=plane.token, http_options=options, vertexai=False)
    yield made
    made.close()
