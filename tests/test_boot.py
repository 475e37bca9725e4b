"""The steps of a start, and the supervisor with children of its own making."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, connections

from api.protocol import GuardedProtocol
from installation import ROOT
from keys.importing import ImportReport
from keys.models import ApiToken, KeySet, Project, ProviderKey
from project import boot
from providers.models import Account
from providers.sandbox import KEYS
from routing.loading import load_catalog
from routing.models import Revision

pytestmark = pytest.mark.django_db


@pytest.fixture
def catalog() -> None:
    load_catalog()


def test_first_start_happens_once(catalog: None) -> None:
    welcome = boot.first_start()
    assert welcome is not None
    user = get_user_model().objects.get()
    assert (user.get_username(), user.is_superuser) == (welcome.operator, False)
    assert user.check_password(welcome.password)
    demo = Project.objects.get(name="demo")
    assert (demo.preference.allow, demo.preference.default_model) == (["*"], "echo")
    assert ApiToken.objects.get().project == demo
    text = welcome.text("http://127.0.0.1:8000")
    assert all(shown in text for shown in (welcome.operator, welcome.password, welcome.token, "/admin/"))
    assert boot.first_start() is None
    assert ApiToken.objects.count() == 1


def test_sandbox_gets_its_port_and_sealed_keys(catalog: None) -> None:
    boot.point_sandbox_at(8123)
    account = Account.objects.get(name="sandbox")
    assert account.variables["port"] == "8123"
    rows = list(ProviderKey.objects.filter(key_set__account=account))
    assert [row.last_four for row in rows] == [key[-4:] for key in KEYS]
    assert not any(key.encode() in bytes(row.sealed) for key in KEYS for row in rows)
    before = Revision.objects.count()
    boot.point_sandbox_at(8123)
    assert Revision.objects.count() == before, "a start that changes nothing writes nothing"
    boot.point_sandbox_at(8124)
    assert boot._opens(KeySet.objects.get(account=account)), "the keys are sealed for the new address"


def test_an_operators_sandbox_is_left_alone(catalog: None) -> None:
    account = Account.objects.get(name="sandbox")
    account.base_url = "https://sandbox.example/v1"
    account.save()
    boot.point_sandbox_at(8123)
    account.refresh_from_db()
    assert (account.base_url, account.variables.get("port")) == ("https://sandbox.example/v1", None)
    account.routes.all().delete()
    account.delete()
    boot.point_sandbox_at(8123)
    assert not Account.objects.filter(name="sandbox").exists()


def test_unchanged_catalog_is_not_loaded_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loads = []
    monkeypatch.setattr(boot, "load_catalog", wraps(load_catalog)(lambda: loads.append(load_catalog())))
    (settings.HOME.root / "catalog.loaded").unlink(missing_ok=True)
    boot.load_changed_catalog()
    boot.load_changed_catalog()
    assert len(loads) == 1
    (settings.HOME.root / "catalog.loaded").write_text("another release's")
    boot.load_changed_catalog()
    assert len(loads) == 2
    (settings.HOME.root / "catalog.loaded").unlink()


@pytest.mark.parametrize(
    "module", ["routing.wanted", "routing.loading", "providers.catalog", "providers.catalog.forms"]
)
def test_a_release_that_reads_the_catalog_otherwise_loads_it_again(module: str, monkeypatch: Any) -> None:
    before = boot.catalog_digest()
    changed, read = Path(str(import_module(module).__file__)), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * (path == changed))
    assert boot.catalog_digest() != before


def test_machines_prepare_one_database_one_after_the_other(monkeypatch: Any) -> None:
    """From the schema to the first operator: two that both find nothing there would both make it."""
    steps: list[str] = []

    @contextmanager
    def alone() -> Iterator[None]:
        steps.append("locked")
        yield
        steps.append("unlocked")

    monkeypatch.setattr(boot, "alone", alone)
    monkeypatch.setattr(boot.importing, "import_keys", lambda environ: steps.append("keys") or ImportReport())
    for name in ("migrate", "load_changed_catalog", "point_sandbox_at", "first_start"):
        monkeypatch.setattr(boot, name, lambda *given, name=name: steps.append(name))
    boot.prepare(8123)
    wanted = ["locked", "migrate", "load_changed_catalog", "keys", "point_sandbox_at", "first_start", "unlocked"]
    assert steps == wanted


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one machine")
def test_the_lock_of_a_start_is_the_databases() -> None:
    other = connections.create_connection("default")
    try:
        with boot.alone(), other.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [boot._START_LOCK])
            assert cursor.fetchone() == (False,)
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [boot._START_LOCK])
            assert cursor.fetchone() == (True,)
    finally:
        other.close()


def test_the_protocol_has_the_header_deadline_of_the_settings(monkeypatch: Any, settings: Any) -> None:
    class Server:
        started = True

        def __init__(self, config: Any) -> None:
            self.config = config

        def run(self, sockets: list[Any]) -> None:
            seen.append(self.config.http.header_deadline)

    seen: list[float] = []
    monkeypatch.setattr(GuardedProtocol, "header_deadline", 10.0)  # so that it is what it was afterwards
    monkeypatch.setattr(boot.uvicorn, "Server", Server)
    settings.HEADER_DEADLINE = 3.5
    with socket.socket() as listener:
        boot.gateway(listener)
    assert seen == [3.5]


def test_every_setting_of_ours_is_read() -> None:
    """A setting that nobody reads is a promise that nobody keeps."""
    ours = re.findall(r'(?m)^([A-Z_]+)(?:: [^=]+)? = .*"JACKFIELD_\w+"', (ROOT / "project" / "settings.py").read_text())
    assert {"HEADER_DEADLINE", "MAX_BODY", "KEY_COOLDOWN", "HOME"} <= set(ours)
    rooms = ("providers", "keys", "routing", "api", "project")
    texts = [path.read_text() for room in rooms for path in (ROOT / room).rglob("*.py") if path.name != "settings.py"]
    for name in ours:
        assert any(re.search(rf"\bsettings\.{name}\b", text) for text in texts), name


def test_no_core_dumps_and_private_files(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        boot.harden()
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        (tmp_path / "file").touch()
        assert (tmp_path / "file").stat().st_mode & 0o077 == 0
    finally:
        os.umask(mask)


SUPERVISED = """
import logging, os, signal, sys, time
from project.supervisor import Child, Supervisor
logging.basicConfig(format="%(message)s")
folder = sys.argv[1]

def note(name, text):
    with open(os.path.join(folder, "order"), "a") as file:
        file.write(f"{name} {text}\\n")

def worker(name):
    def target():
        note(name, "began")
        try:
            while True:
                time.sleep(0.05)
        finally:
            note(name, "ended")
    return target

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("stubborn", "began")
    time.sleep(60)

family = [Child("late", worker("late"), phase=1), Child("early", worker("early"), phase=0)]
if "stubborn" in sys.argv:
    family.append(Child("stubborn", stubborn, phase=0, grace=0.5))
if "dying" in sys.argv:
    family.append(Child("dying", lambda: sys.exit(7)))
raise SystemExit(Supervisor(family).run())
"""


def supervised(folder: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISED, str(folder), *more], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    order = folder / "order"
    while not order.exists() or order.read_text().count("began") < 2 + ("stubborn" in more):
        assert time.monotonic() < end
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_children_stop_phase_by_phase(tmp_path: Path, number: int) -> None:
    process = supervised(tmp_path)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None, "a lost terminal ends nothing"
    process.send_signal(number)
    assert process.wait(30) == 0
    assert (tmp_path / "order").read_text().splitlines()[-2:] == ["early ended", "late ended"]
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_who_does_not_stop_is_ended(tmp_path: Path) -> None:
    process = supervised(tmp_path, "stubborn")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 1
    assert process.stderr is not None
    assert process.stderr.read() == "the stubborn did not stop in time and was ended\n"


def test_restarts_take_longer_each_time(tmp_path: Path) -> None:
    process = supervised(tmp_path, "dying")
    assert process.stderr is not None
    assert process.stderr.readline() == "the dying ended (exit code 7); it starts again in 0.5 s\n"
    assert process.stderr.readline() == "the dying ended (exit code 7); it starts again in 1.0 s\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert process.stderr.read() in ("", "the dying ended (exit code 7); it starts again in 2.0 s\n")
