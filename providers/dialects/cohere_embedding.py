"""Embeddings of Cohere's models, at its own API (`/v2/embed`) and at Bedrock, as an upstream. Pure.

Its models want to know what a text is for (`input_type`). A client that does not say gets vectors as of documents. The
length can be chosen from Embed 4 on. https://docs.cohere.com/reference/embed
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from providers.dialects.canon import Misfit, Target, Written
from providers.dialects.embedding import Answer, EmbeddingUpstream, Request, Task, one_task, said_in, unsaid
from providers.dialects.usage import tokens

NAME: Final = "cohere_embeddings"
_ONE_LENGTH: Final = re.compile(r"embed-.*v[123](?:\D|\Z)")
#: What looks for something is a query here, whatever it looks for.
_TYPES: Final[dict[Task, str]] = {
    "query": "search_query",
    "question": "search_query",
    "fact": "search_query",
    "code": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}


class _ByType(msgspec.Struct):
    floats: list[list[float]] = msgspec.field(name="float")


class _Said(msgspec.Struct):
    #: a plain list where an upstream does not heed `embedding_types`
    embeddings: _ByType | list[list[float]]
    meta: Any = None


_decode: Final = msgspec.json.Decoder(_Said).decode


def write_request(request: Request, target: Target) -> Written:
    """The request. Raises Misfit."""
    try:
        task = one_task(request)
    except ValueError:
        raise Misfit(
            "The model's provider embeds all texts of a request for one task: ask for each task by itself.",
            "requests",
            unsupported=True,
        ) from None
    if request.dimensions is not None and _ONE_LENGTH.search(target.model):
        raise Misfit("The model has vectors of one length.", "dimensions", unsupported=True)
    body: dict[str, Any] = {
        "texts": request.texts,
        "input_type": _TYPES.get(task, "search_document"),
        "embedding_types": ["float"],
    }
    if request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    lost = unsaid(request, "user", "title") if task in _TYPES else unsaid(request, "user", "task", "title")
    return Written(body, lost)


def read_answer(body: bytes) -> Answer:
    """The answer. Raises BadAnswer."""
    said = said_in(body, _decode)
    vectors = said.embeddings if isinstance(said.embeddings, list) else said.embeddings.floats
    billed = said.meta.get("billed_units") if isinstance(said.meta, dict) else None
    return Answer(vectors, tokens(billed.get("input_tokens")) if isinstance(billed, dict) else None)


COHERE: Final = EmbeddingUpstream(write_request=write_request, read_answer=read_answer)
