"""GET /v1/openapi.json: the data plane, described as an OpenAPI document.

drf-spectacular makes the document from the views (`make openapi`), and a test holds it against them. It says nothing of
this installation: which models there are is what /v1/models says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from api.answer import JSON, Answer
from api.operations import Operation
from api.views import DataView

_DOCUMENT: Final = msgspec.json.format(Path(__file__).with_suffix(".json").read_bytes(), indent=-1)


class OpenApi(DataView):
    """GET /v1/openapi.json: this description."""

    http_method_names = ["get"]
    operations = {"get": Operation("describe", "OpenApi")}

    async def get(self, request: Request) -> HttpResponse:
        return Answer(_DOCUMENT, [JSON, *self.trip.headers()])
