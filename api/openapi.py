"""GET /v1/openapi.json: the data plane, described as an OpenAPI document.

The document is put together here and in `api.openapi_parts`, and a test holds it against `api.urls`: every endpoint is
in it, with the methods it takes. It says nothing of this installation: which models there are is what /v1/models says.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from api.answer import JSON, Answer
from api.openapi_parts import ANSWERED, HEADERS, SCHEMAS, SECURITY, STRING, Schema, errors, headers, ref
from api.views import DataView

_ABOUT: Final = """One address for the models of many providers.

Each endpoint speaks one SDK's dialect, whatever the upstream that a model's routes lead to speaks: requests and answers
are translated where they differ, and relayed as they are where they do not. What an upstream cannot be told is left out
and named in x-jackfield-dropped if that does no harm, and refused if it does. Bodies may hold members beyond those
described here."""
_OPENAI: Final = "OpenAIError"
_ANTHROPIC: Final = "AnthropicError"
_GOOGLE: Final = "GoogleError"
_NAME: Final = {
    "name": "model",
    "in": "path",
    "required": True,
    "schema": STRING | {"minLength": 1, "maxLength": 191, "examples": ["echo"]},
    "description": "A public name or `auto`; it may hold slashes.",
}
_RESPONSE: Final = {
    "name": "response",
    "in": "path",
    "required": True,
    "schema": STRING | {"pattern": "^[A-Za-z0-9_-]{1,191}$"},
    "description": "The id of a response that the project was given and that was kept.",
}
_PAGE: Final = (
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
    {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"], "default": "desc"}},
    {"name": "after", "in": "query", "schema": STRING, "description": "The id of an item."},
)
_VERSION: Final = {
    "name": "anthropic-version",
    "in": "header",
    "schema": STRING,
    "description": "As Anthropic's SDKs send it. GET /v1/models answers in Anthropic's shape where it is there.",
}
_BETA: Final = {
    "name": "anthropic-beta",
    "in": "header",
    "schema": STRING | {"pattern": r"^[A-Za-z0-9._\-]{1,64}(,[A-Za-z0-9._\-]{1,64}){0,31}$"},
    "description": "Names of beta features, passed on to upstreams that speak Anthropic's dialect.",
}
#: One event; the last one is the dialect's own.
_EVENTS: Final = {"schema": ref("Event")}


def document() -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jackfield", "version": "1", "description": _ABOUT, "license": {"name": "Apache-2.0"}},
        "security": [{name: []} for name in SECURITY],
        "paths": _paths(),
        "components": {"schemas": SCHEMAS, "securitySchemes": SECURITY, "headers": HEADERS},
    }


def _paths() -> dict[str, Any]:
    paths = {
        "/v1/chat/completions": _post("chat", "ChatRequest", "ChatAnswer", _OPENAI, streams=True),
        "/v1/completions": _post("complete", "CompletionRequest", "ChatAnswer", _OPENAI, streams=True),
        "/v1/responses": _post("respond", "ResponsesRequest", "Response", _OPENAI, streams=True),
        "/v1/responses/input_tokens": _post("countInputTokens", "InputTokensRequest", "InputTokens", _OPENAI),
        "/v1/responses/{response}/input_items": _get("inputItems", ("InputItems",), parameters=[_RESPONSE, *_PAGE]),
        "/v1/responses/{response}/cancel": {
            "post": _get("cancelResponse", ("Response",), parameters=[_RESPONSE])["get"],
        },
        "/v1/responses/{response}": {
            **_get("response", ("Response",), parameters=[_RESPONSE]),
            "delete": _get("forgetResponse", ("DeletedResponse",), parameters=[_RESPONSE])["get"],
        },
        "/v1/messages": _post(
            "message", "MessagesRequest", "Message", _ANTHROPIC, parameters=[_VERSION, _BETA], streams=True
        ),
        "/v1/messages/count_tokens": _post(
            "countTokens", "CountTokensRequest", "CountedTokens", _ANTHROPIC, parameters=[_VERSION, _BETA]
        ),
        "/v1/embeddings": _post("embed", "EmbeddingsRequest", "Embeddings", _OPENAI),
        "/v1/models": _get("listModels", ("Models", "AnthropicModels", "GoogleModels"), parameters=[_VERSION]),
        "/v1/models/{model}": _get("model", ("Model", "AnthropicModel", "GoogleModel"), parameters=[_NAME, _VERSION]),
        "/v1beta/models": _get("listModelsForGoogle", ("GoogleModels",), _GOOGLE),
        "/v1beta/models/{model}": _get("modelForGoogle", ("GoogleModel",), _GOOGLE, parameters=[_NAME]),
        "/v1/openapi.json": _get("describe", ()),
        "/healthz": _open("isAlive", "The process is alive.", {"text/plain": {"schema": STRING}}),
        "/readyz": _open(
            "isReady",
            "It has a configuration that may serve.",
            {"application/json": {"schema": ref("Readiness")}},
            more={
                "503": {"description": "It has none.", "content": {"application/json": {"schema": ref("Readiness")}}}
            },
        ),
        "/metrics": _open("measure", "Figures for Prometheus.", {"text/plain": {"schema": STRING}}),
    }
    for version, suffix in (("v1", ""), ("v1beta", "Beta")):
        at = f"/{version}/models/{{model}}"
        generate = ("GenerateContentRequest", "GenerateContentAnswer", _GOOGLE)
        paths[f"{at}:generateContent"] = _post(f"generateContent{suffix}", *generate, parameters=[_NAME])
        paths[f"{at}:streamGenerateContent"] = _post(
            f"streamGenerateContent{suffix}", *generate, parameters=[_NAME], streams=True
        )
        paths[f"{at}:countTokens"] = _post(
            f"countGooglesTokens{suffix}", "CountGooglesTokensRequest", "TotalTokens", _GOOGLE, parameters=[_NAME]
        )
        paths[f"{at}:embedContent"] = _post(
            f"embedContent{suffix}", "EmbedContentRequest", "Embedded", _GOOGLE, parameters=[_NAME]
        )
        paths[f"{at}:batchEmbedContents"] = _post(
            f"batchEmbedContents{suffix}", "BatchEmbedContentsRequest", "AllEmbedded", _GOOGLE, parameters=[_NAME]
        )
    return paths


def _post(
    name: str,
    asks: str,
    answers: str,
    envelope: str,
    *,
    parameters: list[Schema] | None = None,
    streams: bool = False,
) -> Schema:
    """An endpoint that takes a JSON body. `streams`: it may answer with events."""
    content: Schema = {"application/json": {"schema": ref(answers)}}
    if streams:
        content["text/event-stream"] = _EVENTS
    operation: Schema = {
        "operationId": name,
        "requestBody": {"required": True, "content": {"application/json": {"schema": ref(asks)}}},
        "responses": {"200": _answer(content), **errors(envelope)},
    }
    return {"post": operation | ({"parameters": parameters} if parameters else {})}


def _get(
    name: str, shapes: tuple[str, ...], envelope: str = _OPENAI, *, parameters: list[Schema] | None = None
) -> Schema:
    """An endpoint that is read. Several shapes: it answers, and refuses, in that of the SDK that asks."""
    refused = errors(envelope)
    if len(shapes) > 1:
        either = {"anyOf": [ref(_OPENAI), ref(_ANTHROPIC), ref(_GOOGLE)]}
        for answer in refused.values():
            answer["content"] = {"application/json": {"schema": either}}
    schema: Schema = {"anyOf": [ref(shape) for shape in shapes]} if shapes else {"type": "object"}
    operation: Schema = {
        "operationId": name,
        "responses": {"200": _answer({"application/json": {"schema": schema}}), **refused},
    }
    return {"get": operation | ({"parameters": parameters} if parameters else {})}


def _open(name: str, says: str, content: Schema, *, more: Schema | None = None) -> Schema:
    """A probe, which needs no token."""
    answers = {"200": {"description": says, "content": content}, **(more or {})}
    return {"get": {"operationId": name, "security": [], "responses": answers}}


def _answer(content: Schema) -> Schema:
    return {"description": "The answer.", "headers": headers(ANSWERED), "content": content}


_DOCUMENT: Final = msgspec.json.encode(document())


class OpenApi(DataView):
    """GET /v1/openapi.json."""

    http_method_names = ["get"]

    async def get(self, request: Request) -> HttpResponse:
        return Answer(_DOCUMENT, [JSON, *self.trip.headers()])
