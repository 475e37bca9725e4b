"""The views of /manage/: stock DRF over the ORM, on the control plane only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from django.db.models import Model, QuerySet
from django.urls import reverse
from rest_framework import generics
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from api.fleet import shown
from api.manage import serializers as forms
from api.manage.access import ForRoles, OneRevision, Unservable
from api.models import UsageRecord
from keys.models import Project
from providers.models import Account
from routing import history
from routing.breath import breathing
from routing.build import BadSnapshot
from routing.explain import UnknownProject, explain
from routing.fleet import fleet
from routing.fleet_rows import rows
from routing.models import GatewayProcess, PublicModel, Revision, Worker
from routing.overview import overview, told
from routing.presence import processes
from routing.questions import BadQuestion, needs_of
from routing.store import at_hand

PAGE: Final = 100
LARGEST_PAGE: Final = 1000


class Index(ForRoles):
    """What there is."""

    def get(self, request: Request) -> Response:
        names = ("models", "accounts", "projects", "revisions", "usage", "processes", "workers", "health", "explain")
        return Response({name: request.build_absolute_uri(reverse(f"manage-{name}")) for name in names})


class Models(OneRevision, generics.ListCreateAPIView):
    table = PublicModel
    serializer_class = forms.ModelSerializer
    queryset = PublicModel.objects.prefetch_related("routes__account", "routes__key_set", "aliases").order_by("name")


class OneModel(OneRevision, generics.RetrieveUpdateDestroyAPIView):
    table = PublicModel
    serializer_class = forms.ModelSerializer
    queryset = PublicModel.objects.prefetch_related("routes__account", "routes__key_set", "aliases")
    lookup_field = "name"
    http_method_names = ["get", "patch", "delete", "head", "options"]


class Accounts(ForRoles, generics.ListAPIView):
    table = Account
    serializer_class = forms.AccountSerializer
    queryset = Account.objects.select_related("provider").order_by("name")


class OneAccount(OneRevision, generics.RetrieveUpdateAPIView):
    table = Account
    serializer_class = forms.AccountSerializer
    queryset = Account.objects.select_related("provider")
    lookup_field = "name"
    http_method_names = ["get", "patch", "head", "options"]


class Projects(OneRevision, generics.ListCreateAPIView):
    table = Project
    serializer_class = forms.ProjectSerializer
    queryset = Project.objects.select_related("preference").order_by("name")


class OneProject(OneRevision, generics.RetrieveUpdateAPIView):
    table = Project
    serializer_class = forms.ProjectSerializer
    queryset = Project.objects.select_related("preference")
    lookup_field = "name"
    http_method_names = ["get", "patch", "head", "options"]


class Revisions(ForRoles):
    table = Revision

    def get(self, request: Request) -> Response:
        rows = Revision.objects.defer("changes").order_by("-number")
        return page(request, rows, "number", lambda row: forms.RevisionSerializer(row).data)


class OneRevisionOfMany(ForRoles):
    table = Revision

    def get(self, request: Request, number: int) -> Response:
        row = Revision.objects.filter(number=number).first()
        if row is None:
            raise NotFound
        kept = ("action", "table", "name", "fields")
        changes = [{name: asdict(change)[name] for name in kept} for change in history.rows(row, request.user)]
        return Response({**forms.RevisionSerializer(row).data, "changes": changes})


class Usage(ForRoles):
    table = UsageRecord
    filters = ("project", "model", "account", "outcome", "request_id")

    def get(self, request: Request) -> Response:
        rows = UsageRecord.objects.order_by("-id")
        for name in self.filters:
            if name in request.query_params:
                rows = rows.filter(**{name: request.query_params[name]})
        return page(request, rows, "id", lambda row: forms.UsageSerializer(row).data)


class Processes(ForRoles):
    table = GatewayProcess

    def get(self, request: Request) -> Response:
        return Response(forms.ProcessSerializer(processes(), many=True).data)


class Workers(ForRoles):
    """The workers of fleets, as this process knows them."""

    table = Worker

    def get(self, request: Request) -> Response:
        try:
            snapshot = at_hand(breathing())
        except BadSnapshot as error:
            raise Unservable(str(error)) from None
        rows.load()
        return Response([shown(snapshot, worker) for worker in sorted(fleet, key=lambda worker: worker.word.url)])


class Places(ForRoles):
    """How every place does that somebody has heard of: `?account=`, `?provider=`."""

    table = GatewayProcess

    def get(self, request: Request) -> Response:
        found = overview()
        seen = told(found, *(request.query_params.get(name, "") for name in ("account", "provider")))
        places = [forms.place(row) for row in seen]
        return Response({"whose": found.whose, "processes": found.processes, "results": places})


class Explain(ForRoles):
    """How a name resolves for a project: every candidate, every one dropped, and why."""

    table = PublicModel

    def get(self, request: Request) -> Response:
        given = request.query_params
        asked, project, endpoint = (given.get(name, "") for name in ("model", "project", "endpoint"))
        try:
            # Inside a gateway the snapshot that serves is asked; elsewhere one is built, requests in between.
            snapshot = at_hand(breathing())
            return Response(explain(snapshot, asked, project, endpoint, needs_of(given.get("needs", ""))))
        except UnknownProject as error:
            raise NotFound(str(error)) from None
        except BadQuestion as error:
            raise ValidationError(str(error)) from None
        except BadSnapshot as error:
            raise Unservable(str(error)) from None


def page(request: Request, rows: QuerySet[Any], key: str, shown: Callable[[Model], Any]) -> Response:
    """One page by key: `?before=` the last one's key, `?limit=` at most 1000. No row is skipped or counted."""
    limit = number(request, "limit", PAGE)
    before = number(request, "before", 0)
    if not 1 <= limit <= LARGEST_PAGE:
        raise ValidationError({"limit": f"1 to {LARGEST_PAGE}"})
    if before:
        rows = rows.filter(**{f"{key}__lt": before})
    found = list(rows[: limit + 1])
    more = len(found) > limit
    results = [shown(row) for row in found[:limit]]
    return Response({"results": results, "before": getattr(found[limit - 1], key) if more else None})


def number(request: Request, name: str, default: int) -> int:
    """A query parameter that is a whole number."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise ValidationError({name: "a whole number"})
    return int(text)
