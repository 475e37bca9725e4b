"""The snapshot this process serves, and the thread that keeps it the newest one.

`store.current` is one attribute read on the request path. A thread of its own looks at the revision number every
`POLL_INTERVAL`, at once when this process wrote, and patches; it has its own database connection, so a database that
is gone or hangs stops no request. A snapshot that is refused is shown in `problem`; the last good one serves on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connection

from keys import ring as rings
from keys.minted import minted
from keys.pool import pool
from keys.ring import BadRing, UnknownKey
from routing import tables
from routing.breath import breathing, undisturbed
from routing.build import BadSnapshot, build, patch
from routing.health import health
from routing.hearsay import MOST_IN_A_SIGN, encoded, report
from routing.pacing import Pace, no_pace
from routing.patience import answers_within
from routing.presence import BEAT, NO_TOKEN, forget, process_name, show
from routing.push import Push
from routing.revisions import published
from routing.shelf import NoCopy, Shelf
from routing.snapshot import EMPTY, Snapshot
from routing.urgent import renew

log = logging.getLogger(__name__)

#: Seconds that a start waits for the database before it takes the copy on disk.
START_PATIENCE: Final = 2.0
#: Seconds for which a start believes that the database is away, told by the process that forked this one.
LATELY: Final = 10.0
#: Seconds for which the thread waits for one answer of the database before the connection counts as lost.
ANSWER: Final = 4.0
#: Seconds between two writes of the copy, two marks of its age.
COPY_EVERY: Final = 2.0
MARK_EVERY: Final = 30.0
#: Seconds between two tries of a snapshot that was refused: what makes it bad may lie outside the revisions.
RETRY_REFUSED: Final = 15.0
#: Seconds between two checks that every stored key opens, where no key changed (R-SEC-08).
CHECK_KEYS_EVERY: Final = 3600.0
#: Seconds for which the thread keeps the interpreter when a request waits for it.
SWITCH_INTERVAL: Final = 0.0001


#: What rows that nothing of ours wrote can raise where they are read.
BAD_ROWS: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
#: The same, and what else a round may meet that is no reason to look no more.
SURVIVED: Final = (*BAD_ROWS, AssertionError, BufferError, RuntimeError, msgspec.MsgspecError)
#: What an operator is told if nothing keeps the snapshot fresh any more.
ENDED: Final = "the thread that follows the database has ended: restart this process"


class Store:
    """See the module. One per process: `store`."""

    def __init__(self) -> None:
        self.current: Snapshot = EMPTY
        #: called by the thread after `current` was replaced; they return at once
        self.followers: list[Callable[[], None]] = []
        #: called by the thread in each round in which the database answered; they may ask it, too
        self.lookers: list[Callable[[], None]] = []
        #: Why the newest revision does not serve, or that the database cannot be reached; empty is well.
        self.problem = ""
        #: "", "database", "disk" or "installed": where `current` came from
        self.source = ""
        self._lost_database = False
        #: monotonic seconds since when the thread waits for the revision number; 0: it does not
        self._asking_since = 0.0
        self.applied_at: datetime | None = None
        self._known_at = 0.0
        #: monotonic seconds at which the process that forked this one found the database away
        self._away_at = -LATELY
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._served = threading.Event()
        self._lock = threading.Lock()
        self._refused = (0, 0.0)
        #: the refusal that was last logged
        self._told = ""
        #: tokens, projects or keys were renewed in `current` since it was copied
        self._renewed = False
        self._due = {"beat": 0.0, "copy": 0.0, "mark": 0.0, "keys": 0.0}
        self._keys_checked: object = None
        self._name = ""
        self._shelf: Shelf | None = None
        self._push = Push(self.refresh)

    @property
    def stale(self) -> bool:
        """Nothing has confirmed `current` for longer than MAX_SNAPSHOT_AGE_HOURS: it must not serve (R-REL-13c)."""
        cap: float = settings.MAX_SNAPSHOT_AGE_HOURS * 3600.0
        return time.time() - self._known_at > cap

    @property
    def degraded(self) -> bool:
        """The database could not be asked at the last look, or has not answered for a while, or nobody asks it."""
        since = self._asking_since
        return self._ended or self._lost_database or (since > 0 and time.monotonic() - since > START_PATIENCE)

    @property
    def _ended(self) -> bool:
        """Has the thread ended without having been told to?"""
        return self._thread is not None and not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Does the thread keep `current` fresh in this process?"""
        return self._thread is not None and self._thread.is_alive()

    @property
    def ready(self) -> bool:
        """Is there a snapshot that may serve?"""
        return bool(self.source) and not self.stale

    def status(self) -> dict[str, Any]:
        """For /readyz and the admin: what is served, since when, from where, and what is wrong."""
        return {
            "revision": self.current.revision,
            "source": self.source,
            "degraded": self.degraded,
            "problem": ENDED if self._ended else self.problem or rings.problem(),
            "stale": self.stale,
            "age_seconds": round(max(time.time() - self._known_at, 0.0), 1) if self.source else None,
            "left_out": len(self.current.left_out),
        }

    def install(self, snapshot: Snapshot) -> None:
        """Serve this snapshot, checked by the caller. For tests and tools: no thread runs."""
        self._take(snapshot, "installed", time.time())

    def found_away(self) -> None:
        """The database was asked a moment ago and did not answer: gateways forked now need not find that out again."""
        self._away_at = time.monotonic()

    @property
    def patience(self) -> float:
        """Seconds that a start waits for the database before it takes the copy on disk."""
        return 0.1 if time.monotonic() - self._away_at < LATELY else START_PATIENCE

    async def start(self) -> None:
        """Start the thread and wait until something can be served, with `patience` for the database.

        Without a database and without a copy on disk it returns all the same; `ready` is then False.
        """
        if self._thread is not None:
            return
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._shelf = Shelf(Path(settings.HOME.snapshot))
        self._name = process_name()  # here, because gateways are forked after the import
        self._stop.clear()
        self._served.clear()
        self.current, self.source, self.problem, self._lost_database = EMPTY, "", "", False
        self._due = dict.fromkeys(self._due, 0.0)
        published.connect(self._on_published, dispatch_uid=f"store {id(self)}")
        self._thread = threading.Thread(target=self._run, name="snapshot", daemon=True)
        self._thread.start()
        self._push = Push(self.refresh)
        self._push.start()
        await asyncio.to_thread(self._served.wait, self.patience)
        if not self.source:
            await asyncio.to_thread(self._take_copy)

    async def stop(self) -> None:
        """End the thread, leave a copy on disk and take this process off the list of running ones."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        published.disconnect(dispatch_uid=f"store {id(self)}")
        self._stop.set()
        self._push.stop()
        self._wake.set()
        await asyncio.to_thread(thread.join, 2.0)

    def refresh(self) -> None:
        """Look at the revision number now instead of at the next poll. From any thread; returns at once."""
        self._wake.set()

    def _on_published(self, **_: Any) -> None:
        self.refresh()

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        answers_within(ANSWER)
        try:
            while not self._stop.is_set():
                self._wake.clear()
                self._round()
                self._served.set()
                self._wake.wait(settings.POLL_INTERVAL)
            self._copy()
            with contextlib.suppress(DatabaseError, InterfaceError):
                forget(self._name)
        finally:
            connection.close()

    def _round(self) -> None:
        """One look, and the housekeeping that is due. Whatever is wrong with the database ends here."""
        before = self.current
        try:
            self._look()
            self._check_keys()
            self._beat()
            for look in self.lookers:
                look()
        except (DatabaseError, InterfaceError, ImproperlyConfigured, OSError) as error:
            self._lost(error)
        except (BadRing, UnknownKey) as error:
            self.problem = f"the ring of master keys cannot be read: {error}"[:300]
        except SURVIVED as error:
            self._stumbled(error)
        if self.current is not before:
            for wake in self.followers:
                wake()
        self._copy()

    def _stumbled(self, error: Exception) -> None:
        """Something of ours failed in this round: the next one comes all the same, and operators see it."""
        self._asking_since = 0.0
        self.problem = f"the snapshot cannot be kept fresh ({type(error).__name__}: {error})"[:300]
        if self._told != self.problem:
            self._told = self.problem
            log.error("%s", self.problem, exc_info=error)

    def _look(self) -> None:
        snapshot = self.current
        newest = snapshot.revision
        try:
            self._asking_since = time.monotonic()
            newest = tables.head()
            self._asking_since = 0.0
            asked_at = time.time()
            tried, retry_at = self._refused
            if not self.source:
                snapshot = build(no_pace)
            elif newest != snapshot.revision and (newest != tried or time.monotonic() >= retry_at):
                with undisturbed():
                    snapshot = (
                        patch(snapshot, breathing())
                        if newest > snapshot.revision
                        else build(breathing(), previous=snapshot)
                    )
        except BadSnapshot as error:
            self._refuse(error)
            return
        except BAD_ROWS as error:
            # Rows that nothing of ours wrote: they must not end this thread (R-REL-15).
            self._asking_since = 0.0
            self._refuse(BadSnapshot(newest, [f"it cannot be built ({type(error).__name__}: {error})"]))
            return
        self._lost_database = False
        if snapshot is not self.current or (newest == snapshot.revision and self.source != "database"):
            self._take(snapshot, "database", asked_at)
            self._due["beat"] = 0.0
        if newest == snapshot.revision:
            self._known_at = asked_at
            self.problem = self._told = ""

    def _refuse(self, error: BadSnapshot) -> None:
        self._lost_database = False
        self._refused = (error.revision, time.monotonic() + RETRY_REFUSED)
        self.problem = str(error)[:300]
        if self._told != self.problem:
            self._told = self.problem
            self._due["beat"] = 0.0
            log.error("%s", error)
        if not self.source:
            self._take_copy(lost=False)
        if self.source:
            self._renew()

    def _renew(self) -> None:
        """Revocation waits for no other row: tokens, projects and keys go into what serves."""
        try:
            renewed = renew(self.current, breathing())
        except BAD_ROWS as error:
            log.error("tokens and keys behind a refused revision cannot be read: %s", error)
            return
        if renewed is not self.current:
            self.current, self._renewed = renewed, True
            self._due["copy"] = 0.0

    def _lost(self, error: Exception) -> None:
        self._asking_since = 0.0
        connection.close()
        if not self._lost_database:
            log.warning("the database cannot be reached, serving goes on: %s", type(error).__name__)
        self._lost_database = True
        self._refused = (0, 0.0)  # what was refused is told again as soon as the database is back
        self.problem = f"the database cannot be reached ({type(error).__name__})"
        if not self.source:
            self._take_copy()

    def _take_copy(self, lost: bool = True) -> None:
        assert self._shelf is not None
        try:
            snapshot = self._shelf.get()
        except (NoCopy, BadRing, UnknownKey) as error:
            self.problem = f"{self.problem or 'the database does not answer'}; no copy on disk serves: {error}"[:300]
            return
        known_at = max(snapshot.built_at, self._shelf.seen(snapshot.revision))
        if self._take(snapshot, "disk", known_at):
            self._lost_database = lost

    def _take(self, snapshot: Snapshot, source: str, known_at: float) -> bool:
        """Serve this snapshot; a copy from disk only while there is nothing else, however late it was read."""
        with self._lock:
            if source == "disk" and self.source:
                return False
            self.current = snapshot
            self._known_at = known_at
            self.source = source
            self.applied_at = datetime.now(UTC)
        self._served.set()
        return True

    def _beat(self) -> None:
        if time.monotonic() < self._due["beat"] or not self.source:
            return
        problem = self.problem or _without_token(self.current)
        told = encoded(report(health, MOST_IN_A_SIGN)).decode() if settings.PLANE != "control" else None
        self._due["beat"] = time.monotonic() + BEAT  # also where it cannot be written: the database may be read-only
        if not show(self._name, self.current.revision, self.applied_at, problem, told):
            self._due["beat"] = time.monotonic() + 1.0

    def _check_keys(self) -> None:
        """Open the keys of a snapshot that has others than the last, and forget those that it no longer has."""
        table = self.current.key_sets
        now = time.monotonic()
        if table is self._keys_checked and now < self._due["keys"]:
            return
        before = set(pool.undecryptable)
        failed = pool.check((key_set for sets in table.values() for key_set in sets), breathing())
        self._keys_checked, self._due["keys"] = table, now + CHECK_KEYS_EVERY
        if set(failed) - before:
            log.error("%d stored key(s) cannot be opened and must be entered again: see the admin", len(failed))

    def _copy(self) -> None:
        """Write the copy and its mark when they are due; a full disk must stop nothing."""
        now = time.monotonic()
        if self._shelf is None or (self.source != "database" and not self._renewed):
            return
        stopping = self._stop.is_set()
        try:
            if now >= self._due["copy"] or stopping:
                self._due["copy"] = now + COPY_EVERY
                self._shelf.put(self.current, no_pace if stopping else breathing(), anew=self._renewed)
                self._renewed = False
            if (now >= self._due["mark"] or stopping) and self._shelf.revision() == self.current.revision:
                self._due["mark"] = now + MARK_EVERY
                self._shelf.mark(self.current.revision, self._known_at)
        except (OSError, BadRing, UnknownKey) as error:
            log.warning("the copy of the snapshot cannot be written: %s", type(error).__name__)


def _without_token(snapshot: Snapshot) -> str:
    """The accounts whose keys could not be exchanged for an access token at the last try, and why."""
    failing = [(snapshot.accounts[owner].name, why) for owner, why in minted.failing() if owner in snapshot.accounts]
    return "; ".join(f"{NO_TOKEN} for account {name}: {why}" for name, why in failing)


store = Store()


def at_hand(pace: Pace = no_pace) -> Snapshot:
    """The snapshot that this process serves; where it serves none, the database's configuration. Raises as `build`."""
    return store.current if store.running and store.ready else build(pace)
