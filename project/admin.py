"""Pages of people and roles. Roles are code (`keys.roles`) and only shown; nobody becomes a superuser here."""

from __future__ import annotations

from typing import Any

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

from keys.roles import NARROW, ROLES
from project.panel import ReadOnlyPanel

admin.site.unregister(User)
admin.site.unregister(Group)


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
        ("Access", {"fields": ("is_active", "is_staff", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

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
