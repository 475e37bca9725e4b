"""Who may do what. Three groups, deny by default; no daily user is a superuser (R-SEC, permission model).

The table is code: every migrate writes it into the groups, the admin only shows it. `NARROW` is the field level: rows
that an operator may change, but not in the fields that say where a key is sent.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, Permission
from django.db import models

SECURITY_ADMIN: Final = "security admin"
OPERATOR: Final = "operator"
AUDITOR: Final = "auditor"

_VIEW: Final = ("view",)
_ALL: Final = ("view", "add", "change", "delete")
_EDIT: Final = ("view", "add", "change")

#: app.model -> what a role may do with its rows.
ROLES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    SECURITY_ADMIN: {
        "providers.provider": _ALL,
        "providers.account": _ALL,
        "providers.catalogmodel": _ALL,
        "keys.project": _ALL,
        "keys.keyset": _ALL,
        "keys.providerkey": _ALL,
        "keys.apitoken": _ALL,
        "routing.publicmodel": _ALL,
        "routing.route": _ALL,
        "routing.alias": _ALL,
        "routing.prefixrule": _ALL,
        "routing.preference": _ALL,
        "routing.revision": _VIEW,
        "routing.gatewayprocess": _VIEW,
        "routing.worker": ("view", "change"),
        "api.usagerecord": _VIEW,
        "auth.user": _EDIT,
        "auth.group": _VIEW,
    },
    OPERATOR: {
        "providers.provider": ("view", "change"),
        "providers.account": ("view", "change"),
        "providers.catalogmodel": _EDIT,
        "keys.project": _EDIT,
        "keys.keyset": _VIEW,
        "keys.apitoken": _EDIT,
        "routing.publicmodel": _ALL,
        "routing.route": _ALL,
        "routing.alias": _ALL,
        "routing.prefixrule": _ALL,
        "routing.preference": _ALL,
        "routing.revision": _VIEW,
        "routing.gatewayprocess": _VIEW,
        "routing.worker": ("view", "change"),
        "api.usagerecord": _VIEW,
    },
    AUDITOR: {
        "providers.provider": _VIEW,
        "providers.account": _VIEW,
        "providers.catalogmodel": _VIEW,
        "keys.project": _VIEW,
        "keys.keyset": _VIEW,
        "keys.providerkey": _VIEW,
        "keys.apitoken": _VIEW,
        "routing.publicmodel": _VIEW,
        "routing.route": _VIEW,
        "routing.alias": _VIEW,
        "routing.prefixrule": _VIEW,
        "routing.preference": _VIEW,
        "routing.revision": _VIEW,
        "routing.gatewayprocess": _VIEW,
        "routing.worker": _VIEW,
        "api.usagerecord": _VIEW,
        "auth.user": _VIEW,
        "auth.group": _VIEW,
    },
}

#: Fields that may be written by who may change such rows but not make them. All other fields decide an origin, a
#: credential or a charge to it, and are for those who may add rows. So is a provider's switch: some ship switched off
#: until who answers for the keys has agreed (M-21). An account's switch is the operator's.
NARROW: Final[dict[str, frozenset[str]]] = {
    "providers.provider": frozenset({"streaming"}),
    "providers.account": frozenset({"enabled", "timeouts", "probe", "probe_interval"}),
}

#: The first person is alone and needs both hats; who comes later gets one.
FIRST_OPERATOR: Final = "operator"
FIRST_OPERATOR_GROUPS: Final = (SECURITY_ADMIN, OPERATOR)

User = AbstractBaseUser | AnonymousUser


def codenames(role: str) -> set[tuple[str, str]]:
    """The (app, codename) pairs of a role."""
    return {
        (label.split(".")[0], f"{verb}_{label.split('.')[1]}") for label, verbs in ROLES[role].items() for verb in verbs
    }


def may(user: Any, verb: str, model: type[models.Model]) -> bool:
    """Whether the user may `view`, `add`, `change` or `delete` rows of the model."""
    return bool(user.has_perm(f"{model._meta.app_label}.{verb}_{model._meta.model_name}"))


def writable_fields(user: Any, model: type[models.Model]) -> frozenset[str] | None:
    """The fields of existing rows that the user may write; None is all that the form has."""
    if not may(user, "change", model):
        return frozenset()
    narrow = NARROW.get(model._meta.label_lower)
    return None if narrow is None or may(user, "add", model) else narrow


def write_groups(group: Any = Group, permission: Any = Permission) -> None:
    """Make the groups hold exactly what the table says. Permissions that do not exist yet are left out."""
    for role in ROLES:
        row, _ = group.objects.get_or_create(name=role)
        wanted = codenames(role)
        held = permission.objects.filter(codename__in={codename for _, codename in wanted})
        row.permissions.set(
            [
                found
                for found in held.select_related("content_type")
                if (found.content_type.app_label, found.codename) in wanted
            ]
        )


def make_first_operator() -> tuple[str, str]:
    """Make the first person's login and return (name, password). The password is shown once by the caller.

    Raises ValueError if there is somebody already: the first start is over.
    """
    users = get_user_model()
    if users.objects.exists():
        raise ValueError("there is a user already; make another in the admin, under Users")
    password = secrets.token_urlsafe(15)
    user = users.objects.create_user(username=FIRST_OPERATOR, password=password, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=FIRST_OPERATOR_GROUPS))
    return FIRST_OPERATOR, password
