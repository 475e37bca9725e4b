"""The schemas, parameters, headers and errors that endpoints are described with. Pure.

Kept by hand: bodies are relayed or translated, never parsed into serializers, so there is nothing to derive them from.
A schema names what the gateway itself reads or promises, and leaves room for whatever else the dialect has. Views say
which they take and answer (`api.operations`). `make openapi` puts them into the document; nothing else reads them.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.google_generate.embedding import TASKS
from providers.dialects.imaging import MOST_IMAGES
from routing.resolve import MOST_LISTED

Schema = dict[str, Any]

STRING: Final[Schema] = {"type": "string"}
NUMBER: Final[Schema] = {"type": "integer", "minimum": 0}
ANY: Final[Schema] = {}


def one(properties: dict[str, Schema], *required: str, says: str = "", example: Any = None) -> Schema:
    """An object with these members and any others."""
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": True}
    if required:
        made["required"] = list(required)
    if says:
        made["description"] = says
    if example is not None:
        made["examples"] = [example]
    return made


def many(items: Schema, says: str = "") -> Schema:
    """A list."""
    return {"type": "array", "items": items} | ({"description": says} if says else {})


def ref(name: str) -> Schema:
    """A schema of the document's."""
    return {"$ref": f"#/components/schemas/{name}"}


_MODEL: Final = STRING | {"description": "A public name, `auto`, or left out for the project's own preferences."}
_MODELS: Final[Schema] = many(STRING, "Public names to be tried in this order, after `model`.") | {
    "minItems": 1,
    "maxItems": MOST_LISTED,
}
_FLAG: Final[Schema] = {"type": "boolean"}
_STREAM: Final[Schema] = {"type": ["boolean", "null"], "description": "Answer with server-sent events."}
_TOOLS: Final = many(one({}), "What the model may call.")
_TEXT: Final = {"anyOf": [STRING, many(one({"type": STRING, "text": STRING}))]}
_ROLE: Final[Schema] = {"enum": ["user", "assistant"]}
_ROLES: Final[Schema] = {"enum": ["system", "developer", "user", "assistant", "tool"]}
_MESSAGES: Final = many(one({"role": _ROLES, "content": ANY}, "role"), "The conversation.")
_TURNS: Final = many(one({"role": _ROLE, "content": _TEXT}, "role", "content"), "The conversation.")
_PARTS: Final = many(one({"text": STRING}))
_CONTENTS: Final = many(one({"role": {"enum": ["user", "model"]}, "parts": _PARTS}, "parts"), "The conversation.")
_LENGTH: Final[Schema] = {"type": ["integer", "null"], "minimum": 1, "description": "Of the vectors."}
_TASK: Final[Schema] = {"enum": list(TASKS.values())}
_CONTENT: Final = one({"parts": _PARTS | {"minItems": 1}}, "parts")
_VALUES: Final = one({"values": many({"type": "number"})}, "values")
_HELLO: Final = [{"role": "user", "content": "hello"}]
_HELLO_GOOGLE: Final = [{"role": "user", "parts": [{"text": "hello"}]}]

SCHEMAS: Final[dict[str, Schema]] = {
    "ChatRequest": one(
        {"model": _MODEL, "models": _MODELS, "messages": _MESSAGES, "stream": _STREAM, "tools": _TOOLS},
        "messages",
        example={"model": "echo", "messages": _HELLO},
    ),
    "ChatAnswer": one({"id": STRING, "model": STRING, "choices": many(one({})), "usage": ANY}, "choices"),
    "CompletionRequest": one(
        {"model": _MODEL, "models": _MODELS, "prompt": STRING, "stream": _STREAM},
        "prompt",
        example={"model": "echo", "prompt": "hello"},
    ),
    "ResponsesRequest": one(
        {
            "model": _MODEL,
            "models": _MODELS,
            "input": _TEXT,
            "stream": _STREAM,
            "tools": _TOOLS,
            "store": {"type": ["boolean", "null"], "description": "false: it cannot be come back to."},
            "previous_response_id": {"type": ["string", "null"], "description": "A kept response to go on from."},
            "background": {"type": ["boolean", "null"], "description": "Answer at once; to be asked after by its id."},
        },
        example={"model": "echo", "input": "hello"},
    ),
    "InputTokensRequest": one(
        {"model": _MODEL, "input": _TEXT, "tools": _TOOLS}, example={"model": "echo", "input": "hello"}
    ),
    "InputTokens": one(
        {"object": {"const": "response.input_tokens"}, "input_tokens": NUMBER}, "object", "input_tokens"
    ),
    "Response": one({"id": STRING, "model": STRING, "status": STRING, "output": many(one({}))}, "id", "output"),
    "DeletedResponse": one({"id": STRING, "deleted": {"const": True}}, "id", "deleted"),
    "InputItems": one({"data": many(one({"id": STRING, "type": STRING}, "id", "type")), "has_more": _FLAG}, "data"),
    "MessagesRequest": one(
        {
            "model": _MODEL,
            "models": _MODELS,
            "max_tokens": NUMBER,
            "messages": _TURNS,
            "stream": _STREAM,
            "tools": _TOOLS,
        },
        "messages",
        "max_tokens",
        example={"model": "echo", "max_tokens": 64, "messages": _HELLO},
    ),
    "Message": one({"id": STRING, "model": STRING, "content": many(one({})), "usage": one({})}, "content"),
    "CountTokensRequest": one(
        {"model": _MODEL, "messages": _TURNS, "tools": _TOOLS},
        "messages",
        example={"model": "echo", "messages": _HELLO},
    ),
    "CountedTokens": one({"input_tokens": NUMBER}, "input_tokens"),
    "GenerateContentRequest": one(
        {"contents": _CONTENTS, "systemInstruction": one({}), "generationConfig": one({}), "tools": _TOOLS},
        "contents",
        example={"contents": _HELLO_GOOGLE},
    ),
    "GenerateContentAnswer": one({"candidates": many(one({})), "usageMetadata": one({}), "modelVersion": STRING}),
    "CountGooglesTokensRequest": one(
        {"contents": _CONTENTS, "generateContentRequest": one({})}, example={"contents": _HELLO_GOOGLE}
    ),
    "TotalTokens": one({"totalTokens": NUMBER}, "totalTokens"),
    "EmbeddingsRequest": one(
        {
            "model": _MODEL,
            "input": {
                "anyOf": [STRING, many(STRING) | {"minItems": 1}, many(NUMBER), many(many(NUMBER))],
                "description": "Texts; tokens only for upstreams of OpenAI's own dialect.",
            },
            "dimensions": _LENGTH,
            "encoding_format": {"enum": ["float", "base64"]},
            "user": STRING,
            "input_type": STRING | {"description": "What the texts are for, in Cohere's words."},
        },
        "input",
        example={"model": "sandbox-embed", "input": "hello"},
    ),
    "ImagesRequest": one(
        {
            "model": _MODEL,
            "models": _MODELS,
            "prompt": STRING,
            "n": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_IMAGES},
            "size": {"type": ["string", "null"], "description": "`auto`, or pixels as in `1024x1024`."},
            "response_format": {"enum": ["b64_json", "url", None], "description": "Image workers give bytes alone."},
            "seed": {"type": ["integer", "null"], "description": "Of image workers, as are the next two."},
            "steps": {"type": ["integer", "null"], "minimum": 1, "description": "Else fewer, the more others wait."},
            "negative_prompt": {"type": ["string", "null"], "description": "What is not to be seen."},
        },
        "prompt",
        example={"model": "sandbox-paint", "prompt": "a red barn in the snow"},
    ),
    "Images": one({"created": NUMBER, "data": many(one({"b64_json": STRING, "url": STRING})), "model": STRING}, "data"),
    "Embeddings": one(
        {
            "object": {"const": "list"},
            "data": many(
                one({"embedding": {"anyOf": [many({"type": "number"}), STRING]}, "index": NUMBER}, "embedding")
            ),
            "model": STRING,
            "usage": ANY,
        },
        "data",
    ),
    "EmbedContentRequest": one(
        {"content": _CONTENT, "taskType": _TASK, "title": STRING, "outputDimensionality": _LENGTH},
        "content",
        example={"content": {"parts": [{"text": "hello"}]}},
    ),
    "Embedded": one({"embedding": _VALUES, "usageMetadata": one({})}, "embedding"),
    "BatchEmbedContentsRequest": one(
        {"requests": many(ref("EmbedContentRequest")) | {"minItems": 1}},
        "requests",
        example={"requests": [{"content": {"parts": [{"text": "hello"}]}}]},
    ),
    "AllEmbedded": one({"embeddings": many(_VALUES), "usageMetadata": one({})}, "embeddings"),
    "Model": one({"id": STRING, "object": {"const": "model"}, "created": NUMBER, "owned_by": STRING}, "id", "object"),
    "Models": one({"object": {"const": "list"}, "data": many(ref("Model"))}, "object", "data"),
    "AnthropicModel": one({"type": {"const": "model"}, "id": STRING, "display_name": STRING}, "type", "id"),
    "AnthropicModels": one({"data": many(ref("AnthropicModel")), "has_more": _FLAG}, "data", "has_more"),
    "GoogleModel": one({"name": STRING, "displayName": STRING}, "name"),
    "GoogleModels": one({"models": many(ref("GoogleModel"))}, "models"),
    "WorkerRegistration": one(
        {
            "url": {**STRING, "minLength": 1, "maxLength": 400, "description": "Below which it is asked."},
            "type": {**STRING, "description": "The one model that it serves."},
            "models": many(STRING, "What it serves, as the routes of its account call it upstream."),
            "capacity": {**NUMBER, "minimum": 1, "description": "Jobs at a time."},
            "running": NUMBER,
            "queued": NUMBER,
            "secret": {**STRING, "description": "What it wants as bearer with each job."},
        },
        "url",
        example={"url": "https://gpu-1.workers.example/v1", "models": ["flux"], "capacity": 2},
    ),
    "WorkerLeaving": one({"url": STRING}, "url", example={"url": "https://gpu-1.workers.example/v1"}),
    "Worker": one({"id": STRING, "url": STRING, "models": many(STRING), "state": STRING}, "id", "url", "state"),
    "WorkerList": one({"object": {"const": "list"}, "data": many(ref("Worker"))}, "object", "data"),
    "OpenAIError": one(
        {
            "error": one(
                {
                    "message": STRING,
                    "type": {"type": ["string", "null"]},
                    "param": ANY,
                    "code": {"type": ["string", "integer", "null"]},
                },
                "message",
            )
        },
        "error",
    ),
    "AnthropicError": one(
        {
            "type": {"const": "error"},
            "error": one({"type": STRING, "message": STRING, "code": STRING}, "type", "message"),
        },
        "type",
        "error",
    ),
    "GoogleError": one(
        {"error": one({"code": {"type": "integer"}, "message": STRING, "status": STRING}, "code", "message", "status")},
        "error",
    ),
    "AnyError": {"anyOf": [ref("OpenAIError"), ref("AnthropicError"), ref("GoogleError")]},
    "Event": one(
        {"event": STRING, "data": STRING},
        "data",
        says="A server-sent event, its data JSON of the dialect. Streams end with the dialect's own last event.",
    ),
    "OpenApi": one({"openapi": STRING, "info": one({}), "paths": one({})}, "openapi", "info", "paths"),
    "Readiness": one(
        {"ready": _FLAG, "revision": NUMBER},
        "ready",
        says="What is served, since when, and whether anything is wrong.",
    ),
}

#: By their names: those of a path by what its URL pattern calls them, others by what views say.
PARAMETERS: Final[dict[str, Schema]] = {
    "model": {
        "in": "path",
        "schema": STRING | {"minLength": 1, "maxLength": 191, "examples": ["echo"]},
        "description": "A public name or `auto`; it may hold slashes.",
    },
    "response": {
        "in": "path",
        "schema": STRING | {"pattern": "^[A-Za-z0-9_-]{1,191}$"},
        "description": "The id of a response that the project was given and that was kept.",
    },
    "limit": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
    "order": {"in": "query", "schema": {"enum": ["asc", "desc"], "default": "desc"}},
    "after": {"in": "query", "schema": STRING, "description": "The id of an item."},
    "anthropic-version": {
        "in": "header",
        "schema": STRING,
        "description": "As Anthropic's SDKs send it. GET /v1/models answers in Anthropic's shape where it is there.",
    },
    "anthropic-beta": {
        "in": "header",
        "schema": STRING | {"pattern": r"^[A-Za-z0-9._\-]{1,64}(,[A-Za-z0-9._\-]{1,64}){0,31}$"},
        "description": "Names of beta features, passed on to upstreams that speak Anthropic's dialect.",
    },
}

HEADERS: Final[dict[str, Schema]] = {
    "x-jackfield-request-id": {"description": "The request's id, also of its usage row.", "schema": STRING},
    "x-jackfield-revision": {"description": "The configuration that answered.", "schema": STRING},
    "x-jackfield-route": {"description": "Account and upstream model that were asked last.", "schema": STRING},
    "x-jackfield-attempts": {"description": "How many upstream requests were made.", "schema": STRING},
    "x-jackfield-dropped": {
        "description": "Members that the upstream's API cannot say and that were left out, with commas between.",
        "schema": STRING,
    },
    "x-jackfield-estimated": {"description": "1 where tokens were not counted but estimated.", "schema": STRING},
    "x-jackfield-error": {"description": "The error's stable code, as docs/errors.md lists them.", "schema": STRING},
    "retry-after": {"description": "Seconds, where waiting helps.", "schema": STRING},
}
#: Headers of every answer to a caller who is known, and of errors.
ANSWERED: Final = (
    "x-jackfield-request-id",
    "x-jackfield-revision",
    "x-jackfield-route",
    "x-jackfield-attempts",
    "x-jackfield-dropped",
    "x-jackfield-estimated",
)
REFUSED: Final = (*ANSWERED, "x-jackfield-error", "retry-after")

#: Any one of them. A token in the URL is refused.
SECURITY: Final[dict[str, Schema]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A project token, as OpenAI's SDKs send it."},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "As Anthropic's SDKs do."},
    "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key", "description": "As Google's do."},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "As Azure's do."},
}

#: Every way a request may fail, by status. An upstream's own status is passed on.
FAILURES: Final = {
    "400": "The request cannot be understood, or not be served as it is.",
    "401": "No valid project token, or an upstream that refused our key.",
    "404": "No such model, or none that the token may use.",
    "429": "Rate limited: see retry-after.",
    "default": "Any other error: its code is in x-jackfield-error.",
}


def headers(names: tuple[str, ...]) -> dict[str, Schema]:
    """These headers, by reference."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


#: Each failure in each envelope.
RESPONSES: Final[dict[str, Schema]] = {
    f"{envelope}{status.capitalize()}": {
        "description": text,
        "headers": headers(REFUSED),
        "content": {"application/json": {"schema": ref(envelope)}},
    }
    for envelope in ("OpenAIError", "AnthropicError", "GoogleError", "AnyError")
    for status, text in FAILURES.items()
}
