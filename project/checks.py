"""What must be true before Jackfield may start, and Django's system checks of the same.

`problems` looks at settings only; `refusals` also at the schema and at the ring. Each finding names the variable or the
file and the way out, never a secret's value. A database that is merely down is no reason not to start: the gateway then
serves from its sealed snapshot.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor

from keys import ring as rings
from keys import vault
from keys.ring import BadRing

#: Fewest characters, and fewest different ones, of a secret that signs sessions.
SECRET_LENGTH: Final = 32
SECRET_VARIETY: Final = 10

#: Values that stand in manuals, templates and other people's repositories, compared in lower case.
_KNOWN = """
    secret secretkey secret-key secret_key mysecret mysecretkey my-secret-key your-secret-key your_secret_key
    yoursecretkey your-secret-key-here your-secret-here supersecret super-secret super-secret-key supersecretkey
    change-me changeme change_me changeit change-this changethis change-this-secret please-change-me pleasechangeme
    replace-me replaceme replace_me insecure insecure-secret-key not-secret notsecret not-a-secret example
    example-secret example-secret-key test test-secret test-secret-key testing testsecret dev dev-secret
    dev-secret-key development default default-secret default-secret-key django django-secret-key password passw0rd
    password1 password123 p@ssw0rd admin admin123 root toor letmein qwerty 123456 12345678 123456789 1234567890
    postgres postgresql redis guest jackfield jackfield-secret jackfield-secret-key sk-1234 sk-12345 sk-123456 sk-test
    foobar foo bar hello helloworld xxx xxxx todo none null undefined
    """
KNOWN_SECRETS: Final = frozenset(_KNOWN.split())
#: A stem that says of itself that it is no secret, wherever it stands in the value.
TELLTALE: Final = re.compile(
    r"django-insecure-|change[-_ ]?me|change[-_ ]?this|replace[-_ ]?me|your[-_ ]?(?:django[-_ ]?)?secret|"
    r"example[-_ ]?secret|insert[-_ ]?(?:your|a)[-_ ]|secret[-_ ]?key[-_ ]?here|not[-_ ]?(?:a[-_ ]?)?secret",
    re.IGNORECASE,
)
LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]", "::1", "0.0.0.0", "::", ""})  # noqa: S104 - compared
NEW_SECRET: Final = 'python -c "import secrets; print(secrets.token_urlsafe(64))"'  # noqa: S105 - a command, no secret


@dataclass(frozen=True)
class Problem:
    """Something that keeps Jackfield from starting: what is wrong, and what to do about it. Never a secret's value."""

    what: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.what}\n    {self.way_out}"


def weakness(secret: str) -> str:
    """Why `secret` is none, as the end of a sentence; empty if nothing is to be said against it."""
    plain = secret.strip()
    if not plain:
        return "is not set"
    if plain.lower() in KNOWN_SECRETS or TELLTALE.search(plain):
        return "is a known example value"
    if len(plain) < SECRET_LENGTH:
        return f"is too short ({len(plain)} characters; at least {SECRET_LENGTH} are needed)"
    if len(set(plain)) < SECRET_VARIETY:
        return f"is not random (fewer than {SECRET_VARIETY} different characters)"
    return ""


def problems(production: bool) -> list[Problem]:
    """What is wrong with the settings. Outside production everything has a safe generated value, so nothing is."""
    if not production:
        return []
    found: list[Problem] = []
    if weak := weakness(_secret_key()):
        found.append(Problem(f"SECRET_KEY {weak}.", f"Set SECRET_KEY to the output of: {NEW_SECRET}"))
    for number, old in enumerate(getattr(settings, "SECRET_KEY_FALLBACKS", []), 1):
        if weak := weakness(old):
            found.append(Problem(f"SECRET_KEY_FALLBACKS, entry {number}, {weak}.", "Remove it."))
    if settings.DEBUG:
        found.append(Problem("DEBUG is on.", "Turn DEBUG off: its error pages show settings and local variables."))
    found += _hosts()
    found += _passwords()
    if not settings.RING_FILE.exists():
        found.append(
            Problem(
                f"The ring of master keys is missing: {settings.RING_FILE} does not exist.",
                "Set JACKFIELD_RING_FILE to the ring that sealed this installation's keys. A new installation makes "
                "its ring once with: .venv/bin/python manage.py rotate_ring --init",
            )
        )
    return found


def _secret_key() -> str:
    """Django refuses to hand out an empty one; here that is a finding like the others."""
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:
        return ""


def _hosts() -> list[Problem]:
    """Production must be told the names it goes by: the default knows this machine only."""
    way_out = "Set ALLOWED_HOSTS to the names clients use, comma-separated, as in ALLOWED_HOSTS=ai.example.org"
    if "*" in settings.ALLOWED_HOSTS:
        return [Problem("ALLOWED_HOSTS allows every host.", way_out)]
    if not os.environ.get("ALLOWED_HOSTS", "").strip() and set(settings.ALLOWED_HOSTS) <= LOCAL_HOSTS:
        return [Problem("ALLOWED_HOSTS is not set.", way_out)]
    return []


def _passwords() -> list[Problem]:
    """Passwords inside connection URLs that everybody knows. None at all is left to the server's own rules."""
    found = []
    candidates = {
        "DATABASE_URL": settings.DATABASES[DEFAULT_DB_ALIAS].get("PASSWORD") or "",
        "REDIS_URL": _password_of(settings.REDIS_URL),
        "CELERY_BROKER_URL": _password_of(settings.CELERY_BROKER_URL),
    }
    for variable, password in candidates.items():
        if password and (password.lower() in KNOWN_SECRETS or TELLTALE.search(password)):
            found.append(
                Problem(
                    f"The password in {variable} is a known example value.",
                    f"Give that server a random password and set {variable} anew.",
                )
            )
    return found


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""


def schema_problems() -> list[Problem]:
    """Migrations that this code needs and the database lacks. An unreachable database gives none: see the module.

    A schema that is newer than this code is no problem: a release runs on the schema of the next one.
    """
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except InconsistentMigrationHistory as error:
        return [Problem(f"The schema's history is inconsistent: {error}", "Restore the database from a backup.")]
    except DatabaseError:
        return []
    if not plan:
        return []
    names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3])
    more = f" and {len(plan) - 3} more" if len(plan) > 3 else ""
    return [
        Problem(f"The database is not migrated: {names}{more} not applied.", "Run: .venv/bin/python manage.py migrate")
    ]


def ring_problems() -> list[Problem]:
    """A ring that cannot be used, or that is not the one the stored keys were sealed with."""
    way_out = "Put the right ring back, or set JACKFIELD_RING_FILE to where it is."
    try:
        rings.current()
        trouble = vault.ring_problem()
    except BadRing as error:
        return [Problem(_sentence(str(error)), way_out)]
    except DatabaseError:
        return []
    return [Problem(_sentence(trouble), way_out)] if trouble else []


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def refusals() -> list[Problem]:
    """Everything that forbids a start: settings, schema, ring."""
    found = problems(settings.PRODUCTION)
    if settings.PRODUCTION and not settings.RING_FILE.exists():
        return [*found, *schema_problems()]  # the missing ring is among them already
    schema = schema_problems()
    # Without the tables there are no keys to try the ring on.
    return [*found, *schema, *([] if schema else ring_problems())]


def refuse_to_start(found: Sequence[Problem], stream: TextIO | None = None) -> None:
    """Print the problems with their ways out and end the process with status 1; return if there is none."""
    if not found:
        return
    out = stream or sys.stderr
    out.write("Jackfield does not start:\n")
    for problem in found:
        out.write(f"  - {problem}\n")
    out.flush()
    raise SystemExit(1)


@register(Tags.security, deploy=True)
def check_production(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """`manage.py check --deploy`: the refusals of production settings as errors."""
    if not settings.PRODUCTION:
        return [
            Warning(
                "JACKFIELD_PRODUCTION is not set: secrets that are not given are generated, cookies travel over HTTP.",
                hint="Set JACKFIELD_PRODUCTION=1 where others than you use this installation.",
                id="jackfield.W001",
            )
        ]
    return [
        Error(problem.what, hint=problem.way_out, id=f"jackfield.E{number:03d}")
        for number, problem in enumerate(problems(production=True), 1)
    ]
