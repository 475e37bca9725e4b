"""The page at `/`: for anybody, in one screen, without a secret or a name that an operator gave."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from routing.models import GatewayProcess
from routing.revisions import latest
from tests.people import client


@pytest.mark.django_db
def test_it_says_what_runs_where_and_how_to_ask(world: Any) -> None:
    world.model("a-model", (world.account("secret-account-name", keys=("sk-0123456789abcdefgh",)), "up"))
    token = world.token()
    GatewayProcess.objects.create(name="inner-host:12", revision=latest(), seen_at=timezone.now())
    response = client("anonymous").get("/", headers={"host": "localhost:8000"})
    text = response.content.decode()
    assert response.status_code == 200
    for part in (
        "curl http://localhost:8000/v1/chat/completions",
        "/admin/",
        "/manage/",
        "/healthz",
        "live on 1/1 process",
    ):
        assert part in text
    secrets = (token, token[-4:], "secret-account-name", "a-model", "inner-host", settings.SECRET_KEY, "efgh")
    assert not any(secret in text for secret in secrets)


def test_it_opens_with_the_database_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> int:
        raise DatabaseError("down")

    monkeypatch.setattr("project.landing.latest", down)
    text = client("anonymous").get("/").content.decode()
    assert "the database does not answer" in text and "curl" in text


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_read(method: str) -> None:
    assert getattr(client("anonymous"), method)("/").status_code == 405
