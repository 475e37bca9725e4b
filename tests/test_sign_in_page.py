"""Signing in to a provider on an account's page (M-28): by forms, by the script, by nobody who may not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from keys import sealing, vault
from keys.models import KeySet, ProviderKey, SignIn
from keys.ring import current
from providers import device_login
from providers.credentials.logins import LOGINS
from providers.minting import NoAnswer
from providers.minting import send as real_send
from providers.models import Account
from routing.models import Revision
from tests.issuers import Issuer, issuer, moved
from tests.people import client, person
from tests.test_canary import WIDE_WINDOW, WINDOW, Sinks, needles

#: No five characters of these stand anywhere by chance.
DEVICE, ACCESS, REFRESH = "dc-!Qz7~Xw9^Kv3!Jp5~Tg2^", "at-^Vn6!Rm1~Zc8^Fx3!Ls7~", "rt-~Dq5!Gw2^Nh7~Cj4!Uf9^"
CODE = {"device_code": DEVICE, "user_code": "WDJB-MJHT", "verification_uri": "https://i.example/device", "interval": 5}
PAIR = {"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 3600}
PENDING = {"error": "authorization_pending"}


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with issuer() as made:
        for name, known in LOGINS.items():
            monkeypatch.setitem(LOGINS, name, moved(known, made.url))
        monkeypatch.setattr(device_login, "send", lambda asked, private: real_send(asked, private=True))
        made.answer("/code", {**CODE, "expires_in": 900})
        made.answer("/token", PENDING, 400)
        yield made


@pytest.fixture
def account(world: Any) -> Account:
    provider = world.provider("qwen-portal", credential="device-code")
    row: Account = world.account("qwen", "https://q.example/v1", provider=provider)
    return row


class Page:
    """What a person does there."""

    def __init__(self, account: Account, role: str = "security") -> None:
        self.browser: Client = client(role)
        self.url = reverse("admin:providers_account_sign_in", args=[account.pk])
        self.back = reverse("admin:providers_account_change", args=[account.pk])

    def see(self) -> str:
        response = self.browser.get(self.url)
        assert response.status_code == 200 and "no-store" in response["Cache-Control"]
        return response.content.decode()

    def press(self, do: str) -> Any:
        return self.browser.post(self.url, {"do": do})

    def poll(self, *, due: bool = True) -> dict[str, Any]:
        """What the script does; `due`: the pause is over."""
        if due:
            SignIn.objects.update(ask_at=timezone.now())
        response = self.browser.post(self.url, {"do": "check"}, HTTP_ACCEPT="application/json")
        assert response.status_code == 200 and "no-store" in response["Cache-Control"]
        found: dict[str, Any] = response.json()
        return found


def asked(local: Issuer) -> int:
    """How often the issuer was asked for tokens."""
    return sum(path == "/token" for _, path, _, _ in local.requests)


def stored(account: Account) -> list[str]:
    rows = ProviderKey.objects.filter(key_set__account=account).select_related("key_set__account__provider")
    return [vault.open_key(vault.entry(row), vault.bound(row.key_set)).reveal() for row in rows]


@pytest.mark.django_db
def test_m28_a_sign_in_by_forms_alone(local: Issuer, account: Account) -> None:
    page = Page(account)
    assert f'href="{page.url}">Sign in</a>' in page.browser.get(page.back).content.decode()
    assert "Begin" in page.see() and not local.requests
    begun = page.press("begin")
    assert (begun.status_code, begun.url) == (302, page.url)
    text = page.see()
    assert "WDJB-MJHT" in text and 'href="https://i.example/device"' in text and "Check now" in text
    assert "14:5" in text and 'rel="noopener noreferrer"' in text
    SignIn.objects.update(ask_at=timezone.now())
    assert page.press("check").url == page.url and asked(local) == 1
    assert "Waiting until the code has been entered." in page.see()
    local.answer("/token", PAIR)
    SignIn.objects.update(ask_at=timezone.now())
    done = page.press("check")
    assert (done.status_code, done.url) == (302, page.back)
    text = page.browser.get(page.back).content.decode()
    assert "Signed in: the key is in account qwen." in text and "Revision" in text
    (key,) = map(json.loads, stored(account))
    assert (key["login"], key["refresh_token"]) == ("qwen-portal", REFRESH)
    assert ProviderKey.objects.get().source == "login" and not SignIn.objects.exists()
    revision = Revision.objects.order_by("-number")[0]
    assert (revision.author_name, revision.note) == ("security", "signed in to qwen")
    assert REFRESH not in json.dumps(revision.changes)


@pytest.mark.django_db
def test_a_second_sign_in_replaces_the_key_of_the_first(local: Issuer, account: Account) -> None:
    page = Page(account)
    for number in (1, 2):
        local.answer("/token", {**PAIR, "refresh_token": f"refresh-{number}"})
        page.press("begin")
        assert page.poll()["state"] == "done"
        assert [json.loads(text)["refresh_token"] for text in stored(account)] == [f"refresh-{number}"]
    assert KeySet.objects.filter(account=account).count() == 1


@pytest.mark.django_db
def test_the_issuer_is_asked_once_per_pause_however_often_the_page_asks(local: Issuer, account: Account) -> None:
    page = Page(account)
    page.press("begin")
    for _ in range(5):
        found = page.poll(due=False)
        assert found["state"] == "waiting" and 1 <= found["again"] <= 5 and 890 < found["left"] <= 900
    assert asked(local) == 0
    page.poll()
    assert [page.poll(due=False)["state"] for _ in range(3)] == ["waiting"] * 3 and asked(local) == 1


@pytest.mark.django_db
def test_while_one_question_is_under_way_nobody_sends_another(
    local: Issuer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, other = Page(account), Page(account)
    page.press("begin")
    seen = []

    def send(exchange: Any, private: bool) -> tuple[int, bytes]:
        assert not connection.in_atomic_block or len(connection.savepoint_ids) == 0  # no transaction waits for it
        seen.append(other.poll(due=False)["state"])
        return real_send(exchange, private=True)

    monkeypatch.setattr(device_login, "send", send)
    assert page.poll()["state"] == "waiting"
    assert seen == ["waiting"] and asked(local) == 1


@pytest.mark.django_db
def test_an_issuer_that_wants_patience_and_one_that_is_away(
    local: Issuer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(account)
    page.press("begin")
    local.answer("/token", {"error": "slow_down"}, 400)
    found = page.poll()
    assert (found["state"], found["again"]) == ("slower", 10) and "less often" in page.see()

    def away(exchange: Any, private: bool) -> tuple[int, bytes]:
        raise NoAnswer("the token endpoint did not answer (ReadTimeout)")

    with monkeypatch.context() as broken:
        broken.setattr(device_login, "send", away)
        found = page.poll()
    assert (found["state"], found["again"]) == ("unreachable", 15) and "did not answer just now" in page.see()
    local.answer("/token", PAIR)
    assert page.poll()["state"] == "done"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "body", "state", "says"),
    [
        (400, {"error": "access_denied"}, "denied", "declined"),
        (400, {"error": "expired_token"}, "expired", "Begin again"),
        (400, {"error": "invalid_client"}, "failed", "invalid_client"),
        (500, f"<html>{ACCESS}".encode(), "failed", "500"),
        (200, {"access_token": ACCESS}, "failed", "lacks"),
    ],
)
@pytest.mark.parametrize("scripted", [True, False])
def test_what_ends_a_sign_in_is_told_and_stores_nothing(
    local: Issuer, account: Account, status: int, body: Any, state: str, says: str, scripted: bool
) -> None:
    page = Page(account)
    page.press("begin")
    local.answer("/token", body, status)
    if scripted:
        found = page.poll()
        assert found["state"] == state and says in found["says"]
        text = json.dumps(found)
    else:
        SignIn.objects.update(ask_at=timezone.now())
        text = page.press("check").content.decode()
        assert says in text and "Begin again" in text and "WDJB-MJHT" not in text
    assert ACCESS not in text and not stored(account) and not SignIn.objects.exists()
    assert page.poll()["state"] == "gone" and "WDJB-MJHT" not in page.see()


@pytest.mark.django_db
def test_a_code_that_nobody_enters_ends_without_a_question(local: Issuer, account: Account) -> None:
    page = Page(account)
    page.press("begin")
    SignIn.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert "WDJB-MJHT" not in page.see()
    assert page.poll()["state"] == "expired" and asked(local) == 0 and not SignIn.objects.exists()


@pytest.mark.django_db
def test_giving_up_and_beginning_again_leave_nothing_behind(local: Issuer, account: Account) -> None:
    page = Page(account)
    page.press("begin")
    local.answer("/code", {**CODE, "user_code": "SECOND-ONE"})
    page.press("begin")
    assert SignIn.objects.count() == 1 and "SECOND-ONE" in page.see()
    assert page.press("cancel").url == page.back and not SignIn.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{}, {**CODE, "verification_uri": "javascript:alert(1)"}, []])
def test_an_issuer_without_a_code_is_told(local: Issuer, account: Account, body: Any) -> None:
    local.answer("/code", body)
    text = Page(account).press("begin").content.decode()
    assert "gave no code" in text and "javascript:" not in text and not SignIn.objects.exists()


@pytest.mark.django_db
def test_an_account_whose_address_is_incomplete_sends_nobody_to_a_provider(local: Issuer, account: Account) -> None:
    Account.objects.filter(pk=account.pk).update(base_url="https://{region}.q.example/v1")
    text = Page(account).press("begin").content.decode()
    assert "region" in text and not local.requests


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["operator", "auditor", "nobody"])
def test_who_may_not_enter_keys_may_not_sign_in(local: Issuer, account: Account, role: str) -> None:
    Page(account).press("begin")
    page = Page(account, role)
    assert page.browser.get(page.url).status_code == 403
    for do in ("begin", "check", "cancel", ""):
        assert page.press(do).status_code == 403
    assert page.browser.post(page.url, {"do": "check"}, HTTP_ACCEPT="application/json").status_code == 403
    if role != "nobody":
        assert page.url not in page.browser.get(page.back).content.decode()
    assert len(local.requests) == 1 and SignIn.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["outsider", "anonymous"])
def test_strangers_are_sent_to_the_login(local: Issuer, account: Account, role: str) -> None:
    page = Page(account, role)
    for response in (page.browser.get(page.url), page.press("begin")):
        assert response.status_code == 302 and "/login/" in response.url
    assert not local.requests


@pytest.mark.django_db
def test_a_form_of_another_site_begins_nothing(local: Issuer, account: Account) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person("security"))
    assert browser.post(Page(account).url, {"do": "begin"}).status_code == 403 and not local.requests


@pytest.mark.django_db
def test_a_sign_in_is_its_persons_alone_and_is_not_to_be_moved(local: Issuer, account: Account, world: Any) -> None:
    page = Page(account)
    page.press("begin")
    boss = User.objects.create_user("boss", is_staff=True, is_superuser=True, password="!")
    other = Page(account)
    other.browser.force_login(boss)
    assert "WDJB-MJHT" not in other.see() and other.poll()["state"] == "gone"
    SignIn.objects.update(person=boss)  # as who writes the database would
    assert "WDJB-MJHT" not in other.see() and other.poll()["state"] == "gone" and asked(local) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("slug", ["openai", "google-antigravity"])
def test_providers_that_are_not_signed_in_to_so_have_no_such_page(local: Issuer, world: Any, slug: str) -> None:
    account = world.account("other", provider=world.provider(slug, credential="device-code"))
    page = Page(account)
    assert page.browser.get(page.url).status_code == 404 and page.press("begin").status_code == 404
    assert page.url not in page.browser.get(page.back).content.decode()


@pytest.mark.django_db
def test_x06_no_secret_of_a_sign_in_is_in_any_answer_row_or_log(
    local: Issuer, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="django.db.backends")
    sinks, page = Sinks(), Page(account)

    def look() -> None:
        for row in SignIn.objects.values():
            sinks.add("the row", repr({**row, "sealed": None}).encode() + bytes(row["sealed"]))
        sinks.answer("the page", page.browser.get(page.url))
        sinks.add("the session", repr(dict(page.browser.session)))

    sinks.answer("begin", page.press("begin"))
    look()
    for status, body in ((400, {"error": "slow_down", "hint": DEVICE}), (200, PAIR)):
        local.answer("/token", body, status)
        sinks.add("poll", json.dumps(page.poll()))
        look()
    for at in (page.back, reverse("admin:routing_revision_changelist"), reverse("admin:keys_providerkey_changelist")):
        sinks.answer(at, page.browser.get(at))
    sinks.add("revisions", repr(list(Revision.objects.values())))
    sinks.add("log", caplog.text)
    verifier = next(body for _, path, _, body in local.requests if path == "/token").decode().rpartition("=")[2]
    wanted = {needle: text[:2] for text in (DEVICE, ACCESS, REFRESH) for needle in needles(text, WINDOW)}
    wanted |= dict.fromkeys(needles(verifier, WIDE_WINDOW), "verifier")
    hits = sinks.hits(wanted)
    assert stored(account) and not hits, hits
    assert current().primary.encode() in b"".join(sinks.lines)  # the sealed rows were seen


def test_a_signed_in_account_serves_the_next_request(local: Issuer, plane: Any, eventually: Callable[..., Any]) -> None:
    """The snapshot follows by itself, and the token is there without an exchange."""
    provider = plane.world.provider("qwen-portal", credential="device-code")
    account = plane.world.account("qwen", plane.upstream.url, provider=provider, private_network=True)
    plane.world.model("qwen-model", (account, "ok"))
    plane.settle()
    assert plane.ask("qwen-model").json()["error"]["code"] == "provider_key_missing"
    local.answer("/token", PAIR)
    page = Page(account)
    page.press("begin")
    assert page.poll()["state"] == "done"
    plane.settle()
    answer = eventually(lambda: (found := plane.ask("qwen-model")).status_code == 200 and found)
    assert answer.headers["x-jackfield-route"].startswith("qwen/")
    assert plane.upstream.requests[-1].headers["authorization"] == f"Bearer {ACCESS}"


@pytest.mark.django_db
def test_beginning_twice_at_once_is_beginning_once(
    local: Issuer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clicks, of which one overtakes the other between its question and its row."""
    page = Page(account)
    real, inner = sealing.seal, [True]

    def seal(*given: Any) -> Any:
        if inner:
            inner.clear()
            assert page.press("begin").status_code == 302
        return real(*given)

    monkeypatch.setattr(sealing, "seal", seal)
    assert page.press("begin").status_code == 302
    assert SignIn.objects.count() == 1 and "WDJB-MJHT" in page.see()
