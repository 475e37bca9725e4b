"""A seat for a job at one of an account's workers, now or when one becomes free.

Who finds no free seat waits in line, first come, first served, for `WAIT` seconds and within the request's deadline.
The line of an account is bounded: who comes when it is full is told so at once.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from api.errors import ApiError, Fault
from providers.entries import AccountEntry
from providers.workers import private
from routing.candidates import Candidate
from routing.fleet import Seat, State, fleet
from routing.health import Watch, health
from routing.snapshot import Snapshot

#: Seconds that a job waits for a seat before another candidate is asked.
WAIT: Final = 2.0
#: Jobs that wait at one account, per process.
LONGEST_LINE: Final = 100
#: Workers that one job may be sent to.
MOST_WORKERS: Final = 3


def in_turn(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """The candidates of a plan as they are tried: one that workers serve comes once for each that may be asked."""
    for candidate in candidates:
        yield candidate
        if candidate.fleet:
            yield from (candidate,) * (MOST_WORKERS - 1)


def watch(candidate: Candidate) -> Watch:
    """A request is being sent to this place: the end of the watch gives its seat back."""
    return health.watch(candidate.place) if candidate.seat is None else candidate.seat.watched(health)


def _as_reached(snapshot: Snapshot, account: AccountEntry) -> AccountEntry:
    """The account as its workers may be reached; made once per snapshot."""
    known = ("workers of", account.id)
    found: AccountEntry | None = snapshot.memo.get(known)
    if found is None:
        reach = private(account.private_network, account.worker_hosts)
        found = snapshot.memo[known] = msgspec.structs.replace(account, private_network=reach)
    return found


class _Waiting:
    """A job in line."""

    __slots__ = ("candidate", "seat", "snapshot", "tried")

    def __init__(self, snapshot: Snapshot, candidate: Candidate, tried: frozenset[str]) -> None:
        self.snapshot = snapshot
        self.candidate = candidate
        self.tried = tried
        self.seat: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()

    @property
    def wants(self) -> tuple[int, str, frozenset[str]]:
        """Where one finds no seat, another that wants the same finds none."""
        return id(self.snapshot), self.candidate.upstream_model, self.tried

    def take(self) -> Seat | None:
        return _take(self.snapshot, self.candidate, self.tried)


_lines: defaultdict[int, deque[_Waiting]] = defaultdict(deque)


def waiting_for(candidate: Candidate) -> int:
    """Jobs that wait for the worker at which the candidate has its seat: there, and its share of the line here."""
    assert candidate.seat is not None
    account = candidate.account.id
    line = sum(not job.seat.done() for job in _lines.get(account, ()))
    active = sum(fleet.state(worker) is State.ACTIVE for worker in fleet.of(account))
    return candidate.seat.queue + math.ceil(line / max(1, active))


def _serve(account_id: int) -> None:
    """Seats may be free: those who have waited longest take them."""
    line = _lines.get(account_id)
    in_vain = set()
    for job in tuple(line or ()):
        if job.seat.done() or job.wants in in_vain:
            continue
        seat = job.take()
        if seat is not None:
            job.seat.set_result(seat)
        else:
            in_vain.add(job.wants)


fleet.followers.append(_serve)


def _take(snapshot: Snapshot, candidate: Candidate, tried: frozenset[str]) -> Seat | None:
    return fleet.take(snapshot, candidate.account.id, candidate.upstream_model, health, tried)


class Seats:
    """Of one request: the workers it has been to, which it does not go to again."""

    __slots__ = ("_in_vain", "_tried")

    def __init__(self) -> None:
        self._tried: frozenset[str] = frozenset()
        #: (account, model) where no seat was to be had
        self._in_vain: frozenset[tuple[int, str]] = frozenset()

    async def take(self, snapshot: Snapshot, candidate: Candidate, due: float) -> Candidate:
        """The candidate with a seat at a worker, to be left or sent to. Raises ApiError where none is to be had.

        `due`: the end of the request, in the loop's time.
        """
        account = candidate.account
        able = fleet.able(snapshot, account.id, candidate.upstream_model)
        if not able:
            why = fleet.why_not(snapshot, account.id, candidate.upstream_model)
            text = f"'{candidate.upstream_model}' is served by workers of account '{account.name}': {why}."
            raise ApiError(Fault.NO_WORKER, text)
        if candidate.place in self._in_vain or self._tried.issuperset(worker.id for worker in able):
            raise _busy(account.name)  # an attempt's error, or the first such one, is the answer
        seat = _take(snapshot, candidate, self._tried) or await self._in_line(snapshot, candidate, due)
        if seat is None:
            self._in_vain |= {candidate.place}
            raise _busy(account.name)
        self._tried |= {seat.worker_id}
        return msgspec.structs.replace(candidate, seat=seat, account=_as_reached(snapshot, account))

    async def _in_line(self, snapshot: Snapshot, candidate: Candidate, due: float) -> Seat | None:
        line = _lines[candidate.account.id]
        if len(line) >= LONGEST_LINE:
            return None
        job = _Waiting(snapshot, candidate, self._tried)
        line.append(job)
        fleet.in_line += 1
        seat = None
        try:
            async with asyncio.timeout_at(min(due, asyncio.get_running_loop().time() + WAIT)):
                seat = await job.seat
        except TimeoutError:
            pass
        finally:
            line.remove(job)
            fleet.in_line -= 1
            if seat is None and job.seat.done() and not job.seat.cancelled():
                job.seat.result().leave()  # it came in the moment in which nobody waited any more
        return seat


def _busy(account: str) -> ApiError:
    text = f"The workers of account '{account}' have as many jobs as they take."
    return ApiError(Fault.WORKERS_BUSY, text, headers={"retry-after": str(int(WAIT))})
