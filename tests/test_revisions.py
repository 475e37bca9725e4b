"""Every write of configuration makes a numbered revision with author and diff, in its own transaction."""

import threading

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection, transaction

from keys.models import ApiToken, KeySet, Project, ProviderKey
from keys.tokens import issue
from providers.config import ConfigRow
from providers.models import Account, Provider
from routing.models import Alias, Preference, PublicModel, Revision, Route
from routing.revisions import current_author, latest, publish, recording

pytestmark = pytest.mark.django_db


def newest() -> Revision:
    return Revision.objects.get(number=latest())


def changes() -> list[tuple[str, str, str, dict]]:
    return [(c["table"], c["name"], c["action"], c["fields"]) for c in newest().changes]


def test_a_save_is_one_revision_with_its_diff():
    before = latest()
    model = PublicModel.objects.create(name="gpt-best", description="one")
    assert latest() == before + 1
    table, name, action, fields = changes()[0]
    assert (table, name, action) == ("routing.publicmodel", "gpt-best", "add")
    assert fields["name"] == [None, "gpt-best"]
    model.description = "two"
    model.save()
    assert latest() == before + 2
    assert changes() == [("routing.publicmodel", "gpt-best", "change", {"description": ["one", "two"]})]


def test_a_save_that_changes_nothing_makes_no_revision():
    model = PublicModel.objects.create(name="same")
    before = latest()
    model.save()
    assert latest() == before


def test_bookkeeping_alone_makes_no_revision(world):
    account = world.account(keys=("sk-canary-000000000000",))
    key = ProviderKey.objects.get(key_set__account=account)
    model = PublicModel.objects.create(name="kept")
    before = latest()
    model.catalog = {"name": "kept"}
    model.save()
    ProviderKey.objects.filter(pk=key.pk).touch(last_used_at="2026-01-01T00:00:00Z")
    assert latest() == before
    with pytest.raises(ValueError, match="enabled"):
        ProviderKey.objects.touch(enabled=False)


def test_foreign_keys_are_shown_by_name(world):
    first, second = world.account("one"), world.account("two")
    world.model("m", (first, "gpt"))
    route = Route.objects.get()
    route.account = second
    route.save()
    assert changes() == [("routing.route", "m -> two / gpt", "change", {"account": ["one", "two"]})]


def test_a_secret_is_never_in_a_revision(world):
    secret = "sk-canary-7f3a9b1c5d7e9f1a3b5c"
    account = world.account(keys=(secret,))
    _, token = issue(world.project())
    assert ProviderKey.objects.count() == 1
    shown = str([(r.changes, r.note) for r in Revision.objects.all()])
    assert secret not in shown and token not in shown and token[4:20] not in shown
    entry = next(
        c
        for r in Revision.objects.all()
        for c in r.changes
        if c["table"] == "keys.providerkey" and c["action"] == "add"
    )
    assert entry["fields"]["sealed"] == [None, "changed"]
    row = ProviderKey.objects.get(key_set__account=account)
    row.sealed = b"other"
    row.save(update_fields=["sealed"])
    assert changes()[0][3] == {"sealed": ["changed", "changed"]}


def test_writes_in_one_recording_are_one_revision_by_one_author():
    before = latest()
    user = User.objects.create_user("eva")
    with recording(user, note="autumn") as change:
        model = PublicModel.objects.create(name="a")
        Alias.objects.create(name="b", model=model)
        model.description = "x"
        model.save()
        assert change.number == 0
    assert latest() == before + 1 == change.number
    revision = newest()
    assert (revision.author, revision.author_name, revision.note) == (user, "eva", "autumn")
    assert [(t, a) for t, _, a, _ in changes()] == [("routing.publicmodel", "add"), ("routing.alias", "add")]
    assert changes()[0][3]["description"] == [None, "x"]


def test_the_author_is_the_argument_then_the_context_then_system():
    PublicModel.objects.create(name="a")
    assert newest().author_name == "system"
    token = current_author.set("eva")
    try:
        PublicModel.objects.create(name="b")
        assert newest().author_name == "eva"
        with recording("cli"):
            PublicModel.objects.create(name="c")
        assert newest().author_name == "cli"
    finally:
        current_author.reset(token)


def test_a_row_added_and_deleted_in_one_recording_leaves_no_trace():
    before = latest()
    with recording("x"):
        PublicModel.objects.create(name="gone").delete()
    assert latest() == before


def test_a_change_taken_back_in_one_recording_leaves_no_trace():
    model = PublicModel.objects.create(name="m", description="one")
    before = latest()
    with recording("x"):
        model.description = "two"
        model.save()
        model.description = "one"
        model.save()
    assert latest() == before


def test_what_fails_is_in_no_revision():
    before = latest()
    with pytest.raises(RuntimeError), recording("x"):
        PublicModel.objects.create(name="never")
        raise RuntimeError
    assert latest() == before and not PublicModel.objects.exists()
    with recording("x"):
        PublicModel.objects.create(name="kept")
        with pytest.raises(RuntimeError), recording("x"):
            PublicModel.objects.create(name="never")
            raise RuntimeError
    assert [name for _, name, _, _ in changes()] == ["kept"]


def test_deleting_records_what_hangs_on_the_row(world):
    account = world.account()
    model = world.model("m", (account, "gpt"))
    Alias.objects.create(name="other", model=model)
    before = latest()
    model.delete()
    assert latest() == before + 1
    assert {(t, n, a) for t, n, a, _ in changes()} == {
        ("routing.publicmodel", "m", "delete"),
        ("routing.route", "m -> up / gpt", "delete"),
        ("routing.alias", "other -> m", "delete"),
    }
    assert changes()[-1][3] or changes()[0][3]


def test_deleting_a_project_records_its_tokens_and_preferences(world):
    project = world.project("p")
    issue(project)
    project.delete()
    assert {t for t, _, _, _ in changes()} == {"keys.project", "keys.apitoken", "routing.preference"}


def test_bulk_writes_are_seen_and_are_one_revision():
    before = latest()
    PublicModel.objects.bulk_create([PublicModel(name="a"), PublicModel(name="b")])
    assert latest() == before + 1 and len(changes()) == 2
    PublicModel.objects.update(enabled=False)
    assert latest() == before + 2
    assert all(fields == {"enabled": [True, False]} for _, _, _, fields in changes())
    PublicModel.objects.all().delete()
    assert latest() == before + 3 and len(changes()) == 2


def test_a_save_and_its_revision_are_one_transaction(monkeypatch):
    """If the revision cannot be written, neither is the row."""
    model = PublicModel.objects.create(name="m")
    before = latest()
    monkeypatch.setattr("routing.revisions._write", lambda *_: (_ for _ in ()).throw(RuntimeError))
    model.description = "unseen"
    with pytest.raises(RuntimeError):
        model.save()
    model.refresh_from_db()
    assert model.description == "" and latest() == before


def test_publish_makes_a_revision_without_changes():
    before = latest()
    assert publish("eva") == before + 1
    assert newest().changes == [] and newest().author_name == "eva"


CONFIG_ROWS = [model for model in apps.get_models() if issubclass(model, ConfigRow)]


@pytest.mark.parametrize("model", CONFIG_ROWS, ids=lambda model: model._meta.label_lower)
def test_every_configuration_table_is_heard(model, world):
    """Table test: no ConfigRow can be changed unseen."""
    account = world.account(keys=("sk-canary-111111111111",))
    owner = world.model("m", (account, "gpt"))
    issue(world.project())
    Alias.objects.create(name="other", model=owner)
    provider = world.provider()
    made = {
        "providers.catalogmodel": lambda: model.objects.create(provider=provider, model="x"),
        "routing.prefixrule": lambda: model.objects.create(provider=provider, prefix="x-"),
    }
    row = made.get(model._meta.label_lower, model.objects.first)()
    assert row is not None, f"this test makes no row of {model._meta.label}: teach it"
    before = latest()
    row.delete() if model not in (Provider, Account, KeySet, Project) else _rename(row)
    assert latest() == before + 1
    assert model._meta.label_lower in {t for t, _, _, _ in changes()}


def _rename(row: ConfigRow) -> None:
    row.name = "renamed"
    row.save(update_fields=["name"])


@pytest.mark.django_db(transaction=True)
def test_numbers_have_no_gap_and_no_double_when_several_write():
    """Writers in parallel: the lock on the head row puts the revisions into one order."""
    before = latest()
    failures = []

    def write(start: int) -> None:
        try:
            for n in range(8):
                PublicModel.objects.create(name=f"w{start}-{n}")
        except Exception as error:  # noqa: BLE001 - reported by the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    numbers = sorted(Revision.objects.filter(number__gt=before).values_list("number", flat=True))
    assert numbers == list(range(before + 1, before + 25)) and latest() == before + 24


def test_inside_an_outer_transaction_a_rollback_takes_the_revision_too():
    before = latest()
    with pytest.raises(RuntimeError), transaction.atomic():
        PublicModel.objects.create(name="never")
        raise RuntimeError
    assert latest() == before and Preference.objects.count() == ApiToken.objects.count() == 0
