"""Pages of projects, key sets, provider keys and tokens. A key goes in and never comes out; a token is shown once."""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget

from keys import tokens, vault
from keys.forms import NOT_OPERATORS, TokenForm
from keys.models import ApiToken, KeySet, Project, ProviderKey
from keys.pool import pool
from keys.roles import may
from project.panel import OneInline, Panel, PanelChangeList, one_revision
from providers.columns import valid_variables
from providers.hosts import BadUrl
from providers.secrets import Secret
from routing.forms import PreferenceForm
from routing.models import Preference
from routing.notices import use_again

#: Why a stored key does not open, for the person who has to enter it again.
REASONS = {
    "no-origin": "the account's address is incomplete",
    "unknown-key": "sealed with a master key that is not in the ring",
    "wrong-key": "sealed with another master key",
    "mismatch": "the row holds another key than it says",
}


class PreferenceInline(OneInline):
    model = Preference
    form = PreferenceForm
    fields = ("default_model", "preferred", "allow", "strict")
    lines = ("preferred", "allow")
    verbose_name = verbose_name_plural = "What it may use, and what auto means for it"


@admin.register(Project)
class ProjectAdmin(Panel):
    list_display = ("name", "description", "allowed", "preferred", "default", "live_tokens", "enabled", "last_change")
    list_filter = ("enabled",)
    search_fields = ("name", "description")
    ordering = ("name",)
    list_select_related = ("preference",)
    inlines = (PreferenceInline,)
    readonly_fields = ("own_keys", "tokens_line")

    def get_fieldsets(self, request: HttpRequest, obj: Project | None = None) -> Any:
        rows: tuple[Any, ...] = (("name", "enabled"), "description")
        if obj is not None:
            held = (("tokens_line", ApiToken), ("own_keys", KeySet))
            rows += tuple(line for line, table in held if may(request.user, "view", table))
        return ((None, {"fields": rows}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        live = Q(tokens__revoked_at=None) & (Q(tokens__expires_at=None) | Q(tokens__expires_at__gt=timezone.now()))
        return super().get_queryset(request).annotate(tokens_live=Count("tokens", filter=live))  # type: ignore[no-any-return]  # unfold has no types

    @display(description="Tokens")
    def tokens_line(self, row: Any) -> str:
        """How many are live, and the way to them."""
        url = f"{reverse('admin:keys_apitoken_changelist')}?project__id__exact={row.pk}"
        return format_html('{} live. <a class="jf-link" href="{}">Show its tokens</a>', row.tokens_live, url)

    @display(description="Own keys")
    def own_keys(self, row: Project) -> str:
        """Key sets that serve this project only, before an account's shared ones."""
        found = [str(each) for each in row.key_sets.select_related("account", "project")]
        return ", ".join(found) or "none: the accounts' shared key sets serve it"

    @display(description="Preferred")
    def preferred(self, row: Project) -> str:
        held = getattr(row, "preference", None)
        return ", ".join(held.preferred) or "-" if held else "-"

    @display(description="Default model")
    def default(self, row: Project) -> str:
        held = getattr(row, "preference", None)
        return held.default_model or "-" if held else "-"

    @display(description="May use")
    def allowed(self, row: Project) -> str:
        held = getattr(row, "preference", None)
        return "everything" if held is None or not held.allow or "*" in held.allow else ", ".join(held.allow)

    @display(description="Live tokens", ordering="tokens_live")
    def live_tokens(self, row: Any) -> int:
        return int(row.tokens_live)


@admin.register(KeySet)
class KeySetAdmin(Panel):
    list_display = ("full_name", "owner", "key_count", "env_pattern", "last_change")
    ordering = ("account__name", "project__name", "name")
    list_filter = (("project", admin.RelatedOnlyFieldListFilter),)
    search_fields = ("name", "account__name", "project__name", "env_pattern")
    autocomplete_fields = ("account", "project")
    list_select_related = ("account", "project")
    fieldsets = (
        (None, {"fields": (("account", "name"), ("project", "env_pattern"))}),
        (
            "Origin",
            {
                "description": "Variables laid over the account's. If they change its address, the keys of this set "
                "cannot be used until they are entered again.",
                "fields": ("variables",),
            },
        ),
    )

    labels: ClassVar[dict[str, str]] = {"env_pattern": "Variables called"}
    hints: ClassVar[dict[str, str]] = {
        "project": "Empty: it serves every project.",
        "variables": "Laid over the account's, where one key has an endpoint of its own.",
        "env_pattern": "How its variables begin, as AZURE_MYCELI_GPT5MINI_*.",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[KeySet]:
        return super().get_queryset(request).annotate(keys_held=Count("keys"))  # type: ignore[no-any-return]  # unfold has no types

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "variables":
            field.validators.append(valid_variables)
        return field

    @display(description="Account / key set", ordering="account__name")
    def full_name(self, row: KeySet) -> str:
        return f"{row.account.name} / {row.name}"

    @display(description="Serves")
    def owner(self, row: KeySet) -> str:
        return f"only {row.project.name}" if row.project else "every project"

    @display(description="Keys")
    def key_count(self, row: Any) -> int:
        return int(row.keys_held)


class KeyForm(forms.ModelForm):
    """A key goes in here. The field is never filled, also not with what was just typed."""

    key = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off", "spellcheck": "false"}, render_value=False),
    )

    class Meta:
        model = ProviderKey
        fields = ("key_set", "position", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "key" not in self.fields:
            return
        if self.instance._state.adding:
            self.fields["key"].required = True
            self.fields["key"].help_text = "Sealed at once, to this account's origin. It is never shown again."
        else:
            self.fields["key"].label = "Replace the key"
            self.fields["key"].help_text = f"Empty keeps {self.instance}. It is sealed to the account's present origin."

    def clean_key(self) -> Secret | None:
        text = self.cleaned_data.get("key", "")
        return Secret(text) if text.strip() else None

    def clean(self) -> dict[str, Any]:
        """Refuse what the vault would refuse, as a message at the field."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        key, key_set = found.get("key"), found.get("key_set") or getattr(self.instance, "key_set", None)
        if key and key_set:
            try:
                vault.checked(key)
                vault.origin(key_set)
            except (vault.BadKey, BadUrl) as error:
                raise ValidationError({"key": str(error)}) from None
        return found


#: What a key's page tells of it.
_FACTS = ("key_set", "shown", "source", "created_at", "rotated_at", "spent_at", "spent_for")


class KeyChangeList(PanelChangeList):
    """A page of keys with those marked that must be entered again."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        reasons = {failure.key_id: failure.reason for failure in vault.check_all()}
        for row in self.result_list:
            row.unusable = reasons.get(str(row.pk), "")


@admin.register(ProviderKey)
class ProviderKeyAdmin(Panel):
    form = KeyForm
    list_display = ("shown", "account_name", "set_name", "standing", "source", "position", "enabled", "last_change")
    list_filter = ("enabled", "live", ("key_set__account", admin.RelatedOnlyFieldListFilter))
    search_fields = ("fingerprint", "last_four", "key_set__account__name", "key_set__name", "source")
    autocomplete_fields = ("key_set",)
    list_select_related = ("key_set__account__provider", "key_set__project")
    actions = ("use_again",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PanelChangeList]:
        return KeyChangeList

    def get_fields(self, request: HttpRequest, obj: ProviderKey | None = None) -> Any:
        if obj is None:
            return ("key_set", "key", "position", "enabled")
        facts = (*_FACTS, "position", "enabled")
        return (*facts, "key") if self.has_change_permission(request, obj) else facts

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = _FACTS if obj is not None else ()
        return tuple(dict.fromkeys((*super().get_readonly_fields(request, obj), *fixed)))

    def save_model(self, request: HttpRequest, obj: ProviderKey, form: KeyForm, change: bool) -> None:
        key: Secret | None = form.cleaned_data.get("key")
        if change:
            obj.save()
            if key:
                vault.replace_key(obj, key)
        elif key:
            made = vault.enter_key(obj.key_set, key, position=obj.position)
            if not obj.enabled:
                made.enabled = False
                made.save(update_fields=["enabled"])
            obj.__dict__.update(made.__dict__)

    @display(description="Key", ordering="last_four")
    def shown(self, row: ProviderKey) -> str:
        return str(row)

    @display(description="Account", ordering="key_set__account__name")
    def account_name(self, row: ProviderKey) -> str:
        return row.key_set.account.name

    @display(description="Key set")
    def set_name(self, row: ProviderKey) -> str:
        owner = f" (only {row.key_set.project.name})" if row.key_set.project else ""
        return f"{row.key_set.name}{owner}"

    @display(description="State", label={"usable": "success", "off": "warning", "spent": "danger"})
    def standing(self, row: Any) -> str | tuple[str, str]:
        if row.unusable:
            return f"needs re-entry: {REASONS.get(row.unusable, 'it no longer opens, as after a change of origin')}"
        if not row.enabled:
            return "off"
        left = pool.cooling.remaining(row.fingerprint)
        cooling = f"cooling for {ceil(left)} s" if left > 0 else ""
        if row.spent_at:
            return "spent", f"used up, {cooling}" if cooling else "used up"
        return cooling or "usable"

    @admin.action(description="Use again at once: a bill was paid, a limit raised", permissions=["change"])
    def use_again(self, request: HttpRequest, queryset: QuerySet[ProviderKey]) -> None:
        """Here at once, in the other processes within two seconds."""
        rows = list(queryset.select_related("key_set"))
        queryset.touch(spent_at=None, spent_for="")  # type: ignore[attr-defined]  # ConfigQuerySet
        for row in rows:
            pool.cooling.clear(row.fingerprint)
        use_again(rows)
        messages.success(
            request,
            f"{len(rows)} key{'' if len(rows) == 1 else 's'} may be used again, in every process within two seconds.",
        )


@admin.register(ApiToken)
class ApiTokenAdmin(Panel):
    form = TokenForm
    list_display = (
        "shown",
        "owner",
        "name",
        "kind",
        "standing",
        "expires",
        "issued_by",
        "created_at",
        "last_used_at",
    )
    list_filter = (
        *("kind", ("project", admin.RelatedOnlyFieldListFilter), ("account", admin.RelatedOnlyFieldListFilter)),
    )
    search_fields = ("project__name", "account__name", "name", "last_four")
    autocomplete_fields = ("project", "account")
    list_select_related = ("project", "account", "created_by")
    actions = ("revoke_selected", "revoke_compromised")
    fields = ("kind", "project", "account", "name", "expires_at")
    hints: ClassVar[dict[str, str]] = {
        "kind": "What it opens: a project's, /v1; a fleet's, the registration of an account's workers.",
        "project": "Whose requests it lets in.",
        "account": "Of a fleet token only: whose workers it lets register.",
    }

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        facts = ("shown", "created_by", "created_at", "last_used_at", "revoked_at", "revoked_reason")
        return self.fields if obj is None else (*self.fields, *facts)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.get_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A token is issued and revoked, never edited."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "change", ApiToken)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "kind" and not may(request.user, "add", ProviderKey):
            kwargs["choices"] = [choice for choice in ApiToken.Kind.choices if choice[0] not in NOT_OPERATORS]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: forms.ModelForm, change: bool) -> None:
        if change or (obj.kind in NOT_OPERATORS and not may(request.user, "add", ProviderKey)):
            raise PermissionDenied
        made, plaintext = tokens.issue(
            obj.project,
            account=obj.account,
            kind=obj.kind,
            name=obj.name,
            expires_at=obj.expires_at,
            created_by=request.user,  # type: ignore[arg-type]  # staff only, so a User
        )
        obj.__dict__.update(made.__dict__)
        request.issued_token = plaintext  # type: ignore[attr-defined]  # of our own

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """The token, in this answer and nowhere else: no message, cookie or session holds it."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"Token for {obj.owner}",
            "opts": self.opts,
            "token": request.issued_token,  # type: ignore[attr-defined]  # of our own
            "row": obj,
        }
        response = TemplateResponse(request, "admin/keys/apitoken/issued.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response.render()

    @admin.action(description="Revoke selected tokens", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        self._revoke(request, queryset, ApiToken.Reason.RETIRED)

    @admin.action(description="Revoke as compromised: also cut their streams", permissions=["revoke"])
    def revoke_compromised(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        self._revoke(request, queryset, ApiToken.Reason.COMPROMISED)

    def _revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken], reason: ApiToken.Reason) -> None:
        live = list(queryset.filter(revoked_at=None))
        with one_revision(request, f"tokens revoked: {reason.value}"):
            for row in live:
                tokens.revoke(row, reason)
        messages.success(request, f"{len(live)} token{'' if len(live) == 1 else 's'} revoked.")

    @display(description="Token", ordering="last_four")
    def shown(self, row: ApiToken) -> str:
        return f"jf_{row.kind}••••{row.last_four}"

    @display(description="Expires", ordering="expires_at")
    def expires(self, row: ApiToken) -> str:
        return timezone.localtime(row.expires_at).strftime("%Y-%m-%d %H:%M") if row.expires_at else "never"

    @display(description="Created by", ordering="created_by__username")
    def issued_by(self, row: ApiToken) -> str:
        return str(row.created_by) if row.created_by else "command line"

    @display(description="Of", ordering="project__name")
    def owner(self, row: ApiToken) -> str:
        return row.owner

    @display(description="State", label={"live": "success", "expired": "warning", "revoked": "danger"})
    def standing(self, row: ApiToken) -> str:
        if row.revoked_at is not None:
            return "revoked"
        return "expired" if row.expires_at is not None and row.expires_at <= timezone.now() else "live"
