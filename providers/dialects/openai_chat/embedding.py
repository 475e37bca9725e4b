"""Embeddings as OpenAI has them (POST /v1/embeddings), and all who took it over. Pure.

Beside OpenAI's own members `input_type` is read, by which Cohere, Voyage and NVIDIA are told what a text is for.
Tokens in place of texts can be relayed and not translated: they are those of one model.
"""

from __future__ import annotations

import base64
import struct
from typing import Any, Final

import msgspec

from providers.dialects.canon import BadAnswer, Misfit, Target, Written
from providers.dialects.embedding import (
    Answer,
    EmbeddingClient,
    EmbeddingUpstream,
    Input,
    Request,
    Task,
    said_in,
    unsaid,
    usage_of,
)
from providers.dialects.jsonio import Fields, quote, read_trusting
from providers.dialects.usage import Usage, first
from providers.dialects.values import value_in

NAME: Final = "openai_embeddings"
_KNOWN: Final = frozenset({"model", "input", "dimensions", "encoding_format", "user", "input_type"})
_TASKS: Final[dict[str, Task]] = {
    "query": "query",
    "search_query": "query",
    "document": "document",
    "search_document": "document",
    "passage": "document",
    "classification": "classification",
    "clustering": "clustering",
}


class _Datum(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _Said(msgspec.Struct):
    data: list[_Datum]
    usage: Any = None


_decode: Final = msgspec.json.Decoder(_Said).decode
_encode: Final = msgspec.json.Encoder().encode


# --- clients ---------------------------------------------------------------------------------------------------------


def read_request(body: dict[str, Any]) -> Request:
    """The request. Raises Misfit."""
    task = _task(body.get("input_type"))
    packing = body.get("encoding_format")
    if packing not in (None, "float", "base64"):
        raise Misfit("`encoding_format` must be float or base64.", "encoding_format")
    dimensions = body.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise Misfit("`dimensions` must be a positive whole number.", "dimensions")
    user = body.get("user") or ""
    if not isinstance(user, str):
        raise Misfit("`user` must be a string.", "user")
    return Request(
        inputs=tuple(Input(text, task) for text in _texts(body.get("input"))),
        dimensions=dimensions,
        user=user,
        packed=packing == "base64",
        extras={name: value for name, value in body.items() if name not in _KNOWN and value is not None},
    )


def _texts(found: Any) -> list[str]:
    texts = [found] if isinstance(found, str) else found
    if isinstance(texts, list) and texts:
        if all(isinstance(text, str) for text in texts):
            return texts
        if all(type(part) is int or isinstance(part, list) for part in texts):
            raise Misfit("The model's provider takes no tokens: send texts as `input`.", "input", unsupported=True)
    raise Misfit("`input` must be a string or a list of strings.", "input")


def _task(found: Any) -> Task:
    if found is None:
        return ""
    if not isinstance(found, str) or found.lower() not in _TASKS:
        raise Misfit(f"`input_type` must be one of {', '.join(_TASKS)}.", "input_type")
    return _TASKS[found.lower()]


def write_answer(answer: Answer, public_model: str, request: Request) -> bytes:
    """The answer, under the public model's name. Without `usage` where the upstream told none."""
    data = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if request.packed else vector}
        for index, vector in enumerate(answer.vectors)
    ]
    said: dict[str, Any] = {"object": "list", "data": data, "model": public_model}
    if answer.tokens is not None:
        said["usage"] = {"prompt_tokens": answer.tokens, "total_tokens": answer.tokens}
    return _encode(said)


def packed(vector: list[float]) -> str:
    """A vector in base64. What is beyond a 32-bit float becomes infinite, as it does when it is read there."""
    try:
        plain = struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError:
        raise BadAnswer("the upstream's answer holds a number that is none of 32 bits") from None
    return base64.b64encode(plain).decode("ascii")


def aim(fields: Fields, model: str, in_body: bool) -> None:
    """Put the upstream's model into a request, where it does not stand in the URL."""
    if in_body:
        fields.set("model", quote(model))
    else:
        fields.remove("model")


def splice(body: bytes, public_model: str) -> tuple[bytes, Usage | None]:
    """The answer with its `model` replaced, and its usage; every other byte stays. Raises jsonio.BadBody."""
    fields = read_trusting(body)
    raw = fields.get("usage")
    usage = usage_of(_tokens(value_in(raw))) if raw is not None else None
    return (fields.replace("model", quote(public_model)) if "model" in fields else body), usage


# --- upstreams -------------------------------------------------------------------------------------------------------


def write_request(request: Request, target: Target) -> Written:
    """The request."""
    body: dict[str, Any] = {"input": request.texts}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.user:
        body["user"] = request.user
    return Written(body, unsaid(request, "task", "title"))


def read_answer(body: bytes) -> Answer:
    """The answer. Raises BadAnswer."""
    said = said_in(body, _decode)
    said.data.sort(key=lambda datum: datum.index)
    return Answer([datum.embedding for datum in said.data], _tokens(said.usage))


def _tokens(usage: Any) -> int | None:
    """Those of the input, which are all there are: Voyage tells the total alone."""
    return first(usage, "prompt_tokens", "input_tokens", "total_tokens") if isinstance(usage, dict) else None


OPENAI: Final = EmbeddingUpstream(write_request=write_request, read_answer=read_answer)
OPENAI_CLIENT: Final = EmbeddingClient(
    dialect=NAME,
    read_request=read_request,
    write_answer=write_answer,
    aim=aim,
    splice=splice,
    words={"task": "input_type"},
)
