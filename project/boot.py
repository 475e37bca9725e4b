"""What happens between `make run` and the first request: the home, the refusals, the schema, the catalog, the keys.

Everything here is done before the first process is forked and is cheap when there is nothing to do, so that every start
but the first is quick. A database that does not answer is no reason not to start: what needs it is left out, and the
gateway serves from its sealed snapshot.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction

import providers.sandbox
from keys import importing, ring, roles, tokens, vault
from keys.models import KeySet, Project
from keys.sealing import Unsealable
from project import checks
from project.celery import app
from project.supervisor import Child, listen
from providers.engine import shared_tls_context
from providers.models import Account, Provider
from providers.secrets import Secret
from routing.loading import load_catalog
from routing.models import Preference
from routing.revisions import recording
from routing.store import store

logger = logging.getLogger(__name__)

#: Signs what a start writes by itself.
AUTHOR: Final = "start"
SANDBOX: Final = "sandbox"
#: Open files that a gateway asks for.
FILES: Final = 65536
#: A number of our own for PostgreSQL's advisory lock: two machines that start together do it one after the other.
_START_LOCK: Final = 0x6A61636B


@dataclass(frozen=True)
class Welcome:
    """What the first start shows once and keeps nowhere."""

    operator: str
    password: str
    token: str

    def text(self, url: str) -> str:
        ask = '{"model": "echo", "messages": [{"role": "user", "content": "hello"}]}'
        return (
            f"\n  This is shown once.\n\n"
            f"  Admin      {url}/admin/\n  Name       {self.operator}\n  Password   {self.password}\n"
            f"  Token      {self.token}   (project demo)\n\n"
            f"  The first request:\n"
            f"  curl {url}/v1/chat/completions -H 'authorization: Bearer {self.token}' \\\n"
            f"    -H 'content-type: application/json' -d '{ask}'\n\n"
        )


def prepare(sandbox_port: int) -> Welcome | None:
    """Make the installation fit to serve. Returns the welcome of a first start. Ends the process with the way out
    where something forbids a start. `sandbox_port` 0 leaves the sandbox as it is."""
    harden()
    settings.HOME.prepare()
    if not settings.PRODUCTION and not settings.RING_FILE.exists():
        ring.create(settings.RING_FILE)
    checks.refuse_to_start(checks.problems(settings.PRODUCTION))
    if not database_answers():
        if not settings.HOME.snapshot.exists():
            problem = "The database does not answer, and there is no snapshot of an earlier run to serve from."
            checks.refuse_to_start([checks.Problem(problem, "Start the database, or correct DATABASE_URL.")])
        store.found_away()
        logger.warning("the database does not answer: serving from the last snapshot until it does")
        return None
    with alone():
        migrate()
        checks.refuse_to_start(checks.refusals())
        load_changed_catalog()
        report = importing.import_keys(os.environ)
        for line in report.refused:
            logger.warning("not imported: %s", line)
        for line in report.removed:
            logger.warning("imported key removed, its variable is gone or holds another: %s", line)
        for line in report.kept:
            logger.info("imported key kept though its variable is not set (import_keys --prune removes it): %s", line)
        forget_environment(report.names)
        if sandbox_port:
            point_sandbox_at(sandbox_port)
        return first_start()


def harden() -> None:
    """Files for their owner only, and no core dump that would hold opened keys (R-SEC-09)."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def database_answers() -> bool:
    try:
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True


@contextmanager
def alone() -> Iterator[None]:
    """While no other machine prepares the same database: all of it looks first and writes then."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_START_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_START_LOCK])


def migrate() -> None:
    """Bring the schema up to this code. Nothing to do is the usual case and is found out once."""
    if checks.schema_problems():
        call_command("migrate", interactive=False, verbosity=0)


def load_changed_catalog() -> None:
    """Load the catalog unless this database has had exactly this one from this home."""
    mark = settings.HOME.root / "catalog.loaded"
    digest = catalog_digest()
    if mark.exists() and mark.read_text() == digest and Provider.objects.exists():
        return
    load_catalog()
    mark.write_text(digest)


def catalog_digest() -> str:
    """What the loaded catalog depends on: its files, the code that makes rows of them, and which database it went
    into."""
    digest = hashlib.sha256(str(connection.settings_dict["NAME"]).encode())
    folder = settings.BASE_DIR / "providers" / "catalog"
    makers = [settings.BASE_DIR / "routing" / name for name in ("wanted.py", "loading.py")]
    for path in [*sorted(folder.glob("*.toml")), *sorted(folder.glob("*.py")), *makers]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def forget_environment(names: Iterable[str]) -> None:
    """Take sealed keys out of this process's environment and of what its children inherit (R-SEC-09).

    On Linux the kernel shows the block the process was started with, so the values in it are overwritten too.
    """
    gone = {name: os.environb.pop(name.encode(), b"") for name in names}
    if sys.platform != "linux":
        return
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    block = ctypes.string_at(start, end - start)
    for name, value in gone.items():
        entry = name.encode() + b"=" + value + b"\0"
        at = (b"\0" + block).find(b"\0" + entry)
        if value and at >= 0:
            ctypes.memset(start + at + len(name) + 1, ord("-"), len(value))


def point_sandbox_at(port: int) -> None:
    """Make the account `sandbox` lead to this port, with the sandbox's keys sealed for it like any others.

    An account that an operator pointed elsewhere, or took away, is left alone.
    """
    account = Account.objects.select_related("provider").filter(name=SANDBOX, base_url="").first()
    if account is None or account.provider.slug != SANDBOX:
        return
    keys = KeySet.objects.filter(account=account, project=None).order_by("id").first()
    default = next((item["default"] for item in account.provider.variables if item["name"] == "port"), "")
    if account.variables.get("port", default) == str(port) and keys is not None and _opens(keys):
        return
    with recording(AUTHOR, note=f"the sandbox listens on port {port}"):
        account.variables = {**account.variables, "port": str(port)}
        account.save(update_fields=["variables"])
        keys = keys or KeySet.objects.create(account=account, name="default")
        for row in keys.keys.filter(source=SANDBOX):
            row.delete()
        for position, key in enumerate(providers.sandbox.KEYS):
            vault.enter_key(keys, Secret(key), source=SANDBOX, position=position)


def _opens(keys: KeySet) -> bool:
    """Whether the sandbox's keys are there and still open at the account's present address."""
    rows = list(keys.keys.filter(source=SANDBOX))
    try:
        for row in rows:
            vault.open_key(vault.entry(row), vault.bound(keys))
    except Unsealable:
        return False
    return len(rows) == len(providers.sandbox.KEYS)


def open_sandbox() -> socket.socket | None:
    """The sandbox's listening socket: on its port, or on any where that one is taken. None where it is left out."""
    if not settings.SANDBOX_PORT:
        return None
    try:
        return providers.sandbox.listen(settings.SANDBOX_PORT)
    except OSError:
        return providers.sandbox.listen(0)


def first_start() -> Welcome | None:
    """Where there is no user yet: an operator, the project `demo` and a token for it."""
    with transaction.atomic(), recording(AUTHOR, note="first start"):
        try:
            operator, password = roles.make_first_operator()
        except ValueError:
            return None
        demo, _ = Project.objects.get_or_create(name="demo", defaults={"description": "Open to every model."})
        Preference.objects.get_or_create(project=demo, defaults={"allow": ["*"], "default_model": "echo"})
        _, token = tokens.issue(demo, name="first start")
    return Welcome(operator, password, token)


def children(listener: socket.socket, sandbox: socket.socket | None, *, worker: bool = True) -> list[Child]:
    """What runs: gateways, the journal's drainer, Celery's worker and beat, the sandbox; stopped in that order."""
    family = [Child(f"gateway {n + 1}", _in_gateway(listener), grace=35.0) for n in range(settings.WORKERS)]
    if worker:
        family += [Child("worker", work, grace=15.0), Child("beat", beat)]
    family.append(Child("drainer", drain, phase=1, grace=15.0))
    if sandbox is not None:
        family.append(Child("sandbox", lambda: providers.sandbox.serve(sandbox), phase=2, grace=3.0))
    if settings.WORKERS:
        # Loaded once for all: a forked gateway shares it and starts at once, the first time and after a crash.
        import_module("project.asgi")
        shared_tls_context()
    connections.close_all()
    gc.freeze()
    return family


def _in_gateway(listener: socket.socket) -> Callable[[], None]:
    return lambda: gateway(listener)


def serve_gateway(host: str, port: int) -> None:
    """Run one gateway in this process, without a supervisor, until SIGTERM."""
    connections.close_all()
    gateway(listen(host, port))


def allow_files() -> None:
    """As many open files as the system lets us have, within reason: each request has two connections, and the usual
    limit of 1024 is for programs that wait with select."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def gateway(listener: socket.socket) -> None:
    """Serve on this socket until SIGTERM, then give requests in flight half a minute."""
    from api.protocol import GuardedProtocol  # noqa: PLC0415 - the parent never parses HTTP

    allow_files()
    GuardedProtocol.header_deadline = settings.HEADER_DEADLINE
    server = uvicorn.Server(
        uvicorn.Config(
            "project.asgi:application",
            http=GuardedProtocol,
            loop="uvloop",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=30,
            backlog=2048,
        )
    )
    server.run(sockets=[listener])
    if not server.started:
        raise SystemExit(3)


def drain() -> None:
    """Bring the journal into the database until SIGTERM, and once more after it."""
    call_command("drain", forever=True)


def work() -> None:
    """Celery's worker, on threads: its tasks wait for databases and files."""
    app.WorkController(
        pool_cls="threads", concurrency=2, without_gossip=True, without_mingle=True, without_heartbeat=True
    ).start()


def beat() -> None:
    """Celery's scheduler."""
    from celery.beat import Service  # noqa: PLC0415 - only this child needs it

    Service(app).start()
