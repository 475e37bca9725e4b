"""The description of the data plane: it names every endpoint there is, and what it promises is what is answered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from django.urls import URLPattern, resolve
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.core.result import Err

from api.urls import urlpatterns
from api.views import NotFound
from tests.openapi_document import KEPT, document, write

pytestmark = pytest.mark.slow

OPERATIONS = sorted((method.upper(), path) for path, operations in document()["paths"].items() for method in operations)
#: What may be in a body is the upstream's to say: relayed members are neither all known here nor all checked.
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def view_of(path: str) -> Any:
    match = resolve(path.replace("{model}", "echo").replace("{response}", "resp_1"), urlconf="api.urls")
    return match.func.view_class, match.url_name  # type: ignore[attr-defined]


def test_it_is_what_drf_spectacular_makes_of_the_views(tmp_path: Path) -> None:
    """Without a warning, and valid."""
    write(tmp_path / "made.json")
    is_kept = (tmp_path / "made.json").read_bytes() == KEPT.read_bytes()
    assert is_kept, "the views say something else than api/openapi.json: run `make openapi`"


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_is_described_is_there(method: str, path: str) -> None:
    view, _ = view_of(path)
    assert view is not NotFound
    assert method.lower() in view.http_method_names and hasattr(view, method.lower())


def test_what_is_there_is_described() -> None:
    described: dict[str, set[str]] = {}
    for path, operations in document()["paths"].items():
        described.setdefault(view_of(path)[1], set()).update(operations)
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        view = pattern.callback.view_class  # type: ignore[attr-defined]
        if view is not NotFound:
            taken = {name for name in view.http_method_names if hasattr(view, name)} - {"options", "head"}
            assert described.get(pattern.name or "", set()) == taken, pattern.name
    verbs = {
        verb for pattern in urlpatterns for verb in re.findall(r"[:|(](\w+(?:Contents?|Tokens))", str(pattern.pattern))
    }
    assert verbs <= {path.rpartition(":")[2] for path in document()["paths"]}


def test_every_reference_leads_somewhere_and_every_part_is_used() -> None:
    whole = document()

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own | {found for inner in value.values() for found in references(inner)}
        return {found for inner in value for found in references(inner)} if isinstance(value, list) else set()

    found = references(whole)
    parts = {(kind, name) for kind in ("schemas", "headers", "responses") for name in whole["components"][kind]}
    assert {f"#/components/{kind}/{name}" for kind, name in parts} <= found
    for reference in found:
        place = whole
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    names = [operation["operationId"] for path in whole["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


@pytest.fixture
def fleet_token(world: Any) -> Any:
    """Of an account for which the worker of the description's example has registered."""
    from keys.tokens import issue
    from routing.fleet import Word, fleet

    account = world.account("workers")
    row, text = issue(None, account=account, kind="f")
    fleet.hear(Word(account.pk, str(row.pk), "https://gpu-1.workers.example/v1", ("flux",)))
    yield text
    fleet.clear()


@pytest.fixture
def echo(world: Any, gateway: Any, sandbox_upstream: str, eventually: Any) -> tuple[str, str]:
    """The gateway's address and a token; its models are the sandbox's."""
    from providers.sandbox import KEYS

    account = world.account("sandbox", sandbox_upstream, private_network=True, keys=KEYS[1:2])
    world.model("echo", (account, "echo"))
    world.model("lorem", (account, "lorem"))
    world.model("sandbox-embed", (account, "embed"), service="embedding")
    world.model("sandbox-paint", (account, "paint"), service="image")
    token = world.token()
    headers = {"authorization": f"Bearer {token}"}
    eventually(lambda: len(httpx.get(f"{gateway.url}/v1/models", headers=headers).json().get("data", ())) == 4)
    return gateway.url, token


def test_it_is_served_to_who_has_a_token(echo: tuple[str, str]) -> None:
    url, token = echo
    assert httpx.get(f"{url}/v1/openapi.json").status_code == 401
    answer = httpx.get(f"{url}/v1/openapi.json", headers={"x-api-key": token})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == document()


def test_answers_are_as_described(fleet_token: str, echo: tuple[str, str]) -> None:
    """The description's own examples are answered; so is whatever else it allows, as it says."""
    url, token = echo
    schema = schemathesis.openapi.from_dict(document())
    schema.config.update(base_url=url)

    @schema.hook
    def map_body(context: Any, body: Any) -> Any:
        known = isinstance(body, dict) and "{model}" not in context.operation.path and len(repr(body)) % 4
        return {**body, "model": served(context.operation.path)} if known else body

    @schema.hook
    def map_path_parameters(context: Any, path_parameters: Any) -> Any:
        known = "model" in (path_parameters or {}) and len(repr(path_parameters)) % 3
        return {"model": served(context.operation.path)} if known else path_parameters

    kept = ""
    operations = []
    for result in schema.get_all_operations():
        assert not isinstance(result, Err)
        operations.append(result.ok())
    for operation in sorted(operations, key=lambda operation: operation.method == "delete"):  # stable: those come last
        headers = {"authorization": f"Bearer {fleet_token if operation.path.startswith('/fleet/') else token}"}
        for stream in (True, False):
            case = operation.Case(**example_of(operation, kept, stream=stream))
            response = case.call(headers=headers)
            # What was kept can be forgotten once, and is not being made any more.
            refused = (operation.method == "delete" and not stream) or operation.path.endswith("/cancel")
            assert response.status_code == 200 or refused, response.text
            case.validate_response(response, checks=CHECKS)
        kept = response.json()["id"] if operation.label == "POST /v1/responses" else kept
        exercise(operation, headers)


def served(path: str) -> str:
    """The model that serves what is asked for at this path."""
    return "sandbox-embed" if "mbed" in path else "echo"


def example_of(operation: Any, kept: str, *, stream: bool) -> dict[str, Any]:
    """The request that the description gives as an example, as a stream too where it may be one."""
    values = {"model": served(operation.path), "response": kept}
    names = {name: value for name, value in values.items() if f"{{{name}}}" in operation.path}
    made: dict[str, Any] = {"path_parameters": names}
    asked = document()["paths"][operation.path][operation.method].get("requestBody")
    if asked is None:
        return made
    name = asked["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = document()["components"]["schemas"][name]
    more = {"stream": True} if stream and "stream" in schema["properties"] else {}
    return made | {"body": schema["examples"][0] | more, "media_type": "application/json"}


def exercise(operation: Any, headers: dict[str, str]) -> None:
    """Send requests that the description allows; every answer must be one that it promises."""

    @settings(
        max_examples=4,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        case.validate_response(case.call(headers=headers), checks=CHECKS)

    run()
