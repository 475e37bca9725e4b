"""Pages of public models, their routes, aliases, prefixes and preferences, the revisions and the running processes."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Prefetch, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import display

from project.explain_page import explain_page
from project.fleet_page import drain_worker, live, workers_page
from project.health_page import health_page
from project.panel import Panel, PanelChangeList, PanelInline, ReadOnlyPanel, one_revision
from providers.columns import FamilyField
from providers.models import Account
from routing import history, repatch
from routing.build import BadSnapshot
from routing.explain import explain, lines
from routing.forms import AliasForm, ModelForm, PreferenceForm, RepatchForm, RouteForm
from routing.models import Alias, GatewayProcess, Head, Preference, PrefixRule, PublicModel, Revision, Route, Worker
from routing.presence import PROCESS_GONE
from routing.standing import Standing, set_up, untouched, waits_for_key, with_standing
from routing.store import at_hand


class RouteInline(PanelInline):
    model = Route
    form = RouteForm
    fields = ("account", "upstream_model", "priority", "weight", "enabled", "key_set", "quirks")
    autocomplete_fields = ("account", "key_set")
    ordering = ("priority", "pk")

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        """A new model starts with a line for its route, which may stay empty."""
        return 1 if obj is None else 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Route]:
        return super().get_queryset(request).select_related("account", "key_set__account", "key_set__project", "model")  # type: ignore[no-any-return]  # unfold has no types


class AliasInline(PanelInline):
    model = Alias
    form = AliasForm
    fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alias]:
        return super().get_queryset(request).select_related("model")  # type: ignore[no-any-return]  # unfold has no types


class AccountFilter(admin.SimpleListFilter):
    """Models with a route at an account."""

    title = "account"
    parameter_name = "account"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        held = Account.objects.filter(routes__isnull=False).distinct().order_by("name")
        return [(str(pk), name) for pk, name in held.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PublicModel]) -> QuerySet[PublicModel]:
        value = self.value()
        if not value or not value.isdecimal():
            return queryset
        return queryset.filter(pk__in=Route.objects.filter(account=int(value)).values("model"))


class WorkingFilter(admin.SimpleListFilter):
    """Models that could, or could not, be served now."""

    title = "working route"
    parameter_name = "works"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [("yes", "Has a working route"), ("no", "Has none"), ("waits", "Waits, as the catalog gave it")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PublicModel]) -> QuerySet[PublicModel]:
        annotated: QuerySet[Any] = queryset
        if self.value() == "waits":
            return untouched(annotated.filter(works=False))
        if self.value() not in ("yes", "no"):
            return queryset
        return annotated.filter(works=self.value() == "yes")


@admin.register(PublicModel)
class PublicModelAdmin(Panel):
    form = ModelForm
    list_display = ("name", "service", "patched_to", "standing", "enabled", "last_change")
    list_filter = ("service", AccountFilter, WorkingFilter, "enabled")
    search_fields = ("name", "description", "aliases__name", "routes__upstream_model", "routes__account__name")
    search_help_text = "Name, alias, upstream model or account"
    inlines = (RouteInline, AliasInline)
    actions = ("repatch_selected", "enable_selected", "disable_selected")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PublicModel]:
        routes = Route.objects.select_related("account").order_by("priority", "pk")
        standing = Standing()
        rows = with_standing(super().get_queryset(request), standing)
        rows = rows.annotate(waits_for_key=waits_for_key(standing), set_up=set_up())
        return rows.prefetch_related(Prefetch("routes", queryset=routes))  # type: ignore[no-any-return]  # unfold has no types

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        rows = (("name", "service"), "description", "enabled")
        return (
            (None, {"fields": (*rows, "now", "used") if obj is not None else rows}),
            (
                "Which route is asked",
                {
                    "classes": ["collapse"],
                    "fields": ("strategy", ("sticky", "content_fallback"), ("hedge_after", "hedge_daily")),
                },
            ),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "now", "used")

    def get_urls(self) -> Any:
        page = self.admin_site.admin_view(self.explain)
        return [path("explain/", page, name="routing_explain"), *super().get_urls()]

    def explain(self, request: HttpRequest) -> HttpResponse:
        """The page of `project.explain_page`."""
        return explain_page(request, self.admin_site.each_context(request))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id) if request.method == "GET" else None
        told = {"explained": self.explained(row)} if row is not None else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **told})  # type: ignore[no-any-return]  # unfold has no types

    @display(description="Now")
    def now(self, row: PublicModel) -> str:
        """Where a request goes first, and what keeps the other routes from serving."""
        if not row.enabled:
            return "Off: a request for it is refused."
        routes = Route.objects.filter(model=row, enabled=True).select_related("account__provider", "model")
        standing = Standing(routes.values_list("account", flat=True))
        found = [(route, standing.problems(route)) for route in routes.order_by("priority", "pk")]
        if not found:
            return "No route is on: a request for it fails."
        parts = [f"{route.account.name}: {'; '.join(why)}" for route, why in found if why]
        first = next((route for route, why in found if not why), None)
        opening = f"Goes to {first.account.name} / {first.upstream_model}." if first else "No route can serve it."
        return " ".join([opening, *(f"{part}." for part in parts)])

    @display(description="Used")
    def used(self, row: PublicModel) -> str:
        """Who would feel a change of it: requests and projects of the last day."""
        return repatch.use_of(row.name)

    def explained(self, row: PublicModel) -> str:
        """Every candidate in its order and every dropped one with the reason, from what this process serves."""
        try:
            found = explain(at_hand(), row.name)
        except BadSnapshot as error:
            return str(error)
        return "\n".join(lines(found))

    @display(description="Patched to")
    def patched_to(self, row: PublicModel) -> str:
        routes = [route for route in row.routes.all() if route.enabled]
        if not routes:
            return "nothing"
        first = f"{routes[0].account.name} / {routes[0].upstream_model}"
        return first if len(routes) == 1 else f"{first}  + {len(routes) - 1} more"

    @display(description="Route", label={"works": "success", "no working route": "danger", "off": "warning"})
    def standing(self, row: Any) -> str:
        if not row.enabled:
            return "off"
        if row.works:
            return "works"
        if row.catalog and not row.set_up:
            return "needs key" if row.waits_for_key else "not yet served"
        return "no working route"

    @admin.action(description="Enable selected models", permissions=["change"])
    def enable_selected(self, request: HttpRequest, queryset: QuerySet[PublicModel]) -> None:
        self._switch(request, queryset, True)

    @admin.action(description="Disable selected models", permissions=["change"])
    def disable_selected(self, request: HttpRequest, queryset: QuerySet[PublicModel]) -> None:
        self._switch(request, queryset, False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[PublicModel], to: bool) -> None:
        with one_revision(request, f"models {'enabled' if to else 'disabled'}"):
            changed = PublicModel.objects.filter(pk__in=queryset.values("pk"), enabled=not to).update(enabled=to)
        messages.success(request, f"{changed} model{'' if changed == 1 else 's'} {'enabled' if to else 'disabled'}.")

    @admin.action(description="Re-patch selected models to another account", permissions=["change"])
    def repatch_selected(self, request: HttpRequest, queryset: QuerySet[PublicModel]) -> HttpResponse | None:
        """Choose an account, see every change, confirm. One revision."""
        if not request.user.has_perm("routing.change_route"):
            messages.error(request, "You may not change routes.")
            return None
        chosen = PublicModel.objects.filter(pk__in=queryset.values("pk"))
        asked = "preview" in request.POST or "confirm" in request.POST
        form = RepatchForm(request.POST if asked else None)
        steps: list[repatch.Step] = []
        if form.is_valid():
            account, upstream = form.cleaned_data["account"], form.cleaned_data["upstream_model"]
            steps = repatch.plan(chosen, account, upstream)
            if "confirm" in request.POST:
                note = f"re-patched to {account.name}"
                with one_revision(request, note):
                    written = repatch.apply(steps, None, note)
                messages.success(request, f"{written} route{'' if written == 1 else 's'} re-patched to {account.name}.")
                return None
        context = {
            **self.admin_site.each_context(request),
            "title": "Re-patch models to another account",
            "opts": self.opts,
            "form": form,
            "media": self.media + form.media,
            "steps": steps,
            "changes": sum(1 for step in steps if step.changed),
            "models": chosen.order_by("name"),
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/routing/publicmodel/repatch.html", context)


@admin.register(Route)
class RouteAdmin(Panel):
    form = RouteForm
    list_display = ("model_name", "account_name", "upstream_model", "priority", "weight", "enabled", "last_change")
    list_filter = ("enabled", "infra", ("account", admin.RelatedOnlyFieldListFilter))
    search_fields = ("model__name", "account__name", "upstream_model")
    autocomplete_fields = ("model", "account", "key_set")
    list_select_related = ("model", "account")
    fieldsets = (
        (None, {"fields": (("model", "enabled"), ("account", "upstream_model"), ("priority", "weight"))}),
        ("More", {"fields": (("key_set", "family"), ("infra", "larger_context"), "quirks")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "family" and field:
            return FamilyField(required=False, help_text=field.help_text, empty="as its account")
        return field

    @display(description="Public model", ordering="model__name")
    def model_name(self, row: Route) -> str:
        return row.model.name

    @display(description="Account", ordering="account__name")
    def account_name(self, row: Route) -> str:
        return row.account.name


@admin.register(Alias)
class AliasAdmin(Panel):
    form = AliasForm
    labels: ClassVar[dict[str, str]] = {"model": "Public model"}
    list_display = ("name", "model_name", "last_change")
    search_fields = ("name", "model__name")
    autocomplete_fields = ("model",)
    list_select_related = ("model",)

    @display(description="Public model", ordering="model__name")
    def model_name(self, row: Alias) -> str:
        return row.model.name


@admin.register(PrefixRule)
class PrefixRuleAdmin(Panel):
    list_display = ("prefix", "provider_slug", "strip", "enabled", "last_change")
    list_filter = ("enabled", "strip")
    search_fields = ("prefix", "provider__slug")
    autocomplete_fields = ("provider",)
    list_select_related = ("provider",)
    hints: ClassVar[dict[str, str]] = {
        "prefix": "Names that start so go to the provider. The longest match wins, case counts.",
        "strip": "Take the prefix off before the request is forwarded.",
    }

    @display(description="Provider", ordering="provider__slug")
    def provider_slug(self, row: PrefixRule) -> str:
        return row.provider.slug


@admin.register(Preference)
class PreferenceAdmin(Panel):
    form = PreferenceForm
    list_display = ("project_name", "default_model", "preferred_models", "allowed", "last_change")
    search_fields = ("project__name", "default_model")
    autocomplete_fields = ("project",)
    list_select_related = ("project",)
    lines = ("preferred", "allow")

    @display(description="Project", ordering="project__name")
    def project_name(self, row: Preference) -> str:
        return row.project.name

    @display(description="Preferred")
    def preferred_models(self, row: Preference) -> str:
        return ", ".join(row.preferred) or "-"

    @display(description="May use")
    def allowed(self, row: Preference) -> str:
        return "everything" if not row.allow or "*" in row.allow else ", ".join(row.allow)


class RevisionChangeList(PanelChangeList):
    """A page of revisions, each told as far as this reader may know."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        for row in self.result_list:
            row.told = history.summary(row, request.user)


@admin.register(Revision)
class RevisionAdmin(ReadOnlyPanel):
    list_display = ("shown", "at", "author_name", "summary", "note")
    ordering = ("-number",)
    list_filter = ("author_name",)
    search_fields = ("author_name", "note")
    date_hierarchy = None
    fields = (("number", "at"), ("author_name", "note"))
    labels: ClassVar[dict[str, str]] = {"author_name": "Who", "number": "Revision", "at": "When"}
    hints: ClassVar[dict[str, str]] = {"author_name": ""}
    change_form_template = "admin/routing/revision/change_form.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        changes = history.rows(row, request.user) if row is not None else []
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "changes": changes})  # type: ignore[no-any-return]  # unfold has no types

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PanelChangeList]:
        return RevisionChangeList

    @display(description="Revision", ordering="number")
    def shown(self, row: Revision) -> str:
        return f"r{row.number}"

    @display(description="What")
    def summary(self, row: Any) -> str:
        return str(row.told)


@admin.register(GatewayProcess)
class GatewayProcessAdmin(ReadOnlyPanel):
    list_display = ("name", "revision", "state", "applied_at", "seen_at", "problem")

    def get_urls(self) -> Any:
        page = self.admin_site.admin_view(self.health)
        return [path("health/", page, name="routing_health"), *super().get_urls()]

    def health(self, request: HttpRequest) -> HttpResponse:
        """The page of `project.health_page`."""
        return health_page(request, self.admin_site.each_context(request))

    def get_queryset(self, request: HttpRequest) -> QuerySet[GatewayProcess]:
        newest = Head.objects.filter(pk=1).values("revision")
        return super().get_queryset(request).annotate(newest=Subquery(newest))  # type: ignore[no-any-return]  # unfold has no types

    @display(description="State", label={"current": "success", "behind": "warning", "gone": "danger"})
    def state(self, row: Any) -> str:
        if row.seen_at < timezone.now() - PROCESS_GONE:
            return "gone"
        return "current" if row.revision >= (row.newest or 0) else "behind"


@admin.register(Worker)
class WorkerAdmin(ReadOnlyPanel):
    """Workers as they are now, which is more than their rows say: the pages are those of `project.fleet_page`."""

    fields = ("url", "account", "serves", "capacity", "leaves", "drained_by", "heard_at")

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        return [
            path("live/", view(live), name="routing_worker_live"),
            path("<str:pk>/drain/", view(drain_worker), name="routing_worker_drain"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return workers_page(request, {**self.admin_site.each_context(request), "opts": self.opts})
