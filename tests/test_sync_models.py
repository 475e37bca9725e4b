"""What upstreams list, beside what is mapped: asked safely, believed in bounds, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from providers import model_lists
from providers.model_lists import BadList, read_list
from providers.models import Account
from routing.build import build
from routing.models import Revision, Route
from routing.syncing import Found, UnknownAccount, sync
from routing.tasks import sync_models
from tests.conftest import Served, serve
from tests.people import client

pytestmark = pytest.mark.django_db

KEY = "sk-canary-77aa01"
#: What a model's name could do to those who read it.
PAYLOADS = (
    "<script>alert(1)</script>{}",
    '"><img src=x onerror=alert({})>',
    '=HYPERLINK("http://evil.example/{}")',
    "@SUM(1+{})",
    "model\n{}\r\nx-injected: 1",
    "\u202egnp.{}",
    "javascript:alert({})//\u2028",
    "{{{{7*7}}}}{}'",
    "a\x00b{}",
    "m" * 192 + "{}",
)
HOSTILE = [PAYLOADS[number % len(PAYLOADS)].format(number) for number in range(200)]


class Lists:
    """An upstream that gives lists of models."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    def give(self, path: str, answer: Any, status: int = 200) -> None:
        self.answers[path] = (status, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append((scope["path"], scope["query_string"].decode(), headers))
        status, body = self.answers.get(scope["path"], (404, b"{}"))
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Lists, Served]]:
    lists = Lists()
    served = serve(lists)
    yield lists, served
    served.stop()


@pytest.fixture
def lists(server: tuple[Lists, Served]) -> Lists:
    server[0].answers.clear()
    server[0].seen.clear()
    return server[0]


@pytest.fixture
def account(world: Any, lists: Lists, server: tuple[Lists, Served]) -> Callable[..., Any]:
    """`account(name, family=..., slug=..., base=..., keys=(...))`: an account at the local server."""

    def make(name: str = "near", base: str = "/v1", keys: tuple[str, ...] = (KEY,), **provider: Any) -> Any:
        row = world.provider(provider.pop("slug", name), **provider)
        url = f"{server[1].url}{base}"
        return world.account(name, url, provider=row, private_network=True, keys=keys)

    return make


def one(name: str = "near") -> Found:
    return sync(build(), [name])[0]


def openai(*names: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def test_listed_mapped_and_vanished(world: Any, lists: Lists, account: Callable[..., Any]) -> None:
    lists.give("/v1/models", openai("large", "small", "small"))
    near = account()
    world.model("best", (near, "large"))
    world.model("old", (near, "gone-1"), (world.account("far"), "elsewhere"))
    revisions = Revision.objects.count()
    found = one()
    assert (found.state, found.listed, found.new) == ("listed", ("large", "small"), ("small",))
    assert {(route.public, route.upstream) for route in found.mapped} == {("best", "large"), ("old", "gone-1")}
    assert [(route.public, route.upstream) for route in found.vanished] == [("old", "gone-1")]
    assert lists.seen[0][2]["authorization"] == f"Bearer {KEY}"
    assert Revision.objects.count() == revisions and Route.objects.count() == 3


@pytest.mark.parametrize(
    ("given", "base", "path", "answer", "names"),
    [
        ({"family": "openai-responses"}, "/v1", "/v1/models", openai("a"), ("a",)),
        ({}, "/v1/chat/completions", "/v1/models", [{"id": "bare"}], ("bare",)),
        (
            {"family": "anthropic-messages", "credential": "header", "credential_name": "x-api-key"},
            "",
            "/v1/models",
            {"data": [{"type": "model", "id": "claude-x"}], "has_more": False},
            ("claude-x",),
        ),
        (
            {"family": "google-generative-ai", "credential": "header", "credential_name": "x-goog-api-key"},
            "/v1beta",
            "/v1beta/models",
            {"models": [{"name": "models/gemini-x", "displayName": "<b>"}]},
            ("gemini-x",),
        ),
        ({"family": "cohere-chat"}, "/v2", "/v1/models", {"models": [{"name": "command-x"}]}, ("command-x",)),
        (
            {"slug": "ollama"},
            "/v1",
            "/api/tags",
            {"models": [{"name": "l:latest", "model": "l:latest"}]},
            ("l:latest",),
        ),
        ({"family": "ollama-native"}, "", "/api/tags", {"models": [{"name": "q:7b"}]}, ("q:7b",)),
    ],
)
def test_each_api_is_asked_in_its_own_way(
    lists: Lists, account: Callable[..., Any], given: Any, base: str, path: str, answer: Any, names: Any
) -> None:
    account(base=base, **given)
    lists.give(path, answer)
    found = one()
    assert (found.state, found.listed, found.why) == ("listed", names, "")
    seen, _, headers = lists.seen[0]
    assert seen == path and KEY in " ".join(headers.values())
    assert ("anthropic-version" in headers) == (given.get("family") == "anthropic-messages")


def test_ollamas_latest_need_not_be_said(world: Any, lists: Lists, account: Callable[..., Any]) -> None:
    lists.give("/api/tags", {"models": [{"name": "llama3.3:latest"}]})
    world.model("llama", (account(slug="ollama", keys=(), keyless=True, credential="none"), "llama3.3"))
    found = one()
    assert not found.vanished and not found.new


def test_of_a_list_that_goes_on_nothing_is_said_to_be_gone(
    world: Any, lists: Lists, account: Callable[..., Any]
) -> None:
    world.model("m", (account(), "later"))
    lists.give("/v1/models", {**openai("first"), "has_more": True})
    found = one()
    assert not found.whole and found.vanished == ()


def test_hostile_names_are_counted_and_shown_nowhere(world: Any, lists: Lists, account: Callable[..., Any]) -> None:
    """Two hundred names that would run, inject or mislead (R-SEC, the admin): none reaches a terminal or a page."""
    lists.give("/v1/models", openai(*HOSTILE, None, 7, ["x"], {"id": "y"}, "good/model:1"))
    world.model("m", (account(), "good/model:1"))
    found = one()
    assert found.listed == ("good/model:1",)
    assert found.refused == len(HOSTILE) + 4
    shown = StringIO()
    call_command("sync_models", "near", "--json", stdout=shown)
    call_command("sync_models", "near", stdout=shown)
    page = client("operator").post(
        reverse("admin:providers_account_changelist"),
        {"action": "sync_models", "_selected_action": [Account.objects.get(name="near").pk]},
    )
    html = page.content.decode()
    assert page.status_code == 200 and "204 names that no model may have" in html
    for text in (shown.getvalue(), html):
        assert not any(name in text for name in HOSTILE)
        assert "onerror" not in text and "evil.example" not in text and "\u202e" not in text
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(html)
    assert "pre" not in tags  # nothing unmapped was left to show


def test_lists_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_lists, "MOST_NAMES", 10)
    found = read_list(json.dumps(openai(*(f"m{number}" for number in range(25)))).encode())
    assert len(found.names) == 10 and not found.whole
    for body in (b"", b"<html>", b"7", b'{"data": 7}', b"[" * 100_000, b'"' + b"x" * model_lists.MOST_BYTES + b'"'):
        with pytest.raises(BadList):
            read_list(body)


@pytest.mark.parametrize(
    ("status", "said"), [(401, "it answered 401"), (302, "it answered 302"), (500, "answered 500")]
)
def test_a_refusal_is_told_by_its_status_alone(
    lists: Lists, account: Callable[..., Any], status: int, said: str
) -> None:
    account()
    lists.give("/v1/models", {"error": f"<b>{KEY}</b>"}, status)
    found = one()
    assert found.state == "failed" and said in found.why and KEY not in found.why and "<b>" not in found.why


def test_a_local_server_that_is_down_is_no_error(world: Any) -> None:
    provider = world.provider("ollama", keyless=True, credential="none")
    world.account("ollama", "http://127.0.0.1:9/v1", provider=provider, private_network=True)
    assert [(found.account, found.state) for found in sync(build())] == [("ollama", "not running")]
    shown = StringIO()
    call_command("sync_models", "ollama", stdout=shown)  # ends with 0
    assert "not running" in shown.getvalue()
    assert sync_models() == "0 lists, 0 routes gone"


def test_vllm_is_looked_for_only_with_its_key(world: Any, lists: Lists, account: Callable[..., Any]) -> None:
    lists.give("/v1/models", openai("served"))
    row = account("vllm", keys=(), keyless=True, env_keys=["VLLM_API_KEY"])
    assert sync(build()) == [] and not lists.seen
    assert one("vllm").state == "listed"  # who names it asks for it
    world.keys(row, "any")
    assert [found.listed for found in sync(build())] == [("served",)]
    assert lists.seen[-1][2]["authorization"] == "Bearer any"


def test_what_is_not_asked_says_why(world: Any, lists: Lists, account: Callable[..., Any]) -> None:
    account("lab", family="gitlab-duo")
    account("bare", keys=())
    off = account("off")
    Account.objects.filter(pk=off.pk).update(enabled=False)
    why = {name: one(name) for name in ("lab", "bare", "off")}
    assert {found.state for found in why.values()} == {"not asked"}
    assert "no list" in why["lab"].why and "no shared key" in why["bare"].why and "switched off" in why["off"].why
    assert sync(build()) == [] and not lists.seen
    with pytest.raises(UnknownAccount):
        sync(build(), ["nobody"])
    with pytest.raises(CommandError, match="nobody"):
        call_command("sync_models", "nobody")
    with pytest.raises(SystemExit):
        call_command("sync_models", "lab", stdout=StringIO())


def test_a_private_address_needs_the_accounts_word(world: Any, lists: Lists, server: tuple[Lists, Served]) -> None:
    world.account("closed", f"{server[1].url}/v1", keys=(KEY,))
    found = one("closed")
    assert found.state == "failed" and not lists.seen


def test_the_task_logs_what_is_gone(
    world: Any, lists: Lists, account: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    lists.give("/v1/models", openai("large"))
    world.model("old", (account(), "gone-1"))
    assert sync_models("near") == "1 lists, 1 routes gone"
    assert "account near: gone-1 is gone, which old leads to" in caplog.text


@pytest.mark.parametrize(("role", "may"), [("operator", True), ("security", True), ("auditor", False)])
def test_who_may_ask_in_the_admin(role: str, may: bool, world: Any, lists: Lists, account: Callable[..., Any]) -> None:
    lists.give("/v1/models", openai("fresh"))
    world.model("old", (account(), "gone-1"))
    pk = Account.objects.get(name="near").pk
    url = reverse("admin:providers_account_changelist")
    page = client(role).post(url, {"action": "sync_models", "_selected_action": [pk]}, follow=True)
    html = page.content.decode()
    assert ("fresh" in html and "gone-1" in html) == may
    assert bool(lists.seen) == may
