"""One request's account of itself: opened when the caller is known, closed exactly once, whatever happens.

Closing writes the journal line, counts the metrics and frees the in-flight slot. It comes before the last byte goes to
the client, so an answer that was received whole always has its row.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from api import health, journal
from api.answer import Pairs
from api.errors import ApiError, Fault
from api.failing import failure_of
from api.room import room
from api.usage import Attempt, Outcome, Row, count, count_lost, microseconds, new_request_id
from keys.entries import ProjectEntry, TokenEntry
from providers.dialects.usage import Usage
from providers.entries import FactsEntry
from routing.candidates import Candidate
from routing.health import Watch
from routing.snapshot import Snapshot

#: The verdict on an attempt that was given up because another's answer began first.
LOST: Final = "outrun"


class Try:
    """One call of an upstream under way, by the task that makes it."""

    __slots__ = ("attempt", "facts", "started", "task", "watch")

    def __init__(self, attempt: Attempt, facts: FactsEntry | None, watch: Watch) -> None:
        self.attempt = attempt
        self.facts = facts
        self.watch = watch
        self.started = time.perf_counter()
        self.task = asyncio.current_task()

    def lose(self) -> None:
        """Another one's answer came first."""
        self.attempt.verdict = LOST
        self.attempt.us = microseconds(self.started)
        self.watch.outrun()
        if self.task is not None:
            self.task.cancel()


class Ending(Protocol):
    """What cancels a request's task: `why` is the fault, None where the client left."""

    why: Fault | None


class Trip:
    """The request on its way. `arrived` and `started` are readings of perf_counter."""

    __slots__ = (
        "arrived",
        "closed",
        "dropped",
        "facts",
        "gone",
        "lost",
        "project",
        "row",
        "session",
        "snapshot",
        "started",
        "token",
        "tries",
        "watch",
        "when_sent",
    )

    def __init__(self, endpoint: str, dialect: str, arrived: float | None) -> None:
        self.started = time.perf_counter()
        self.arrived = self.started if arrived is None else arrived
        self.row = Row(new_request_id(), time.time() - (self.started - self.arrived), endpoint, dialect)
        self.row.queue_us = int((self.started - self.arrived) * 1_000_000)
        self.closed = False
        self.dropped: tuple[str, ...] = ()
        self.facts: FactsEntry | None = None
        #: who ends it before its time
        self.gone: Ending | None = None
        self.project: ProjectEntry | None = None
        self.snapshot: Snapshot | None = None
        self.token: TokenEntry | None = None
        #: for who waits for it: done when the first call of an upstream sets out
        self.when_sent: asyncio.Future[None] | None = None
        #: what a header names the conversation
        self.session = ""
        #: of the place that serves it
        self.watch: Watch | None = None
        #: the calls of upstreams that have not come to their end; two, where the model is hedged
        self.tries: list[Try] = []
        self.lost: list[tuple[Attempt, FactsEntry | None]] = []

    def identify(self, project: ProjectEntry, token: TokenEntry, snapshot: Snapshot) -> None:
        """The caller is known; from here on the request has a row."""
        self.project = project
        self.token = token
        self.snapshot = snapshot
        row = self.row
        row.project = project.name
        row.token_id = token.id
        row.revision = snapshot.revision
        room.enter(project.id)

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

    def asks(self, candidate: Candidate, fingerprint: str) -> None:
        """Who is asked, or serves, with which key."""
        row = self.row
        row.account, row.provider = candidate.account.name, candidate.provider.slug
        row.upstream_model, row.served_model = candidate.upstream_model, candidate.public_name
        row.key_fingerprint = fingerprint
        self.facts = candidate.facts

    def sent(self, one: Try) -> None:
        """An upstream is about to be called: should the process be killed now, this is what is known."""
        self.row.attempts += 1
        self.row.attempt_log.append(one.attempt)
        self.tries.append(one)
        if self.when_sent is not None and not self.when_sent.done():
            self.when_sent.set_result(None)
        journal.current().inflight.put(self.row)

    def served(self, one: Try) -> None:
        """This call's answer begins: it is the one, and others that are under way are given up."""
        self.watch = one.watch
        for other in self.tries:
            if other is not one:
                other.lose()
                self.lost.append((other.attempt, other.facts))
        self.tries.clear()

    def ended(self, one: Try) -> None:
        """This call came to no answer."""
        if one in self.tries:
            self.tries.remove(one)

    def close(self, outcome: Outcome, status: int, usage: Usage | None = None, fault: Fault | None = None) -> None:
        """Write the row. The first close counts; a caller who never identified itself leaves no row."""
        if self.closed or self.snapshot is None:
            return
        self.closed = True
        assert self.project is not None
        room.leave(self.project.id)
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
        count_lost(row, self.lost)
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
        """The request ends because its task was cancelled: the client left, the process is being stopped or is short
        of memory."""
        why = self.gone.why if self.gone is not None else None
        if health.stopping:
            self.close(Outcome.INTERRUPTED, 0, usage, Fault.STOPPING)
        elif why is not None:
            self.close(Outcome.ERROR, why.status, usage, why)
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
