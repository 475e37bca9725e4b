"""Rotation of the ring: complete, narrow, resumable, and safe to kill at any row (R-SEC-06)."""

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, models

from keys import ring as rings
from keys import rotation, sealing, vault
from keys.models import ProviderKey
from keys.ring import State
from providers.config import ConfigRow
from providers.secrets import Secret

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def ring(tmp_path, settings):
    settings.RING_FILE = tmp_path / "ring.json"
    rings.create(settings.RING_FILE)
    yield settings.RING_FILE
    rings.forget()


@pytest.fixture
def keys(db, ring, world):
    key_set = world.keys(world.account(), *(f"sk-rotation-canary-{number:04}" for number in range(7)))
    return list(key_set.keys.order_by("position"))


def run(*args):
    out, err = io.StringIO(), io.StringIO()
    call_command("rotate_ring", *args, stdout=out, stderr=err)
    return out.getvalue()


def columns_of(model):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {model._meta.db_table} ORDER BY 1")
        names = [column[0] for column in cursor.description]
        return [
            {name: bytes(v) if isinstance(v, memoryview) else v for name, v in zip(names, row, strict=True)}
            for row in cursor.fetchall()
        ]


def test_every_secret_column_of_every_installed_model_is_covered():
    """A new binary column fails this test until someone says how it is rotated (LiteLLM #17952)."""
    installed = {
        (model._meta.label, field.name)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, models.BinaryField)
    }
    assert installed == set(rotation.SEALED_COLUMNS) | rotation.MAC_COLUMNS
    declared = {
        (model._meta.label, name)
        for model in apps.get_models()
        if issubclass(model, ConfigRow)
        for name in model.secret_fields
    }
    configured = {(label, name) for label, name in installed if issubclass(apps.get_model(label), ConfigRow)}
    assert declared == configured, "and every one of them that is configuration is hidden in diffs"


def test_rotation_rewraps_every_row_and_touches_no_other_column(keys):
    before = columns_of(ProviderKey)
    old = rings.current().primary
    output = run()
    after = columns_of(ProviderKey)
    assert "re-wrapped 7, 0 were already" in output
    for was, now in zip(before, after, strict=True):
        assert {**was, "sealed": None} == {**now, "sealed": None}, "other columns are byte-identical (LiteLLM #38878)"
        assert sealing.key_id_of(was["sealed"]) == old
        assert sealing.key_id_of(now["sealed"]) == rings.current().primary != old
    assert vault.check_all() == []


def test_keys_sealed_before_still_open_while_rotation_runs(keys):
    entries = [vault.entry(row) for row in keys]
    bound_to = vault.bound(keys[0].key_set)
    run()
    opened = [vault.open_key(entry, bound_to).reveal() for entry in entries]
    assert opened == [f"sk-rotation-canary-{number:04}" for number in range(7)], "a snapshot from before serves on"


def test_disabling_the_old_key_is_refused_while_a_row_needs_it(keys):
    run("--add")
    run("--promote")
    with pytest.raises(CommandError, match=r"7 sealed row\(s\) still need"):
        run("--disable-old")
    run("--rewrap")
    assert "disabled  0 row(s)" in run("--disable-old")
    assert vault.check_all() == []
    assert sorted(rings.current().states.values()) == [State.DISABLED, State.PRIMARY]


def test_a_rotation_cut_short_is_gone_on_with(keys, settings):
    rings.change(settings.RING_FILE, lambda ring: (rotation.add(ring), rotation.promote(ring)))
    rings.change(settings.RING_FILE, lambda ring: None)
    primary = rings.current().primary
    first = ProviderKey.objects.order_by("pk").first()
    first.sealed = sealing.rewrap(bytes(first.sealed))
    first.save(update_fields=["sealed"])
    output = run()
    assert "going on" in output
    assert "re-wrapped 6, 1 were already" in output
    assert rings.current().primary == primary


def test_a_row_that_does_not_open_is_named_and_left(keys):
    broken = keys[3]
    content = b"\x01\x01\x02zz" + bytes(100)
    models.QuerySet.update(ProviderKey.objects.filter(pk=broken.pk), sealed=content)
    with pytest.raises(CommandError, match=r"1 row\(s\) cannot be opened"):
        run()
    broken.refresh_from_db()
    assert bytes(broken.sealed) == content
    assert [failure.key_id for failure in vault.check_all()] == [str(broken.pk)]


def test_a_key_replaced_meanwhile_is_not_written_over(keys, monkeypatch):
    """The batch reads rows under its lock, so a value that changed before it is what gets re-wrapped."""
    vault.replace_key(keys[2], Secret("sk-replaced-while-rotating"))
    run("--add")
    run("--promote")
    run("--rewrap")
    row = ProviderKey.objects.get(pk=keys[2].pk)
    assert vault.open_key(vault.entry(row), vault.bound(row.key_set)).reveal() == "sk-replaced-while-rotating"


def test_one_revision_a_batch(keys):
    from routing.models import Revision

    before = Revision.objects.count()
    run("--batch", "3")
    made = list(Revision.objects.order_by("number")[before:])
    assert [revision.note for revision in made] == ["ring rotation"] * 3
    assert [len(revision.changes) for revision in made] == [3, 3, 1]
    shown = {name for revision in made for change in revision.changes for name in change["fields"]}
    assert shown == {"sealed"}
    assert "sk-rotation" not in repr([revision.changes for revision in made])
    run("--rewrap")
    assert Revision.objects.count() == before + 3, "a pass that changes nothing makes no revision"


KILLED_AND_CHECKED = """
import os, signal, sys
from io import StringIO
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from keys import ring, rotation, sealing, vault
from keys.models import KeySet, ProviderKey
from providers.models import Account, Provider
from providers.secrets import Secret

def prepare():
    settings.HOME.prepare()
    call_command("migrate", verbosity=0)
    ring.create(settings.RING_FILE)
    provider = Provider.objects.create(
        slug="up", name="up", family="openai-completions", base_url="https://up.example/v1"
    )
    key_set = KeySet.objects.create(account=Account.objects.create(name="up", provider=provider))
    for number in range(7):
        vault.enter_key(key_set, Secret(f"sk-killed-canary-{number:04}"))

def rotate(count):
    real = sealing.rewrap
    def rewrap(*args):
        nonlocal count
        count -= 1
        if count < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)
    sealing.rewrap = rewrap
    call_command("rotate_ring", "--batch", "2", verbosity=0, stdout=StringIO())

def check():
    rows = ProviderKey.objects.order_by("position")
    opened = [vault.open_key(vault.entry(row), vault.bound(row.key_set)).reveal() for row in rows]
    assert opened == [f"sk-killed-canary-{number:04}" for number in range(7)], opened
    print("wrapped", rotation.in_use()[ring.current().primary])

def apart(work, *given):
    # In a process of its own, which loads no ring and opens no database that another one had.
    child = os.fork()
    if child == 0:
        work(*given)
        connections.close_all()
        sys.stdout.flush()
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)

apart(prepare)
for row in (0, 3, 5, 1000):
    apart(rotate, row)
    apart(check)
"""


@pytest.mark.slow
def test_kill_9_at_any_row_leaves_every_row_decryptable(tmp_path):
    """Each time the pass is killed there, what it committed stays."""
    environ = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "VIRTUAL_ENV")},
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "JACKFIELD_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AND_CHECKED],
        check=False,
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    killed = f"ended {-signal.SIGKILL}"
    steps = [(killed, 0), (killed, 2), (killed, 4), ("ended 0", 7)]
    assert done.stdout.splitlines() == [
        "ended 0",
        *(line for end, wrapped in steps for line in (end, f"wrapped {wrapped}", "ended 0")),
    ], done.stderr


@pytest.mark.django_db(transaction=True)
def test_rotation_beside_live_traffic_loses_no_key_and_no_replacement(ring, world):
    """Keys are opened and replaced all the while; at the end each row holds what was entered last."""
    key_set = world.keys(world.account(), *(f"sk-online-canary-{number:03}" for number in range(30)))
    bound_to = vault.bound(key_set)
    rows = list(key_set.keys.order_by("position"))
    entered = {row.pk: f"sk-online-canary-{number:03}" for number, row in enumerate(rows)}
    failures, stop = [], threading.Event()

    def traffic():
        turn = 0
        try:
            while not stop.is_set():
                row = rows[turn % len(rows)]
                if turn % 5 == 0:
                    vault.replace_key(ProviderKey.objects.get(pk=row.pk), Secret(f"sk-replaced-{turn:06}"))
                    entered[row.pk] = f"sk-replaced-{turn:06}"
                stored = ProviderKey.objects.get(pk=row.pk)
                if vault.open_key(vault.entry(stored), bound_to).reveal() != entered[row.pk]:
                    failures.append(f"row {turn}: another key")
                turn += 1
        except (sealing.Unsealable, DatabaseError) as error:
            failures.append(repr(error))
        finally:
            connection.close()

    thread = threading.Thread(target=traffic)
    thread.start()
    for _ in range(3):
        run("--batch", "4")
    stop.set()
    thread.join()
    assert failures == []
    opened = {row.pk: vault.open_key(vault.entry(row), bound_to).reveal() for row in ProviderKey.objects.all()}
    assert opened == entered
