"""The workers that registered themselves: who is there, how busy each is, and which one takes the next job. Pure.

A worker belongs to an account and serves models there. It is active while it is heard of, until it or an operator ends
its work: then it gets no new jobs, and those that run go on. A job takes one of its seats until its answer has ended.
The next job goes to the worker with the least to do: what runs there for this process, what it said it has to do
for others when it was last heard of, and twice the errors it made of late.

One event loop uses a fleet. `routing.fleet_rows` and `routing.fleet_words` tell it what other processes heard.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from enum import StrEnum
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from providers.entries import AccountEntry
from providers.secrets import Secret
from providers.workers import why_refused
from routing.fleet_roll import Roll
from routing.health import Health, Watch, resting
from routing.places import Circuit, Failure, Place, of_worker
from routing.snapshot import Snapshot

#: Seconds between two words of a worker, and those after which a silent one gets no jobs and is forgotten.
HEARTBEAT: Final = 30.0
SILENCE: Final = 45.0
FORGOTTEN: Final = 600.0
#: Jobs at a time, where a worker does not say how many.
JOBS: Final = 2
#: Workers of one account, and of all.
MOST_OF_ACCOUNT: Final = 1_000
MOST: Final = 10_000
#: Errors fade by one in so many seconds; more than so many are not counted.
FORGIVEN: Final = 60.0
MOST_ERRORS: Final = 10.0
#: Seconds between two looks for the long silent: while there is room for more workers, and while there is none.
_SWEEP_EVERY: Final = 60.0
_SWEEP_FULL: Final = 1.0
#: Seconds within which the same word is one that was heard already.
_ECHO: Final = 10.0
#: Workers whose word the other processes have not heard yet.
_UNTOLD: Final = 2 * MOST


class State(StrEnum):
    ACTIVE = "active"
    DRAINING = "draining"
    SILENT = "silent"


class FleetFull(Exception):
    """There are as many workers as there may be."""


class Word(msgspec.Struct, frozen=True, gc=False):
    """What a worker says of itself. `secret`: what it wants to be shown with each job."""

    account_id: int
    token_id: str
    url: str
    models: tuple[str, ...]
    capacity: int = JOBS
    running: int = 0
    queued: int = 0
    #: it wants no more jobs
    leaves: bool = False
    secret: Secret | None = None

    def says(self, other: Word) -> bool:
        """Whether the other says the same; of secrets nobody is asked."""
        return msgspec.structs.replace(self, secret=None) == msgspec.structs.replace(other, secret=None)

    @property
    def worker_id(self) -> str:
        """The same in every process, for as long as the worker is where it is."""
        return worker_id(self.account_id, self.url)


def worker_id(account_id: int, url: str) -> str:
    return "w" + hashlib.blake2b(f"{account_id} {url}".encode(), digest_size=9).hexdigest()


class Worker:
    """One worker as this process knows it. `heard_at` in seconds of the fleet's clock."""

    __slots__ = ("drained_by", "elsewhere", "errors", "errors_at", "heard_at", "id", "judged", "running", "word")

    def __init__(self, word: Word, heard_at: float) -> None:
        self.id = word.worker_id
        self.word = word
        self.heard_at = heard_at
        #: jobs of this process, and those of others as of the worker's last word
        self.running = 0
        self.elsewhere = 0
        self.errors = 0.0
        self.errors_at = heard_at
        #: the operator who wants it to get no more jobs
        self.drained_by = ""
        #: the account as it was when it was last looked whether the worker may be where it is, and whether it may not
        self.judged: tuple[AccountEntry, bool] | None = None

    def place(self, model: str) -> Place:
        """What health is kept of: of each worker by itself, so that a bad one says nothing of the others."""
        return self.word.account_id, of_worker(model, self.id)

    def hears(self, word: Word, heard_at: float) -> None:
        """A newer word than that which is known."""
        self.word = word
        self.heard_at = heard_at
        self.elsewhere = max(0, word.running - self.running)

    def erred(self, now: float) -> None:
        self.errors, self.errors_at = min(self.errors_now(now) + 1, MOST_ERRORS), now

    def errors_now(self, now: float) -> float:
        return max(0.0, self.errors - (now - self.errors_at) / FORGIVEN)

    def load(self, now: float) -> float:
        """What it has to do, an error counting double."""
        return self.running + self.elsewhere + self.word.queued + 2 * self.errors_now(now)


class Share(NamedTuple):
    """This process is the `rank`th of `number` that send jobs."""

    rank: int = 0
    number: int = 1

    def of(self, capacity: int) -> int:
        """The seats of a worker that are this process's: its share of them, and one at least."""
        return max(1, capacity // self.number + (self.rank < capacity % self.number))


class Seat:
    """A place for one job at a worker, until it is given back."""

    __slots__ = ("_fleet", "_free", "_sent", "_worker", "place", "secret", "url")

    def __init__(self, fleet: Fleet, worker: Worker, model: str) -> None:
        self._fleet = fleet
        self._worker = worker
        self._free = self._sent = False
        self.place = worker.place(model)
        self.url = worker.word.url
        self.secret = worker.word.secret
        worker.running += 1

    @property
    def worker_id(self) -> str:
        return self._worker.id

    @property
    def queue(self) -> int:
        """Jobs at the worker beyond those that it does at a time: they wait there."""
        worker = self._worker
        return max(0, worker.running + worker.elsewhere + worker.word.queued - worker.word.capacity)

    def watched(self, health: Health) -> Watch:
        """The job is being sent: from now on the end of the watch gives the seat back."""
        self._sent = True
        return health.watch(self.place, partial(_Job, self))

    def leave(self) -> None:
        """Give the seat back, unless a job was sent."""
        if not self._sent:
            self.over(None)

    def over(self, failure: Failure | None) -> None:
        """The job has ended; `failure`: it came to nothing."""
        if not self._free:
            self._free = True
            self._fleet.freed(self._worker, failure)


class _Job(Watch):
    """A request at a worker: with its end the seat is free."""

    __slots__ = ("_failure", "_seat")

    def __init__(self, seat: Seat, *watched: Any) -> None:
        super().__init__(*watched)
        self._seat = seat
        self._failure: Failure | None = None

    def failed(self, kind: Failure) -> None:
        self._failure = kind
        super().failed(kind)

    def _ends(self) -> bool:
        ends = super()._ends()
        if ends:
            self._seat.over(self._failure)
        return ends


class Fleet:
    """All workers that a process knows. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.share = Share()
        #: failed jobs since the start, and jobs that wait for a seat now
        self.failures = 0
        self.in_line = 0
        #: ids of workers that spoke to this process, for those who tell the others
        self.outboxes: list[deque[str]] = []
        #: called with an account's id when one of its workers may take a job
        self.followers: list[Callable[[int], None]] = []
        self._roll = Roll()
        self._swept_at = -math.inf

    # --- who is there -----------------------------------------------------------------------------------------------

    def hear(self, word: Word) -> Worker:
        """A worker speaks to this process. Raises FleetFull."""
        worker = self._take_in(word, self.clock())
        for outbox in self.outboxes:
            outbox.append(worker.id)
        return worker

    def learn(self, word: Word, age: float) -> Worker | None:
        """A worker spoke to some process so many seconds ago; nothing, if this is old or there is no room."""
        heard_at = self.clock() - age
        known = self._roll.all.get(word.worker_id)
        # The same word may come back here, by another clock.
        if known is not None and heard_at <= known.heard_at + (_ECHO if known.word.says(word) else 0.0):
            return known
        try:
            return self._take_in(word, heard_at) if age < FORGOTTEN else known
        except FleetFull:
            return None

    def _take_in(self, word: Word, heard_at: float) -> Worker:
        worker = self._roll.all.get(word.worker_id)
        if worker is None:
            self._make_room(word.account_id)
            worker = Worker(word, heard_at)
            self._roll.add(worker)
        elif (worker.word.account_id, worker.word.url) != (word.account_id, word.url):
            raise FleetFull  # somebody looked for a URL whose id is another worker's, to be sent its jobs
        if worker.word.models == word.models:
            worker.hears(word, heard_at)
        else:
            self._roll.unlist(worker)
            worker.hears(word, heard_at)
            self._roll.enlist(worker)
        self._tell(word.account_id)
        return worker

    def drain(self, worker_id: str, by: str) -> None:
        """An operator ends a worker's work, or lets it go on (`by` empty)."""
        worker = self._roll.all.get(worker_id)
        if worker is not None and worker.drained_by != by:
            worker.drained_by = by
            self._tell(worker.word.account_id)

    def _make_room(self, account_id: int) -> None:
        """For one more worker; many come at once, and not each of them is worth a look at all. Raises FleetFull."""
        if self.clock() - self._swept_at >= (_SWEEP_FULL if self._is_full(account_id) else _SWEEP_EVERY):
            self.sweep()
        if self._is_full(account_id):
            raise FleetFull

    def _is_full(self, account_id: int) -> bool:
        return len(self._roll.all) >= MOST or self._roll.number(account_id) >= MOST_OF_ACCOUNT

    def sweep(self) -> None:
        """Forget the long silent."""
        self._swept_at = self.clock()
        before = self._swept_at - FORGOTTEN
        for worker in tuple(self._roll.all.values()):
            if worker.heard_at < before and not worker.running:
                self._roll.drop(worker)

    def get(self, worker_id: str) -> Worker | None:
        return self._roll.all.get(worker_id)

    def of(self, account_id: int) -> tuple[Worker, ...]:
        """The workers of an account, whatever their state."""
        return self._roll.of(account_id)

    def __iter__(self) -> Iterator[Worker]:
        return iter(tuple(self._roll.all.values()))

    def state(self, worker: Worker) -> State:
        if self.clock() - worker.heard_at > SILENCE:
            return State.SILENT
        return State.DRAINING if worker.word.leaves or worker.drained_by else State.ACTIVE

    def clear(self) -> None:
        """Forget everything."""
        self._roll.clear()
        self._swept_at = -math.inf
        self.share, self.failures = Share(), 0

    # --- who takes a job --------------------------------------------------------------------------------------------

    def able(self, snapshot: Snapshot, account_id: int, model: str) -> list[Worker]:
        """The workers that may serve a model of the account now, busy or not."""
        return [
            worker
            for worker in self._roll.serving(account_id, model)
            if self.state(worker) is State.ACTIVE and not unfit(snapshot, worker)
        ]

    def why_not(self, snapshot: Snapshot, account_id: int, model: str) -> str | None:
        """Why no worker could take a job; None: one could, if it had the time."""
        if self.able(snapshot, account_id, model):
            return None
        there = self._roll.serving(account_id, model)
        if not there:
            return "no worker is registered"
        states = sorted({unfit(snapshot, worker) or f"is {self.state(worker)}" for worker in there})
        whose = "it" if len(there) == 1 else f"each of {len(there)}"
        return f"no worker is active: {whose} {' or '.join(states)}"

    def take(
        self, snapshot: Snapshot, account_id: int, model: str, health: Health, tried: Collection[str] = ()
    ) -> Seat | None:
        """A seat at the worker with the least to do, but those tried; None if all are busy, or none is left.

        One whose circuit is open is asked only where all are.
        """
        able = [worker for worker in self.able(snapshot, account_id, model) if worker.id not in tried]
        awake = [worker for worker in able if health.circuit(worker.place(model)) is not Circuit.OPEN]
        free = [worker for worker in awake or able if worker.running < self.room(worker)]
        if not free:
            return None
        now = self.clock()
        loads = [worker.load(now) for worker in free]
        least = min(loads)
        best = [worker for worker, load in zip(free, loads, strict=True) if load == least]
        return Seat(self, random.choice(best), model)  # noqa: S311 - spreads load

    def rests(self, snapshot: Snapshot, account_id: int, model: str, health: Health) -> str | None:
        """Why no worker should get a job, where the circuits of all are open."""
        why = None
        for worker in self.able(snapshot, account_id, model):
            why = resting(health, worker.place(model))
            if why is None:
                return None
        return f"each of its workers rests: {why}" if why is not None else None

    def room(self, worker: Worker) -> int:
        """Jobs that this process may have there at a time."""
        return self.share.of(worker.word.capacity)

    def freed(self, worker: Worker, failure: Failure | None) -> None:
        """A seat was given back; `failure`: the job came to nothing there."""
        worker.running -= 1
        if failure is not None:
            worker.erred(self.clock())
            self.failures += 1
        self._tell(worker.word.account_id)

    def _tell(self, account_id: int) -> None:
        for follower in self.followers:
            follower(account_id)

    def new_outbox(self) -> deque[str]:
        """What is to be told from now on, for one who tells it."""
        self.outboxes.append(deque(maxlen=_UNTOLD))
        return self.outboxes[-1]


def unfit(snapshot: Snapshot, worker: Worker) -> str:
    """Why the configuration does not let a worker work: its token was taken back, or it may not be where it is."""
    word = worker.word
    token = snapshot.tokens.get(snapshot.index.tokens.get(word.token_id, b""))
    account = snapshot.accounts.get(word.account_id)
    if token is None or account is None or token.account_id != account.id or token.revoked_at is not None:
        return "has a token that is revoked"
    if token.expires_at is not None and token.expires_at <= time.time():
        return "has a token that has expired"
    if worker.judged is None or worker.judged[0] is not account:
        worker.judged = account, bool(why_refused(word.url, account.private_network, account.worker_hosts))
    return "is where the account's workers may not be" if worker.judged[1] else ""


#: Of this process.
fleet = Fleet()
