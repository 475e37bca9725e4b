"""Forms of the admin offer what there is: families, credential schemes, roles. And they speak our words."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from keys.roles import OPERATOR
from providers.credentials import SCHEMES
from providers.families import FAMILIES
from providers.models import Provider
from tests.people import client, posted

pytestmark = pytest.mark.django_db


def choices(response: Any, field: str) -> list[str]:
    return [value for value, _ in response.context["adminform"].form.fields[field].choices]


def test_families_and_credentials_are_chosen_from_those_known(world: Any) -> None:
    browser = client("security")
    page = browser.get(reverse("admin:providers_provider_add"))
    assert choices(page, "family") == ["", *FAMILIES] and choices(page, "credential") == ["", *SCHEMES]
    for form in ("providers_account", "providers_catalogmodel", "routing_route"):
        assert choices(browser.get(reverse(f"admin:{form}_add")), "family") == ["", *FAMILIES]
    row = world.provider("small")
    url = reverse("admin:providers_provider_change", args=[row.pk])
    for field, wrong in (("family", "telepathy"), ("credential", "handshake")):
        page = browser.get(url)
        assert browser.post(url, {**posted(page), field: wrong}).status_code == 200
        browser.post(url, {**posted(page), field: {"family": "cohere-chat", "credential": "query"}[field]})
    row.refresh_from_db()
    assert (row.family, row.credential) == ("cohere-chat", "query")


def test_a_stored_name_that_is_not_known_is_not_taken_for_another(world: Any, unchecked: None) -> None:
    """A select shows its first choice for what it does not know: that must not be a family."""
    row = world.provider("odd")
    Provider.objects.filter(pk=row.pk).update(family="telepathy")
    url = reverse("admin:providers_provider_change", args=[row.pk])
    page = client("security").get(url)
    assert choices(page, "family")[0] == ""
    assert client("security").post(url, {**posted(page), "family": "", "name": "renamed"}).status_code == 200
    row.refresh_from_db()
    assert (row.family, row.name) == ("telepathy", "odd")


def test_a_user_is_made_with_a_role_in_one_step(world: Any) -> None:
    browser, url = client("security"), reverse("admin:auth_user_add")
    role = Group.objects.get(name=OPERATOR)
    page = browser.get(url)
    assert page.context["adminform"].form["is_staff"].value() is True
    text = page.content.decode()
    assert text.count('type="checkbox" name="groups"') == Group.objects.count() and "sees no key" in text
    password = {"password1": "a long new password 1", "password2": "a long new password 1"}
    made = browser.post(url, {"username": "newcomer", **password, "groups": [role.pk], "is_staff": "on"})
    assert made.status_code == 302
    user = User.objects.get(username="newcomer")
    assert user.is_staff and not user.is_superuser and list(user.groups.all()) == [role]
    assert user.check_password(password["password1"])


def test_pages_are_called_what_the_menu_calls_them(world: Any) -> None:
    browser = client("security")
    menu = browser.get(reverse("admin:index")).context["sidebar_navigation"]
    wrong = []
    for entry in (item for group in menu for item in group["items"]):
        page = browser.get(str(entry["link"]))
        title = str(page.context["cl"].opts.verbose_name_plural if "cl" in page.context else page.context["title"])
        if title.lower() != str(entry["title"]).lower():
            wrong.append((entry["title"], title))
    assert wrong == []


def test_a_project_shows_its_preferences_tokens_and_keys(world: Any) -> None:
    project = world.project("demo", allow=["gpt-*"])
    world.token(project)
    world.keys(world.account("one"), project=project, name="own")
    url = reverse("admin:keys_project_change", args=[project.pk])
    for role in ("security", "operator", "auditor"):
        text = client(role).get(url).content.decode()
        assert "1 live." in text and f"?project__id__exact={project.pk}" in text
        assert "one / own of demo" in text and "Allowlist" in text and "gpt-*" in text
    tokens = client("auditor").get(f"{reverse('admin:keys_apitoken_changelist')}?project__id__exact={project.pk}")
    assert len(tokens.context["cl"].result_list) == 1
