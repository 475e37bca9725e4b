"""GET /v1/models: the models that the token may use, and no others under any spelling."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_list_is_what_the_project_may_use(plane: Any) -> None:
    plane.world.model("org/model-a:1", (plane.account, "ok"))
    plane.world.model("b", (plane.account, "ok"))
    plane.world.model("off", (plane.account, "ok"), enabled=False)
    narrow = plane.world.token(plane.world.project("narrow", allow=["b"]))
    plane.settle()
    page = plane.client.get("/v1/models").json()
    assert page["object"] == "list"
    assert [entry["id"] for entry in page["data"]] == ["b", "org/model-a:1"]
    assert set(page["data"][0]) == {"id", "object", "created", "owned_by"}
    headers = {"authorization": f"Bearer {narrow}"}
    assert [entry["id"] for entry in plane.client.get("/v1/models", headers=headers).json()["data"]] == ["b"]
    assert plane.client.get("/v1/models/b", headers=headers).json()["id"] == "b"
    foreign = plane.client.get("/v1/models/org/model-a:1", headers=headers)
    unknown = plane.client.get("/v1/models/org/model-x:1", headers=headers)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["error"]["code"] == unknown.json()["error"]["code"] == "model_not_found"


def test_a_ref_or_a_prefixed_name_that_may_be_used_is_described(plane: Any) -> None:
    """Names that chat takes, though no list can hold them all."""
    from routing.models import PrefixRule

    PrefixRule.objects.create(prefix="zed-", provider=plane.account.provider)
    closed = plane.world.token(plane.world.project("closed", allow=["m-ok"]))
    plane.scenario("ok")
    for name, identity in (("up/any-model", "up/any-model"), ("zed-1", "up/zed-1")):
        found = plane.client.get(f"/v1/models/{name}")
        assert (found.status_code, found.json().get("id")) == (200, identity), found.text
        assert found.json()["owned_by"] == "up"
        refused = plane.client.get(f"/v1/models/{name}", headers={"authorization": f"Bearer {closed}"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    for name in ("auto", "nowhere/x", "nothing"):
        assert plane.client.get(f"/v1/models/{name}").status_code == 404


def test_a_name_out_of_reach_is_answered_as_one_that_does_not_exist(plane: Any) -> None:
    """Else a project could try out which names the others have: in chat and here, with the same suggestions."""
    plane.world.model("secret-plan", (plane.account, "ok"))
    plane.world.model("secret-pla", (plane.account, "ok"))
    plane.world.model("open", (plane.account, "ok"))
    project = plane.world.project("narrow", allow=["open", "secret-pla"])
    plane.client.headers["authorization"] = f"Bearer {plane.world.token(project)}"
    plane.settle()

    def told(name: str) -> tuple[Any, ...]:
        chat, shown = plane.ask(name), plane.client.get(f"/v1/models/{name}")
        assert chat.status_code == shown.status_code == 404
        assert chat.json() == shown.json()
        return tuple(str(answer.json()).replace(name, "NAME") for answer in (chat, shown)), chat.headers[
            "x-jackfield-error"
        ]

    assert told("secret-plan") == told("secret-plax")
    assert "Did you mean 'secret-pla'?" in told("secret-plan")[0][0]
    assert told("up/one") == told("up/two")
    assert plane.upstream.requests == []


@pytest.mark.parametrize("path", ["org/model-a:1", "org%2Fmodel-a%3A1"])
def test_ids_hold_slashes(plane: Any, path: str) -> None:
    plane.world.model("org/model-a:1", (plane.account, "ok"))
    plane.settle()
    answer = plane.client.get(f"/v1/models/{path}")
    assert (answer.status_code, answer.json()["id"]) == (200, "org/model-a:1")
    assert answer.headers["x-jackfield-request-id"]


def test_the_list_follows_a_change(plane: Any) -> None:
    assert plane.client.get("/v1/models").json()["data"] == []
    plane.world.model("new", (plane.account, "ok"))
    plane.eventually(lambda: len(plane.client.get("/v1/models").json()["data"]) == 1)


def test_the_official_client_lists(plane: Any) -> None:
    import openai

    plane.world.model("a/b", (plane.account, "ok"))
    plane.settle()
    client = openai.OpenAI(base_url=f"{plane.gateway.url}/v1", api_key=plane.token, max_retries=0)
    assert [model.id for model in client.models.list()] == ["a/b"]
    assert client.models.retrieve("a/b").id == "a/b"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "path_not_found"),
        ("POST", "/v1/images/x", 404, "path_not_found"),
        ("GET", "/v1", 404, "path_not_found"),
        ("GET", "/v1/models/", 404, "path_not_found"),
    ],
)
def test_other_paths_and_methods(plane: Any, method: str, path: str, status: int, code: str) -> None:
    answer = plane.client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    if status == 405:
        assert answer.headers["allow"]
