"""What an operator, or the journal's drainer, does during a scenario: in the process of `hand.py`, where Django is.

Each act has its own connection to the database, which may have been away since the last one.
"""

from __future__ import annotations

import io
import time
import uuid
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections

from api import drain as journal_drain
from api.journal import Journal
from api.models import UsageRecord
from api.usage import Row
from keys import tokens
from keys.models import ApiToken, Project
from project.celery import app
from providers.models import Account
from routing import applying, revisions
from routing.models import PublicModel, Route
from routing.shelf import Shelf
from tests.faults import mutations

AUTHOR = "chaos"


def act(name: str, arguments: list[Any]) -> Any:
    connections.close_all()
    return ACTS[name](*arguments)


def apply(document: str) -> int:
    return applying.apply(document, author=AUTHOR, note="a scenario", dry_run=False, rebind=False).revision


def token(project: str) -> str:
    told = io.StringIO()
    call_command("token", project, create=True, stdout=told)
    return told.getvalue().strip()


def newest() -> int:
    return revisions.latest()


def many_tokens(number: int) -> list[tuple[str, str]]:
    """(id, text) of so many tokens, made in one revision."""
    project = Project.objects.get(name="demo")
    with revisions.recording(AUTHOR):
        made = [tokens.issue(project) for _ in range(number)]
    return [(str(row.pk), text) for row, text in made]


def revoke(pk: str) -> float:
    """The moment after the commit."""
    tokens.revoke(ApiToken.objects.get(pk=pk))
    return time.time()


def repatch(side: str) -> tuple[int, float]:
    """Lead the model elsewhere; the revision and the moment after its commit."""
    route = Route.objects.get(model__name="patched")
    route.account = Account.objects.get(name=side)
    route.save()
    return revisions.latest(), time.time()


def describe(text: str) -> int:
    """A change that routes nothing elsewhere."""
    row = PublicModel.objects.get(name="patched")
    row.description = text
    row.save()
    return revisions.latest()


def copied() -> bool:
    """Whether the sealed copy on disk is of the newest revision."""
    return Shelf(settings.HOME.snapshot).revision() == revisions.latest()


def drain() -> tuple[int, float, str]:
    """Rows brought into the database, the seconds that it took, and why it ended early."""
    began = time.perf_counter()
    report = journal_drain.drain()
    return report.rows, time.perf_counter() - began, report.waiting


def rows(columns: list[str]) -> list[dict[str, Any]]:
    """Usage rows of the project whose requests were really made."""
    return list(UsageRecord.objects.filter(project="demo").values(*columns))


def leave_rows(number: int) -> None:
    """A journal of requests that nobody made, as a long outage leaves one."""
    journal = Journal(settings.HOME.journal)
    row = Row(
        endpoint="chat.completions",
        dialect="openai-chat",
        project="nobody",
        model="patched",
        served_model="patched",
        account="left",
        provider="truth",
        upstream_model="m",
        revision=revisions.latest(),
        request_id="",
        started_at=time.time(),
        attempts=1,
        status=200,
        outcome="ok",
        input_tokens=7,
        output_tokens=3,
        total_us=9000,
        first_byte_us=8000,
    )
    for _ in range(number):
        row.request_id = f"req_{uuid.uuid4().hex}"
        journal.append(row)
    journal.close()


def tasks_twice() -> int:
    """Each scheduled task, two times each, in any order; how many there are."""
    app.loader.import_default_modules()
    names = sorted({entry["task"] for entry in app.conf.beat_schedule.values()})
    names = [name for name in names if name.startswith("api.")]  # those that touch what requests left
    for name in (*names, *reversed(names)):
        app.tasks[name].apply(throw=True)
    return len(names)


_OWN = (apply, token, newest, many_tokens, revoke, repatch, describe, copied, drain, rows, leave_rows, tasks_twice)
ACTS = {one.__name__: one for one in (*_OWN, *mutations.ACTS)}
