"""Refusals that come before or beside the endpoints are told in the dialect that the path is of."""

from __future__ import annotations

from typing import Any

import pytest

from api.listing import Models
from api.refusals import dialect_of
from api.views import Messages

CHAT, RESPONSES, ANTHROPIC, GOOGLE = "openai_chat", "openai_responses", "anthropic_messages", "google_generate"


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/completions", CHAT),
        ("/v1/models", CHAT),
        ("/v1/models/a:b/c", CHAT),
        ("/v1", CHAT),
        ("", CHAT),
        ("/nothing", CHAT),
        ("/messages", CHAT),
        ("/v1/responses", RESPONSES),
        ("/v1/responses/resp_1/input_items", RESPONSES),
        ("/v1/messages", ANTHROPIC),
        ("/v1/messages/count_tokens", ANTHROPIC),
        ("/v1/messages/batches", ANTHROPIC),
        ("/v1/messagesx", CHAT),
        ("/v1beta", GOOGLE),
        ("/v1beta/cachedContents", GOOGLE),
        ("/v1alpha/models/m:countTokens", GOOGLE),
        ("/v1/models/vendor/m:generateContent", GOOGLE),
    ],
)
def test_the_path_tells(path: str, dialect: str) -> None:
    assert dialect_of(path) == dialect


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, {"host": "elsewhere.example"}, {"x_api_key": "a"}])
def test_refusals_before_a_view(plane: Any, headers: dict[str, str]) -> None:
    """An unknown path, a foreign host, an ambiguous header: of the data plane, of the handler, of the protocol."""
    said = plane.client.post("/v1/messages/batches", json={}, headers=headers).json()
    assert (said["type"], set(said["error"])) == ("error", {"type", "message", "code"})
    said = plane.client.post("/v1beta/cachedContents", json={}, headers=headers).json()
    assert set(said["error"]) >= {"code", "message", "status"}
    said = plane.client.post("/v1/embeddings", json={}, headers=headers).json()
    assert set(said["error"]) == {"message", "type", "param", "code"}


@pytest.mark.django_db(transaction=True)
def test_a_failure_of_ours(plane: Any, monkeypatch: Any) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Messages, "post", fail)
    monkeypatch.setattr(Models, "get", fail)
    answer = plane.client.post("/v1/messages", json={})
    assert answer.json()["error"]["type"] == "api_error"
    assert answer.json()["type"] == "error"
    assert answer.headers["x-jackfield-error"] == "internal_error"
    assert plane.client.get("/v1beta/models").json()["error"]["status"] == "INTERNAL"
    assert plane.client.get("/v1/models").json()["error"]["code"] == "internal_error"
