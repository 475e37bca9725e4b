"""Providers that ship switched off: what they are until a security admin has switched them on, and after (M-21)."""

from __future__ import annotations

import contextlib
import json
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from django.urls import reverse

from providers import transport
from providers.models import Account, Provider
from routing.build import build
from routing.loading import load_catalog
from routing.loose_ends import why_not
from routing.models import Route
from routing.standing import Standing, working_routes
from tests.people import client, posted
from tests.vendor_replies import reply

pytestmark = pytest.mark.django_db(transaction=True)

CLI = "google-gemini-cli"
OFF = f"Provider '{CLI}' is switched off; a security admin can switch it on in the admin."
MESSAGES = [{"role": "user", "content": "hi"}]
#: client's dialect -> path and body for a model.
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES}),
    "messages": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 9}),
    "responses": ("/v1/responses", {"input": "hi"}),
    "google": ("/v1beta/models/{model}:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
}


@pytest.fixture
def ready(plane: Any) -> Any:
    """The catalog, and all that the provider needs but its switch; the model `cli` leads to it."""
    load_catalog()
    account = Account.objects.get(name=CLI)
    account.variables = {"project": "proj-1"}
    account.save()
    plane.world.keys(account, "ya29.a-token-of-the-test-0123456789")
    plane.world.model("cli", (account, "gemini-2.5-pro"))
    plane.settle()
    yield plane
    transport.install(None)


def ask(plane: Any, dialect: str, model: str) -> httpx.Response:
    path, body = CLIENTS[dialect]
    named = {} if "{model}" in path else {"model": model}
    answer: httpx.Response = plane.client.post(path.format(model=model), json={**body, **named})
    return answer


def explained() -> Any:
    out = StringIO()
    with contextlib.suppress(SystemExit):
        call_command("explain", "cli", "--project", "demo", "--json", stdout=out)
    return json.loads(out.getvalue())


def switch(role: str) -> int:
    """Switch the provider on as a person of this role would; the status of the page that comes back."""
    browser = client(role)
    url = reverse("admin:providers_provider_change", args=[Provider.objects.get(slug=CLI).pk])
    page = browser.get(url)
    assert page.status_code == 200 and "Enabled" in page.content.decode()
    return int(browser.post(url, {**posted(page), "enabled": "on"}).status_code)


def test_m21_requests_explain_apply_doctor_and_admin_agree_before_and_after(ready: Any) -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return reply(request)

    transport.install(httpx.MockTransport(answer))
    why = f"provider {CLI} is switched off"
    for dialect in CLIENTS:
        for model in ("cli", f"{CLI}/gemini-2.5-pro", "gemini-cli/gemini-2.5-pro"):
            if dialect == "google" and "/" in model:
                continue
            refused = ask(ready, dialect, model)
            assert refused.status_code == 503 and OFF in refused.json()["error"]["message"], refused.text
            assert "no_candidate" in refused.text or dialect == "messages", refused.text
    route = Route.objects.get(model__name="cli")
    assert not sent and not working_routes().filter(pk=route.pk).exists()
    assert Standing().problems(route) == [why]
    assert [(found["what"], found["reason"]) for found in explained()["dropped"]] == [(f"{CLI}/gemini-2.5-pro", why)]
    snapshot = build()
    (entry,) = snapshot.models["cli"].routes
    assert why_not(snapshot, entry) == why, "what apply and doctor say"

    switch("operator")
    assert not Provider.objects.get(slug=CLI).enabled
    assert client("auditor").get(reverse("admin:providers_provider_changelist")).status_code == 200
    assert switch("security") == 302 and Provider.objects.get(slug=CLI).enabled

    ready.settle()
    assert [place["problems"] for place in explained()["candidates"]] == [[]]
    assert working_routes().filter(pk=route.pk).exists() and not Standing().problems(route)
    for dialect in CLIENTS:
        assert ask(ready, dialect, "cli").status_code == 200
    assert len(sent) == len(CLIENTS)
    assert load_catalog().revision == 0 and Provider.objects.get(slug=CLI).enabled
