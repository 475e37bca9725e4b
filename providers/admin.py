"""Pages of providers, accounts and model facts. Only a security admin says where an account's keys are sent."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from keys.models import KeySet, ProviderKey
from keys.roles import may
from project.fleet_page import workers_of
from project.panel import Panel
from project.sign_in_page import offered, sign_in_page
from providers.columns import (
    CredentialField,
    FamilyField,
    valid_base_url,
    valid_families,
    valid_timeouts,
    valid_variables,
    valid_worker_hosts,
)
from providers.families import FAMILIES
from providers.models import Account, CatalogModel, Provider
from providers.probing import declared
from routing.models import AccountProbe, Route
from routing.probing import said
from routing.store import at_hand
from routing.syncing import sync

ORIGIN_WARNING = (
    "These fields say where this account's keys are sent. Every key is sealed to its origin: after a change of the "
    "origin the keys of the account cannot be used until a security admin enters them again."
)
PROVIDER_WARNING = (
    "These fields say where the keys of this provider's accounts are sent, unless an account says otherwise. Every key "
    "is sealed to its origin: after a change of the origin those keys cannot be used until a security admin enters "
    "them again."
)
PROBES = (
    "While nobody hears of this account, or a circuit of it is open, its list of models is asked for. An account that "
    "answers gets its next request early; what a probe finds never keeps requests away."
)
#: Accounts whose upstreams one page asks.
MOST_ASKED: Final = 20


@admin.register(Provider)
class ProviderAdmin(Panel):
    list_display = ("slug", "name", "family", "account_count", "is_open", "enabled", "last_change")
    list_filter = ("enabled", "family", "credential", "keyless", "streaming")
    search_fields = ("slug", "name", "aliases")
    ordering = ("slug",)
    lines = ("env_keys", "aliases", "capabilities")
    fieldsets = (
        (None, {"fields": (("slug", "name"), ("enabled", "streaming"))}),
        (
            "Where and how",
            {
                "description": PROVIDER_WARNING,
                "fields": (
                    ("family", "base_url"),
                    ("credential", "credential_name"),
                    "keyless",
                    "variables",
                    "families",
                ),
            },
        ),
        ("Keys from the environment", {"fields": ("env_keys", "env_prefix")}),
        ("Facts", {"fields": ("aliases", "capabilities", "quirks", ("deferred_to", "deferred_reason"))}),
    )
    labels: ClassVar[dict[str, str]] = {
        "base_url": "Base URL",
        "families": "Other families",
        "credential_name": "Name of it",
        "keyless": "Needs no key",
        "env_keys": "Key variables",
        "env_prefix": "Stem",
    }
    hints: ClassVar[dict[str, str]] = {
        "families": 'Each with its base URL: {"anthropic-messages": "https://…"}.',
        "credential_name": "Of the header or query parameter, if it is not the usual one.",
        "keyless": "A request goes out also when the account has no key.",
        "aliases": "Other ids that mean it.",
        "capabilities": "As the catalog tells them.",
        "quirks": "Switches of all its routes, as {'search': true}.",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        return super().get_queryset(request).annotate(accounts_held=Count("accounts"))  # type: ignore[no-any-return]  # unfold has no types

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is None:
            return None
        if db_field.name == "base_url":
            field.validators.append(valid_base_url)
        if db_field.name == "families":
            field.validators.append(valid_families)
        if db_field.name == "credential":
            return CredentialField(label=field.label, help_text=field.help_text, initial=field.initial)
        return _family(field) if db_field.name == "family" else field

    @display(description="Accounts", ordering="accounts_held")
    def account_count(self, row: Any) -> int:
        return int(row.accounts_held)

    @display(description="Can be served", label={"yes": "success", "not yet": "warning", "deferred": "danger"})
    def is_open(self, row: Provider) -> str:
        if row.deferred_to:
            return "deferred"
        family = FAMILIES.get(row.family)
        return "yes" if family is not None and family.is_served else "not yet"


@admin.register(Account)
class AccountAdmin(Panel):
    list_display = ("name", "provider_name", "route_count", "key_count", "network", "enabled", "last_change")
    list_filter = ("enabled", "private_network", "provider__family")
    search_fields = ("name", "provider__slug", "provider__name")
    autocomplete_fields = ("provider",)
    list_select_related = ("provider",)
    readonly_fields = ("keys", "keys_to_add", "sign_in_line", "probing")
    actions = ("sync_models",)
    lines = ("worker_hosts",)
    change_form_template = "admin/providers/account/change_form.html"
    fieldsets = (
        (None, {"fields": (("name", "enabled"), "timeouts")}),
        (
            "Origin",
            {
                "description": ORIGIN_WARNING,
                "fields": (
                    ("provider", "family"),
                    "base_url",
                    "variables",
                    "private_network",
                    "env_pattern",
                    "worker_hosts",
                ),
            },
        ),
        (
            "Probes",
            {
                "description": PROBES,
                "fields": (("probe", "probe_interval", "probe_cost"), "probing"),
            },
        ),
    )
    labels: ClassVar[dict[str, str]] = {
        "base_url": "Base URL",
        "env_pattern": "Variables called",
        "probe": "Probe it",
        "probe_interval": "Seconds between probes",
        "probe_cost": "Cost of a probe",
    }
    hints: ClassVar[dict[str, str]] = {
        "family": "Only if this account speaks another API than its provider.",
        "timeouts": 'Seconds of connect, first_byte, gap and total, as {"total": 60}. Empty: the usual ones.',
        "variables": 'What the provider\'s URL and credential need, as {"region": "eu-west-1"}.',
        "env_pattern": "How its variables begin, as AWS_*: said where a key is missing.",
        "probe": "Free is what is declared to cost 0.",
        "probe_interval": "60 to 86400.",
        "probe_cost": "Millionths of a US dollar.",
        "worker_hosts": "Where workers that register themselves may be: names, *.names, networks as 10.1.0.0/16. "
        "Empty: public addresses, by HTTPS on port 443 alone.",
    }

    def get_ordering(self, request: HttpRequest) -> Any:
        """Those in use first."""
        routes = Exists(Route.objects.filter(account=OuterRef("pk")))
        keys = Exists(ProviderKey.objects.filter(key_set__account=OuterRef("pk")))
        return (Case(When(routes | keys, then=0), default=1).asc(), "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        rows = super().get_queryset(request)
        return rows.annotate(  # type: ignore[no-any-return]  # unfold has no types
            routes_held=Count("routes", distinct=True),
            keys_held=Count("key_sets__keys", filter=Q(key_sets__keys__enabled=True), distinct=True),
        )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is None:
            return None
        if db_field.name == "base_url":
            field.validators.append(valid_base_url)
        if db_field.name == "timeouts":
            field.validators.append(valid_timeouts)
        if db_field.name == "variables":
            field.validators.append(valid_variables)
        if db_field.name == "worker_hosts":
            field.validators.append(valid_worker_hosts)
        return _family(field, empty="as its provider") if db_field.name == "family" else field

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        first, *others = super().get_fieldsets(request, obj)
        if obj is None or not may(request.user, "view", KeySet):
            return (first, *others)
        lines = ["keys_to_add" if may(request.user, "add", ProviderKey) else "keys"]
        lines += ["sign_in_line"] if offered(request, obj) else []
        return ((None, {"fields": (*first[1]["fields"], *lines)}), *others)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """With its workers, if it is an account that has any to do with them."""
        context = {**(extra_context or {}), "workers": workers_of(request, object_id)}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]  # unfold has no types

    def get_urls(self) -> Any:
        page = self.admin_site.admin_view(self.sign_in)
        return [path("<str:pk>/sign-in/", page, name="providers_account_sign_in"), *super().get_urls()]

    def sign_in(self, request: HttpRequest, pk: str) -> HttpResponse:
        """The page of `project.sign_in_page`."""
        return sign_in_page(request, pk, {**self.admin_site.each_context(request), "opts": self.opts})

    def save_model(self, request: HttpRequest, obj: Account, form: forms.ModelForm, change: bool) -> None:
        """A new account comes with the shared key set that its first key goes into."""
        super().save_model(request, obj, form, change)
        if not change:
            KeySet.objects.create(account=obj)

    def has_sync_permission(self, request: HttpRequest) -> bool:
        """Those who map models may ask which there are."""
        return may(request.user, "change", Route)

    @admin.action(description="Compare routes with the upstream's models", permissions=["sync"])
    def sync_models(self, request: HttpRequest, queryset: QuerySet[Account]) -> HttpResponse | None:
        """What the upstreams of these accounts list, beside their routes. Changes nothing."""
        names = sorted(Account.objects.filter(pk__in=queryset.values("pk")).values_list("name", flat=True))
        if len(names) > MOST_ASKED:
            messages.error(request, f"Choose at most {MOST_ASKED} accounts: each is asked now.")
            return None
        snapshot = at_hand()
        context = {
            **self.admin_site.each_context(request),
            "title": "Models of upstreams",
            "opts": self.opts,
            "found": sync(snapshot, [name for name in names if name in snapshot.account_ids]),
        }
        return TemplateResponse(request, "admin/providers/account/sync.html", context)

    @display(description="Keys")
    def keys(self, row: Account) -> str:
        return format_html_join("", "<div>{}</div>", ((text,) for _, text in _key_sets(row))) or "no key set"

    @display(description="Keys")
    def keys_to_add(self, row: Account) -> str:
        """Each key set with a link to give it a key."""
        add = reverse("admin:keys_providerkey_add")
        parts = [(text, f"{add}?key_set={pk}") for pk, text in _key_sets(row)]
        return format_html_join("", '<div>{} <a class="jf-link" href="{}">Add a key</a></div>', parts) or "no key set"

    @display(description="Now")
    def probing(self, row: Account) -> str:
        """What probes may cost a day, and what the last one found."""
        if row.pk is None:
            return "-"
        found = AccountProbe.objects.filter(account=row.pk).first()
        most = declared(row.probe, row.probe_interval, row.probe_cost)
        return f"{most[:1].upper()}{most[1:]}. Last: {said(found) if found is not None else 'no probe yet'}."

    @display(description="Sign-in")
    def sign_in_line(self, row: Account) -> str:
        url = reverse("admin:providers_account_sign_in", args=[row.pk])
        return format_html('<a class="jf-button jf-inside" href="{}">Sign in</a>', url)

    @display(description="Provider", ordering="provider__slug")
    def provider_name(self, row: Account) -> str:
        return row.provider.slug

    @display(description="Private network", ordering="private_network")
    def network(self, row: Account) -> str:
        return "yes" if row.private_network else "-"

    @display(description="Routes", ordering="routes_held")
    def route_count(self, row: Any) -> int:
        return int(row.routes_held)

    @display(description="Keys", ordering="keys_held")
    def key_count(self, row: Any) -> str:
        return "none needed" if row.provider.keyless and not row.keys_held else str(row.keys_held)


@admin.register(CatalogModel)
class CatalogModelAdmin(Panel):
    list_display = ("model", "provider_name", "kind", "context", "price", "as_of", "last_change")
    list_filter = ("kind", "tools", "reasoning")
    search_fields = ("model", "name", "provider__slug")
    autocomplete_fields = ("provider",)
    list_select_related = ("provider",)
    lines = ("input_modalities", "output_modalities", "aliases")
    labels: ClassVar[dict[str, str]] = {
        "model": "Upstream model",
        "context": "Context, tokens",
        "max_output": "Most output, tokens",
        "price_input": "Input",
        "price_output": "Output",
        "price_cache_read": "Cache read",
        "price_cache_write": "Cache write",
        "price_image": "Picture",
        "input_modalities": "Takes",
        "output_modalities": "Gives",
    }
    hints: ClassVar[dict[str, str]] = {
        "family": "Only if this model speaks another API than its provider.",
        "kind": "chat, image, video, speech, transcription, embedding, …",
        "input_modalities": "As text, image, audio.",
        "output_modalities": "As text, image, audio.",
    }
    fieldsets = (
        (None, {"fields": (("provider", "model"), ("name", "kind"), "family")}),
        ("Limits and abilities", {"fields": (("context", "max_output"), ("tools", "reasoning", "structured_output"))}),
        (
            "Prices",
            {
                "description": "Millionths of a US dollar per million tokens: 150000 is $0.15. For models that make "
                "pictures, of one picture, in place of its tokens: 40000 is $0.04. Empty is unknown, 0 is free.",
                "fields": (("price_input", "price_output"), ("price_cache_read", "price_cache_write"), "price_image"),
            },
        ),
        ("More", {"fields": ("input_modalities", "output_modalities", "aliases", ("as_of", "source"))}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        return _family(field, empty="as its provider") if db_field.name == "family" and field else field

    @display(description="Provider", ordering="provider__slug")
    def provider_name(self, row: CatalogModel) -> str:
        return row.provider.slug

    @display(description="USD per million tokens, in / out")
    def price(self, row: CatalogModel) -> str:
        if row.price_image is not None:
            return f"{dollars(row.price_image)} a picture"
        return f"{dollars(row.price_input)} / {dollars(row.price_output)}"


def _key_sets(account: Account) -> list[tuple[int, str]]:
    """The account's key sets with what each holds, the shared ones first."""
    rows = account.key_sets.select_related("project").annotate(held=Count("keys"))
    found = []
    for row in rows.order_by(F("project__name").asc(nulls_first=True), "name"):
        owner = f", only {row.project.name}" if row.project else ""
        found.append((row.pk, f"{row.name}{owner}: {row.held} key{'' if row.held == 1 else 's'}."))
    return found


def dollars(micro: int | None) -> str:
    """Micro-USD as dollars; unknown is said, not shown as 0."""
    return "unknown" if micro is None else f"{micro / 1_000_000:,.4f}".rstrip("0").rstrip(".")


def _family(field: forms.Field, **given: Any) -> forms.Field:
    return FamilyField(required=field.required, label=field.label, help_text=field.help_text, **given)
