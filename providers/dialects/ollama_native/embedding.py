"""Embeddings of Ollama (`/api/embed`), as an upstream. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import Target, Written
from providers.dialects.embedding import Answer, EmbeddingUpstream, Request, said_in, unsaid
from providers.dialects.usage import tokens

NAME: Final = "ollama_embeddings"


class _Said(msgspec.Struct):
    embeddings: list[list[float]]
    prompt_eval_count: Any = None


_decode: Final = msgspec.json.Decoder(_Said).decode


def write_request(request: Request, target: Target) -> Written:
    """The request."""
    body: dict[str, Any] = {"input": request.texts}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return Written(body, unsaid(request, "user", "task", "title"))


def read_answer(body: bytes) -> Answer:
    """The answer. Raises BadAnswer."""
    said = said_in(body, _decode)
    return Answer(said.embeddings, tokens(said.prompt_eval_count))


OLLAMA: Final = EmbeddingUpstream(write_request=write_request, read_answer=read_answer)
