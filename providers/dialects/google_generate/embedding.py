"""Embeddings of Gemini's API: `:embedContent` for one text, `:batchEmbedContents` for any number. Pure.

Members as https://ai.google.dev/api/embeddings lists them. `embedContentConfig`, which Vertex has them in, is read too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from providers.dialects.canon import Misfit, Target, Written
from providers.dialects.embedding import (
    Answer,
    EmbeddingClient,
    EmbeddingUpstream,
    Input,
    Request,
    Task,
    no_vectors,
    said_in,
    unsaid,
    usage_of,
)
from providers.dialects.google_generate.members import below, integer, message, several, text, within
from providers.dialects.jsonio import Fields, quote, read_object, read_trusting
from providers.dialects.usage import Usage, tokens
from providers.dialects.values import value_in

NAME: Final = "google_embeddings"
ONE: Final = "embedContent"
MANY: Final = "batchEmbedContents"
_KNOWN: Final = frozenset({"model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig"})
#: The hub's word -> Google's.
TASKS: Final[dict[Task, str]] = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "similarity": "SEMANTIC_SIMILARITY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "question": "QUESTION_ANSWERING",
    "fact": "FACT_VERIFICATION",
    "code": "CODE_RETRIEVAL_QUERY",
}
_MEANT: Final[dict[str, Task]] = {
    "": "",
    "TASK_TYPE_UNSPECIFIED": "",
    **{said: task for task, said in TASKS.items()},
}


class _Values(msgspec.Struct):
    values: list[float]


class _Said(msgspec.Struct, rename="camel"):
    embedding: _Values | None = None
    embeddings: list[_Values] | None = None
    usage_metadata: Any = None


_decode: Final = msgspec.json.Decoder(_Said).decode
_encode: Final = msgspec.json.Encoder().encode
_raws: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


# --- clients ---------------------------------------------------------------------------------------------------------


def read_one(body: dict[str, Any]) -> Request:
    """A request of `embedContent`. Raises Misfit."""
    return _gathered([_read(message(body, ""), "")], {})


def read_many(body: dict[str, Any]) -> Request:
    """A request of `batchEmbedContents`. Raises Misfit."""
    found = message(body, "")
    asked = [
        _read(message(each, f"requests[{at}]"), f"requests[{at}]") for at, each in enumerate(several(found, "requests"))
    ]
    if not asked:
        raise Misfit("requests must hold at least one request.", "requests")
    return _gathered(asked, {name: value for name, value in found.items() if name not in ("requests", "model")})


def _gathered(asked: list[Request], extras: dict[str, Any]) -> Request:
    """One request for the texts of all."""
    lengths = {each.dimensions for each in asked}
    if len(lengths) > 1:
        raise Misfit(
            "The model's provider gives all vectors of a request one length: ask for one `outputDimensionality`.",
            "requests",
            unsupported=True,
        )
    for each in asked:
        extras = {**extras, **each.extras}
    return Request(
        inputs=tuple(given for each in asked for given in each.inputs), dimensions=asked[0].dimensions, extras=extras
    )


def _read(asked: dict[str, Any], param: str) -> Request:
    config = below(asked, "embedContentConfig", param) or {}
    found = {**config, **asked}
    dimensions = integer(found, "outputDimensionality", param)
    if dimensions is not None and dimensions < 1:
        raise Misfit("outputDimensionality must be positive.", within(param, "outputDimensionality"))
    task = text(found, "taskType", param)
    if task not in _MEANT:
        raise Misfit(f"taskType must be one of {', '.join(TASKS.values())}.", within(param, "taskType"))
    return Request(
        inputs=(Input(_words(found, param), _MEANT[task], text(found, "title", param)),),
        dimensions=dimensions,
        extras={name: value for name, value in found.items() if name not in _KNOWN},
    )


def _words(asked: dict[str, Any], param: str) -> str:
    """The text of a content, its parts on lines of their own."""
    where = within(param, "content")
    content = asked.get("content")
    if isinstance(content, str):
        return content
    said = []
    for part in several(message(content, where), "parts"):
        members = {"text": part} if isinstance(part, str) else message(part, f"{where}.parts")
        if "text" not in members:
            raise Misfit("The model's provider embeds nothing but text.", f"{where}.parts", unsupported=True)
        said.append(text(members, "text", f"{where}.parts"))
    if not said:
        raise Misfit(f"{where} must hold a part.", where)
    return "\n".join(said)


def _write_one(answer: Answer, public_model: str, request: Request) -> bytes:
    return _encode({"embedding": {"values": answer.vectors[0]}} | _counted(answer))


def _write_many(answer: Answer, public_model: str, request: Request) -> bytes:
    return _encode({"embeddings": [{"values": vector} for vector in answer.vectors]} | _counted(answer))


def _counted(answer: Answer) -> dict[str, Any]:
    return {} if answer.tokens is None else {"usageMetadata": {"promptTokenCount": answer.tokens}}


def aim_one(fields: Fields, model: str, _: bool) -> None:
    """Put the upstream's model where a request names one; its URL names it anyway."""
    if "model" in fields:
        fields.set("model", quote(f"models/{model}"))


def aim_many(fields: Fields, model: str, _: bool) -> None:
    """The same in each request of a batch, which must name the model of the URL. Raises BadBody."""
    aim_one(fields, model, _)
    try:
        asked = _raws(fields.get("requests") or b"null")
    except msgspec.ValidationError:
        return  # the upstream says what is wrong with it
    fields.set("requests", b"[" + b",".join(_aimed(bytes(raw), model) for raw in asked) + b"]")


def _aimed(request: bytes, model: str) -> bytes:
    fields = read_object(request)
    return fields.replace("model", quote(f"models/{model}"))


def splice(body: bytes, public_model: str) -> tuple[bytes, Usage | None]:
    """The answer as it came, which names no model, and its usage. Raises jsonio.BadBody."""
    raw = read_trusting(body).get("usageMetadata")
    return body, usage_of(_tokens(value_in(raw))) if raw is not None else None


# --- upstreams -------------------------------------------------------------------------------------------------------


def write_request(request: Request, target: Target) -> Written:
    """The request, as a batch."""
    name = f"models/{target.model}"
    asked = [{"model": name, "content": content(given)} | settings(given, request) for given in request.inputs]
    return Written({"requests": asked}, unsaid(request, "user"))


def content(given: Input) -> dict[str, Any]:
    """A text as a content."""
    return {"parts": [{"text": given.text}]}


def settings(given: Input, request: Request) -> dict[str, Any]:
    """How a text is to be embedded."""
    said = {
        "taskType": TASKS.get(given.task),
        "title": given.title or None,
        "outputDimensionality": request.dimensions,
    }
    return {name: value for name, value in said.items() if value is not None}


def read_answer(body: bytes) -> Answer:
    """The answer to either verb. Raises BadAnswer."""
    said = said_in(body, _decode)
    found = [said.embedding] if said.embedding is not None else said.embeddings
    if not found:
        raise no_vectors()
    return Answer([each.values for each in found], _tokens(said.usage_metadata))


def _tokens(usage: Any) -> int | None:
    return tokens(usage.get("promptTokenCount")) if isinstance(usage, dict) else None


def _client(
    verb: str,
    read_request: Callable[[dict[str, Any]], Request],
    write_answer: Callable[[Answer, str, Request], bytes],
    aim: Callable[[Fields, str, bool], None],
) -> EmbeddingClient:
    return EmbeddingClient(
        dialect=NAME,
        verb=verb,
        read_request=read_request,
        write_answer=write_answer,
        aim=aim,
        splice=splice,
        words={"task": "taskType", "dimensions": "outputDimensionality", "input": "requests"},
    )


GOOGLE: Final = EmbeddingUpstream(write_request=write_request, read_answer=read_answer, verb=lambda model, count: MANY)
GOOGLE_CLIENTS: Final = {
    ONE: _client(ONE, read_one, _write_one, aim_one),
    MANY: _client(MANY, read_many, _write_many, aim_many),
}
