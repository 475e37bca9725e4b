"""What `manage.py doctor` looks at: machine, home, services. Each finding says what is wrong and the way out.

Nothing here changes anything, and no finding holds a secret: services are named by host, keys by account.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from django.conf import settings
from django.db import DatabaseError, connection
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from api.drain import backlog
from keys import ring as rings
from keys.ring import BadRing, State
from project import checks
from providers.models import Account
from routing.presence import NO_TOKEN, convergence
from routing.revisions import latest
from routing.shelf import Shelf

#: Seconds that a service may take to answer.
PATIENCE: Final = 3.0
MIN_PYTHON: Final = (3, 11)
MIN_FREE: Final = 512 * 1024 * 1024
#: Seconds after which lines of the journal should have become usage records.
OLD_JOURNAL: Final = 600.0


class Status(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis. `way_out` is empty where all is well."""

    area: str
    status: Status
    what: str
    way_out: str = ""


Findings = Iterator[Finding]


def _ok(area: str, what: str) -> Finding:
    return Finding(area, Status.OK, what)


def _warn(area: str, what: str, way_out: str) -> Finding:
    return Finding(area, Status.WARN, what, way_out)


def _fail(area: str, what: str, way_out: str) -> Finding:
    return Finding(area, Status.FAIL, what, way_out)


def python() -> Findings:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        yield _fail("python", f"Python {version} is too old", "Install Python 3.11 or newer and run `make run` again")
    else:
        yield _ok("python", f"Python {version}")


def home() -> Findings:
    """The home directory: there, ours alone, writable, with room."""
    root = settings.HOME.root
    if not root.is_dir():
        yield _fail("home", f"{root} does not exist", "Run `make run`, or set JACKFIELD_HOME to the right directory")
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o077:
        yield _fail("home", f"others can enter {root} (mode {mode:04o})", f"Run: chmod 700 {root}")
    elif not os.access(root, os.W_OK | os.X_OK):
        yield _fail("home", f"{root} cannot be written", "Run Jackfield as the user who owns it")
    else:
        yield _ok("home", f"{root}, mode {mode:04o}")
    free = shutil.disk_usage(root).free
    if free < MIN_FREE:
        yield _warn("disk", f"only {free // 2**20} MiB are free at {root}", "Make room: the journal needs it")
    else:
        yield _ok("disk", f"{free // 2**20} MiB free")


def configuration() -> Findings:
    """Settings as a start would judge them; outside production also a given secret that is none."""
    found = [problem for problem in checks.problems(settings.PRODUCTION) if "ring" not in problem.what]
    for problem in found:
        yield _fail("settings", problem.what, problem.way_out)
    given = os.environ.get("SECRET_KEY", "")
    if not settings.PRODUCTION and given and (weak := checks.weakness(given)):
        yield _warn("settings", f"SECRET_KEY {weak}", f"Set it to the output of: {checks.NEW_SECRET}")
    elif not found:
        yield _ok("settings", "production" if settings.PRODUCTION else "one machine (JACKFIELD_PRODUCTION is not set)")


def ring() -> Findings:
    """The ring file and the states of its keys. Whether it opens the stored keys is asked where those are."""
    try:
        states = rings.reload().states
    except BadRing as error:
        yield _fail("ring", str(error), "Put the right ring back, or set JACKFIELD_RING_FILE to where it is")
        return
    shown = ", ".join(
        f"{sum(state is one for state in states.values())} {one}" for one in State if one in states.values()
    )
    if any(state is State.ADDED for state in states.values()):
        yield _warn("ring", f"{shown}: a rotation was begun", "Run: .venv/bin/python manage.py rotate_ring")
    else:
        yield _ok("ring", shown)


def database() -> Findings:
    """The database answers and has this code's schema."""
    where = "SQLite" if connection.vendor == "sqlite" else f"{connection.vendor} at {connection.settings_dict['HOST']}"
    began = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA journal_mode")
                journal_mode = str(cursor.fetchone()[0]).lower()
                if journal_mode not in {"wal", "memory"}:
                    yield _warn("database", f"SQLite's journal is '{journal_mode}', not WAL", "Restart Jackfield")
    except DatabaseError as error:
        yield _fail(
            "database", f"{where} does not answer ({type(error).__name__})", "Start it, or correct DATABASE_URL"
        )
        return
    yield _ok("database", f"{where} answers in {(time.monotonic() - began) * 1000:.0f} ms")
    found = checks.schema_problems()
    for problem in found:
        yield _fail("schema", problem.what, problem.way_out)
    if not found:
        yield _ok("schema", "migrated")


def redis() -> Findings:
    if not settings.REDIS_URL:
        yield _ok("redis", "not used (REDIS_URL is not set)")
        return
    yield from _service("redis", settings.REDIS_URL, "REDIS_URL")


def broker() -> Findings:
    """Where background work is queued."""
    if settings.CELERY_BROKER_URL:
        yield from _service("broker", settings.CELERY_BROKER_URL, "CELERY_BROKER_URL")
        return
    folder = settings.HOME.broker
    if not os.access(folder, os.W_OK):
        yield _fail("broker", f"{folder} cannot be written", "Run `make run` as the user who owns it")
        return
    waiting = sum(1 for path in (folder / "queue").glob("*.msg"))
    if waiting > 1000:
        yield _warn("broker", f"{waiting} tasks wait in {folder}", "Start the worker: `make run` does")
    else:
        yield _ok("broker", f"file system, {waiting} tasks waiting")


def _service(area: str, url: str, variable: str) -> Findings:
    """Whether something that speaks the URL's protocol answers. The URL's password is never shown."""
    host = urlsplit(url).hostname or "?"
    try:
        with Connection(  # type: ignore[no-untyped-call]  # kombu has no types
            url, connect_timeout=PATIENCE, transport_options={"socket_connect_timeout": PATIENCE}
        ) as link:
            link.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=PATIENCE)
    except (OperationalError, OSError, ValueError, KeyError, ImportError) as error:
        yield _fail(area, f"{host} does not answer ({type(error).__name__})", f"Start it, or correct {variable}")
    else:
        yield _ok(area, f"{host} answers")


def journal() -> Findings:
    """Usage that waits to be written into the database."""
    folder: Path = settings.HOME.journal
    files, size = backlog(folder)
    oldest = min((path.stat().st_mtime for path in folder.glob("*.jsonl")), default=time.time())
    aside = sum(1 for _ in folder.glob("*.bad"))
    age = time.time() - oldest
    shown = f"{files} file(s), {size} bytes, untouched for {age:.0f} s at most"
    if size and age > OLD_JOURNAL:
        yield _warn(
            "journal", f"{shown}: usage is not drained", "Start the worker, or run: .venv/bin/python manage.py drain"
        )
    else:
        yield _ok("journal", shown)
    if aside:
        yield _warn("journal", f"{aside} file(s) of lines that could not be read", f"Look at *.bad in {folder}")


def snapshot_copy() -> Findings:
    """The sealed copy from which a start without a database serves."""
    shelf = Shelf(settings.HOME.snapshot)
    if not shelf.path.exists():
        yield _ok("copy", "no sealed snapshot yet: the gateway writes it when it first runs")
        return
    revision = shelf.revision()
    if revision is None:
        yield _warn(
            "copy", "the sealed snapshot does not open", "Start the gateway once with the database: it is renewed"
        )
        return
    seen = shelf.seen(revision) or shelf.path.stat().st_mtime
    hours = (time.time() - seen) / 3600
    shown = f"sealed snapshot of revision {revision}, confirmed {hours:.1f} h ago"
    if hours > settings.MAX_SNAPSHOT_AGE_HOURS:
        yield _warn("copy", f"{shown}: too old to serve from", "Start the gateway with the database: it is renewed")
    else:
        yield _ok("copy", shown)


def processes() -> Findings:
    """Running gateway processes, and whether something else sits on their port."""
    try:
        running, newest = convergence(), latest()
    except DatabaseError:
        running, newest = [], 0
    for process in running:
        if process.problem.startswith(NO_TOKEN):
            yield _warn(
                "gateway",
                f"{process.name}: {process.problem}",
                "Look at the key and at what its issuer says of it; the gateway tries again by itself",
            )
        elif process.problem:
            yield _fail(
                "gateway", f"{process.name}: {process.problem}", "Correct the configuration; the last good one serves"
            )
        elif process.revision < newest:
            yield _warn("gateway", f"{process.name} serves revision {process.revision} of {newest}", "Look at its log")
        else:
            yield _ok("gateway", f"{process.name} serves revision {process.revision}")
    taken = _is_taken(settings.HOST, settings.PORT)
    where = f"{settings.HOST}:{settings.PORT}{'' if os.environ.get('PORT') else ' (PORT is not set)'}"
    if taken and not running:
        yield _fail("port", f"{where} is used by another program", "Stop it, or set PORT to a free port")
    else:
        yield _ok("port", f"{where} is {'ours' if taken else 'free'}")
    if settings.SANDBOX_PORT:
        yield _sandbox(running=bool(running))


def _sandbox(*, running: bool) -> Finding:
    """The sandbox takes another free port where its own is taken; its account says which."""
    port = settings.SANDBOX_PORT
    with contextlib.suppress(DatabaseError, ValueError):
        account = Account.objects.filter(name="sandbox").first()
        port = int(account.variables.get("port", port)) if account else port
    taken = _is_taken("127.0.0.1", port)
    if running and not taken:
        return _warn("sandbox", f"nothing listens on port {port}", "Restart Jackfield, or set JACKFIELD_SANDBOX_PORT=0")
    if taken and not running:
        return _ok("sandbox", f"port {port} is in use: the next start takes another free one")
    return _ok("sandbox", f"port {port} is {'ours' if taken else 'free'}")


def _is_taken(host: str, port: int) -> bool:
    """Whether something listens there. Looks by connecting: binding would disturb a start at the same moment."""
    try:
        with socket.create_connection((host if host not in {"0.0.0.0", "::"} else "127.0.0.1", port), timeout=0.5):  # noqa: S104 - compared
            return True
    except OSError:
        return False


def static() -> Findings:
    """The admin's style sheets and scripts."""
    if settings.WHITENOISE_USE_FINDERS or any(settings.STATIC_ROOT.glob("*")):
        yield _ok(
            "static", "served from the packages" if settings.WHITENOISE_USE_FINDERS else str(settings.STATIC_ROOT)
        )
    else:
        yield _warn(
            "static", "the admin's files are not collected", "Run: .venv/bin/python manage.py collectstatic --noinput"
        )


#: What needs no database comes first.
MACHINE: Final[tuple[Callable[[], Findings], ...]] = (
    python,
    home,
    configuration,
    ring,
    database,
    redis,
    broker,
    journal,
    snapshot_copy,
    processes,
    static,
)


def as_json(findings: list[Finding]) -> str:
    """The diagnosis for programs."""
    return msgspec.json.format(msgspec.json.encode({"findings": findings}), indent=2).decode()
