"""`manage.py doctor`, the refusals to start and `check --deploy`: each says what is wrong and the way out."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as real
from django.core import checks as system_checks
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from keys import ring
from keys.models import ProviderKey
from keys.vault import enter_key
from project import checks
from project.home import Home
from providers.models import Account, Provider
from providers.secrets import Secret
from routing.loading import load_catalog
from routing.models import PublicModel, Route

CANARY = "sk-doctor-canary-9f8e7d6c5b4a"
GOOD = secrets.token_urlsafe(64)


@pytest.fixture(autouse=True)
def _no_broker_of_the_machine(settings: Any) -> None:
    """A broker named for this run may have a password that everybody knows: not what is looked at here."""
    settings.CELERY_BROKER_URL = ""


@pytest.fixture
def house(tmp_path: Path, settings: Any) -> Home:
    """A home of its own for the test, with a ring; no port of another program."""
    home = Home(tmp_path / "home")
    home.prepare()
    settings.HOME = home
    settings.RING_FILE = home.ring
    settings.PORT, settings.SANDBOX_PORT = 1, 0
    ring.create(home.ring)
    return home


def doctor() -> tuple[dict[str, list[dict[str, str]]], int]:
    """Findings by area, and the exit code."""
    out = StringIO()
    code: Any = 0
    try:
        call_command("doctor", "--json", stdout=out)
    except SystemExit as end:
        code = end.code
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(out.getvalue())["findings"]:
        found.setdefault(finding["area"], []).append(finding)
    return found, code


def only(found: dict[str, list[dict[str, str]]], area: str) -> tuple[str, str, str]:
    (finding,) = found[area]
    return finding["status"], finding["what"], finding["way_out"]


# --- doctor ----------------------------------------------------------------------------------------------


def test_a_sound_installation_ends_with_0_and_every_warning_has_a_way_out(db: None, house: Home) -> None:
    load_catalog()
    found, code = doctor()
    assert code == 0
    assert only(found, "catalog")[0] == only(found, "keys")[0] == only(found, "ring")[0] == "OK"
    for findings in found.values():
        for finding in findings:
            assert (finding["status"] == "OK") == (finding["way_out"] == ""), finding


def test_a_home_that_others_can_enter_fails(db: None, house: Home) -> None:
    house.root.chmod(0o755)
    found, code = doctor()
    assert code == 1
    assert only(found, "home") == ("FAIL", f"others can enter {house.root} (mode 0755)", f"Run: chmod 700 {house.root}")


def test_a_ring_that_others_can_read_or_that_is_missing_fails(db: None, house: Home) -> None:
    house.ring.chmod(0o644)
    ring.forget()
    status, what, _ = only(doctor()[0], "ring")
    assert status == "FAIL" and f"chmod 600 {house.ring}" in what
    house.ring.unlink()
    ring.forget()
    status, what, way_out = only(doctor()[0], "ring")
    assert status == "FAIL" and "there is no ring" in what and "JACKFIELD_RING_FILE" in way_out


def test_keys_that_another_ring_sealed_fail_and_moved_ones_warn(world: Any, house: Home) -> None:
    account = world.account("up", keys=(CANARY,))
    Account.objects.filter(pk=account.pk).update(base_url="https://moved.example/v1")
    found, code = doctor()
    assert code == 0
    assert only(found, "keys")[:2] == ("WARN", "1 key(s) cannot be used (moved): up (1)")
    house.ring.unlink()
    ring.create(house.ring)
    ring.forget()
    found, code = doctor()
    assert code == 1
    assert only(found, "keys")[:2] == ("FAIL", "the ring does not open 1 key(s) of up (1)")


def test_an_account_whose_address_nothing_is_sent_to_warns(world: Any, house: Home) -> None:
    world.account("plain", "http://10.0.0.9/v1", keys=(CANARY,))
    status, what, way_out = only(doctor()[0], "accounts")
    assert status == "WARN" and "private_network" in way_out
    assert (
        what == "plain: nothing is sent to http://10.0.0.9/v1 while the account's private_network is off (HTTPS only)"
    )


def test_models_that_nothing_can_serve_are_named_with_the_reason(db: None, house: Home) -> None:
    load_catalog()
    mine = PublicModel.objects.create(name="mine")
    Route.objects.create(model=mine, account=Account.objects.get(name="openai"), upstream_model="gpt")
    provider = Provider.objects.create(
        slug="tpl", name="tpl", family="openai-completions", base_url="https://{region}.x.example", keyless=True
    )
    yours = PublicModel.objects.create(name="yours")
    Route.objects.create(model=yours, account=Account.objects.create(name="tpl", provider=provider), upstream_model="x")
    off = Account.objects.create(name="off", provider=provider, enabled=False)
    Route.objects.create(model=yours, account=off, upstream_model="y")
    found, _ = doctor()
    assert [finding["what"] for finding in found["routes"]] == [
        "account off is switched off: yours -> off/y",
        "account openai has no key: mine -> openai/gpt",
        "account tpl lacks the variable 'region': yours -> tpl/x",
    ]
    dead, waiting = found["models"]
    assert (dead["status"], dead["what"]) == ("WARN", "nothing can serve mine, yours")
    assert dead["way_out"] == "See: .venv/bin/python manage.py explain mine"
    assert waiting["status"] == "OK", "models as the catalog gave them are no fault of the installation"


def test_a_preferred_model_that_does_not_exist_is_told_with_the_nearest(world: Any, house: Home) -> None:
    world.model("gpt-best", (world.account(keys=("k" * 20,)), "x"))
    world.project("demo", default_model="gtp-best")
    status, what, _ = only(doctor()[0], "projects")
    assert status == "WARN"
    assert what == "project demo prefers 'gtp-best', which is no model; did you mean \"gpt-best\"?"


def test_usage_that_is_not_drained_warns(db: None, house: Home) -> None:
    line = house.journal / "1-1-000001.jsonl"
    line.write_text("{}\n")
    assert only(doctor()[0], "journal")[0] == "OK"
    os.utime(line, (1, 1))
    status, _, way_out = only(doctor()[0], "journal")
    assert (status, "manage.py drain" in way_out) == ("WARN", True)


def test_services_that_do_not_answer_fail_without_their_passwords(db: None, house: Home, settings: Any) -> None:
    settings.REDIS_URL = f"redis://:{CANARY}@127.0.0.1:1/0"
    settings.CELERY_BROKER_URL = f"redis://:{CANARY}@127.0.0.1:1/1"
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)
    text = out.getvalue()
    assert "REDIS_URL" in text and "CELERY_BROKER_URL" in text
    assert CANARY not in text


def test_a_port_that_another_program_has_fails(db: None, house: Home, settings: Any, sandbox_upstream: str) -> None:
    settings.HOST, settings.PORT = "127.0.0.1", int(sandbox_upstream.rsplit(":", 1)[1].split("/", maxsplit=1)[0])
    found, code = doctor()
    assert (only(found, "port")[0], code) == ("FAIL", 1)


def test_a_database_that_does_not_answer_fails_and_the_rest_is_still_looked_at(
    db: None, house: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("no")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", refuse)
        found, code = doctor()
    assert (only(found, "database")[0], code) == ("FAIL", 1)
    assert "home" in found and "static" in found and "keys" not in found


def test_doctor_shows_no_secret(world: Any, house: Home, capfd: Any) -> None:
    account = world.account("up", keys=(CANARY,))
    enter_key(account.key_sets.get(), Secret(CANARY + "2"), source="env:X", position=3)
    Account.objects.filter(pk=account.pk).update(base_url="https://moved.example")
    out = StringIO()
    call_command("doctor", stdout=out)
    text = out.getvalue() + "".join(capfd.readouterr()) + house.ring.name
    document = json.loads(house.ring.read_text())
    for secret in (CANARY, CANARY[-6:], document["root"]["secret"], document["keys"][0]["secret"], real.SECRET_KEY):
        assert secret not in text
    for row in ProviderKey.objects.all():
        assert row.fingerprint not in text


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "   ",
        "changeme",
        "CHANGEME",
        "sk-1234",
        "django-insecure-" + "x7Kp2" * 10,
        "a" * 64,
        "short-But-R4ndom",
        "please-change-me-before-you-deploy-this-somewhere",
        "your-secret-key-goes-here-and-is-long-enough",
    ],
)
def test_a_missing_short_known_or_example_secret_is_refused(secret: str, settings: Any, house: Home) -> None:
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = secret, ["ai.example.org"]
    (problem,) = checks.problems(production=True)
    assert problem.what.startswith("SECRET_KEY ")
    assert "secrets.token_urlsafe(64)" in problem.way_out
    if len(secret) > 7:
        assert secret not in str(problem)


def test_good_production_settings_have_no_problem(settings: Any, house: Home) -> None:
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = GOOD, ["ai.example.org"]
    assert checks.problems(production=True) == []


def test_outside_production_nothing_must_be_set(settings: Any) -> None:
    settings.SECRET_KEY = "changeme"
    assert checks.problems(production=False) == []


def test_each_other_problem_names_its_variable(settings: Any, house: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALLOWED_HOSTS", raising=False)
    settings.SECRET_KEY, settings.DEBUG, settings.ALLOWED_HOSTS = GOOD, True, ["127.0.0.1", "localhost"]
    settings.REDIS_URL = "redis://:changeme@redis:6379/0"
    settings.RING_FILE = house.root / "lost.json"
    said = [problem.what for problem in checks.problems(production=True)]
    for word in ("DEBUG", "ALLOWED_HOSTS", "REDIS_URL", str(settings.RING_FILE)):
        assert sum(word in what for what in said) == 1, word
    settings.ALLOWED_HOSTS = ["*"]
    assert any("allows every host" in problem.what for problem in checks.problems(production=True))


def test_deploy_checks_are_the_refusals_of_production(settings: Any, house: Home) -> None:
    settings.PRODUCTION, settings.SECRET_KEY, settings.ALLOWED_HOSTS = True, "changeme", ["ai.example.org"]
    errors = [
        message
        for message in system_checks.run_checks(tags=["security"], include_deployment_checks=True)
        if str(message.id).startswith("jackfield.")
    ]
    assert [(error.level, error.msg) for error in errors] == [
        (system_checks.ERROR, "SECRET_KEY is a known example value.")
    ]


def test_a_schema_that_lacks_a_migration_is_refused(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.schema_problems() == []
    plan = MigrationExecutor.migration_plan
    last = sorted(MigrationExecutor(connection).loader.disk_migrations)[-1]

    def pending(self: MigrationExecutor, targets: Any, **_: Any) -> Any:
        return [*plan(self, targets), (self.loader.disk_migrations[last], False)]

    monkeypatch.setattr(MigrationExecutor, "migration_plan", pending)
    (problem,) = checks.schema_problems()
    assert ".".join(last) in problem.what
    assert problem.way_out == "Run: .venv/bin/python manage.py migrate"


def test_a_ring_that_did_not_seal_the_stored_keys_is_refused_and_a_moved_key_is_not(world: Any, house: Home) -> None:
    account = world.account("up", keys=(CANARY,))
    Account.objects.filter(pk=account.pk).update(base_url="https://moved.example/v1")
    assert checks.refusals() == []
    house.ring.unlink()
    ring.create(house.ring)
    ring.forget()
    (problem,) = checks.refusals()
    assert "the ring cannot open 1 stored key" in problem.what.lower()
    assert "JACKFIELD_RING_FILE" in problem.way_out


def test_an_unreachable_database_is_no_refusal(house: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise OperationalError("down")

    monkeypatch.setattr(MigrationExecutor, "__init__", down)
    monkeypatch.setattr("keys.vault.ring_problem", down)
    assert checks.refusals() == []


def test_a_refused_start_prints_every_problem_and_ends_with_1() -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as end:
        checks.refuse_to_start([checks.Problem("A is wrong.", "Do B."), checks.Problem("C is wrong.", "Do D.")], out)
    assert end.value.code == 1
    assert out.getvalue().splitlines() == [
        "Jackfield does not start:",
        "  - A is wrong.",
        "    Do B.",
        "  - C is wrong.",
        "    Do D.",
    ]
    checks.refuse_to_start([], out)


@pytest.mark.parametrize(
    ("given", "said"), [({}, "is not set"), ({"SECRET_KEY": "changeme"}, "is a known example value")]
)
def test_the_server_itself_refuses_to_start(given: dict[str, str], said: str, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "JACKFIELD_HOME": str(tmp_path / "home"),
        "JACKFIELD_PRODUCTION": "1",
        "ALLOWED_HOSTS": "ai.example.org",
        "PORT": "18642",
        **given,
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "run"],
        env=environment,
        cwd=real.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"SECRET_KEY {said}." in done.stderr
    assert "token_urlsafe" in done.stderr and "Traceback" not in done.stderr
