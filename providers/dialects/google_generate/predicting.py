"""Embeddings of Google's models at Vertex AI, as an upstream. Pure.

`:predict` with one instance a text, as Vertex's reference has it for `text-embedding-005` and `gemini-embedding-001`.
Gemini's later ones are asked by `:embedContent` and `:batchEmbedContents`, with their settings in `embedContentConfig`,
as Google's own SDK asks Vertex.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import Target, Written
from providers.dialects.embedding import Answer, EmbeddingUpstream, Input, Request, said_in, unsaid
from providers.dialects.google_generate import embedding
from providers.dialects.usage import added, tokens

NAME: Final = "vertex_embeddings"
_PREDICT: Final = "predict"


class _Embedded(msgspec.Struct):
    values: list[float]
    statistics: Any = None


class _Prediction(msgspec.Struct):
    embeddings: _Embedded


class _Said(msgspec.Struct):
    predictions: list[_Prediction] | None = None


_decode: Final = msgspec.json.Decoder(_Said).decode


def verb(model: str, count: int) -> str:
    """How this model is asked for so many vectors."""
    if "gemini" not in model or model.startswith("gemini-embedding-001"):
        return _PREDICT
    return embedding.ONE if count == 1 else embedding.MANY


def write_request(request: Request, target: Target) -> Written:
    """The request for the verb of the model."""
    unknown = unsaid(request, "user")
    asked_by = verb(target.model, len(request.inputs))
    if asked_by == _PREDICT:
        body: dict[str, Any] = {"instances": [_instance(given) for given in request.inputs]}
        if request.dimensions is not None:
            body["parameters"] = {"outputDimensionality": request.dimensions}
        return Written(body, unknown)
    asked = [_asked(given, request) for given in request.inputs]
    return Written(asked[0] if asked_by == embedding.ONE else {"requests": asked}, unknown)


def _instance(given: Input) -> dict[str, Any]:
    said = {"content": given.text, "task_type": embedding.TASKS.get(given.task), "title": given.title or None}
    return {name: value for name, value in said.items() if value is not None}


def _asked(given: Input, request: Request) -> dict[str, Any]:
    settings = embedding.settings(given, request)
    return {"content": embedding.content(given)} | ({"embedContentConfig": settings} if settings else {})


def read_answer(body: bytes) -> Answer:
    """The answer to any of the verbs. Raises BadAnswer."""
    found = said_in(body, _decode).predictions
    if not found:
        return embedding.read_answer(body)
    counts = [_count(each.embeddings.statistics) for each in found]
    return Answer([each.embeddings.values for each in found], None if None in counts else added(*counts))


def _count(statistics: Any) -> int | None:
    return tokens(statistics.get("token_count")) if isinstance(statistics, dict) else None


VERTEX: Final = EmbeddingUpstream(write_request=write_request, read_answer=read_answer, verb=verb)
