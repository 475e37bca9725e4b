"""Whoever writes the database cannot steer the import at a start: no key, and no secret of the process, goes astray."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.db import connection

from keys import vault
from keys.importing import import_keys
from keys.models import KeySet, ProviderKey
from project import boot
from providers.models import Account, Provider
from providers.secrets import Secret
from routing.loading import load_catalog
from routing.revisions import latest
from routing.store import store

pytestmark = pytest.mark.django_db
CANARY = "sk-canary-of-the-environment-0001"
ENVIRON = {"OPENAI_API_KEY": CANARY}
EVIL = "https://evil.example/v1"


@pytest.fixture(autouse=True)
def catalog(db: None) -> None:
    load_catalog()


def sql(text: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        assert cursor.rowcount > 0


def opened() -> list[str]:
    """Every stored key that opens for its account's present address."""
    found = []
    for row in ProviderKey.objects.select_related("key_set__account__provider"):
        assert not vault.check_all(), "a key that does not open would be no proof"
        found.append(vault.open_key(vault.entry(row), vault.bound(row.key_set)).reveal())
    return found


@pytest.mark.parametrize(
    "change",
    [
        ("UPDATE providers_provider SET base_url = %s WHERE slug = 'openai'", EVIL),
        ("UPDATE providers_provider SET families = %s WHERE slug = 'openai'", '{"openai-responses": "' + EVIL + '"}'),
        ("UPDATE providers_account SET base_url = %s WHERE name = 'openai'", EVIL),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_r_sec_04_a_deleted_key_is_not_sealed_for_a_changed_address(change: tuple[str, str], first: bool) -> None:
    if first:
        assert import_keys(ENVIRON).added == ["OPENAI_API_KEY (openai)"]
    sql(*change)
    ProviderKey.objects.all()._raw_delete("default")
    report = import_keys(ENVIRON)
    assert not ProviderKey.objects.exists()
    assert len(report.refused) == 1
    assert report.refused[0].startswith("OPENAI_API_KEY (openai):")
    assert "manage.py import_keys --rebind" in report.refused[0]
    assert not report.names, "it is not sealed, so it stays in the environment for the person at the shell"
    assert CANARY not in repr(report)
    assert import_keys(ENVIRON, rebind=True).added == ["OPENAI_API_KEY (openai)"], "a person at a shell may say so"
    assert opened() == [CANARY]
    assert not import_keys(ENVIRON).refused, "what was said once holds at the next start"


def test_r_sec_04_a_changed_variable_of_the_host_gets_no_key() -> None:
    environ = {"AWS_BEARER_TOKEN_BEDROCK": CANARY, "AWS_REGION": "eu-west-1"}
    import_keys(environ)
    assert ProviderKey.objects.exists()
    ProviderKey.objects.all()._raw_delete("default")
    sql("UPDATE providers_account SET variables = %s", '{"region": "evil"}')
    sql("UPDATE keys_keyset SET variables = %s", '{"region": "evil"}')
    assert import_keys(environ).refused
    assert not ProviderKey.objects.exists()


@pytest.mark.parametrize("name", ["SECRET_KEY", "SMTP_PASSWORD", "ANTHROPIC_API_KEY"])
@pytest.mark.parametrize(
    "change",
    [
        ("UPDATE providers_provider SET env_keys = %s WHERE slug = 'openai'", '["{name}"]'),
        ("UPDATE providers_provider SET env_prefix = %s WHERE slug = 'openai'", "{stem}"),
        ("UPDATE providers_account SET env_pattern = %s WHERE name = 'openai'", "{stem}_*"),
        ("UPDATE keys_keyset SET env_pattern = %s", "{stem}_*"),
    ],
)
def test_r_sec_04_no_row_says_which_variable_is_a_key(change: tuple[str, str], name: str) -> None:
    stem = name.removesuffix("_API_KEY").removesuffix("_KEY")
    sql(change[0], change[1].format(name=name, stem=stem))
    report = import_keys({name: CANARY, f"{stem}_API_KEYS": CANARY})
    for key in ProviderKey.objects.select_related("key_set__account"):
        assert key.key_set.account.name == "anthropic"
    assert not any("SECRET_KEY" in line for line in report.added)


def test_no_row_fills_an_address_from_a_secret_of_the_process() -> None:
    """A variable of a template is stored as it is: it must not be any secret that the environment holds."""
    sql("UPDATE providers_provider SET variables = %s", '[{"name": "region", "env": ["SMTP_PASSWORD", "SECRET_KEY"]}]')
    report = import_keys({"SMTP_PASSWORD": "canary-smtp", "SECRET_KEY": "canary-django", **ENVIRON})
    for row in (*Account.objects.all(), *KeySet.objects.all()):
        assert "canary" not in str(row.variables)
    assert "SMTP_PASSWORD" in "".join(report.refused)
    import_keys({"SECRET_KEY": "canary-django"}, rebind=True)
    for row in (*Account.objects.all(), *KeySet.objects.all()):
        assert "canary" not in str(row.variables), "SECRET_KEY is never a variable of a provider"


def test_a_provider_of_the_operators_own_gets_no_key_by_itself() -> None:
    provider = Provider.objects.create(
        slug="own", name="own", family="openai-completions", base_url=EVIL, env_keys=["OWN_KEY"]
    )
    Account.objects.create(name="own", provider=provider)
    environ = {"OWN_KEY": CANARY, "OWN_API_KEY_1": CANARY + "1", "JACKFIELD_LIVE_OWN_KEY": CANARY + "2"}
    assert len(import_keys(environ).refused) == 3
    assert not ProviderKey.objects.exists()
    assert len(import_keys(environ, rebind=True).added) == 3


def test_a_key_that_a_person_entered_too_is_not_asked_for_again() -> None:
    sql("UPDATE providers_account SET base_url = %s WHERE name = 'openai'", "https://proxy.example/v1")
    vault.enter_key(KeySet.objects.get(account__name="openai"), Secret(CANARY), source="env:OPENAI_API_KEY")
    assert import_keys(ENVIRON).refused == []


def test_f24_a_start_after_the_address_was_changed_sends_the_key_nowhere(
    gateway: Any, world: Any, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Any]
) -> None:
    """The row deleted, the origin changed past Jackfield, a start, a request: the other host sees not one byte."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with socket.create_server(("127.0.0.1", 0)) as capture:
        capture.settimeout(0.3)
        import_keys(ENVIRON)
        ProviderKey.objects.all().delete()
        url = f"http://127.0.0.1:{capture.getsockname()[1]}/v1"
        Account.objects.filter(name="openai").update(base_url=url, private_network=True)
        boot.prepare(0)
        headers = {"authorization": f"Bearer {world.token()}"}
        eventually(lambda: store.current.revision == latest())
        body = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "x"}]}
        answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)
        assert answer.json()["error"]["message"].startswith("API key not configured for provider 'openai'")
        with pytest.raises(TimeoutError):
            capture.accept()
