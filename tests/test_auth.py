"""Tokens at the door: carriers, conflicts, one answer for every failure, no look-up of what cannot be one."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.utils import timezone

from tests.promises import within

pytestmark = pytest.mark.django_db(transaction=True)


def models(plane: Any, headers: dict[str, str], path: str = "/v1/models") -> httpx.Response:
    return httpx.get(plane.gateway.url + path, headers=headers, trust_env=False)


@pytest.mark.parametrize("carrier", ["x-api-key", "api-key", "x-goog-api-key", "authorization"])
def test_every_carrier_is_taken(plane: Any, carrier: str) -> None:
    """R-TOK-05."""
    value = f"Bearer {plane.token}" if carrier == "authorization" else plane.token
    assert models(plane, {carrier: value}).status_code == 200


def test_the_same_token_twice_is_fine_and_two_tokens_are_not(plane: Any) -> None:
    """R-TOK-05."""
    both = {"authorization": f"bearer {plane.token}", "x-api-key": plane.token}
    assert models(plane, both).status_code == 200
    answer = models(plane, {**both, "api-key": plane.world.token()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "conflicting_credentials")


def test_a_key_in_the_url_is_refused(plane: Any) -> None:
    answer = models(plane, {}, f"/v1/models?key={plane.token}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "token_in_url")
    assert plane.token not in answer.text


def test_every_failure_looks_the_same(plane: Any) -> None:
    """R-TOK-06: missing, malformed, unknown, revoked, expired, admin kind, disabled project."""
    from keys import tokens

    project = plane.world.project("gone")
    closed = plane.world.token(project)
    project.enabled = False
    project.save()
    row, revoked = tokens.issue(plane.world.project())
    tokens.revoke(row)
    soon, expired = tokens.issue(plane.world.project(), expires_at=timezone.now() + timedelta(milliseconds=200))
    admin = plane.world.token(kind="a")
    unknown = tokens.PREFIX + "p" + "A" * 43
    unknown += tokens._checksum(unknown)
    plane.settle()
    plane.eventually(lambda: timezone.now() > soon.expires_at)
    answers = [
        models(plane, headers)
        for headers in (
            {},
            {"authorization": "Basic abc"},
            {"authorization": "Bearer"},
            {"x-api-key": plane.token[:-1] + ("a" if plane.token[-1] != "a" else "b")},
            *({"authorization": f"Bearer {token}"} for token in (closed, revoked, expired, admin, unknown, "x" * 5000)),
        )
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    bare = [
        {name: value for name, value in answer.headers.items() if name not in ("date", "x-jackfield-request-id")}
        for answer in answers
    ]
    assert all(headers == bare[0] for headers in bare)
    assert bare[0]["www-authenticate"].startswith("Bearer")


def test_refusals_at_the_door_name_the_revision_and_nothing_else(plane: Any) -> None:
    from routing.store import store

    two = {"x-api-key": plane.token, "api-key": plane.world.token()}
    plane.settle()
    for answer, code in (
        (models(plane, {}), "invalid_api_key"),
        (models(plane, {}, f"/v1/models?key={plane.token}"), "token_in_url"),
        (models(plane, two), "conflicting_credentials"),
    ):
        said = {name: value for name, value in answer.headers.items() if name.startswith("x-jackfield-")}
        assert said.pop("x-jackfield-request-id").startswith("req_")
        assert said == {"x-jackfield-error": code, "x-jackfield-revision": str(store.current.revision)}


def test_no_body_is_read_before_the_token(plane: Any) -> None:
    """A stranger's body costs nothing, and leaves no row."""
    from api.models import UsageRecord

    answer = httpx.post(
        f"{plane.gateway.url}/v1/chat/completions", content=b"not json", headers={"content-type": "text/html"}
    )
    assert answer.status_code == 401
    assert not UsageRecord.objects.exists()


def test_a_revoked_token_stops_working(plane: Any) -> None:
    """R-TOK-07."""
    from keys import tokens

    for took in within(1):
        row, token = tokens.issue(plane.world.project())
        plane.settle()
        headers = {"authorization": f"Bearer {token}"}
        assert models(plane, headers).status_code == 200
        began = time.monotonic()
        tokens.revoke(row)
        plane.eventually(lambda headers=headers: models(plane, headers).status_code == 401)
        took.append(time.monotonic() - began)


def test_use_is_noted_to_the_minute(plane: Any) -> None:
    """R-TOK-03, for tokens and keys, in batches by the drainer."""
    from keys.models import ApiToken, ProviderKey
    from routing.revisions import latest

    plane.ask(plane.scenario("ok"))
    before = latest()
    plane.rows()
    used = plane.eventually(lambda: ApiToken.objects.get().last_used_at)
    assert used.second == 0
    assert [key.last_used_at is not None for key in ProviderKey.objects.order_by("position")] == [True, False, False]
    assert latest() == before
