"""A person signs in to a provider on an account's page, in a real browser and under the admin's content policy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from selenium import webdriver
from selenium.webdriver.common.by import By

from keys.models import ProviderKey, SignIn
from keys.roles import SECURITY_ADMIN, write_groups
from tests.browser import chromium, complaints, log_in, press, text
from tests.issuers import Issuer
from tests.test_sign_in_page import CODE, PAIR, account, local  # noqa: F401 - fixtures

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
#: Where pictures of the pages are put, if anywhere.
PICTURES = os.environ.get("JACKFIELD_TEST_PICTURES", "")


def picture(browser: webdriver.Chrome, name: str) -> None:
    if PICTURES:
        browser.save_screenshot(str(Path(PICTURES) / f"{name}.png"))


@pytest.fixture
def browser(gateway: Any, account: Any) -> Iterator[webdriver.Chrome]:  # noqa: F811 - the fixture
    write_groups()
    user = User.objects.create_user("security", password="only for this test", is_staff=True)
    user.groups.add(Group.objects.get(name=SECURITY_ADMIN))
    with chromium() as found:
        log_in(found, gateway.url, "security", "only for this test")
        yield found


def choose(browser: webdriver.Chrome, do: str) -> None:
    press(browser, By.CSS_SELECTOR, f"button[value={do}]")


def test_m28_the_page_waits_by_itself(
    gateway: Any,
    local: Issuer,  # noqa: F811 - the fixture
    account: Any,  # noqa: F811 - the fixture
    browser: webdriver.Chrome,
    eventually: Callable[..., Any],
) -> None:
    local.answer("/code", {**CODE, "interval": 1})
    browser.get(f"{gateway.url}/admin/providers/account/{account.pk}/change/")
    picture(browser, "account")
    press(browser, By.LINK_TEXT, "Sign in")
    picture(browser, "begin")
    choose(browser, "begin")
    assert text(browser, ".jf-code") == "WDJB-MJHT"
    clock = text(browser, "[data-clock]")
    eventually(lambda: text(browser, "[data-clock]") != clock)
    press(browser, By.CSS_SELECTOR, "[data-copy]")
    eventually(lambda: text(browser, "[data-copy]") in ("Copied", "Selected"))
    for width in (1440, 820):
        browser.set_window_size(width, 900)
        picture(browser, f"waiting-{width}")
        assert not browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
    eventually(lambda: SignIn.objects.get().state == "waiting" and len(local.requests) > 2)
    local.answer("/token", {"error": "access_denied"}, 400)
    eventually(lambda: "declined" in text(browser, "[data-says]"))
    assert not browser.find_element(By.CSS_SELECTOR, ".jf-code").is_displayed()
    picture(browser, "denied-820")
    choose(browser, "begin")
    local.answer("/token", PAIR)
    eventually(lambda: browser.current_url.endswith("/change/"), 20)
    eventually(lambda: "Signed in: the key is in account qwen." in text(browser, "body"))
    picture(browser, "done-820")
    assert ProviderKey.objects.get().source == "login"
    assert complaints(browser) == []


def test_who_is_signed_out_meanwhile_is_sent_to_the_login(
    gateway: Any,
    local: Issuer,  # noqa: F811 - the fixture
    account: Any,  # noqa: F811 - the fixture
    browser: webdriver.Chrome,
    eventually: Callable[..., Any],
) -> None:
    local.answer("/code", {**CODE, "interval": 1})
    browser.get(f"{gateway.url}/admin/providers/account/{account.pk}/sign-in/")
    choose(browser, "begin")
    assert text(browser, ".jf-code") == "WDJB-MJHT"
    browser.delete_cookie("sessionid")
    eventually(lambda: "/login/" in browser.current_url, 20)
