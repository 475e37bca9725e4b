"""The endpoints of /v1: DRF views with a native async dispatch.

DRF's authentication, permission and exception machinery is used as it is; content negotiation, parsers and renderers
are not, because bodies are relayed bytes.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import msgspec
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.request import Request
from rest_framework.views import APIView

from api import forward, health, identity
from api.answer import JSON, Answer
from api.auth import Caller, HasProject, ProjectToken
from api.body import read_json
from api.errors import ApiError, Fault
from api.lanes import Asked
from api.naming import plan_for
from api.trip import Trip
from providers.families import OPENAI_CHAT
from routing.resolve import AUTO, allowed_models
from routing.snapshot import ModelEntry, Snapshot
from routing.store import store

_AUTHENTICATORS = (ProjectToken(),)
_PERMISSIONS = (HasProject(),)


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
    #: What the client speaks: only families that speak it are asked, and errors are told in it.
    dialect: ClassVar[str] = OPENAI_CHAT
    trip: Trip

    async def dispatch(self, request: ASGIRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]  # async
        self.args = args
        self.kwargs = kwargs
        self.headers = {}
        trip = self.trip = Trip(self.endpoint, self.dialect, request.scope.get("jackfield.arrived"))
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
        """Is there room, who asks, may they, and has this request been here before."""
        if self.metered and health.active >= settings.MAX_IN_FLIGHT:
            health.shed += 1
            raise ApiError(Fault.OVERLOADED, headers={"retry-after": "1"})
        self.trip.row.revision = store.current.revision  # what a refusal at the door is answered by
        self.perform_authentication(request)
        self.check_permissions(request)
        caller = request.user
        assert isinstance(caller, Caller)
        http: Any = request._request
        if self.metered:
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
        """Every error in OpenAI's envelope, with what every answer says about itself."""
        error = problem if isinstance(problem, ApiError) else _translated(problem)
        self.trip.fail(error)
        pairs = [JSON, *self.trip.headers(), (b"x-jackfield-error", error.fault.code.encode())]
        pairs += [(name.encode(), value.encode()) for name, value in error.headers.items()]
        if error.fault is Fault.METHOD_NOT_ALLOWED:
            pairs.append((b"allow", ", ".join(name.upper() for name in self.http_method_names).encode()))
        if error.fault is Fault.INVALID_API_KEY:
            pairs.append((b"www-authenticate", b'Bearer realm="jackfield"'))
        return Answer(error.body(self.dialect), pairs, error.status_code)


class ChatCompletions(DataView):
    """POST /v1/chat/completions."""

    http_method_names = ["post"]
    metered = True
    endpoint = "chat/completions"

    async def post(self, request: Request) -> HttpResponseBase:
        fields = await read_json(request._request)  # type: ignore[arg-type]  # always ASGI
        return await forward.chat(self.trip, Asked(self.dialect, fields))


class Models(DataView):
    """GET /v1/models: the models that the token may use."""

    http_method_names = ["get"]

    async def get(self, request: Request) -> HttpResponse:
        http: Any = request._request
        snapshot: Snapshot = http.snapshot
        key = ("models-page", http.project.id)
        page = snapshot.memo.get(key)
        if page is None:
            entries = allowed_models(snapshot, http.project.id)
            page = msgspec.json.encode({"object": "list", "data": [_described(entry) for entry in entries]})
            snapshot.memo[key] = page
        return self._json(page)

    def _json(self, page: bytes) -> HttpResponse:
        return Answer(page, [JSON, *self.trip.headers()])


class Model(Models):
    """GET /v1/models/{id}; ids hold slashes."""

    async def get(self, request: Request, name: str) -> HttpResponse:  # type: ignore[override]  # has a name
        http: Any = request._request
        snapshot: Snapshot = http.snapshot
        name = name.strip()
        public = snapshot.aliases.get(name, name)
        for entry in allowed_models(snapshot, http.project.id):
            if entry.name == public:
                return self._json(msgspec.json.encode(_described(entry)))
        if name in ("", AUTO):
            raise ApiError(Fault.MODEL_NOT_FOUND, param="model")
        # Not listed: a ref, or a name that the prefix table leads on.
        try:
            plan = plan_for(snapshot, http.project.id, name, self.dialect)
        except ApiError as refusal:
            raise ApiError(Fault.MODEL_NOT_FOUND, refusal.message, param="model") from None
        owner = plan.candidates[0].provider.slug
        found = {"id": plan.identity, "object": "model", "created": 0, "owned_by": owner}
        return self._json(msgspec.json.encode(found))


class NotFound(DataView):
    """Any other path below /v1: the same refusal for all, after the same authentication."""

    async def get(self, request: Request, rest: str = "") -> HttpResponse:
        raise ApiError(Fault.PATH_NOT_FOUND)

    post = get


def _described(entry: ModelEntry) -> dict[str, Any]:
    return {"id": entry.name, "object": "model", "created": entry.created, "owned_by": "jackfield"}


def _translated(problem: APIException) -> ApiError:
    """DRF's own exceptions in our vocabulary."""
    if isinstance(problem, MethodNotAllowed):
        return ApiError(Fault.METHOD_NOT_ALLOWED)
    if problem.status_code == 401:
        return ApiError(Fault.INVALID_API_KEY)
    if problem.status_code == 404:
        return ApiError(Fault.PATH_NOT_FOUND)
    return ApiError(Fault.INTERNAL)
