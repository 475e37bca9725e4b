"""What embeddings are refused, what is left out of requests for them, and what they cost."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from google import genai

from tests.embedding_upstreams import ONE, TWO, say_gemini, say_ollama, say_openai

pytestmark = pytest.mark.django_db(transaction=True)


JSON = {"content-type": "application/json"}

UNSAID: list[tuple[Any, ...]] = [
    ("cohere-chat", "embed-english-v3.0", {"input": "a", "dimensions": 64}, "dimensions"),
    ("bedrock-converse", "cohere.embed-multilingual-v3", {"input": "a", "dimensions": 64}, "dimensions"),
    ("bedrock-converse", "amazon.titan-embed-text-v1", {"input": "a", "dimensions": 64}, "dimensions"),
    ("bedrock-converse", "anthropic.claude-haiku-4-5", {"input": "a"}, "model"),
    ("anthropic-messages", "claude-haiku-4-5", {"input": "a"}, "model"),
    ("openai-codex-responses", "gpt-5", {"input": "a"}, "model"),
    ("cohere-chat", "embed-v4.0", {"input": [1, 2, 3]}, "input"),
    ("ollama-native", "up", {"input": [[1, 2], [3]]}, "input"),
]


def test_what_changes_the_answer_is_refused(plane: Any, embeds_at: Any, embedders: Any) -> None:
    for count, (family, model, body, param) in enumerate(UNSAID, 1):
        answer = plane.client.post(
            "/v1/embeddings", json={"model": embeds_at(f"x{count}", family, "https://x.example", model), **body}
        )
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", param)
        assert embedders.sent == []
        row = plane.rows(count)[-1]
        assert (row.error_code, row.attempts) == ("unsupported_parameter", 0)


def test_the_next_route_is_asked_where_one_cannot(plane: Any, embedders: Any, openai_client: Any) -> None:
    """Tokens are OpenAI's alone: the route that can take them does."""
    world = plane.world
    cohere = world.account("c", "https://c.example", keys=("k",), provider=world.provider("c", family="cohere-chat"))
    other = world.account("o", "https://o.example/v1", keys=("k",), provider=world.provider("o"))
    world.model("both", (cohere, "embed-v4.0"), (other, "up"), service="embedding")
    plane.settle()
    embedders.say(say_openai(ONE))
    found = openai_client.embeddings.create(model="both", input=[1, 2, 3], encoding_format="float")
    assert found.data[0].embedding == ONE
    assert embedders.bodies == [{"model": "up", "input": [1, 2, 3], "encoding_format": "float"}]


WRONG: list[tuple[Any, ...]] = [
    ("/v1/embeddings", {"input": 7}, "input"),
    ("/v1/embeddings", {"input": []}, "input"),
    ("/v1/embeddings", {"input": "a", "dimensions": 0}, "dimensions"),
    ("/v1/embeddings", {"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ("/v1/embeddings", {"input": "a", "input_type": "x"}, "input_type"),
    ("/v1/embeddings", {"input": "a", "user": 1}, "user"),
    ("{name}:batchEmbedContents", {"requests": []}, "requests"),
    ("{name}:embedContent", {}, "content"),
    ("{name}:embedContent", {"content": {"parts": []}}, "content"),
    ("{name}:embedContent", {"content": {"parts": [{"text": "a"}]}, "taskType": "X"}, "taskType"),
]


def test_errors_are_of_the_clients_dialect(plane: Any, embeds: Any, embedders: Any) -> None:
    model = embeds("ollama")
    for path, body, param in WRONG:
        google = "{name}" in path
        asked = body if google else {"model": model, **body}
        answer = plane.client.post(path.format(name=f"/v1beta/models/{model}"), json=asked)
        error = answer.json()["error"]
        assert answer.headers["x-jackfield-error"] == "invalid_parameter"
        assert (answer.status_code, error["code"]) == (400, 400 if google else "invalid_parameter")
        assert error["status"] == "INVALID_ARGUMENT" if google else error["param"] == param
        assert param in error["message"] and embedders.sent == []


def test_numbers_beyond_all_range_are_relayed_and_not_read(
    plane: Any, embeds: Any, embeds_at: Any, embedders: Any
) -> None:
    """They are JSON, and no float holds them."""
    path, huge = "/v1/embeddings", '{"model": "%s", "input": "a", "user": 1e999}'
    answer = plane.client.post(path, content=huge % embeds("ollama"), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "number_too_long")
    capped = embeds_at("capped", "openai-completions", "https://o.example/v1", "up", quirks={"cap": {"user": 1}})
    answer = plane.client.post(path, content=huge % capped, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "user")
    assert embedders.sent == []
    said = b'{"data": [], "usage": {"prompt_tokens": 1e999}}'
    embedders.answers.append(httpx.Response(200, content=said))
    assert plane.client.post(path, content=huge % embeds("openai"), headers=JSON).content == said
    assert embedders.sent[0].content == b'{"model": "up", "input": "a", "user": 1e999}'


def test_upstreams_errors_reach_the_sdks(
    plane: Any, google_client: Any, openai_client: Any, embeds: Any, embedders: Any
) -> None:
    model = embeds("openai")
    embedders.say({"error": {"message": "dimensions?", "type": "invalid_request_error", "code": "own_code"}}, 400)
    with pytest.raises(openai.BadRequestError) as refusal:
        openai_client.embeddings.create(model=model, input="a")
    assert refusal.value.code == "own_code"
    embedders.say({"error": {"message": "away"}}, 503)
    with pytest.raises(genai.errors.ServerError) as failure:
        google_client.models.embed_content(model=model, contents="a")
    assert failure.value.code == 503
    for body in ({"data": "x"}, say_openai(ONE, TWO), {"data": [{"embedding": "AAAA"}]}):
        embedders.say(body)
        with pytest.raises(genai.errors.ServerError, match="not what its API promises"):
            google_client.models.embed_content(model=model, contents="a")
    with pytest.raises(openai.NotFoundError):
        openai_client.embeddings.create(model="no", input="a")
    with pytest.raises(genai.errors.ClientError):
        google_client.models.embed_content(model="no", contents="a")
    assert plane.client.post("/v1/embeddings", json={}, headers={"authorization": "Bearer no"}).status_code == 401


def test_models_that_chat_do_not_embed_and_the_other_way_round(
    plane: Any, google_client: Any, openai_client: Any, embeds_at: Any, embedders: Any
) -> None:
    chats = embeds_at("chat", "openai-completions", "https://o.example/v1", "gpt", service="text")
    embeds = embeds_at("embed", "openai-completions", "https://o.example/v1", "e")
    with pytest.raises(openai.BadRequestError, match="makes no embeddings") as refusal:
        openai_client.embeddings.create(model=chats, input="a")
    assert (refusal.value.code, refusal.value.param) == ("unsupported_parameter", "model")
    with pytest.raises(genai.errors.ClientError, match="makes no embeddings"):
        google_client.models.embed_content(model=chats, contents="a")
    with pytest.raises(openai.BadRequestError, match="nothing else"):
        openai_client.chat.completions.create(model=embeds, messages=[{"role": "user", "content": "hi"}])
    assert embedders.sent == []
    plane.world.project(preferred=[chats, embeds])
    plane.settle()
    embedders.say(say_openai(ONE))
    assert openai_client.embeddings.create(model="auto", input="a").model == embeds
    embedders.say(say_openai(ONE))
    assert openai_client.embeddings.create(model="at-embed/e2", input="a").model == "at-embed/e2", (
        "refs have no service"
    )
    listed = plane.client.get("/v1beta/models").json()["models"]
    methods = {model["displayName"]: model["supportedGenerationMethods"] for model in listed}
    assert methods == {
        chats: ["generateContent", "streamGenerateContent"],
        embeds: ["embedContent", "batchEmbedContents"],
    }
    assert plane.client.post(f"/v1beta/models/{embeds}:countTokens", json={"contents": "hi"}).status_code == 200


def test_one_task_and_one_length_for_upstreams_that_know_no_more(plane: Any, embeds: Any, embedders: Any) -> None:
    texts = [{"content": {"parts": [{"text": text}]}} for text in "ab"]
    for model, members in (
        (embeds("cohere"), [{"taskType": "RETRIEVAL_QUERY"}, {"taskType": "RETRIEVAL_DOCUMENT"}]),
        (embeds("openai"), [{"outputDimensionality": 64}, {"outputDimensionality": 128}]),
    ):
        asked = [text | member for text, member in zip(texts, members, strict=True)]
        answer = plane.client.post(f"/v1beta/models/{model}:batchEmbedContents", json={"requests": asked})
        assert (answer.status_code, answer.headers["x-jackfield-error"]) == (400, "unsupported_parameter")
    assert embedders.sent == []


def test_a_strict_project_is_refused_what_is_left_out(
    plane: Any, openai_client: Any, embeds: Any, embedders: Any
) -> None:
    model = embeds("ollama")
    plane.world.project(strict=True)
    plane.settle()
    with pytest.raises(openai.BadRequestError, match="cannot be told: user, input_type"):
        openai_client.embeddings.create(model=model, input="a", user="u", extra_body={"input_type": "query"})
    assert embedders.sent == []


def test_quirks_change_the_body(openai_client: Any, embeds_at: Any, embedders: Any) -> None:
    quirks = {"drop": ["user"], "default": {"input_type": "passage"}, "rename": {"dimensions": "dims"}}
    for name, family, says in (("a", "openai-completions", say_openai), ("b", "ollama-native", say_ollama)):
        model = embeds_at(name, family, f"https://{name}.example", "up", quirks=quirks)
        embedders.say(says(ONE))
        raw = openai_client.embeddings.with_raw_response.create(
            model=model, input=["a"], user="u", dimensions=4, encoding_format="float"
        )
        assert raw.headers["x-jackfield-dropped"] == "user"
        body = embedders.bodies.pop()
        assert body == {"model": "up", "input": ["a"], "input_type": "passage", "dims": 4} | (
            {"encoding_format": "float"} if name == "a" else {}
        )


def test_what_it_cost(plane: Any, openai_client: Any, embeds: Any, embedders: Any) -> None:
    """From the price of the input alone; unknown where the upstream told no tokens."""
    from providers.models import CatalogModel

    model = embeds("generative")
    CatalogModel.objects.create(
        provider=plane.world.provider("at-generative"),
        model="up",
        kind="embedding",
        price_input=2_000_000,
        price_output=0,
    )
    plane.settle()
    embedders.say(say_gemini(ONE))
    embedders.say({"embeddings": [{"values": ONE}]})
    assert openai_client.embeddings.create(model=model, input="a").usage.total_tokens == 9
    raw = openai_client.embeddings.with_raw_response.create(model=model, input="a")
    assert "usage" not in json.loads(raw.content)
    told, silent = plane.rows(2)
    assert (told.input_tokens, told.output_tokens, told.cost_micro) == (9, 0, 18)
    assert (silent.status, silent.input_tokens, silent.output_tokens, silent.cost_micro) == (200, None, None, None)


def test_a_limited_key_rests_and_the_next_one_is_taken(
    plane: Any, openai_client: Any, embeds: Any, embedders: Any
) -> None:
    model = embeds("ollama")

    from providers.models import Account

    plane.world.keys(Account.objects.get(name="at-ollama"), "key-2")
    plane.settle()
    embedders.say({"error": "slow down"}, 429)
    embedders.say(say_ollama(ONE))
    assert openai_client.embeddings.create(model=model, input="a").usage.prompt_tokens == 9
    assert [request.headers["authorization"] for request in embedders.sent] == ["Bearer key-1", "Bearer key-2"]
    (row,) = plane.rows()
    assert (row.attempts, row.status) == (2, 200)


def test_explain_tells_of_the_family_that_embeds(plane: Any, embedders: Any, openai_client: Any) -> None:
    """Vertex answers OpenAI's chat in its own dialect, and embeds in Google's."""
    from routing.explain import explain
    from routing.store import store

    vertex = "https://v.example/v1/publishers/google/models/{model}"
    families = {"openai-completions": "https://v.example/v1/endpoints/openapi"}
    provider = plane.world.provider("v", family="google-vertex", base_url=vertex, families=families)
    account = plane.world.account("v", "", keys=("k",), provider=provider)
    plane.world.model("both", (account, "text-embedding-005"), service="embedding")
    plane.world.model("chats", (account, "google/gemini-3-flash"))
    plane.settle()
    told = {name: explain(store.current, name)["candidates"][0]["family"] for name in ("both", "chats")}
    assert told == {"both": "google-vertex", "chats": "openai-completions"}
    embedders.say({"predictions": [{"embeddings": {"values": ONE}}]})
    openai_client.embeddings.create(model="both", input="a")
    assert embedders.sent[0].url.path == "/v1/publishers/google/models/text-embedding-005:predict"
    assert plane.rows()[0].input_tokens is None
