"""An operator watches workers and drains one, in a real browser and under the admin's content policy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from selenium import webdriver
from selenium.webdriver.common.by import By

from keys.roles import SECURITY_ADMIN, write_groups
from tests.browser import chromium, complaints, log_in, press, text
from tests.workers import FleetPlane

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.django_db(transaction=True)]
#: Where pictures of the pages are put, if anywhere.
PICTURES = os.environ.get("JACKFIELD_TEST_PICTURES", "")


def picture(browser: webdriver.Chrome, name: str) -> None:
    for width in (1440, 820) if PICTURES else ():
        browser.set_window_size(width, 900)
        browser.save_screenshot(str(Path(PICTURES) / f"{name}-{width}.png"))


@pytest.fixture
def browser(workers: FleetPlane) -> Iterator[webdriver.Chrome]:
    write_groups()
    user = User.objects.create_user("security", password="only for this test", is_staff=True)
    user.groups.add(Group.objects.get(name=SECURITY_ADMIN))
    with chromium() as found:
        log_in(found, workers.plane.gateway.url, "security", "only for this test")
        yield found


def test_a_list_that_keeps_itself_fresh(
    workers: FleetPlane, browser: webdriver.Chrome, eventually: Callable[..., Any]
) -> None:
    """A worker that registers appears, one that is drained says so, and nobody reloads the page."""
    base, list_page = workers.plane.gateway.url, "admin/routing/worker/"
    workers.model("work")

    def shows(what: str) -> bool:
        return what in text(browser, "body")

    browser.get(f"{base}/{list_page}")
    eventually(lambda: shows("No worker is registered"))
    browser.execute_script("window.sameDocument = true")
    workers.register(workers.servers[0], "work", running=1, queued=3)
    eventually(lambda: shows(workers.servers[0].url))
    workers.register(workers.servers[1], "work", capacity=8)
    eventually(lambda: shows(workers.servers[1].url))
    eventually(lambda: shows("1 / 2") and shows("0 / 8"))
    picture(browser, "workers")
    press(browser, By.CSS_SELECTOR, "button[value=drain]")
    eventually(lambda: shows("by security"))
    assert browser.execute_script("return window.sameDocument") is True
    picture(browser, "workers-drained")
    browser.get(f"{base}/admin/providers/account/{workers.account.pk}/change/")
    eventually(lambda: shows("by security"))
    browser.execute_script("window.sameDocument = true")
    browser.find_element(By.CSS_SELECTOR, "[data-live]").location_once_scrolled_into_view  # noqa: B018 - it scrolls
    picture(browser, "account-workers")
    press(browser, By.CSS_SELECTOR, "button[value=resume]")
    eventually(lambda: not shows("by security"))
    assert browser.execute_script("return window.sameDocument") is True
    assert complaints(browser) == []
