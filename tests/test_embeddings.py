"""Embeddings through the gateway: the official SDKs ask, upstreams of every family that embeds answer."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import httpx
import openai
import pytest
from google.genai import types

from providers.dialects.registry import EMBEDDING_UPSTREAMS
from providers.families import FAMILIES
from tests.embedding_upstreams import KINDS, ONE, RELAYED, TWO, say_cohere, say_openai, say_titan

pytestmark = pytest.mark.django_db(transaction=True)


def test_openais_client_at_every_family(plane: Any, openai_client: Any, embeds: Any, embedders: Any) -> None:
    for count, (name, one) in enumerate(KINDS.items(), 1):
        model = embeds(name)
        embedders.say(one.says(ONE, TWO))
        raw = openai_client.embeddings.with_raw_response.create(
            model=model, input=["a", "b"], dimensions=64, encoding_format="float", user="u"
        )
        found = raw.parse()
        assert [datum.embedding for datum in found.data] == [ONE, TWO]
        assert [datum.index for datum in found.data] == [0, 1]
        assert (found.model, found.usage.prompt_tokens, found.usage.total_tokens) == (model, 9, 9)
        assert raw.headers["x-jackfield-dropped"] == ("" if name in RELAYED else "user")
        request, body = embedders.taken()
        assert (request.method, request.url.path, body) == ("POST", one.path, one.body)
        assert request.headers["authorization"] == "Bearer key-1"
        row = plane.rows(count)[-1]
        assert (row.endpoint, row.dialect, row.status, row.outcome) == ("embeddings", "openai_chat", 200, "ok")
        assert (row.model, row.upstream_model, row.input_tokens, row.output_tokens) == (model, one.model, 9, 0)


def test_queries_of_a_base_url_stay(embeds: Any, openai_client: Any, embedders: Any) -> None:
    embedders.say(say_openai(ONE))
    openai_client.embeddings.create(model=embeds("azure"), input="a")
    assert embedders.sent[0].url.query == b"api-version=1"


def test_googles_client_at_every_family(plane: Any, google_client: Any, embeds: Any, embedders: Any) -> None:
    """`embed_content` of google-genai asks for a batch."""
    for count, (name, one) in enumerate(KINDS.items(), 1):
        model = embeds(name)
        embedders.say(one.says(ONE, TWO))
        config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", title="t", output_dimensionality=64)
        found = google_client.models.embed_content(model=model, contents=["a", "b"], config=config)
        assert found.embeddings is not None
        assert [each.values for each in found.embeddings] == [ONE, TWO]
        assert found.sdk_http_response is not None and found.sdk_http_response.headers is not None
        dropped = found.sdk_http_response.headers["x-jackfield-dropped"]
        request, body = embedders.taken()
        assert request.url.path == one.path
        texts = [{"content": {"parts": [{"text": text}]}} for text in "ab"]
        said = {"taskType": "RETRIEVAL_QUERY", "title": "t", "outputDimensionality": 64}
        match name:
            case "generative":
                assert dropped == ""
                assert [each.pop("model") for each in body["requests"]] == ["models/up"] * 2
                assert [{**each, "content": {"parts": each["content"]["parts"]}} for each in body["requests"]] == [
                    text | said for text in texts
                ]
            case "vertex":
                asked = [{"content": text, "task_type": "RETRIEVAL_QUERY", "title": "t"} for text in "ab"]
                assert (dropped, body) == ("", {"instances": asked, "parameters": {"outputDimensionality": 64}})
            case "vertex-later":
                assert (dropped, body) == ("", {"requests": [text | {"embedContentConfig": said} for text in texts]})
            case "cohere" | "bedrock":
                assert (dropped, body) == ("title", one.body | {"input_type": "search_query"})
            case _:
                left = {key: value for key, value in one.body.items() if key not in ("encoding_format", "user")}
                assert (dropped, body) == ("taskType,title", left)
        row = plane.rows(count)[-1]
        assert (row.endpoint, row.dialect, row.input_tokens) == ("embeddings", "google_generate", 9)


def test_one_text_is_asked_for_and_answered_as_one(plane: Any, embeds: Any, embedders: Any) -> None:
    for name, version in (("generative", "v1"), ("openai", "v1beta"), ("vertex-later", "v1alpha")):
        model = embeds(name)
        single = {"embedding": {"values": ONE}, "usageMetadata": {"promptTokenCount": 9}}
        embedders.say(say_openai(ONE) if name == "openai" else single)
        body = {
            "model": f"models/{model}",
            "content": {"parts": [{"text": "a"}, {"text": "b"}]},
            "taskType": "CLUSTERING",
        }
        answer = plane.client.post(f"/{version}/models/{model}:embedContent", json=body)
        assert answer.json() == single
        request, asked = embedders.taken()
        match name:
            case "generative":
                assert request.url.path == "/v1beta/models/up:embedContent"
                assert asked == body | {"model": "models/up"}
            case "openai":
                assert asked == {"model": "up", "input": ["a\nb"]}
                assert answer.headers["x-jackfield-dropped"] == "taskType"
            case _:
                assert request.url.path.endswith("/gemini-embedding-2:embedContent")
                content = {"parts": [{"text": "a\nb"}]}
                assert asked == {"content": content, "embedContentConfig": {"taskType": "CLUSTERING"}}


def test_bytes_of_the_same_dialect_pass_both_ways(plane: Any, embeds: Any, embedders: Any) -> None:
    """What Jackfield has never heard of is relayed, spacing and all; only the model's name is another."""
    model = embeds("openai")
    answer = b'{ "data":[{"embedding":"AAAAPw==","index":0}],"model" : "up","new":1.50, "usage":{"total_tokens":7}}'
    embedders.answers.append(httpx.Response(200, content=answer, headers={"content-type": "application/json"}))
    asked = b'{ "input": [[1, 2],[3]],  "model":"%s", "new" : {"a":1e2} }' % model.encode()
    found = plane.client.post("/v1/embeddings", content=asked, headers={"content-type": "application/json"})
    assert embedders.sent[0].content == asked.replace(model.encode(), b"up")
    assert found.content == answer.replace(b'"up"', f'"{model}"'.encode())
    embeds("generative")
    asked = b'{"requests" : [ {"x":1.0,"model":"models/of-generative","content":{"parts":[{"a":{}}]}},{"content":{}}]}'
    answer = b'{"embeddings": [{"values":[1.0]}, {"values":[2]} ],"new":1.50}'
    embedders.answers.append(httpx.Response(200, content=answer, headers={"content-type": "application/json"}))
    found = plane.client.post(
        "/v1beta/models/of-generative:batchEmbedContents", content=asked, headers={"content-type": "application/json"}
    )
    assert found.content == answer
    assert embedders.sent[1].content == (
        b'{"requests" : [{"x":1.0,"model":"models/up","content":{"parts":[{"a":{}}]}},'
        b'{"content":{},"model":"models/up"}]}'
    )
    first, second = plane.rows(2)
    assert (first.input_tokens, second.input_tokens, second.cost_micro) == (7, None, None)


def test_vectors_come_packed_to_who_wants_them_so(openai_client: Any, embeds: Any, embedders: Any) -> None:
    """OpenAI's SDK asks for base64 unless told, and unpacks it."""
    embedders.say(say_cohere(ONE, TWO))
    embedders.say(say_cohere(ONE))
    model = embeds("cohere")
    found = openai_client.embeddings.create(model=model, input=["a", "b"])
    assert [list(datum.embedding) for datum in found.data] == [ONE, TWO]
    raw = openai_client.embeddings.with_raw_response.create(model=model, input="a", encoding_format="base64")
    packed = json.loads(raw.content)["data"][0]["embedding"]
    assert list(struct.unpack("<3f", base64.b64decode(packed))) == ONE
    assert "encoding_format" not in embedders.bodies[0]


def test_titan_takes_one_text(openai_client: Any, embeds_at: Any, embedders: Any) -> None:
    model = embeds_at("titan", "bedrock-converse", "https://b.example", "amazon.titan-embed-text-v2:0")
    embedders.say(say_titan(ONE))
    found = openai_client.embeddings.create(model=model, input="a", dimensions=256, encoding_format="float")
    assert (found.data[0].embedding, found.usage.prompt_tokens) == (ONE, 9)
    assert embedders.sent[0].url.raw_path == b"/model/amazon.titan-embed-text-v2%3A0/invoke"
    assert embedders.bodies == [{"inputText": "a", "dimensions": 256}]
    with pytest.raises(openai.BadRequestError, match="one text") as refusal:
        openai_client.embeddings.create(model=model, input=["a", "b"])
    assert (refusal.value.code, refusal.value.param) == ("unsupported_parameter", "input")
    assert len(embedders.sent) == 1


def test_every_family_says_where_and_how_it_embeds() -> None:
    assert {family.embedding for family in FAMILIES.values() if family.embedding} == set(EMBEDDING_UPSTREAMS)
    for family in FAMILIES.values():
        assert bool(family.embedding) == bool(family.embed_path)
        assert not family.embedding or family.is_served
    tried = {one.family for one in KINDS.values()} | {"bedrock-converse-stream"}
    assert tried == {family.name for family in FAMILIES.values() if family.embedding}
