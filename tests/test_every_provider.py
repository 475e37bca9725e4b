"""Every provider there is: what reaches it, by its id and by each alias, whole and streamed; and what a 401 becomes.

Requests are caught at the transport's seam. What they must look like is in `provider_table`, not in our catalog.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from catalog_lists import CANONICAL, CATALOG
from keys.minted import minted
from keys.models import KeySet, ProviderKey
from providers import transport
from providers.credentials.request import Grant
from providers.models import Account, Provider
from providers.secrets import Secret
from routing import revisions
from routing.loading import load_catalog
from tests.provider_table import ALIASES, FILLED, OFFERED, PATCHED, REFUSED, STREAMED, table
from tests.vendor_replies import reply

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = table()
AWS = {"access_key_id": "AKIDCANARY0000000000", "secret_access_key": "aws-secret-of-the-test-0123456789"}
ASKED = {"messages": [{"role": "user", "content": "hi"}], "temperature": 0}
CLIENTS = {
    "chat": ("/v1/chat/completions", ASKED),
    "messages": ("/v1/messages", {**ASKED, "max_tokens": 9}),
    "responses": ("/v1/responses", {"input": "hi", "temperature": 0}),
}
#: Signed with a token that is had for the key, not with the key.
EXCHANGED = ("github-copilot", "sap-ai-core", "openai-codex", "qwen-portal")


def key_of(name: str) -> str:
    """What is stored for a provider. What would be exchanged lacks what an issuer could be asked with."""
    if name == "amazon-bedrock":
        return json.dumps(AWS)
    return json.dumps({"login": name, "n": 1}) if name in EXCHANGED else f"opaque.{name}.0123456789"


def sent_key(name: str) -> str:
    """What a provider is sent."""
    return f"token-for-{name}-0123456789" if name in EXCHANGED else key_of(name)


class Capture:
    """What left the gateway; answered by the vendor of that place, unless told otherwise."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.refusal: httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.refusal or reply(request)

    def one(self) -> httpx.Request:
        (request,) = self.requests
        self.requests.clear()
        return request


@pytest.fixture
def capture() -> Iterator[Capture]:
    made = Capture()
    transport.install(httpx.MockTransport(made))
    yield made
    transport.install(None)


@pytest.fixture
def everything(plane: Any, capture: Capture) -> Any:
    """A gateway with the whole catalog, each provider switched on and with a key."""
    load_catalog()
    with revisions.recording("tester"):
        for row in Provider.objects.filter(enabled=False):
            row.enabled = True
            row.save()
        for account in Account.objects.filter(name__in=FILLED):
            account.variables = {**account.variables, **FILLED[account.name]}
            account.save()
    with revisions.recording("tester"):
        for account in Account.objects.filter(name__in=TABLE):
            if TABLE[account.name][1] != "none":
                plane.world.keys(account, key_of(account.name))
    plane.settle()
    for name in EXCHANGED:
        row = ProviderKey.objects.get(key_set__account__name=name)
        api = "https://api.individual.githubcopilot.com" if name == "github-copilot" else ""
        account_id = (("chatgpt-account-id", "acct-1"),) if name == "openai-codex" else ()
        grant = Grant(Secret(sent_key(name)), time.time() + 3600, api, account_id)
        minted.keep((row.key_set.account_id, row.fingerprint), grant)
    return plane


def check_key(request: httpx.Request, header: str, name: str) -> None:
    """The key is where the vendor wants it, and nowhere else."""
    headers, key = request.headers, sent_key(name)
    if header == "bearer":
        assert headers["authorization"] == f"Bearer {key}"
    elif header == "sigv4":
        assert headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={AWS['access_key_id']}/")
        assert headers["x-amz-content-sha256"] and AWS["secret_access_key"] not in str(headers)
    elif header == "?key":
        assert request.url.params["key"] == key
    elif header != "none":
        assert headers[header] == key
    if header != "?key":
        assert key not in str(request.url)
    if header not in ("bearer", "sigv4"):
        assert "authorization" not in headers


BODIES: dict[str, Any] = {
    "chat": {**ASKED, "model": "m-1"},
    "messages": {"model": "m-1", "max_tokens": 8192, "temperature": 0, **ASKED},
    "google": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"temperature": 0}},
    "cohere": {"model": "m-1", **ASKED},
    "converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {"temperature": 0}},
    "gitlab": {"content": "hi", "with_clean_history": True, "additional_context": []},
    "theta": {"input": {**ASKED, "stream": False}},
    "assist": {
        "model": "m-1",
        "project": "proj",
        "request": {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"temperature": 0},
        },
    },
    "responses": {
        "model": "m-1",
        "instructions": "You are a helpful assistant.",
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "temperature": 0,
        "store": False,
        "stream": True,
    },
}


def expected_body(name: str, dialect: str, stream: bool) -> Any:
    body = dict(BODIES[dialect])
    if name == "sap-ai-core":
        del body["model"]
    if stream and dialect in ("chat", "messages", "cohere"):
        body["stream"] = True
        if dialect == "chat" and name != "mistral":
            body["stream_options"] = {"include_usage": True}
    return body


def test_the_table_knows_every_provider() -> None:
    assert set(CANONICAL) <= set(TABLE)
    assert {provider.id for provider in CATALOG.providers} == set(TABLE) | set(REFUSED)
    for name, aliases in ALIASES.items():
        assert set(aliases) <= set(CATALOG.provider(name).aliases), name


def test_what_reaches_every_provider(everything: Any, capture: Capture) -> None:
    for name, (dialect, header, url) in TABLE.items():
        for ref in (name, *CATALOG.provider(name).aliases):
            for stream in (False, True):
                body = {**ASKED, "model": f"{ref}/m-1", **({"stream": True} if stream else {})}
                answer = everything.client.post("/v1/chat/completions", json=body)
                assert answer.status_code == 200, (ref, answer.text)
                streams = stream and name != "theta"
                assert answer.headers["content-type"].startswith("text/event-stream" if streams else "application/json")
                told = "".join(_said(answer.text)) if streams else answer.json()["choices"][0]["message"]["content"]
                assert told == "hello", (ref, answer.text)
                request = capture.one()
                expected = STREAMED.get(name, url) if stream else url
                assert (request.method, str(request.url).partition("?key=")[0].partition("&key=")[0]) == (
                    "POST",
                    expected,
                ), ref
                assert request.headers["content-type"] == "application/json"
                check_key(request, header, name)
                assert everything.token not in str(request.headers)
                assert json.loads(request.content) == expected_body(name, dialect, stream), ref


def _said(stream: str) -> Iterator[str]:
    for line in stream.splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                yield choice["delta"].get("content") or ""


def test_where_the_public_models_lead(everything: Any, capture: Capture) -> None:
    """Locations and publishers of Vertex by route, a search that is a switch, and personas."""
    with revisions.recording("tester"):
        google = Account.objects.get(name="Google")
        google.variables = {**google.variables, "project": "proj"}
        google.save()
        azure = KeySet.objects.get(account__name="Azure-2 (PointsFlyer)", name="gpt41")
        azure.variables = {**azure.variables, "resource": "res"}
        azure.save()
    for account in ("Google", "AWS", "Scaleway", "Perplexity"):
        everything.world.keys(Account.objects.get(name=account), f"stored-key-of-{account}")
    everything.world.keys(azure.account, "stored-key-of-azure-2", name="gpt41")
    everything.settle()
    bodies = {}
    for model, url in PATCHED.items():
        answer = everything.ask(model)
        assert answer.status_code == 200, answer.text
        request = capture.one()
        assert str(request.url) == url
        bodies[model] = json.loads(request.content)
    assert bodies["claude"]["anthropic_version"] == "vertex-2023-10-16" and "model" not in bodies["claude"]
    assert bodies["gemini-search"]["tools"] == [{"googleSearch": {}}] and "tools" not in bodies["gemini"]
    assert bodies["kimi-k2-thinking"]["model"] == "moonshotai/kimi-k2-thinking-maas"
    first, asked = bodies["midijourney"]["messages"]
    assert first["role"] == "system" and "ABC notation" in first["content"] and asked["content"] == "hi"
    assert "tutor" in bodies["chickytutor"]["system"][0]["text"]


def test_headers_that_some_vendors_want_besides(everything: Any, capture: Capture) -> None:
    wanted = {
        "anthropic": {"anthropic-version": "2023-06-01"},
        "minimax": {"anthropic-version": "2023-06-01"},
        "sap-ai-core": {"ai-resource-group": "default"},
        "github-copilot": {"copilot-integration-id": "vscode-chat", "editor-version": "vscode/1.96.2"},
        "openai-codex": {"chatgpt-account-id": "acct-1", "openai-beta": "responses=experimental"},
    }
    for name, headers in wanted.items():
        assert everything.ask(f"{name}/m-1").status_code == 200
        sent = capture.one().headers
        assert {header: sent.get(header) for header in headers} == headers


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_families_by_the_model_and_the_clients_dialect(everything: Any, capture: Capture, stream: bool) -> None:
    for ref, client, header, url in OFFERED:
        path, body = CLIENTS[client]
        answer = everything.client.post(path, json={**body, "model": ref, **({"stream": True} if stream else {})})
        assert answer.status_code == 200 and "hel" in answer.text, (ref, answer.text)
        request = capture.one()
        asked = url.replace(":generateContent", ":streamGenerateContent?alt=sse") if stream else url
        assert str(request.url) == asked, ref
        check_key(request, header, CATALOG.provider(ref.partition("/")[0]).id)
        if header != "x-goog-api-key":
            assert json.loads(request.content)["model"] == ref.partition("/")[2]


def test_a_401_comes_back_as_ours_without_the_key(everything: Any, capture: Capture) -> None:
    for name, (_, header, _) in TABLE.items():
        if header == "none":
            continue
        key = AWS["secret_access_key"] if header == "sigv4" else sent_key(name)
        said = {"error": {"message": f"Incorrect API key provided: {key}.", "type": "auth", "code": "bad_key"}}
        for stream in (False, True):
            capture.refusal = httpx.Response(401, json=said)
            answer = everything.ask(f"{name}/m-1", stream=stream)
            assert len(capture.requests) == 1, name
            capture.requests.clear()
            error = answer.json()["error"]
            assert (answer.status_code, error["code"] in ("upstream_auth", "bad_key")) == (401, True), (name, error)
            assert "Incorrect API key provided: " in error["message"], (name, error)
            assert "your token is fine" in error["message"]
            assert key not in answer.text and key[:12] not in answer.text, (name, error)


def test_providers_that_cannot_be_served_say_so(everything: Any, capture: Capture) -> None:
    for name, code in REFUSED.items():
        answer = everything.ask(f"{name}/m-1")
        assert (answer.status_code >= 400, answer.json()["error"]["code"]) == (True, code), name
        assert not capture.requests
