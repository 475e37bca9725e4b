"""Accounts and providers in the admin: a new account can be given a key, and addresses lead somewhere."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from keys.models import KeySet, ProviderKey
from providers.models import Account
from routing.models import Revision
from tests.people import client, posted

pytestmark = pytest.mark.django_db

KEY = "sk-canary-4f9a7c21d0e85b36"


def test_a_new_account_comes_with_a_key_set_and_a_link_to_fill_it(world: Any) -> None:
    """Account and shared key set are one revision; the link opens the key form with the set chosen."""
    provider, browser = world.provider("small"), client("security")
    url = reverse("admin:providers_account_add")
    at = {"base_url": "https://small.example/v1"}
    before = Revision.objects.count()
    browser.post(url, {**posted(browser.get(url)), "name": "fresh", "provider": provider.pk, **at})
    account = Account.objects.get(name="fresh")
    key_set = KeySet.objects.get(account=account)
    assert (key_set.name, key_set.project) == ("default", None)
    assert Revision.objects.count() == before + 1
    change = reverse("admin:providers_account_change", args=[account.pk])
    link = f"{reverse('admin:keys_providerkey_add')}?key_set={key_set.pk}"
    assert link in browser.get(change).content.decode()
    form = browser.get(link)
    assert str(posted(form)["key_set"]) == str(key_set.pk)
    answer = browser.post(link, {**posted(form), "key": KEY})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert ProviderKey.objects.get().key_set == key_set
    page = client("auditor").get(change).content.decode()
    assert "default: 1 key." in page and "Add a key" not in page


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("127.0.0.1:8577/v1", False),
        ("ftp://example.test/v1", False),
        ("https://user:secret@example.test", False),
        ("https://", False),
        ("https://example.test/v1", True),
        ("https://{region}.example.test/v1", True),
        ("{service_url}/v1", True),
        ("", True),
    ],
)
@pytest.mark.parametrize("page", ["account", "provider"])
def test_an_address_that_documents_refuse_is_refused_here(page: str, url: str, accepted: bool, world: Any) -> None:
    account, browser = world.account("one"), client("security")
    row = account if page == "account" else account.provider
    form = reverse(f"admin:providers_{page}_change", args=[row.pk])
    response = browser.post(form, {**posted(browser.get(form)), "base_url": url})
    assert response.status_code == (302 if accepted else 200), response.content.decode()
