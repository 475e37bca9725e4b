"""What leaves the gateway for a provider, seen whole at the seam: no test of it needs an account anywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog_lists import CANONICAL, CATALOG, PRESETS
from keys import importing
from providers import transport
from providers.catalog import read
from providers.models import Account, Provider
from routing import revisions
from routing.loading import load_catalog
from routing.models import Preference
from tests.faults.fixtures import KEYS
from tests.faults.upstream import DONE, EVENTS, USAGE, completion

pytestmark = pytest.mark.django_db(transaction=True)

#: Ids of the catalog that `tests/provider_table.py` has no row for, and those that cannot be served.
OTHERS = [
    "byteplus",
    "byteplus-plan",
    "google-antigravity",
    "google-gemini-cli",
    "io-net-fleet",
    "kilo",
    "litellm",
    "llmgateway",
    "local",
    "ollama",
    "openai-codex",
    "pollinations",
    "qwen-portal",
    "sandbox",
    "theta",
    "v0",
    "vllm",
    "volcengine",
    "volcengine-plan",
]


@pytest.fixture
def sent() -> Iterator[list[httpx.Request]]:
    """Every request that would leave this machine, answered here."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if json.loads(request.content).get("stream"):
            stream = b"".join([*EVENTS, USAGE, DONE])
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
        return httpx.Response(200, headers={"content-type": "application/json"}, content=completion())

    transport.install(httpx.MockTransport(answer))
    yield requests
    transport.install(None)


def test_m01_r43_x05_method_url_headers_and_body_of_every_preset(plane: Any, sent: list[httpx.Request]) -> None:
    """R-16 to R-22: each preset of the OpenAI shape, at its own address, with its own key, whole and streamed."""
    load_catalog()
    presets = {name: base for name, family, base, _ in PRESETS if family == "openai"}
    filled = {"account_id": "acc", "gateway_id": "gw"}
    with revisions.recording("tester"):
        for account in Account.objects.filter(name__in=presets):
            account.variables = {**account.variables, **{n: v for n, v in filled.items() if n in presets[account.name]}}
            account.save()
    with revisions.recording("tester"):
        for account in Account.objects.filter(name__in=presets):
            plane.world.keys(account, f"key-of-{account.name}")
    plane.settle()
    asked = {"messages": [{"role": "user", "content": "hi"}], "temperature": 0}
    for (name, base), stream in itertools.product(presets.items(), (False, True)):
        streamed = {"stream": True} if stream else {}
        whole = {**asked, **streamed, "model": "vendor/model:1@2"}
        answer = plane.client.post("/v1/chat/completions", json={**whole, "model": f"{name}/vendor/model:1@2"})
        assert answer.status_code == 200 and ("[DONE]" in answer.text) == stream, (name, answer.text)
        request = sent.pop()
        assert not sent
        assert (request.method, str(request.url)) == ("POST", f"{base.rstrip('/').format(**filled)}/chat/completions")
        assert request.headers["authorization"] == f"Bearer key-of-{name}"
        assert request.headers["content-type"] == "application/json"
        assert plane.token not in str(request.headers)
        if stream and CATALOG.provider(name).quirks.get("stream_usage", True):
            whole["stream_options"] = {"include_usage": True}
        assert json.loads(request.content) == whole


def tried(plane: Any) -> list[tuple[str, str]]:
    return [(seen.json["model"], seen.headers["authorization"][7:]) for seen in plane.upstream.requests]


def test_x04_keys_rotate_inside_one_attempt_and_providers_change_outside_it(plane: Any) -> None:
    """X-04, also through `auto`: every key of the first place, then the next place with its own first key."""
    other = plane.world.account(
        "other",
        plane.upstream.url,
        keys=("other-key-1", "other-key-2"),
        provider=plane.world.provider("second"),
        private_network=True,
    )
    plane.world.model("fallback", (plane.account, "limited:all:ra-0"), (other, "ok"))
    plane.world.model("first", (plane.account, "limited:all:ra-0"))
    plane.world.model("then", (other, "ok"))
    Preference.objects.filter(project__name="demo").update(preferred=["first", "then"])
    plane.settle()
    for name in ("fallback", "auto"):
        plane.upstream.requests.clear()
        answer = plane.ask(name)
        assert (answer.status_code, answer.headers["x-jackfield-route"]) == (200, "other/ok")
        assert tried(plane) == [*(("limited:all:ra-0", key) for key in KEYS), ("ok", "other-key-1")]


def test_x04_what_is_no_rate_limit_leaves_the_other_keys_alone_and_the_place(plane: Any) -> None:
    other = plane.world.account("other", plane.upstream.url, keys=("other-key-1",), private_network=True)
    plane.world.model("fallback", (plane.account, "status:503"), (other, "ok"))
    plane.settle()
    assert plane.ask("fallback").status_code == 200
    assert tried(plane) == [("status:503", KEYS[0]), ("ok", "other-key-1")]


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_r38_an_empty_variable_is_no_key(plane: Any, sent: list[httpx.Request], value: str) -> None:
    """The next variable that holds something counts; where none does, nothing is sent."""
    load_catalog()
    listed = f"{value},{value};"
    names = {"MOONSHOT_API_KEY": value, "MOONSHOT_API_KEYS": listed, "JACKFIELD_LIVE_MOONSHOT_KEY": value}
    importing.import_keys(names, rebind=True)
    plane.settle()
    answer = plane.ask("moonshotai/kimi-k2.5")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "provider_key_missing")
    assert not sent
    importing.import_keys({**names, "KIMI_API_KEY": "kimi-key-of-the-second-name"}, rebind=True)
    plane.settle()
    assert plane.ask("moonshotai/kimi-k2.5").status_code == 200
    assert sent[0].headers["authorization"] == "Bearer kimi-key-of-the-second-name"


def test_r38_no_signed_in_token_is_sent_whose_life_nobody_knows(plane: Any, sent: list[httpx.Request]) -> None:
    """OAuth access tokens end. What signing in stored is renewed; a bare token is refused, unsent."""
    load_catalog()
    row = Provider.objects.get(slug="qwen-portal")
    row.enabled = True
    row.save()
    plane.world.keys(Account.objects.get(name="qwen-portal"), "an-access-token-of-last-week")
    plane.settle()
    answer = plane.ask("qwen-portal/coder-model")
    assert answer.status_code >= 400
    assert not sent and "last-week" not in answer.text


def test_r45_a_new_id_needs_metadata_and_no_code(plane: Any, sent: list[httpx.Request], tmp_path: Path) -> None:
    """Metadata first: an entry in a file of the catalog is found, keyed, called and counted like the others."""
    entry = tmp_path / "providers-new.toml"
    entry.write_text(
        '[[provider]]\nid = "newcomer"\nname = "Newcomer"\nfamily = "openai-completions"\n'
        'base_url = "https://api.newcomer.example/v2"\ncredential = "bearer"\nenv_keys = ["NEWCOMER_API_KEY"]\n'
        'aliases = ["new-comer"]\ncapabilities = ["text"]\n'
    )
    load_catalog(catalog=read([entry]))
    importing.import_keys({"NEWCOMER_API_KEY": "key-of-the-newcomer"}, rebind=True)
    plane.settle()
    for name in ("newcomer", "new-comer"):
        assert plane.ask(f"{name}/m-1").status_code == 200
        request = sent.pop()
        assert str(request.url) == "https://api.newcomer.example/v2/chat/completions"
        assert request.headers["authorization"] == "Bearer key-of-the-newcomer"


def test_r45_tests_know_every_id_of_the_catalog() -> None:
    """Then the tests and the counts: an id that is in no list here is one that nobody has looked at."""
    ids = [provider.id for provider in CATALOG.providers]
    assert sorted(ids) == sorted([*CANONICAL, *OTHERS])
