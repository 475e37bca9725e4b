"""A person at the admin: logs in, re-patches a model, and the next API request is served by the other account."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from installation import Installation, Server, installation
from providers.sandbox import KEYS
from tests.browser import chromium, complaints, log_in, press, text

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

DOCUMENT = """
[[provider]]
id = "small"
family = "openai-completions"
base_url = "{url}"
credential = "bearer"
[[account]]
name = "left"
provider = "small"
private_network = true
keys = ["env:SMALL_KEY"]
[[account]]
name = "right"
provider = "small"
private_network = true
keys = ["env:SMALL_KEY"]
[[model]]
name = "patched"
service = "text"
routes = [{{ account = "left", model = "echo" }}]
[[model]]
name = "patched-too"
service = "text"
routes = [{{ account = "left", model = "echo" }}]
"""
#: The first person, as the first start makes one, with a password that this test knows.
PERSON = """
from django.contrib.auth import get_user_model
from keys.roles import FIRST_OPERATOR, make_first_operator
users = get_user_model().objects
if not users.exists():
    make_first_operator()
user = users.get(username=FIRST_OPERATOR)
user.set_password("only for this test")
user.save()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, sandbox_upstream: str) -> Iterator[tuple[Installation, Server]]:
    home: Path = tmp_path_factory.mktemp("home")
    with installation(home, SMALL_KEY=KEYS[0]) as made:
        made.apply(DOCUMENT.format(url=sandbox_upstream))
        made.manage("shell", "-c", PERSON)
        yield made, made.serve()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def logged_in(place: tuple[Installation, Server]) -> Iterator[webdriver.Chrome]:
    with chromium() as found:
        log_in(found, place[1].url, "operator", "only for this test")
        yield found


@pytest.fixture
def browser(place: tuple[Installation, Server], logged_in: webdriver.Chrome) -> webdriver.Chrome:
    """At the admin's first page, with the window of the start and nothing in its console."""
    logged_in.set_window_size(1440, 900)
    logged_in.get(f"{place[1].url}/admin/")
    complaints(logged_in)
    return logged_in


def ask(server: Server, token: str, model: str) -> tuple[str, str, str]:
    """Route, revision and text of an answer."""
    answer = httpx.post(
        f"{server.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {token}"},
        json={"model": model, "messages": [{"role": "user", "content": "Hello from the test"}]},
    )
    assert answer.status_code == 200, answer.text
    text = answer.json()["choices"][0]["message"]["content"]
    return answer.headers["x-jackfield-route"], answer.headers["x-jackfield-revision"], text


def follow(browser: webdriver.Chrome, text: str) -> None:
    press(browser, By.LINK_TEXT, text)


def follow_option(browser: webdriver.Chrome, text: str) -> None:
    option = f"//li[contains(@class, 'select2-results__option') and text()='{text}']"
    press(browser, By.XPATH, option)


def test_a_model_is_repatched_on_its_page(place: tuple[Installation, Server], browser: webdriver.Chrome) -> None:
    made, server = place
    token = made.token()
    route, revision, text = ask(server, token, "patched")
    assert route == "left/echo" and "Hello from the test" in text
    press(browser, By.PARTIAL_LINK_TEXT, "Public models")
    search = browser.find_element(By.NAME, "q")
    search.send_keys("patched", Keys.ENTER)
    follow(browser, "patched")
    press(browser, By.CSS_SELECTOR, "select[name=routes-0-account] + .select2 .select2-selection")
    browser.find_element(By.CSS_SELECTOR, ".select2-search__field").send_keys("right")
    follow_option(browser, "right")
    upstream = browser.find_element(By.NAME, "routes-0-upstream_model")
    upstream.clear()
    upstream.send_keys("lorem")
    press(browser, By.NAME, "_save")
    said = browser.find_element(By.XPATH, "//*[contains(text(), 'is live on')]").text
    assert "1/1 gateway processes" in said
    route, served_by, text = ask(server, token, "patched")
    assert route == "right/lorem" and "Hello from the test" not in text
    assert int(served_by) == int(revision) + 1
    assert f"Revision {served_by}" in said
    assert complaints(browser) == []


def test_models_are_repatched_in_bulk(
    place: tuple[Installation, Server], browser: webdriver.Chrome, eventually: Callable[..., Any]
) -> None:
    made, server = place
    token = made.token()
    assert ask(server, token, "patched-too")[0] == "left/echo"
    browser.get(f"{server.url}/admin/routing/publicmodel/?q=patched-too")
    press(browser, By.CSS_SELECTOR, "tbody input.action-select")
    Select(browser.find_element(By.NAME, "action")).select_by_value("repatch_selected")
    press(browser, By.CSS_SELECTOR, "#changelist-actions [type=submit], [name=index]")
    press(browser, By.CSS_SELECTOR, ".jf-fields .select2-selection")
    browser.find_element(By.CSS_SELECTOR, ".select2-search__field").send_keys("right")
    follow_option(browser, "right")
    press(browser, By.NAME, "preview")
    row = browser.find_element(By.CSS_SELECTOR, ".jf-table tbody tr").text
    assert "left / echo" in row and "right / echo" in row
    assert ask(server, token, "patched-too")[0] == "left/echo"
    press(browser, By.NAME, "confirm")
    assert browser.find_element(By.XPATH, "//*[contains(text(), '1 route re-patched to right')]")
    eventually(lambda: ask(server, token, "patched-too")[0] == "right/echo")
    assert complaints(browser) == []


PAGES = (
    *(
        "",
        "routing/publicmodel/",
        "routing/publicmodel/add/",
        "routing/route/",
        "routing/revision/",
        "keys/project/add/",
    ),
    *("keys/providerkey/", "keys/providerkey/add/", "keys/apitoken/add/", "providers/account/add/", "auth/user/add/"),
    *("providers/provider/", "providers/catalogmodel/", "api/usagerecord/", "routing/gatewayprocess/"),
    *("routing/gatewayprocess/health/", "routing/publicmodel/explain/?model=patched&needs=tools"),
    *("providers/provider/add/", "routing/route/add/", "keys/keyset/", "keys/project/", "routing/preference/"),
)


def test_no_page_breaks_its_content_security_policy(
    place: tuple[Installation, Server], browser: webdriver.Chrome
) -> None:
    for page in PAGES:
        browser.get(f"{place[1].url}/admin/{page}")
        assert complaints(browser) == [], page
    browser.get(f"{place[1].url}/")
    assert complaints(browser) == []


def test_health_lives_and_a_circuit_is_closed_by_hand(
    place: tuple[Installation, Server], browser: webdriver.Chrome, eventually: Callable[..., Any]
) -> None:
    """What opens while one looks is seen without reloading, and closed with a click."""
    made, server = place
    browser.get(f"{server.url}/admin/")
    press(browser, By.PARTIAL_LINK_TEXT, "Health")
    browser.execute_script("window.stayed = true")
    body = {"model": "small/error", "messages": [{"role": "user", "content": "x"}]}
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {made.token()}"}) as caller:
        for _ in range(5):
            assert caller.post("/v1/chat/completions", json=body).status_code == 500
    eventually(lambda: text(browser, ".jf-health").upper().count("OPEN") == 2)  # the provider has two accounts
    assert browser.execute_script("return window.stayed") is True
    press(browser, By.XPATH, "//button[text()='Close now']")
    eventually(lambda: "is closed in every process" in text(browser, "body"))
    eventually(lambda: text(browser, ".jf-health").upper().count("OPEN") == 1)
    assert complaints(browser) == []


def test_a_list_stays_a_list_on_a_narrow_window(place: tuple[Installation, Server], browser: webdriver.Chrome) -> None:
    """The theme would make a card of every row, one line for each column."""
    browser.set_window_size(820, 900)
    browser.get(f"{place[1].url}/admin/routing/publicmodel/")
    row = browser.find_element(By.CSS_SELECTOR, "#result_list tbody tr")
    assert row.value_of_css_property("display") == "table-row"
    first, second = row.find_elements(By.CSS_SELECTOR, "th, td")[:2]
    assert abs(first.location["y"] - second.location["y"]) <= 2


def test_a_family_is_chosen_from_a_list(place: tuple[Installation, Server], browser: webdriver.Chrome) -> None:
    browser.get(f"{place[1].url}/admin/providers/provider/?q=small")
    follow(browser, "small")
    family = Select(browser.find_element(By.NAME, "family"))
    assert family.first_selected_option.get_attribute("value") == "openai-completions"
    assert "google-vertex-image (not served yet)" in [option.text for option in family.options]
