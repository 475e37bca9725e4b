"""GET /v1/models and one of them: what the token may use, in the shape of the SDK that asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase
from rest_framework.request import Request

from api.answer import JSON, Answer
from api.errors import ApiError, Fault
from api.naming import plan_for
from api.operations import Operation
from api.views import DataView
from providers.families import OPENAI_CHAT
from routing.allow import allowed_models
from routing.resolve import AUTO, UNKNOWN, Ask
from routing.snapshot import EMBEDDING, ModelEntry, Snapshot

_GENERATES: Final = ["generateContent", "streamGenerateContent"]
_EMBEDS: Final = ["embedContent", "batchEmbedContents"]


class _Listed(NamedTuple):
    """A model as it is listed. `created` in epoch seconds, 0 if unknown."""

    id: str
    created: int
    owner: str
    service: str = ""


def _openai(model: _Listed) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owner}


def _openai_page(models: Sequence[_Listed]) -> dict[str, Any]:
    return {"object": "list", "data": [_openai(model) for model in models]}


def _anthropic(model: _Listed) -> dict[str, Any]:
    created = datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": model.id, "display_name": model.id, "created_at": created}


def _anthropic_page(models: Sequence[_Listed]) -> dict[str, Any]:
    ids = [model.id for model in models]
    return {
        "data": [_anthropic(model) for model in models],
        "has_more": False,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }


def _google(model: _Listed) -> dict[str, Any]:
    methods = _EMBEDS if model.service == EMBEDDING else _GENERATES
    return {"name": f"models/{model.id}", "displayName": model.id, "supportedGenerationMethods": methods}


def _google_page(models: Sequence[_Listed]) -> dict[str, Any]:
    return {"models": [_google(model) for model in models]}


class _Shape(NamedTuple):
    one: Callable[[_Listed], dict[str, Any]]
    page: Callable[[Sequence[_Listed]], dict[str, Any]]


#: By the dialect of the SDK that asks.
_SHAPES: Final = {
    OPENAI_CHAT: _Shape(_openai, _openai_page),
    "anthropic_messages": _Shape(_anthropic, _anthropic_page),
    "google_generate": _Shape(_google, _google_page),
}


class Models(DataView):
    """GET /v1/models: the models that the token may use."""

    http_method_names = ["get"]
    operations = {
        "get": Operation(
            "listModels",
            {OPENAI_CHAT: "Models", "anthropic_messages": "AnthropicModels", "google_generate": "GoogleModels"},
            parameters=("anthropic-version",),
        )
    }

    async def dispatch(self, request: ASGIRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]  # ASGI
        self.dialect = _asked_in(request)  # type: ignore[misc]  # of this one request
        return await super().dispatch(request, *args, **kwargs)

    async def get(self, request: Request) -> HttpResponse:
        http: Any = request._request
        snapshot: Snapshot = http.snapshot
        key = ("models-page", http.project.id, self.dialect)
        page = snapshot.memo.get(key)
        if page is None:
            models = [_listed(entry) for entry in allowed_models(snapshot, http.project.id)]
            page = snapshot.memo[key] = msgspec.json.encode(_SHAPES[self.dialect].page(models))
        return self._json(page)

    def _json(self, page: bytes) -> HttpResponse:
        return Answer(page, [JSON, *self.trip.headers()])


class Model(Models):
    """GET /v1/models/{id}; ids hold slashes."""

    operations = {
        "get": Operation(
            "model",
            {OPENAI_CHAT: "Model", "anthropic_messages": "AnthropicModel", "google_generate": "GoogleModel"},
            parameters=("anthropic-version",),
        )
    }

    async def get(self, request: Request, model: str) -> HttpResponse:  # type: ignore[override]  # has a model
        http: Any = request._request
        snapshot: Snapshot = http.snapshot
        name = model.strip()
        public = snapshot.aliases.get(name, name)
        for entry in allowed_models(snapshot, http.project.id):
            if entry.name == public:
                return self._one(_listed(entry))
        if name in ("", AUTO):
            raise ApiError(Fault.MODEL_NOT_FOUND, param="model")
        # Not listed: a ref, or a name that the prefix table leads on.
        try:
            plan = plan_for(snapshot, UNKNOWN, Ask(http.project.id, name, self.dialect))
        except ApiError as refusal:
            raise ApiError(Fault.MODEL_NOT_FOUND, refusal.message, param="model") from None
        return self._one(_Listed(plan.identity, 0, plan.candidates[0].provider.slug))

    def _one(self, model: _Listed) -> HttpResponse:
        return self._json(msgspec.json.encode(_SHAPES[self.dialect].one(model)))


def _listed(entry: ModelEntry) -> _Listed:
    return _Listed(entry.name, entry.created, "jackfield", entry.service)


def _asked_in(request: ASGIRequest) -> str:
    """The dialect of the SDK that asks: each sends a header of its own, and Google's asks below /v1beta too."""
    if "HTTP_ANTHROPIC_VERSION" in request.META:
        return "anthropic_messages"
    if "HTTP_X_GOOG_API_KEY" in request.META or request.path.startswith(("/v1beta", "/v1alpha")):
        return "google_generate"
    return OPENAI_CHAT
