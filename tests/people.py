"""People of every role for tests of the control plane, and the data that a browser would post from a page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client

from keys.roles import AUDITOR, OPERATOR, SECURITY_ADMIN, write_groups

ROLES = {"security": SECURITY_ADMIN, "operator": OPERATOR, "auditor": AUDITOR}


def person(role: str) -> User:
    """A member of staff with one role; `nobody` has none, `outsider` is not staff."""
    user, made = User.objects.get_or_create(username=role, defaults={"is_staff": role != "outsider", "password": "!"})
    if made and role in ROLES:
        write_groups()  # a test that commits has emptied the tables after itself
        user.groups.add(Group.objects.get(name=ROLES[role]))
    return user


def client(role: str) -> Client:
    """A browser in which this person is logged in; `anonymous` is not."""
    browser = Client()
    if role != "anonymous":
        browser.force_login(person(role))
    return browser


def posted(response: Any) -> dict[str, Any]:
    """What a browser would post from this page, unchanged."""
    forms = [response.context["adminform"].form]
    for inline in response.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    data: dict[str, Any] = {}
    for form in forms:
        for bound in form:
            _put(data, bound)
    return data


def _put(data: dict[str, Any], bound: Any) -> None:
    value = bound.value()
    if hasattr(bound.field.widget, "decompress") and not isinstance(value, list | tuple):
        parts = bound.field.widget.decompress(value)
        for number, part in enumerate(parts):
            data[f"{bound.html_name}_{number}"] = "" if part is None else part
    elif value is True:
        data[bound.html_name] = "on"
    elif value is not None and value is not False:
        data[bound.html_name] = value
