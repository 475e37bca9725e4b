"""Answers of recorded embeddings as they are read and relayed; arbitrary answers and requests."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.canon import BadAnswer, Misfit, Target
from providers.dialects.embedding import Input, Request
from providers.dialects.jsonio import BadBody
from providers.dialects.registry import EMBEDDING_CLIENTS, EMBEDDING_UPSTREAMS
from tests.recordings import SHARED, body_of

DIALECTS = {
    "/v1/embeddings": "openai_embeddings",
    "/embeddings?": "openai_embeddings",
    "EmbedContents": "google_embeddings",
    "text-embedding-004:predict": "vertex_embeddings",
    "/embed": "cohere_embeddings",
    "titan-embed": "bedrock_embeddings",
}


def exchanges() -> list[Any]:
    """Recorded requests for vectors of floats that were answered; none where there are no recordings."""
    found = []
    for path in sorted((SHARED / "cassettes").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            case = json.loads(line)
            dialect = next((name for end, name in DIALECTS.items() if end in case["url"]), None)
            asked = json.dumps(case["request_body"])
            if dialect and case["status"] == 200 and "int8" not in asked:
                found.append(pytest.param(dialect, case, id=case["id"]))
    return found


@pytest.mark.parametrize(("dialect", "case"), exchanges())
def test_what_was_recorded_is_read(dialect: str, case: Any) -> None:
    body, asked = body_of(case), case["request_body"]
    said = json.loads(body)
    counted = {
        "openai_embeddings": lambda: said["usage"].get("prompt_tokens", said["usage"]["total_tokens"]),
        "google_embeddings": lambda: said.get("usageMetadata", {}).get("promptTokenCount"),
        "vertex_embeddings": lambda: sum(
            each["embeddings"]["statistics"]["token_count"] for each in said["predictions"]
        ),
        "cohere_embeddings": lambda: said["meta"]["billed_units"]["input_tokens"],
        "bedrock_embeddings": lambda: said["inputTextTokenCount"],
    }[dialect]()
    client = next((client for client in EMBEDDING_CLIENTS.values() if client.dialect == dialect), None)
    if client is not None:
        relayed, usage = client.splice(body, "public")
        assert (usage.input if usage else None) == counted
        assert json.loads(relayed) == said | ({"model": "public"} if "model" in said else {})
    if dialect == "openai_embeddings" and isinstance(said["data"][0]["embedding"], str):
        return  # never asked for by what reads it
    answer = EMBEDDING_UPSTREAMS[dialect].read_answer(body)
    asked = asked if isinstance(asked, dict) else json.loads(asked)
    texts = asked.get("input") or asked.get("texts") or asked.get("requests") or asked.get("instances")
    assert len(answer.vectors) == (len(texts) if isinstance(texts, list) else 1)
    assert answer.tokens == counted
    assert all(len(vector) > 100 and all(isinstance(part, float) for part in vector) for vector in answer.vectors)


#: Members that mean something to one of the dialects.
WORDS = """data embedding embeddings index float values predictions statistics token_count usage usageMetadata meta
billed_units input_tokens inputTextTokenCount promptTokenCount input dimensions content parts text taskType requests
outputDimensionality embedContentConfig user encoding_format input_type title model"""
NAMES = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_any_answer_is_read_or_bad(value: Any) -> None:
    body = json.dumps(value).encode()
    for upstream in EMBEDDING_UPSTREAMS.values():
        with contextlib.suppress(BadAnswer):
            upstream.read_answer(body)
    for client in EMBEDDING_CLIENTS.values():
        with contextlib.suppress(BadBody):
            client.splice(body, "m")


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_request_is_read_or_a_misfit(body: dict[str, Any]) -> None:
    for client in EMBEDDING_CLIENTS.values():
        try:
            request = client.read_request(body)
        except Misfit:
            continue
        for name, upstream in EMBEDDING_UPSTREAMS.items():
            try:
                written = upstream.write_request(request, Target(model="amazon.titan-embed-text-v2:0"))
            except Misfit as problem:
                assert problem.unsupported
            else:
                json.dumps(written.body)
                assert set(written.dropped) <= {"user", "task", "title"}, name


TEXTS = (Input("a", "query"), Input("b", "query", "t"))


def test_what_a_vector_is_for_in_the_words_of_each() -> None:
    """Google's task types are the most; Cohere's are four, and it must be told one."""

    def written(name: str, *inputs: Input, model: str = "up") -> Any:
        return EMBEDDING_UPSTREAMS[name].write_request(Request(inputs=inputs), Target(model=model))

    for task, word in {
        "": "search_document",
        "query": "search_query",
        "question": "search_query",
        "document": "search_document",
        "similarity": "search_document",
        "classification": "classification",
        "clustering": "clustering",
    }.items():
        said = written("cohere_embeddings", Input("a", task))  # type: ignore[arg-type]  # a literal's words
        assert said.body["input_type"] == word
        assert said.dropped == (("task",) if task == "similarity" else ())
    said = written("google_embeddings", *TEXTS)
    assert [each["taskType"] for each in said.body["requests"]] == ["RETRIEVAL_QUERY"] * 2
    assert [each.get("title") for each in said.body["requests"]] == [None, "t"]
    for client, body in (
        ("", {"input": "a", "input_type": "search_query"}),
        ("embedContent", {"content": "a", "task_type": "RETRIEVAL_QUERY"}),
        ("embedContent", {"content": "a", "embed_content_config": {"taskType": "RETRIEVAL_QUERY"}}),
    ):
        assert EMBEDDING_CLIENTS[client].read_request(body).inputs == (Input("a", "query"),)
