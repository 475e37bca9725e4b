"""api/openapi.json, made by drf-spectacular from the views of `api.urls`. `make openapi` writes it.

What requests and answers look like is said by the views (`operations`) and `api.schemas`. Here is what drf-spectacular
cannot know: how to read that, that paths are regular expressions, where a token is put, and how errors are told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.urls import URLPattern, re_path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.management.commands import spectacular
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.views import APIView

from api import schemas
from api.auth import ProjectToken
from api.operations import Operation
from api.refusals import dialect_of
from api.urls import urlpatterns

KEPT = Path(__file__).resolve().parent.parent / "api" / "openapi.json"
JSON = "application/json"
SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Jackfield",
    "VERSION": "1",
    "LICENSE": {"name": "Apache-2.0"},
    "DESCRIPTION": """One address for the models of many providers.

Each endpoint speaks one SDK's dialect, whatever the upstream that a model's routes lead to speaks: requests and answers
are translated where they differ, and relayed as they are where they do not. What an upstream cannot be told is left out
and named in x-jackfield-dropped if that does no harm, and refused if it does. Bodies may hold members beyond those
described here.""",
    "APPEND_COMPONENTS": {
        "schemas": schemas.SCHEMAS,
        "headers": schemas.HEADERS,
        "responses": schemas.RESPONSES,
    },
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,  # views' docstrings name paths, and one may serve several
    "POSTPROCESSING_HOOKS": [],  # the usual one gives the enums of serializers names
    "SORT_OPERATION_PARAMETERS": False,
}
GOOGLE = "google_generate"
ENVELOPES = {"anthropic_messages": "AnthropicError", GOOGLE: "GoogleError"}
#: A group of words in a pattern: one of them stands there, or none if a question mark follows.
CHOICE = re.compile(r"\((?:\?:|\?P<\w+>)(\w+(?:\|\w+)*)\)(\??)")


class Carriers(OpenApiAuthenticationExtension):
    """A project token, in any one of the headers that SDKs put a key in."""

    target_class = ProjectToken
    name = list(schemas.SECURITY)

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return list(schemas.SECURITY.values())


class Described(AutoSchema):
    """What a view says of itself, in drf-spectacular's words."""

    @property
    def operation(self) -> Operation:
        said = self.view.operations
        return said.get(self.path.rpartition(":")[2]) or said[self.method.lower()]

    @property
    def dialects(self) -> list[str]:
        """What may be answered in. Where the SDK that asks decides, Google's alone asks at Google's own paths."""
        answers = self.operation.answers
        if isinstance(answers, str):
            return [self.view.dialect]
        return [GOOGLE] if dialect_of(self.path) == GOOGLE else list(answers)

    @property
    def needs_token(self) -> bool:
        return bool(self.view.get_authenticators())

    def get_operation_id(self) -> str:
        version = re.match(r"/v1([a-z]+)/", self.path)
        return self.operation.name + (version[1].capitalize() if version else "")

    def get_tags(self) -> list[str]:
        return []

    def get_override_parameters(self) -> list[OpenApiParameter]:
        names = [*re.findall(r"{(\w+)}", self.path), *self.operation.parameters]
        return [
            OpenApiParameter(name, said["schema"], said["in"], description=said.get("description", ""))
            for name, said in ((name, schemas.PARAMETERS[name]) for name in names)
            if self.dialects != [GOOGLE] or not name.startswith("anthropic-")
        ]

    def get_request_serializer(self) -> dict[str, Any]:
        return {JSON: schemas.ref(self.operation.asks)} if self.operation.asks else {}

    def _get_request_body(self, direction: str = "request") -> dict[str, Any] | None:
        """drf-spectacular takes a body for optional where no member is required."""
        body = super()._get_request_body(direction)
        return body and {**body, "required": True}

    def get_response_serializers(self) -> dict[tuple[str, str], OpenApiResponse]:
        answers = self.operation.answers
        names = [answers] if isinstance(answers, str) else [answers[dialect] for dialect in self.dialects]
        either = [schemas.ref(name) if name else schemas.STRING for name in names]
        shapes = {JSON if answers else "text/plain": either[0] if len(either) == 1 else {"anyOf": either}}
        if self.operation.streams:
            shapes["text/event-stream"] = schemas.ref("Event")
        return {
            (status, media): OpenApiResponse(shape, text)
            for status, text in self.operation.says.items()
            for media, shape in shapes.items()
        }

    def _get_response_headers_for_code(self, status_code: str, direction: str = "response") -> dict[str, Any]:
        return schemas.headers(schemas.ANSWERED) if self.needs_token else {}

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        if not self.needs_token:
            return bodies
        dialects = self.dialects
        envelope = ENVELOPES.get(dialects[0], "OpenAIError") if len(dialects) == 1 else "AnyError"
        told = {s: {"$ref": f"#/components/responses/{envelope}{s.capitalize()}"} for s in schemas.FAILURES}
        return bodies | told


class Generator(SchemaGenerator):
    """Walks the data plane."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"patterns": list(walked())})

    def create_view(self, callback: Any, method: str, request: Any = None) -> APIView:
        view = super().create_view(callback, method, request)
        self._set_schema_to_view(view, Described())
        return view


def walked() -> Iterator[URLPattern]:
    """The URLs, each of one path only, each of a view of DRF."""
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        view = pattern.callback.view_class
        if not issubclass(view, APIView):  # a probe, which needs no token
            open_to_all = {"authentication_classes": (), "permission_classes": (), "__doc__": view.__doc__}
            view = type(view.__name__, (view, APIView), open_to_all)
        for path in spelled_out(str(pattern.pattern)):
            yield re_path(path, view.as_view())


def spelled_out(regex: str) -> list[str]:
    """The pattern with each group of words replaced by each of them."""
    found = CHOICE.search(regex)
    if found is None:
        return [regex]
    words = [*([""] if found[2] else []), *found[1].split("|")]
    return [path for word in words for path in spelled_out(regex[: found.start()] + word + regex[found.end() :])]


def write(path: Path) -> None:
    """Make the document by drf-spectacular's own command. Raises CommandError for a warning or an invalid document."""
    call_command(
        spectacular.Command(),
        generator_class=f"{__name__}.Generator",
        custom_settings=f"{__name__}.SETTINGS",
        format="openapi-json",
        fail_on_warn=True,
        validate=True,
        file=str(path),
    )


def document() -> dict[str, Any]:
    """The document that is kept."""
    made: dict[str, Any] = json.loads(KEPT.read_bytes())
    return made
