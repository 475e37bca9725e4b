"""Signing in to the control plane: guessing is slow, idle sessions end."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from project import signing_in
from project.signing_in import ATTEMPTS, REMEMBERED, WINDOW, Attempts
from tests.people import client

pytestmark = pytest.mark.django_db
GOOD = {"username": "ann", "password": "right-9f3b"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    class Clock:
        now = 1000.0

        def __call__(self) -> float:
            return self.now

    made = Clock()
    monkeypatch.setattr(signing_in, "attempts", Attempts(made))
    User.objects.create_user("ann", password=GOOD["password"], is_staff=True)
    return made


def attempt(source: str = "192.0.2.1", **data: str) -> Any:
    return Client(REMOTE_ADDR=source).post(reverse("admin:login"), {**GOOD, **data})


def test_r_4_7_a_name_that_is_guessed_at_waits_wherever_from(clock: Any) -> None:
    for n in range(ATTEMPTS):
        assert attempt(f"192.0.2.{n}", password="wrong").status_code == 200
    answer = attempt("192.0.2.99")
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) <= WINDOW + 1
    assert "Too many failed attempts" in answer.content.decode()
    clock.now += WINDOW + 1
    assert attempt("192.0.2.99").status_code == 302


def test_r_4_7_a_source_that_guesses_waits_under_every_name(clock: Any) -> None:
    for n in range(ATTEMPTS):
        assert attempt(username=f"nobody-{n}").status_code == 200
    assert attempt().status_code == 429
    assert attempt("192.0.2.2").status_code == 302


def test_who_signs_in_is_never_slowed_down(clock: Any) -> None:
    for _ in range(ATTEMPTS * 2):
        assert attempt().status_code == 302


def test_the_table_is_bounded() -> None:
    held = Attempts()
    for n in range(REMEMBERED + 50):
        held.add(str(n))
    assert len(held._times) == REMEMBERED


@pytest.mark.parametrize("page", ["/admin/", "/manage/"])
@pytest.mark.parametrize(("what", "seconds"), [("seen", 30 * 60 + 1), ("began", 12 * 3600 + 1)])
def test_r_4_7_an_idle_or_old_session_ends(page: str, what: str, seconds: int) -> None:
    browser = client("operator")
    assert browser.get(page).status_code == 200
    session = browser.session
    session[what] -= seconds
    session.save()
    assert browser.get(page).status_code in (302, 401, 403)
    assert browser.get(page).status_code in (302, 401, 403)


def test_a_session_in_use_goes_on() -> None:
    browser = client("operator")
    browser.get("/admin/")
    session = browser.session
    session["seen"] -= 29 * 60
    session.save()
    assert browser.get("/admin/").status_code == 200
    assert browser.session["seen"] > session["seen"]
