"""Who asks: the project token, from the headers that the SDKs of this world put a key in.

No database, no second way in. Every failure of a token looks the same from outside (R-TOK-06): same status, body and
headers for missing, malformed, unknown, revoked, expired, of the admin API's kind, or of a disabled project. A live
fleet token is told that it is one: whoever has it can try it where it belongs.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from api.errors import ApiError, Fault
from keys.entries import ProjectEntry, TokenEntry
from keys.models import ApiToken
from keys.tokens import authenticate
from routing.store import store

#: Carriers besides `Authorization: Bearer`, as Django names them.
_CARRIERS = ("HTTP_X_API_KEY", "HTTP_API_KEY", "HTTP_X_GOOG_API_KEY")
_KINDS = frozenset("pt")


class Caller:
    """An authenticated project: what DRF calls the user. Never a Django user, has no Django permissions."""

    __slots__ = ("project", "token")
    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    def __init__(self, project: ProjectEntry, token: TokenEntry) -> None:
        self.project = project
        self.token = token

    def __str__(self) -> str:
        return self.project.name


class ProjectToken(BaseAuthentication):
    """Finds the project of the token, and fixes the snapshot that serves this request to its end."""

    def authenticate(self, request: Request) -> tuple[Caller, TokenEntry]:
        """Sets `snapshot` and `project` on Django's request. Raises ApiError."""
        http: Any = request._request
        if not store.ready:
            raise ApiError(Fault.SNAPSHOT_TOO_OLD if store.source else Fault.NOT_READY)
        text = presented(http.META)
        snapshot = http.snapshot = store.current
        token = authenticate(snapshot.tokens, text, time.time()) if text else None
        if token is not None and token.kind == ApiToken.Kind.FLEET:
            raise ApiError(Fault.FLEET_TOKEN_REFUSED)
        project = None if token is None or token.kind not in _KINDS else snapshot.projects.get(token.project_id)
        if token is None or project is None or not project.enabled:
            raise ApiError(Fault.INVALID_API_KEY)
        http.project = project
        return Caller(project, token), token


class HasProject(BasePermission):
    """A token is needed: the data plane has no anonymous part."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Caller)


def presented(meta: dict[str, Any]) -> str:
    """The one token that the headers carry, or "". Raises ApiError for a token in the URL or two that differ."""
    query = meta["QUERY_STRING"]
    if query and any(part.partition("=")[0].lower() in ("key", "api_key", "api-key") for part in query.split("&")):
        raise ApiError(Fault.TOKEN_IN_URL)
    text = ""
    authorization = meta.get("HTTP_AUTHORIZATION")
    if authorization is not None:
        scheme, _, value = authorization.partition(" ")
        text = value.strip() if scheme.lower() == "bearer" else ""
        if not text:
            raise ApiError(Fault.INVALID_API_KEY)
    for carrier in _CARRIERS:
        other = meta.get(carrier)
        if other is not None:
            other = other.strip()
            if text and other != text:
                raise ApiError(Fault.CONFLICTING_CREDENTIALS)
            text = other
    return text
