"""Pages of people and roles. Roles are code (`keys.roles`) and only shown; nobody becomes a superuser here."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from keys.roles import AUDITOR, NARROW, OPERATOR, ROLES, SECURITY_ADMIN
from project.panel import ReadOnlyPanel

#: What a role is for, in a line beside its box.
MEANT: Final = {
    SECURITY_ADMIN: "enters, rotates and revokes keys, says where they are sent, and makes users",
    OPERATOR: "patches models, and looks after projects, tokens and usage; sees no key",
    AUDITOR: "sees everything but keys themselves, and changes nothing",
}
#: Django's words are for web sites; these are for here.
LABELS: Final = {"groups": "Roles", "is_staff": "May sign in here"}
HINTS: Final = {
    "groups": "",
    "is_active": "Off: this person cannot sign in. Users are switched off, not deleted.",
    "is_staff": "Needed for these pages, besides a role.",
}
#: Django's groups are our roles, and so they are called on every page.
Group._meta.verbose_name, Group._meta.verbose_name_plural = "role", "roles"
apps.get_app_config("auth").verbose_name = "Users and roles"
admin.site.unregister(User)
admin.site.unregister(Group)


class RolesField(forms.ModelMultipleChoiceField):
    """The roles as boxes to tick, each with what it is for."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def label_from_instance(self, obj: Any) -> str:
        meant = MEANT.get(obj.name)
        return f"{obj.name}: {meant}" if meant else str(obj.name)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "roles", "is_staff", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": (("first_name", "last_name"), "email")}),
        ("Access", {"fields": ("groups", ("is_active", "is_staff"))}),
        ("Dates", {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = ((None, {"fields": ("username", "password1", "password2", "groups", "is_staff")}),)
    readonly_fields = ("last_login", "date_joined")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """Who is made here is to work here."""
        return {"is_staff": True, **super().get_changeform_initial_data(request)}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            return RolesField(Group.objects.order_by("name"), required=False, label=LABELS["groups"])
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **{"labels": LABELS, "help_texts": HINTS, **kwargs})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever could set a superuser's password would be one."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    @display(description="Roles")
    def roles(self, row: User) -> str:
        return ", ".join(sorted(group.name for group in row.groups.all())) or "none"


@admin.register(Group)
class GroupAdmin(ReadOnlyPanel, DjangoGroupAdmin):
    list_display = ("name", "people")
    filter_horizontal = ()
    fields = ("name", "rights")
    readonly_fields = ("rights",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(members=Count("user"))

    @display(description="People", ordering="members")
    def people(self, row: Any) -> int:
        return int(row.members)

    @display(description="May")
    def rights(self, row: Group) -> str:
        """One line per table, and the fields where not all may be written."""
        lines = []
        for label, verbs in ROLES.get(row.name, {}).items():
            narrow = NARROW.get(label) if "change" in verbs and "add" not in verbs else None
            only = f" (only {', '.join(sorted(narrow))})" if narrow else ""
            name = str(apps.get_model(label)._meta.verbose_name_plural)
            lines.append(f"{name}: {', '.join(verbs)}{only}")
        return "\n".join(lines) or "nothing: this role is not one of Jackfield's"
