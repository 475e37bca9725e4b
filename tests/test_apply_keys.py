"""The keys of a configuration document: read from the places it names, sealed, never printed (R-SEC-04, R-SEC-07)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keys.models import KeySet, ProviderKey
from keys.vault import check_all, enter_key, origin
from providers.models import Account
from providers.secrets import Secret
from routing.applying import apply
from routing.models import Route
from tests.test_apply import EXAMPLE, SECRET, environment, opened, refused  # noqa: F401 - the fixture is used by name

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("key", [SECRET, "env:", "env:A-B", "ENV:REPLAY_KEY", "file:", "", "replay"])
def test_a_key_is_never_taken_literally_and_never_repeated(key: str) -> None:
    text = EXAMPLE.replace('"env:REPLAY_KEY"', f'"{key}"')
    problems = refused(text)
    assert problems == [
        '[[account]] 1 "replay", keys 1: keys are given only as "env:NAME" or "file:PATH", never as the key itself.'
    ]


def test_a_missing_variable_or_file_is_named(tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    text = EXAMPLE.replace('["env:REPLAY_KEY"]', f'["env:NOT_THERE", "file:{lost}"]')
    assert refused(text) == [
        '[[account]] 1 "replay": key env:NOT_THERE: the environment variable NOT_THERE is not set.',
        f'[[account]] 1 "replay": key file:{lost}: the file {lost} cannot be read (No such file or directory).',
    ]


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_KEY", "two\nlines-of-a-key")
    (problem,) = refused(EXAMPLE)
    assert "env:REPLAY_KEY" in problem and "lines-of" not in problem


def test_keys_from_files_are_read_and_their_order_is_the_documents(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("file-key-0123456789\n")
    source = f"file:{path}"
    apply(EXAMPLE.replace('["env:REPLAY_KEY"]', f'["{source}", "env:REPLAY_KEY"]'))
    rows = list(ProviderKey.objects.order_by("position"))
    assert [(row.source, opened(row)) for row in rows] == [
        (source, "file-key-0123456789"),
        ("env:REPLAY_KEY", SECRET),
    ]
    turned = EXAMPLE.replace('["env:REPLAY_KEY"]', f'["env:REPLAY_KEY", {{ source = "{source}", enabled = false }}]')
    apply(turned)
    again = list(ProviderKey.objects.order_by("position"))
    assert [(row.pk, row.enabled) for row in again] == [(rows[1].pk, True), (rows[0].pk, False)]
    assert apply(turned).revision == 0


def test_another_value_at_the_same_place_replaces_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    apply(EXAMPLE)
    before = ProviderKey.objects.get()
    monkeypatch.setenv("REPLAY_KEY", "sk-another-0123456789")
    shown = '~ keys "env:REPLAY_KEY" of "replay": another value'
    dry = apply(EXAMPLE, dry_run=True)
    assert (dry.diff, dry.revision, opened(ProviderKey.objects.get())) == ([shown], 0, SECRET)
    outcome = apply(EXAMPLE)
    assert outcome.revision and outcome.diff == [shown]
    assert (apply(EXAMPLE).diff, apply(EXAMPLE).revision) == ([], 0)
    after = ProviderKey.objects.get()
    assert (after.pk, opened(after)) == (before.pk, "sk-another-0123456789")


def test_a_stored_key_stays_where_its_place_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    apply(EXAMPLE)
    monkeypatch.delenv("REPLAY_KEY")
    outcome = apply(EXAMPLE)
    assert outcome.revision == 0
    assert "the environment variable REPLAY_KEY is not set; the stored key" in outcome.notes[0]
    assert opened(ProviderKey.objects.get()) == SECRET


def test_keys_no_longer_named_go_and_those_of_people_and_imports_stay() -> None:
    apply(EXAMPLE)
    key_set = KeySet.objects.get()
    enter_key(key_set, Secret("entered-0123456789"))
    enter_key(key_set, Secret("imported-0123456789"), source="import:X", position=1000)
    apply('[[account]]\nname = "replay"\nkeys = []\n')
    assert sorted(ProviderKey.objects.values_list("source", flat=True)) == ["entered", "import:X"]


def test_a_key_follows_the_address_that_its_own_document_gives() -> None:
    apply(EXAMPLE)
    apply(EXAMPLE.replace("9100", "9200"))
    assert check_all() == []
    assert origin(KeySet.objects.get()) == "http://127.0.0.1:9200"


def test_a_key_does_not_follow_an_address_that_somebody_else_changed() -> None:
    """R-SEC-04: whoever may change an address but enter no key is not handed one by the next application."""
    apply(EXAMPLE)
    Account.objects.filter(name="replay").update(base_url="https://elsewhere.example/v1")
    outcome = apply(EXAMPLE)
    assert [failure.reason for failure in check_all()] == ["moved"]
    assert "--rebind" in outcome.notes[0]
    outcome = apply(EXAMPLE, rebind=True)
    assert outcome.revision
    assert outcome.diff[-1] == '~ keys "env:REPLAY_KEY" of "replay": sealed for the present address'
    assert check_all() == []


def test_keys_that_a_document_makes_unusable_are_told(world: Any) -> None:
    world.account("up", keys=("entered-0123456789",))
    outcome = apply('[[account]]\nname = "up"\nbase_url = "https://other.example/v1"\n')
    assert outcome.notes == ['account "up": its origin changed, so 1 stored key(s) must be entered again.']


def test_a_projects_own_key_set_and_the_route_that_uses_it(world: Any) -> None:
    world.account("up")
    apply(
        """
        [[project]]
        name = "p"
        [[key_set]]
        account = "up"
        project = "p"
        name = "own"
        variables = { region = "eu" }
        keys = ["env:REPLAY_KEY"]
        [[model]]
        name = "m"
        routes = [{ account = "up", model = "x", key_set = { name = "own", project = "p" } }]
        """
    )
    key_set = KeySet.objects.get(name="own")
    assert (key_set.project.name, key_set.variables) == ("p", {"region": "eu"})
    assert Route.objects.get().key_set == key_set
    assert opened(key_set.keys.get()) == SECRET
