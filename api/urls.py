"""URLs of the data plane, all of them served by api.handler without a thread hop."""

from django.urls import URLPattern, URLResolver, path, re_path

from api.health import Healthz, Metrics, Readyz
from api.views import ChatCompletions, Model, Models, NotFound

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/chat/completions", ChatCompletions.as_view(), name="chat-completions"),
    path("v1/models", Models.as_view(), name="models"),
    re_path(r"^v1/models/(?P<name>.{1,191})\Z", Model.as_view(), name="model"),
    re_path(r"^v1(?:/(?P<rest>.*))?\Z", NotFound.as_view(), name="nothing"),
    path("healthz", Healthz.as_view(), name="healthz"),
    path("readyz", Readyz.as_view(), name="readyz"),
    path("metrics", Metrics.as_view(), name="metrics"),
]
