"""Tokens are counted by the upstream that would serve, asked by official clients; or estimated, and said so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

from providers import transport
from providers.dialects.canon import Media, Message, Request, Text, Tool, ToolCall
from providers.dialects.estimate import estimate

pytestmark = pytest.mark.django_db(transaction=True)

Answers = Callable[[httpx.Request], httpx.Response]
PLACES = {
    "anthropic-messages": ("https://a.example", "/v1/messages/count_tokens", {"input_tokens": 41}),
    "google-generative-ai": ("https://g.example/v1beta", "/v1beta/models/up:countTokens", {"totalTokens": 41}),
    "google-vertex": (
        "https://v.example/v1/projects/p/locations/l/publishers/google/models/{model}",
        "/v1/projects/p/locations/l/publishers/google/models/up:countTokens",
        {"totalTokens": 41},
    ),
    "google-vertex-anthropic": (
        "https://v.example/v1/projects/p/locations/l/publishers/anthropic/models/{model}",
        "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
        {"input_tokens": 41},
    ),
    "bedrock-converse": ("https://b.example", "/model/up/count-tokens", {"inputTokens": 41}),
    "openai-responses": (
        "https://api.openai.com/v1",
        "/v1/responses/input_tokens",
        {"object": "response.input_tokens", "input_tokens": 41},
    ),
}


@pytest.fixture
def upstreams() -> Iterator[tuple[list[httpx.Request], list[httpx.Response]]]:
    """What was sent, and the answers to give."""
    sent: list[httpx.Request] = []
    answers: list[httpx.Response] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answers.pop(0)

    transport.install(httpx.MockTransport(answer))
    yield sent, answers
    transport.install(None)


@pytest.fixture
def place(plane: Any) -> Callable[..., str]:
    """Makes a model at an upstream of a family."""

    def make(family: str, base: str) -> str:
        provider = plane.world.provider(f"at-{family}", family=family)
        account = plane.world.account(f"at-{family}", base, keys=("key-1",), provider=provider)
        plane.world.model(f"of-{family}", (account, "up"))
        plane.settle()
        return f"of-{family}"

    return make


def claude(plane: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=plane.gateway.url, api_key=plane.token, max_retries=0)


def gemini(plane: Any, version: str | None = None) -> genai.Client:
    options = types.HttpOptions(base_url=plane.gateway.url, api_version=version)
    return genai.Client(api_key=plane.token, http_options=options, vertexai=False)


@pytest.mark.parametrize("family", PLACES)
def test_upstreams_that_count_are_asked(plane: Any, place: Any, upstreams: Any, family: str) -> None:
    sent, answers = upstreams
    base, path, said = PLACES[family]
    model = place(family, base)
    answers += [httpx.Response(200, json=said) for _ in range(2)]
    counted = claude(plane).messages.count_tokens(
        model=model, system="Be short.", messages=[{"role": "user", "content": "how many"}]
    )
    assert counted.input_tokens == 41
    google = gemini(plane)
    assert google.models.count_tokens(model=model, contents="how many").total_tokens == 41
    for request, told in zip(sent, (("Be short.", "how many"), ("how many",)), strict=True):
        assert (request.method, request.url.path) == ("POST", path)
        assert request.headers["authorization"] == "Bearer key-1"
        assert all(text in request.content.decode() for text in told)
        assert b"max_tokens" not in request.content
    rows = plane.rows(2)
    assert {(row.endpoint, row.status, row.input_tokens, row.cost_micro) for row in rows} == {
        ("count_tokens", 200, None, None)
    }
    assert {row.dialect for row in rows} == {"anthropic_messages", "google_generate"}


def test_the_bodies_are_what_each_api_takes(plane: Any, place: Any, upstreams: Any) -> None:
    sent, answers = upstreams
    for family, (base, _, said) in PLACES.items():
        answers.append(httpx.Response(200, json=said))
        model = place(family, base)
        tools: Any = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]
        claude(plane).messages.count_tokens(model=model, tools=tools, messages=[{"role": "user", "content": "x"}])
    bodies = dict(zip(PLACES, (json.loads(request.content) for request in sent), strict=True))
    assert bodies["anthropic-messages"].keys() == {"model", "messages", "tools"}
    assert bodies["anthropic-messages"]["model"] == bodies["google-vertex-anthropic"]["model"] == "up"
    assert sent[0].headers["anthropic-version"] == "2023-06-01"
    assert bodies["google-vertex-anthropic"]["anthropic_version"] == "vertex-2023-10-16"
    assert bodies["google-generative-ai"].keys() == {"generateContentRequest"}
    assert bodies["google-generative-ai"]["generateContentRequest"]["model"] == "models/up"
    assert bodies["google-vertex"].keys() == {"contents", "tools"}
    assert bodies["bedrock-converse"]["input"]["converse"].keys() == {"messages", "toolConfig"}
    assert bodies["openai-responses"].keys() == {"model", "input", "tools"}


def test_openais_client_counts(plane: Any, openai_client: openai.OpenAI, place: Any, upstreams: Any) -> None:
    """With earlier turns; copies of OpenAI's API have no such endpoint and are not asked."""
    sent, answers = upstreams
    text = {"type": "output_text", "text": "first answer", "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    first = {"id": "resp_1", "object": "response", "status": "completed", "model": "up", "output": [message]}
    answers += [httpx.Response(200, json=first), httpx.Response(200, json=PLACES["openai-responses"][2])]
    model = place("openai-responses", "https://api.openai.com/v1")
    openai_client.responses.create(model=model, input="hi")
    count = openai_client.responses.input_tokens.count
    found = count(model=model, input="and?", previous_response_id="resp_1", instructions="Be short.")
    assert (found.object, found.input_tokens) == ("response.input_tokens", 41)
    body = json.loads(sent[-1].content)
    assert (str(sent[-1].url), body["model"]) == ("https://api.openai.com/v1/responses/input_tokens", "up")
    assert body.keys() == {"model", "input", "instructions"}
    assert [item["role"] for item in body["input"]] == ["user", "assistant", "user"]
    provider = plane.world.provider("copy", family="openai-responses")
    account = plane.world.account("copy", "https://copy.example/v1", keys=("key-1",), provider=provider)
    plane.world.model("copied", (account, "up"))
    for other in ("copied", plane.scenario("ok")):
        raw = openai_client.responses.input_tokens.with_raw_response.count(model=other, input="How long? " * 50)
        assert raw.headers["x-jackfield-estimated"] == "1"
        assert 50 < raw.parse().input_tokens < 300
    assert len(sent) == 2
    with pytest.raises(openai.BadRequestError):
        count(model=plane.scenario("ok"), input="x", conversation="conv_1")


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_the_others_are_estimated(plane: Any, version: str) -> None:
    model = plane.scenario("ok")
    question = "How long is a piece of string? " * 20
    counted = claude(plane).messages.with_raw_response.count_tokens(
        model=model, messages=[{"role": "user", "content": question}]
    )
    assert counted.headers["x-jackfield-estimated"] == "1"
    assert 100 < counted.parse().input_tokens < 220
    google = gemini(plane, version)
    found = google.models.count_tokens(model=model, contents=question)
    assert found.total_tokens == counted.parse().input_tokens
    assert plane.upstream.requests == []
    assert {row.endpoint for row in plane.rows(2)} == {"count_tokens"}


@pytest.mark.parametrize(
    ("family", "status", "body"),
    [
        ("anthropic-messages", 404, {"error": {"message": "no such path"}}),
        ("anthropic-messages", 405, {}),
        ("bedrock-converse", 400, {"message": "The provided model doesn't support counting tokens."}),
    ],
)
def test_upstreams_without_the_endpoint(
    plane: Any, place: Any, upstreams: Any, family: str, status: int, body: Any
) -> None:
    upstreams[1].append(httpx.Response(status, json=body))
    counted = claude(plane).messages.with_raw_response.count_tokens(
        model=place(family, PLACES[family][0]), messages=[{"role": "user", "content": "x"}]
    )
    assert counted.headers["x-jackfield-estimated"] == "1"
    (row,) = plane.rows()
    assert (row.status, row.outcome, row.attempts) == (200, "ok", 1)


def test_errors_are_of_the_clients_dialect(plane: Any, place: Any, upstreams: Any) -> None:
    model = place("anthropic-messages", "https://a.example")
    upstreams[1].append(httpx.Response(401, json={"type": "error", "error": {"type": "authentication_error"}}))
    with pytest.raises(anthropic.AuthenticationError):
        claude(plane).messages.count_tokens(model=model, messages=[{"role": "user", "content": "x"}])
    with pytest.raises(anthropic.NotFoundError):
        claude(plane).messages.count_tokens(model="nothing", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(anthropic.BadRequestError):
        claude(plane).messages.count_tokens(model=model, messages=[{"role": "user", "content": 7}])  # type: ignore[typeddict-item]  # on purpose
    google = gemini(plane)
    with pytest.raises(genai.errors.ClientError):
        google.models.count_tokens(model="nothing", contents="x")


def said(*parts: Any, **more: Any) -> int:
    return estimate(Request(dialect="openai_chat", messages=(Message("user", parts),), **more))


def test_the_estimate_grows_with_what_is_said() -> None:
    bare = said(Text("x"))
    assert bare == 5
    assert said(Text("word " * 100)) == 4 + 125
    assert said(Text("何か" * 50)) == 4 + 100
    assert said(Text("何か" + "a" * 8)) == 4 + 4
    assert said(Text("x"), tools=(Tool("function", "look", "Looks up", {"type": "object"}),)) > bare + 12
    assert said(ToolCall("1", "look", '{"a": 1}')) > bare
    assert said(Media("image", url="https://x.example/a.png")) == 4 + 1400
    assert said(Media("document", data="A" * 8000)) == 4 + 100
    assert estimate(Request(dialect="openai_chat")) == 1
