"""Embeddings at Bedrock, as an upstream: InvokeModel with a body in the words of the model's maker. Pure.

Amazon's Titan Text Embeddings take one text a request, and from version 2 on a length of the vector. Bodies as
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and its neighbours say.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects import cohere_embedding
from providers.dialects.bedrock_converse.models import model_of
from providers.dialects.canon import Misfit, Target, Written
from providers.dialects.embedding import Answer, EmbeddingUpstream, Request, said_in, unsaid
from providers.dialects.usage import tokens

NAME: Final = "bedrock_embeddings"
_TITAN: Final = "titan-embed-text-"


class _Said(msgspec.Struct, rename="camel"):
    embedding: list[float] | None = None
    input_text_token_count: Any = None


_decode: Final = msgspec.json.Decoder(_Said).decode


def write_request(request: Request, target: Target) -> Written:
    """The request. Raises Misfit."""
    model = model_of(target)
    if model.vendor == "cohere" and "embed" in model.name:
        return cohere_embedding.write_request(request, target)
    if model.vendor != "amazon" or not model.name.startswith(_TITAN):
        raise Misfit(f"'{target.model}' is no model whose embeddings can be asked for.", "model", unsupported=True)
    if len(request.inputs) != 1:
        raise Misfit("The model takes one text a request.", "input", unsupported=True)
    body: dict[str, Any] = {"inputText": request.inputs[0].text}
    if request.dimensions is not None:
        if not model.name.startswith(f"{_TITAN}v2"):
            raise Misfit("The model has vectors of one length.", "dimensions", unsupported=True)
        body["dimensions"] = request.dimensions
    return Written(body, unsaid(request, "user", "task", "title"))


def read_answer(body: bytes) -> Answer:
    """The answer of a model of either maker. Raises BadAnswer."""
    said = said_in(body, _decode)
    if said.embedding is None:
        return cohere_embedding.read_answer(body)
    return Answer([said.embedding], tokens(said.input_text_token_count))


BEDROCK: Final = EmbeddingUpstream(write_request=write_request, read_answer=read_answer)
