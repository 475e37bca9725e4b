"""The endpoints of /v1: DRF views with a native async dispatch.

DRF's authentication, permission and exception machinery is used as it is; content negotiation, parsers and renderers
are not, because bodies are relayed bytes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.request import Request
from rest_framework.views import APIView

from api import counting, forward, identity
from api.answer import JSON, Answer
from api.auth import Caller, HasProject, ProjectToken
from api.body import read_json
from api.counting import Counting
from api.embedding import Embedding
from api.errors import ApiError, Fault
from api.imaging import Imaging
from api.lanes import Asked
from api.operations import Operation
from api.refusals import dialect_of
from api.room import room
from api.trip import Trip
from providers.families import OPENAI_CHAT
from routing.store import store

#: Names of beta features, as Anthropic's SDKs send them.
_BETA = re.compile(r"[A-Za-z0-9._\-]{1,64}(?:\s*,\s*[A-Za-z0-9._\-]{1,64}){0,31}\Z")
_AUTHENTICATORS = (ProjectToken(),)
_PERMISSIONS = (HasProject(),)
#: What Anthropic's SDKs send besides a token.
_ANTHROPICS = ("anthropic-version", "anthropic-beta")


class DrfRequest(Request):
    """DRF's request around Django's, made without what only parsers and negotiation need."""

    def __init__(self, request: ASGIRequest) -> None:
        self._request = request
        self.authenticators = _AUTHENTICATORS
        self.parsers = ()
        self.parser_context = {}

    def _caller(self) -> Any:
        """DRF's own getter guards against attribute errors, which our one authenticator does not raise."""
        if "_user" not in self.__dict__:
            self._authenticate()  # type: ignore[attr-defined]  # of DRF, unstubbed
        return self._user  # type: ignore[attr-defined]  # of DRF, unstubbed

    user = Request.user.getter(_caller)  # type: ignore[attr-defined]  # a property


class DataView(APIView):
    """What all endpoints of the data plane do alike: one caller, one snapshot, one request id, one kind of error."""

    authentication_classes = (ProjectToken,)
    permission_classes = (HasProject,)
    parser_classes = ()
    renderer_classes = ()
    http_method_names = ["get", "post"]
    view_is_async = True
    #: Whether each authenticated request leaves a usage row.
    metered: ClassVar[bool] = False
    endpoint: ClassVar[str] = ""
    #: What the client speaks, and is answered in, errors included.
    dialect: ClassVar[str] = OPENAI_CHAT
    #: What is taken and answered, by method in lower case, or by the verb that the path ends in.
    operations: ClassVar[Mapping[str, Operation]]
    trip: Trip

    async def dispatch(self, request: ASGIRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]  # async
        self.args = args
        self.kwargs = kwargs
        self.headers = {}
        trip = self.trip = Trip(self.endpoint, self.dialect, request.scope.get("jackfield.arrived"))
        trip.gone = request.scope.get("jackfield.gone")
        try:
            try:
                wrapped = self.request = DrfRequest(request)
                self._enter(wrapped)
                answer = getattr(self, (request.method or "").lower(), None)
                if answer is None or (request.method or "").lower() not in self.http_method_names:
                    raise MethodNotAllowed(request.method or "")
                response: HttpResponseBase = await answer(wrapped, *args, **kwargs)
            except APIException as problem:
                response = self.handle_exception(problem)
            except ConnectionResetError:
                trip.abandon()
                response = self.handle_exception(ApiError(Fault.BODY_TIMEOUT))
        except asyncio.CancelledError:
            trip.abandon()
            request.jackfield_request_id = trip.row.request_id  # type: ignore[attr-defined]  # of our own
            raise
        except BaseException:
            trip.fail(ApiError(Fault.INTERNAL))
            request.jackfield_request_id = trip.row.request_id  # type: ignore[attr-defined]  # of our own
            raise
        return response

    def _enter(self, request: Request) -> None:
        """Who asks, may they, is there room for it, and has this request been here before."""
        self.trip.row.revision = store.current.revision  # what a refusal at the door is answered by
        self.perform_authentication(request)
        self.check_permissions(request)
        caller = request.user
        assert isinstance(caller, Caller)
        http: Any = request._request
        self.trip.session = http.META.get("HTTP_X_SESSION_ID") or http.META.get("HTTP_SESSION_ID") or ""
        if self.metered:
            room.refuse_without_room(caller.project.id)
            self.trip.identify(caller.project, caller.token, http.snapshot)
        else:
            self.trip.snapshot_only(http.snapshot)
        came_by = http.META.get("HTTP_VIA")
        if came_by is not None and identity.came_through_us(came_by):
            raise ApiError(Fault.LOOP)

    def get_permissions(self) -> Any:
        return _PERMISSIONS

    def get_exception_handler(self) -> Any:
        return self._answer_error

    def _answer_error(self, problem: APIException, context: dict[str, Any]) -> HttpResponse:
        """Every error in the client's dialect, with what every answer says about itself."""
        error = problem if isinstance(problem, ApiError) else _translated(problem)
        self.trip.fail(error)
        pairs = [JSON, *self.trip.headers(), (b"x-jackfield-error", error.fault.code.encode())]
        pairs += [(name.encode(), value.encode()) for name, value in error.headers.items()]
        if error.fault is Fault.METHOD_NOT_ALLOWED:
            pairs.append((b"allow", ", ".join(name.upper() for name in self.http_method_names).encode()))
        if error.fault is Fault.INVALID_API_KEY:
            pairs.append((b"www-authenticate", b'Bearer realm="jackfield"'))
        return Answer(error.body(self.dialect), pairs, error.status_code)


class Conversation(DataView):
    """An endpoint that forwards a request in its dialect."""

    http_method_names = ["post"]
    metered = True

    async def post(self, request: Request) -> HttpResponseBase:
        fields = await read_json(request)
        return await forward.answer(self.trip, Asked(self.dialect, fields))


class ChatCompletions(Conversation):
    """POST /v1/chat/completions."""

    endpoint = "chat/completions"
    operations = {"post": Operation("chat", "ChatAnswer", "ChatRequest", streams=True)}


class Completions(Conversation):
    """POST /v1/completions: one prompt, asked of any model as a chat of one message."""

    endpoint = "completions"
    dialect = "openai_completions"
    operations = {"post": Operation("complete", "ChatAnswer", "CompletionRequest", streams=True)}


class Messages(Conversation):
    """POST /v1/messages. Anthropic's own headers go to upstreams that speak its dialect."""

    endpoint = "messages"
    dialect = "anthropic_messages"
    operations = {"post": Operation("message", "Message", "MessagesRequest", _ANTHROPICS, streams=True)}

    async def post(self, request: Request) -> HttpResponseBase:
        fields = await read_json(request)
        return await forward.answer(self.trip, Asked(self.dialect, fields, headers=_betas(request)))


class CountTokens(Conversation):
    """POST /v1/messages/count_tokens."""

    endpoint = "count_tokens"
    dialect = "anthropic_messages"
    operations = {"post": Operation("countTokens", "CountedTokens", "CountTokensRequest", _ANTHROPICS)}

    async def post(self, request: Request) -> HttpResponseBase:
        fields = await read_json(request)
        return await counting.count(self.trip, Counting(self.dialect, fields, headers=_betas(request)))


class GenerateContent(Conversation):
    """POST /v1beta/models/{model}:generateContent and :streamGenerateContent, below /v1 as well."""

    endpoint = "generateContent"
    dialect = "google_generate"
    operations = {
        "generateContent": Operation("generateContent", "GenerateContentAnswer", "GenerateContentRequest"),
        "streamGenerateContent": Operation(
            "streamGenerateContent", "GenerateContentAnswer", "GenerateContentRequest", streams=True
        ),
    }

    async def post(self, request: Request, model: str, verb: str) -> HttpResponseBase:  # type: ignore[override]  # has a model
        fields = await read_json(request)
        stream = verb == "streamGenerateContent"
        return await forward.answer(self.trip, Asked(self.dialect, fields, model=model, stream=stream))


class CountGooglesTokens(Conversation):
    """POST /v1beta/models/{model}:countTokens, below /v1 as well."""

    endpoint = "count_tokens"
    dialect = "google_generate"
    operations = {"post": Operation("countGooglesTokens", "TotalTokens", "CountGooglesTokensRequest")}

    async def post(self, request: Request, model: str) -> HttpResponseBase:  # type: ignore[override]  # has a model
        fields = await read_json(request)
        return await counting.count(self.trip, Counting(self.dialect, fields, model=model))


class Embeddings(Conversation):
    """POST /v1/embeddings."""

    endpoint = "embeddings"
    operations = {"post": Operation("embed", "Embeddings", "EmbeddingsRequest")}

    async def post(self, request: Request) -> HttpResponseBase:
        fields = await read_json(request)
        return await forward.answer(self.trip, Embedding(self.dialect, fields))


class ImageGenerations(Conversation):
    """POST /v1/images/generations."""

    endpoint = "images/generations"
    operations = {"post": Operation("generateImages", "Images", "ImagesRequest")}

    async def post(self, request: Request) -> HttpResponseBase:
        fields = await read_json(request)
        return await forward.answer(self.trip, Imaging(self.dialect, fields))


class EmbedContent(Conversation):
    """POST /v1beta/models/{model}:embedContent and :batchEmbedContents, below /v1 as well."""

    endpoint = "embeddings"
    dialect = "google_generate"
    operations = {
        "embedContent": Operation("embedContent", "Embedded", "EmbedContentRequest"),
        "batchEmbedContents": Operation("batchEmbedContents", "AllEmbedded", "BatchEmbedContentsRequest"),
    }

    async def post(self, request: Request, model: str, verb: str) -> HttpResponseBase:  # type: ignore[override]  # has a model
        fields = await read_json(request)
        return await forward.answer(self.trip, Embedding(self.dialect, fields, verb, model=model))


class NotFound(DataView):
    """Any other path below /v1: the same refusal for all, after the same authentication, in the path's dialect."""

    schema = None  # what is not there is not described

    async def dispatch(self, request: ASGIRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]  # async
        self.dialect = dialect_of(request.path)  # type: ignore[misc]  # this view's is not of its class
        return await super().dispatch(request, *args, **kwargs)

    async def get(self, request: Request, rest: str = "") -> HttpResponse:
        raise ApiError(Fault.PATH_NOT_FOUND)

    post = get


def _betas(request: Request) -> tuple[tuple[str, str], ...]:
    """The beta features that a client of Anthropic's asks for. Raises ApiError."""
    beta = request.META.get("HTTP_ANTHROPIC_BETA", "")
    if beta and not _BETA.match(beta):
        raise ApiError(Fault.INVALID_PARAMETER, "`anthropic-beta` must be a list of names.", param="anthropic-beta")
    return (("anthropic-beta", beta),) if beta else ()


def _translated(problem: APIException) -> ApiError:
    """DRF's own exceptions in our vocabulary."""
    if isinstance(problem, MethodNotAllowed):
        return ApiError(Fault.METHOD_NOT_ALLOWED)
    if problem.status_code == 401:
        return ApiError(Fault.INVALID_API_KEY)
    if problem.status_code == 404:
        return ApiError(Fault.PATH_NOT_FOUND)
    return ApiError(Fault.INTERNAL)
