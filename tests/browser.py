"""A headless Chromium for tests of pages, with the flags that keep it from talking to anybody but us."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
    "--window-size=1440,900",
)


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own. Skips where there is none, but never in CI."""
    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if (binary is None or driver is None) and not os.environ.get("CI"):
        pytest.skip("no chromium with its chromedriver on this machine")
    assert binary is not None and driver is not None, "CI must have chromium and chromedriver"
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    profile = tempfile.mkdtemp()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.implicitly_wait(20)
    try:
        yield browser
    finally:
        browser.quit()
        shutil.rmtree(profile, ignore_errors=True)


def log_in(browser: webdriver.Chrome, base: str, name: str, password: str) -> None:
    """Through the login page."""
    browser.get(f"{base}/admin/")
    browser.find_element(By.NAME, "username").send_keys(name)
    browser.find_element(By.NAME, "password").send_keys(password)
    press(browser, By.CSS_SELECTOR, "[type=submit]")
    browser.find_element(By.ID, "logout-form")  # a click may return before its page comes, and leaving now would end it


def press(browser: webdriver.Chrome, by: str, what: str) -> None:
    """Click it, also where the page is renewed between finding and clicking it."""
    for _ in range(20):
        with contextlib.suppress(StaleElementReferenceException):
            browser.find_element(by, what).click()
            return
    raise AssertionError(f"{what} is renewed all the time")


def text(browser: webdriver.Chrome, css: str) -> str:
    """What is to be read there, in one go: pages that live are renewed all the time."""
    browser.find_element(By.CSS_SELECTOR, css)
    return str(browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", css))


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console says of refused scripts, styles and other errors."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
