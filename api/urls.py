"""URLs of the data plane, all of them served by api.handler without a thread hop."""

from django.urls import URLPattern, URLResolver, path, re_path

from api.fleet import Deregister, Register
from api.health import Healthz, Metrics, Readyz
from api.listing import Model, Models
from api.openapi import OpenApi
from api.responses import Cancelled, InputItems, InputTokens, Responses, Stored
from api.views import (
    ChatCompletions,
    Completions,
    CountGooglesTokens,
    CountTokens,
    EmbedContent,
    Embeddings,
    GenerateContent,
    ImageGenerations,
    Messages,
    NotFound,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/chat/completions", ChatCompletions.as_view(), name="chat-completions"),
    path("v1/completions", Completions.as_view(), name="completions"),
    path("v1/responses", Responses.as_view(), name="responses"),
    path("v1/responses/input_tokens", InputTokens.as_view(), name="input-tokens"),
    re_path(r"^v1/responses/(?P<response>[^/]{1,191})\Z", Stored.as_view(), name="response"),
    re_path(r"^v1/responses/(?P<response>[^/]{1,191})/cancel\Z", Cancelled.as_view(), name="cancel-response"),
    re_path(r"^v1/responses/(?P<response>[^/]{1,191})/input_items\Z", InputItems.as_view(), name="input-items"),
    path("v1/messages", Messages.as_view(), name="messages"),
    re_path(
        r"^v1(?:beta|alpha)?/models/(?P<model>.{1,191}):(?P<verb>generateContent|streamGenerateContent)\Z",
        GenerateContent.as_view(),
        name="generate-content",
    ),
    path("v1/messages/count_tokens", CountTokens.as_view(), name="count-tokens"),
    re_path(
        r"^v1(?:beta|alpha)?/models/(?P<model>.{1,191}):countTokens\Z",
        CountGooglesTokens.as_view(),
        name="count-googles-tokens",
    ),
    path("v1/embeddings", Embeddings.as_view(), name="embeddings"),
    re_path(
        r"^v1(?:beta|alpha)?/models/(?P<model>.{1,191}):(?P<verb>embedContent|batchEmbedContents)\Z",
        EmbedContent.as_view(),
        name="embed-content",
    ),
    path("v1/images/generations", ImageGenerations.as_view(), name="image-generations"),
    path("v1/openapi.json", OpenApi.as_view(), name="openapi"),
    re_path(r"^v1(?:beta|alpha)?/models\Z", Models.as_view(), name="models"),
    re_path(r"^v1(?:beta|alpha)?/models/(?P<model>.{1,191})\Z", Model.as_view(), name="model"),
    re_path(r"^v1(?:beta|alpha)?(?:/(?P<rest>.*))?\Z", NotFound.as_view(), name="nothing"),
    path("fleet/register", Register.as_view(), name="fleet-register"),
    path("fleet/deregister", Deregister.as_view(), name="fleet-deregister"),
    path("healthz", Healthz.as_view(), name="healthz"),
    path("readyz", Readyz.as_view(), name="readyz"),
    path("metrics", Metrics.as_view(), name="metrics"),
]
