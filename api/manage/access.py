"""Who may call what in /manage/, and that every write is one revision."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

from django.db.models import ProtectedError
from rest_framework import serializers, status
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, ValidationError
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import presented
from api.errors import ApiError
from keys.entries import TokenEntry
from keys.roles import AUDITOR, codenames, may
from keys.tokens import authenticate
from routing.revisions import RefusedChange, recording
from routing.store import store

_VERBS = {
    "GET": "view",
    "HEAD": "view",
    "OPTIONS": "view",
    "POST": "add",
    "PUT": "change",
    "PATCH": "change",
    "DELETE": "delete",
}


class InUse(APIException):
    """A row that others stand on."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "in_use"


class Unservable(APIException):
    """The configuration as it is now cannot be served, so nothing can be said of it."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "bad_configuration"


class AdminToken(BaseAuthentication):
    """A token of the kind `a`, in the same carriers as on /v1: an auditor that reads and never writes."""

    def authenticate(self, request: Request) -> tuple[Auditor, TokenEntry] | None:
        """None without a token: another way in may be there. Raises AuthenticationFailed, alike for every failure."""
        try:
            text = presented(request.META)
        except ApiError:
            raise AuthenticationFailed from None
        if not text:
            return None
        token = authenticate(store.current.tokens, text, time.time()) if store.ready else None
        project = None if token is None or token.kind != "a" else store.current.projects.get(token.project_id)
        if token is None or project is None or not project.enabled:
            raise AuthenticationFailed
        return Auditor(project.name), token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="jackfield"'


class Auditor:
    """What DRF calls the user of such a token: no person, no row, with the auditor's rights to read."""

    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = True
    is_superuser: ClassVar[bool] = False
    pk: ClassVar[None] = None

    def __init__(self, project: str) -> None:
        self.project = project

    def __str__(self) -> str:
        return f"admin token of {self.project}"

    def has_perm(self, permission: str, obj: Any = None) -> bool:
        """`app.view_model` where auditors may see the model; nothing else."""
        app, _, codename = permission.partition(".")
        return codename.startswith("view_") and (app, codename) in codenames(AUDITOR)


#: How people and programs come into /manage/.
WAYS_IN: Final = (SessionAuthentication, AdminToken)


class RolePermission(BasePermission):
    """A signed-in member of staff whose role allows the verb on the view's table; reading too needs a right."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        if not (user.is_authenticated and user.is_active and getattr(user, "is_staff", False)):
            return False
        if isinstance(user, Auditor) and request.method not in SAFE_METHODS:
            return False
        table = getattr(view, "table", None)
        return table is None or may(user, _VERBS.get(request.method or "", "delete"), table)


class ForRoles(APIView):
    """Beneath every view of /manage/: who comes in, and that the role decides. `table` is what the view shows."""

    authentication_classes = WAYS_IN
    permission_classes = (RolePermission,)


class OneRevision(ForRoles):
    """Mixed into a generic view: a write is one revision of the caller, named in `x-jackfield-revision`."""

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._recorded("create", request, *args, **kwargs)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._recorded("update", request, *args, **kwargs)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self._recorded("destroy", request, *args, **kwargs)

    def _recorded(self, verb: str, request: Request, *args: Any, **kwargs: Any) -> Response:
        try:
            author = request.user if request.user.is_authenticated else None
            with recording(author, note="management API") as change:
                response: Response = getattr(super(), verb)(request, *args, **kwargs)
        except RefusedChange as error:
            raise ValidationError({"non_field_errors": error.messages}) from None
        except ProtectedError as error:
            raise InUse(
                f"other rows stand on it: {', '.join(sorted(str(row) for row in error.protected_objects))[:500]}"
            ) from error
        if change.number:
            response.headers["x-jackfield-revision"] = str(change.number)
        return response


class StrictSerializer(serializers.ModelSerializer):
    """Refuses what it does not write: an unknown or read-only field is an error, not silently dropped."""

    #: Fields that may be written in existing rows; None is all writable ones.
    changeable: ClassVar[frozenset[str] | None] = None

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            if self.changeable is not None and self.instance is not None:
                writable &= self.changeable
            refused = sorted(set(data) - writable)
            if refused:
                raise serializers.ValidationError(
                    {str(name): ["This field cannot be written here."] for name in refused}
                )
        return super().to_internal_value(data)
