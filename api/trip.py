"""One request's account of itself: opened when the caller is known, closed exactly once, whatever happens.

Closing writes the journal line, counts the metrics and frees the in-flight slot. It comes before the last byte goes to
the client, so an answer that was received whole always has its row.
"""

from __future__ import annotations

import time

from api import health, journal
from api.answer import Pairs
from api.errors import ApiError, Fault
from api.failing import failure_of
from api.usage import Outcome, Row, count, microseconds, new_request_id
from keys.entries import ProjectEntry, TokenEntry
from providers.dialects.usage import Usage
from providers.entries import FactsEntry
from routing.health import Watch
from routing.snapshot import Snapshot


class Trip:
    """The request on its way. `arrived` and `started` are readings of perf_counter."""

    __slots__ = (
        "arrived",
        "closed",
        "dropped",
        "facts",
        "project",
        "row",
        "session",
        "snapshot",
        "started",
        "token",
        "watch",
    )

    def __init__(self, endpoint: str, dialect: str, arrived: float | None) -> None:
        self.started = time.perf_counter()
        self.arrived = self.started if arrived is None else arrived
        self.row = Row(new_request_id(), time.time() - (self.started - self.arrived), endpoint, dialect)
        self.row.queue_us = int((self.started - self.arrived) * 1_000_000)
        self.closed = False
        self.dropped: tuple[str, ...] = ()
        self.facts: FactsEntry | None = None
        self.project: ProjectEntry | None = None
        self.snapshot: Snapshot | None = None
        self.token: TokenEntry | None = None
        #: what a header names the conversation
        self.session = ""
        #: of the place that serves it
        self.watch: Watch | None = None

    def identify(self, project: ProjectEntry, token: TokenEntry, snapshot: Snapshot) -> None:
        """The caller is known; from here on the request has a row."""
        self.project = project
        self.token = token
        self.snapshot = snapshot
        row = self.row
        row.project = project.name
        row.token_id = token.id
        row.revision = snapshot.revision
        health.active += 1

    def snapshot_only(self, snapshot: Snapshot) -> None:
        """The caller is known, and what it asks for leaves no row."""
        self.snapshot = snapshot
        self.row.revision = snapshot.revision
        self.closed = True

    def wants_all(self) -> bool:
        """Whether the project wants a request refused that an upstream cannot be told whole."""
        assert self.snapshot is not None
        assert self.project is not None
        wishes = self.snapshot.preferences.get(self.project.id)
        return wishes is not None and wishes.strict

    def sent(self) -> None:
        """An upstream is about to be called: should the process be killed now, this is what is known."""
        journal.current().inflight.put(self.row)

    def close(self, outcome: Outcome, status: int, usage: Usage | None = None, fault: Fault | None = None) -> None:
        """Write the row. The first close counts; a caller who never identified itself leaves no row."""
        if self.closed or self.snapshot is None:
            return
        self.closed = True
        health.active -= 1
        if self.watch is not None:
            self._tell(self.watch, outcome, fault)
        row = self.row
        row.outcome = outcome
        row.status = status
        if fault is not None:
            row.error_code = fault.code
            row.fault = fault.domain.value
        row.total_us = microseconds(self.arrived)
        count(row, usage, self.facts)
        journal.current().append(row)
        health.count(row)

    @staticmethod
    def _tell(watch: Watch, outcome: Outcome, fault: Fault | None) -> None:
        """What the end of the request says of the place that served it; a client that left says nothing."""
        failure = failure_of(fault.code) if outcome is Outcome.PARTIAL and fault is not None else None
        if outcome is Outcome.OK:
            watch.served()
        elif failure is not None:
            watch.failed(failure)
        else:
            watch.drop()

    def fail(self, error: ApiError) -> None:
        """Close with an error that is answered instead of a reply."""
        self.close(Outcome.ERROR, error.status_code, fault=error.fault)

    def abandon(self, usage: Usage | None = None) -> None:
        """The request ends because its task was cancelled: the client left, or the process is being stopped."""
        if health.stopping:
            self.close(Outcome.INTERRUPTED, 0, usage, Fault.STOPPING)
        else:
            self.close(Outcome.CLIENT_GONE, 499, usage)

    def headers(self) -> Pairs:
        """What an answer says about itself: before the caller is known, its id and the revision only."""
        row = self.row
        said = [(b"x-jackfield-request-id", row.request_id.encode())]
        if row.revision:
            said.append((b"x-jackfield-revision", b"%d" % row.revision))
        if self.snapshot is not None:
            said += (
                (b"x-jackfield-attempts", b"%d" % row.attempts),
                (b"x-jackfield-dropped", ",".join(self.dropped).encode()),
            )
            if row.account:
                said.append((b"x-jackfield-route", f"{row.account}/{row.upstream_model}".encode()))
        return said
