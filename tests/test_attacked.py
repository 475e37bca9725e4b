"""What holders of a token try: nothing of theirs reaches headers, other projects, or what all share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api import keeping, lanes
from api.drain import drain
from api.models import StoredResponse
from providers import transport
from routing import retries

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent() -> Iterator[list[httpx.Request]]:
    """What was sent; whoever is asked counts tokens or answers a response."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        said = {"id": f"resp_{len(seen)}", "object": "response", "status": "completed", "model": "up", "output": []}
        return httpx.Response(200, json={**said, "inputTokens": 3, "totalTokens": 3, "input_tokens": 3})

    transport.install(httpx.MockTransport(answer))
    yield seen
    transport.install(None)


def _model(plane: Any, family: str, base: str) -> str:
    provider = plane.world.provider(f"at-{family}", family=family)
    account = plane.world.account(f"at-{family}", base, keys=("key-1",), provider=provider)
    plane.world.model(f"of-{family}", (account, "up"))
    plane.settle()
    return f"of-{family}"


def _post(plane: Any, path: str, body: Any, token: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {token or plane.token}"}
    return httpx.post(plane.gateway.url + path, json=body, headers=headers, timeout=30, trust_env=False)


@pytest.mark.parametrize(
    ("family", "base"),
    [("bedrock-converse", "https://b.example"), ("google-generative-ai", "https://g.example/v1beta")],
)
def test_what_a_count_leaves_out_begins_no_header(plane: Any, sent: Any, family: str, base: str) -> None:
    """A part's type is the caller's text."""
    kind = "x\r\nset-cookie: stolen=1\r\n\r\nHTTP/1.1 200 OK"
    said = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "text", "text": "b"}, {"type": kind}]},
        {"role": "user", "content": "c"},
    ]
    model = _model(plane, family, base)
    answer = _post(plane, "/v1/messages/count_tokens", {"model": model, "messages": said})
    assert answer.json() == {"input_tokens": 3}, answer.text
    assert sent and "set-cookie" not in answer.headers
    assert answer.headers["x-jackfield-dropped"] == "unnamed"


def test_a_body_is_searched_once_however_many_models_are_listed(
    plane: Any, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []
    real = lanes.needs_of
    monkeypatch.setattr(lanes, "needs_of", lambda *given, **more: searched.append(1) or real(*given, **more))
    names = ["a", "b", "c"]
    account = plane.world.account("two", "https://b.example", keys=("key-1",), provider=plane.account.provider)
    for name in names:
        plane.world.model(name, (plane.account, "up"), (account, "up"))
    plane.settle()
    said = [{"role": "user", "content": "a"}]
    _post(plane, "/v1/chat/completions", {"model": "auto", "models": names, "messages": said})
    assert sent and len(searched) == 1


@pytest.mark.parametrize("state", ["in memory", "not drained", "drained", "deleted"])
def test_no_upstream_is_asked_to_go_on_from_anothers_response(plane: Any, sent: Any, state: str) -> None:
    """The upstream knows the key that both projects use, and would."""
    model = _model(plane, "openai-responses", "https://api.openai.com/v1")
    stranger = plane.world.token(plane.world.project("stranger"))
    plane.settle()
    drain()
    StoredResponse.objects.all().delete()
    first = _post(plane, "/v1/responses", {"model": model, "input": "secret"}).json()["id"]
    if state == "deleted":
        auth = {"authorization": f"Bearer {plane.token}"}
        assert httpx.delete(f"{plane.gateway.url}/v1/responses/{first}", headers=auth, trust_env=False).is_success
    if state != "in memory":
        keeping.memory.__init__()  # type: ignore[misc]  # as it begins
    if state == "drained":
        drain()
    body = {"model": model, "input": "repeat it", "previous_response_id": first}
    for path in ("/v1/responses", "/v1/responses/input_tokens"):
        refused = _post(plane, path, body, stranger)
        assert (refused.status_code, refused.json()["error"]["param"]) == (404, "previous_response_id"), refused.text
    assert len(sent) == 1
    unknown = _post(plane, "/v1/responses", {**body, "previous_response_id": "resp_theirs"}, stranger)
    assert unknown.status_code == 200 and len(sent) == 2
    drain()
    StoredResponse.objects.all().delete()


def test_what_a_caller_has_refused_takes_no_second_attempt_from_others(plane: Any) -> None:
    """Nor does a bad key: only what may be a storm is held back."""
    provider = plane.account.provider.slug
    with contextlib.ExitStack() as held:
        for _ in range(retries.LEAST):
            held.enter_context(retries.retries.attempt(provider, later=True))
        for scenario, status in (("status:404", 200), ("status:401", 200), ("status:500", 500)):
            model = plane.scenario(scenario, "ok", public=scenario.replace(":", "-"))
            assert plane.ask(model).status_code == status, scenario
    assert plane.ask(model).status_code == 200
