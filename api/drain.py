"""From the journal into the database: every line becomes one UsageRecord, once.

Each row is inserted "unless its request id is there", so draining the same line twice changes nothing, and a drainer
may be killed at any moment. A segment is deleted only when nobody can write to it any more (its lock is free) and all
of it is in the database. Lines that cannot be read go to a .bad file beside it and are counted, never dropped in
silence. When the database is away, nothing is deleted and the next run begins where this one stopped.

A dead process's table of requests in flight is read after all of its lines: who has a line is already there, and who
has none was interrupted.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, close_old_connections, transaction

from api import inflight, keeping
from api.errors import Fault
from api.journal import drained, mark_of
from api.models import StoredItem, StoredResponse, UsageRecord
from api.usage import COUNTED, Outcome, Row, as_record_fields
from keys.models import ApiToken, ProviderKey
from routing.patience import answers_within

logger = logging.getLogger(__name__)

BATCH = 500
#: Seconds that the database may take for one batch; then the connection counts as lost.
PATIENCE = 10.0
#: Bytes read of one segment at a time.
CHUNK = 4 * 1024 * 1024
#: The same of kept responses: more than the longest of their lines, which are in base64.
RESPONSE_CHUNK = 2 * keeping.MOST
#: A draft that was never renamed belongs to a process that died at its birth; it is removed after this many seconds.
DRAFT_AGE = 3600.0

_decode = msgspec.json.Decoder(Row).decode
_decode_response = msgspec.json.Decoder(keeping.Line).decode
_TEXT_LIMITS = {column.name: column.max_length for column in UsageRecord._meta.concrete_fields if column.max_length}
#: What says in a row that a key is used up (`keys.spent`).
_SPENT = frozenset({Fault.EXHAUSTED.code, Fault.UPSTREAM_PAYMENT.code})
#: The largest number that both databases' columns hold.
_BIGGEST = 2**63 - 1


@dataclass
class Report:
    """What one run did. `waiting` says why it stopped early, if it did."""

    rows: int = 0
    interrupted: int = 0
    bad: int = 0
    segments: int = 0
    responses: int = 0
    waiting: str = ""
    _tokens: dict[str, float] = field(default_factory=dict)
    _keys: dict[str, float] = field(default_factory=dict)
    #: by key and model: when upstreams said that it is used up, and when it served
    _spent: dict[tuple[str, str], float] = field(default_factory=dict)
    _served: dict[tuple[str, str], float] = field(default_factory=dict)

    def __str__(self) -> str:
        text = f"{self.rows} rows ({self.interrupted} interrupted), {self.bad} bad lines, {self.segments} files done"
        return f"{text}; waiting: {self.waiting}" if self.waiting else text


def drain(folder: Path | None = None) -> Report:
    """Bring what the journal holds now into the database. Safe to call from several processes: one works at a time."""
    folder = folder or settings.HOME.journal
    report = Report()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _only_one(folder) as mine:
        if not mine:
            report.waiting = "another drainer is at work"
            return report
        close_old_connections()
        answers_within(PATIENCE)
        try:
            _drain_all(folder, report)
            _drain_responses(keeping.folder(folder), report)
            _touch(report)
            _alarm(report)
        except (DatabaseError, InterfaceError) as problem:
            report.waiting = f"the database is away ({type(problem).__name__})"
            close_old_connections()
    return report


def backlog(folder: Path) -> tuple[int, int]:
    """Files and bytes that wait in the journal; a live process's newest file counts too."""
    sizes = []
    for path in folder.glob("*.jsonl"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue
    return len(sizes), sum(sizes)


def _drain_all(folder: Path, report: Report) -> None:
    tables = {path.stem: path for path in folder.glob("*.inflight")}
    writers = sorted(set(tables) | {_writer_of(path) for path in folder.glob("*.jsonl")})
    for writer in writers:
        table = tables.get(writer)
        # Whether the writer is dead is asked before its lines are read: then no line can come after them.
        with _locked(table) as dead:
            segments = [_drain_segment(path, report) for path in sorted(folder.glob(f"{writer}-*.jsonl"))]
            done = all(segments)
            if table is not None and dead and done:
                _book_interrupted(table, report)
                table.unlink()
    _remove_drafts(folder)


def _writer_of(segment: Path) -> str:
    return segment.stem.rpartition("-")[0]


def _drain_responses(folder: Path, report: Report) -> None:
    """Kept responses, the same way; nothing of them is in flight."""
    for path in sorted(folder.glob("*.jsonl")):
        _drain_segment(path, report, _insert_responses, RESPONSE_CHUNK)
    _remove_drafts(folder)


def _insert_responses(data: bytes, path: Path, report: Report) -> None:
    lines: list[keeping.Line] = []
    bad: list[bytes] = []
    for line in filter(None, data.split(b"\n")):
        try:
            lines.append(_decode_response(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            bad.append(line)
    for found in lines:  # one by one: a batch of these is large
        with transaction.atomic():
            _insert_response(found)
    report.responses += len(lines)
    if bad:
        _set_aside(path, bad, report)


def _insert_response(line: keeping.Line) -> None:
    """A response, in place of what was kept of it while it was made, and what its items are found by."""
    content = {"sealed": line.sealed, "waiting": line.waiting}
    row, inserted = StoredResponse.objects.defer("sealed").get_or_create(
        project=line.project,
        response_id=line.id,
        defaults={"created_at": datetime.fromtimestamp(line.at, UTC), **content},
    )
    if not inserted:  # not over a grave, nor over what came to its end before
        known = StoredResponse.objects.filter(pk=row.pk, waiting=True)
        if line.waiting or not known.update(**content):
            return
    items = [StoredItem(digest=digest, project=line.project, response=row) for digest in dict.fromkeys(line.items)]
    StoredItem.objects.bulk_create(
        items, update_conflicts=True, unique_fields=["digest", "project"], update_fields=["response"]
    )


def _remove_drafts(folder: Path) -> None:
    now = time.time()
    for draft in folder.glob("*.new"):
        if now - draft.stat().st_mtime > DRAFT_AGE:
            draft.unlink(missing_ok=True)


def _drain_segment(
    path: Path,
    report: Report,
    insert: Callable[[bytes, Path, Report], None] | None = None,
    chunk: int = CHUNK,
) -> bool:
    """True when all of it is in the database and the file is gone."""
    insert = insert or _insert_lines
    mark = mark_of(path)
    with _locked(path) as ended:
        position = drained(path)
        with path.open("rb") as file:
            while True:
                file.seek(position)
                data = file.read(chunk)
                end = data.rfind(b"\n") + 1
                if not end and len(data) == chunk:
                    end = chunk  # no line is that long
                if not end:
                    break
                insert(data[:end], path, report)
                position += end
                _write_mark(mark, position)
        if not ended:
            return False
        if data:
            _set_aside(path, [data], report)  # what the writer had begun when it died
        path.unlink()
        mark.unlink(missing_ok=True)
        report.segments += 1
    return True


def _insert_lines(data: bytes, path: Path, report: Report) -> None:
    rows: list[Row] = []
    bad: list[bytes] = []
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            rows.append(_decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            bad.append(line)
    for start in range(0, len(rows), BATCH):
        _insert(rows[start : start + BATCH], path, report)
    if bad:
        _set_aside(path, bad, report)


def _insert(rows: list[Row], path: Path, report: Report) -> None:
    try:
        with transaction.atomic():
            UsageRecord.objects.bulk_create([_record(row) for row in rows], ignore_conflicts=True)
            for row in rows:
                if row.late:
                    _complete(_record(row))
    except (DataError, IntegrityError, ValueError, OverflowError):
        # What is wrong is in a row. Any other error is the database's own (away, full, read-only, not migrated).
        if len(rows) == 1:
            _set_aside(path, [msgspec.json.encode(rows[0])], report)
            return
        half = len(rows) // 2
        _insert(rows[:half], path, report)
        _insert(rows[half:], path, report)
        return
    report.rows += len(rows)
    for row in rows:
        if row.token_id:
            report._tokens[row.token_id] = max(row.started_at, report._tokens.get(row.token_id, 0.0))
        if row.key_fingerprint:
            report._keys[row.key_fingerprint] = max(row.started_at, report._keys.get(row.key_fingerprint, 0.0))
        for attempt in row.attempt_log:
            seen = report._spent if attempt.verdict in _SPENT else report._served if not attempt.verdict else None
            if attempt.key and attempt.status and seen is not None:
                use = attempt.key, attempt.model[:191]
                seen[use] = max(row.started_at, seen.get(use, 0.0))


def _complete(late: UsageRecord) -> None:
    """Write the tokens of a request that was booked before they were known; once, however often they are said."""
    known = UsageRecord.objects.filter(request_id=late.request_id, input_tokens=None, output_tokens=None)
    known.update(**{name: getattr(late, name) for name in COUNTED})


def _record(row: Row) -> UsageRecord:
    fields = as_record_fields(row)
    for name, limit in _TEXT_LIMITS.items():
        value = fields.get(name)
        if isinstance(value, str):
            fields[name] = value.replace("\x00", "")[:limit]
    for name, value in fields.items():
        if isinstance(value, int) and abs(value) > _BIGGEST:
            fields[name] = None
    fields["started_at"] = datetime.fromtimestamp(row.started_at, UTC)
    return UsageRecord(**fields)


def _book_interrupted(table: Path, report: Report) -> None:
    rows = []
    for data in inflight.read(table):
        try:
            row = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _set_aside(table, [data], report)
            continue
        row.outcome = Outcome.INTERRUPTED
        row.error_code, row.fault = "interrupted", "gateway"
        rows.append(row)
    known: set[str] = set()
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        known.update(
            UsageRecord.objects.filter(request_id__in=[row.request_id for row in part]).values_list(
                "request_id", flat=True
            )
        )
        new = [row for row in part if row.request_id not in known]
        _insert(new, table, report)
        report.interrupted += len(new)


def _touch(report: Report) -> None:
    """When tokens and keys were last used, to the minute (R-TOK-03)."""
    uses: tuple[tuple[Any, str, dict[str, float]], ...] = (
        (ApiToken, "pk", report._tokens),
        (ProviderKey, "fingerprint", report._keys),
    )
    for model, column, seen in uses:
        by_minute: dict[float, list[str]] = {}
        for name, at in seen.items():
            by_minute.setdefault(at // 60 * 60, []).append(name)
        for minute, names in by_minute.items():
            moment = datetime.fromtimestamp(minute, UTC)
            for start in range(0, len(names), BATCH):
                part = {f"{column}__in": names[start : start + BATCH]}
                rows = model.objects.filter(**part)
                (rows.filter(last_used_at__lt=moment) | rows.filter(last_used_at__isnull=True)).touch(
                    last_used_at=moment
                )


def _alarm(report: Report) -> None:
    """Mark the keys that are used up, and take the mark from those that served the same model since.

    Another model says nothing: some quotas are of one model.
    """
    for (key, model), at in report._spent.items():
        rows = ProviderKey.objects.filter(fingerprint=key)
        moment = datetime.fromtimestamp(at, UTC)
        (rows.filter(spent_at__lt=moment) | rows.filter(spent_at=None)).touch(spent_at=moment, spent_for=model)
    if not report._served:
        return
    marks = ProviderKey.objects.exclude(spent_at=None).values_list("fingerprint", "spent_for", "spent_at")
    for key, model, marked in marks:
        if marked and report._served.get((key, model), 0.0) > marked.timestamp():
            ProviderKey.objects.filter(fingerprint=key, spent_at=marked).touch(spent_at=None, spent_for="")


def _set_aside(path: Path, lines: list[bytes], report: Report) -> None:
    """Keep unreadable lines beside the journal for a person to look at."""
    bad = path.with_suffix(".bad")
    with bad.open("ab") as file:
        file.writelines(line + b"\n" for line in lines)
        bad.chmod(0o600)
    report.bad += len(lines)
    logger.error("%d unreadable journal lines kept in %s", len(lines), bad.name)


def _write_mark(mark: Path, position: int) -> None:
    draft = mark.with_suffix(".pos-new")
    draft.write_text(str(position))
    draft.replace(mark)


@contextmanager
def _locked(path: Path | None) -> Iterator[bool]:
    """Whether the file's writer is gone: its lock can be had. It is held meanwhile."""
    if path is None:
        yield True
        return
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    with _flock(fd) as had:
        yield had


@contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    """Whether no other process drains this folder. None can meanwhile."""
    with _flock(os.open(folder / "drain.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as had:
        yield had


@contextmanager
def _flock(fd: int) -> Iterator[bool]:
    """Whether the lock of the file could be had at once. Closes the file, and so gives it back."""
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)
