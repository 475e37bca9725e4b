"""The thread that keeps an access token ready for every key that needs one: fetched before it is asked for, renewed
at least a minute before it ends, never on a request. One that an upstream refuses is fetched anew at once, and at
growing pauses if that does not help.

It is woken when the served snapshot changes. Each exchange runs on a thread of its own, a few at once, so that one
issuer that hangs delays no other account. One that fails is tried again after a growing pause and told once per reason
in the log, in `explain` and in the sign of life that `doctor` and the admin read.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec
from django.db import DatabaseError, connection

from keys.minted import Minted, Place, minted
from keys.models import ProviderKey
from keys.order import Candidate
from keys.pool import KeyPool, pool
from keys.ring import BadRing
from keys.sealing import Unsealable
from keys.vault import replace_key
from providers.config import together
from providers.credentials import EXCHANGED, is_exchanged
from providers.credentials.request import CannotMint, Grant
from providers.hosts import BadUrl
from providers.minting import mint
from providers.secrets import Secret
from routing.snapshot import Snapshot
from routing.store import store

log = logging.getLogger(__name__)

#: Seconds before its end at which a token is renewed, at least and at most; in between, this part of its life. Up to
#: SOONEST more is added by chance.
SOONEST: Final = 60.0
LATEST: Final = 300.0
PART: Final = 0.2
#: Seconds after a failure until the next try: the first pause, doubled each time, and the longest.
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0
#: Seconds between an exchange and the next that is made because an upstream refused the token: the first, doubled each
#: time in a row, at most LONGEST_PAUSE. Up to EARLY_SPREAD more is added by chance.
EARLY_PAUSE: Final = 10.0
EARLY_SPREAD: Final = 2.0
#: Exchanges at once; seconds between two looks where nothing is due.
AT_ONCE: Final = 4
IDLE: Final = 30.0


class Wanted(NamedTuple):
    """One key that is exchanged."""

    place: Place
    account: str
    scheme: str
    private: bool
    key: Candidate


class _State(NamedTuple):
    """When the next exchange is due and the last began (epoch seconds), and how many failed in a row.

    `refused`: a token that an upstream refused, for which the next exchange is early; `early`: how many were, in a row.
    """

    due: float
    failures: int = 0
    began: float = 0.0
    refused: Secret | None = None
    early: int = 0


class Minter:
    """One per process: `minter`. `snapshot` gives what is served now."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        *,
        tokens: Minted = minted,
        keys: KeyPool = pool,
        exchange: Callable[..., Grant] = mint,
        clock: Callable[[], float] = time.time,
        store_key: Callable[[str, Secret], None] | None = None,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._spread = spread
        self._snapshot = snapshot
        self._store_key = store_key or _replace
        #: sign-ins whose renewed pair waits to be stored: the stored one has ended
        self._unsaved: dict[Place, Secret] = {}
        self._tokens = tokens
        self._keys = keys
        self._exchange = exchange
        self._clock = clock
        self._states: dict[Place, _State] = {}
        self._running: set[Place] = set()
        self._seen: Snapshot | None = None
        self._wanted: list[Wanted] = []
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; returns at once. Safe to call twice."""
        if self._thread is not None:
            return
        self._stop.clear()
        self._tokens.fetched_by(self.wake)
        self._thread = threading.Thread(target=self._run, name="minting", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. An exchange under way is not waited for."""
        thread, self._thread = self._thread, None
        self._tokens.fetched_by(None)
        self._stop.set()
        self._wake.set()
        if thread is not None:
            thread.join(2.0)
        self._running.clear()
        self._states.clear()
        self._wanted, self._seen = [], None
        self._tokens.forget_others(set())

    def wake(self) -> None:
        """Look now: what is served has changed. From any thread; returns at once."""
        self._wake.set()

    def round(self) -> float:
        """Forget keys that are gone, begin what is due; seconds until the next is."""
        snapshot = self._snapshot()
        if snapshot is not self._seen:
            self._seen = snapshot
            self._follow(list(wanted(snapshot)))
        for place, token in self._tokens.take_refused().items():
            self._sooner(place, token)
        now = self._clock()
        next_due = now + IDLE
        for item in self._wanted:
            state = self._states.get(item.place, _State(0.0))
            if item.place in self._running:
                continue
            if state.due > now:
                next_due = min(next_due, state.due)
            elif len(self._running) < AT_ONCE:  # else the end of one wakes this thread
                self._begin(item)
        return max(next_due - now, 0.0)

    # --- in the threads -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            wait = IDLE
            with _Told():
                wait = self.round()
            self._wake.wait(wait)

    def _follow(self, found: list[Wanted]) -> None:
        """Another snapshot: an account that changed is tried again at once where it failed."""
        before = {item.place: item for item in self._wanted}
        for item in found:
            known = before.get(item.place)
            state = self._states.get(item.place)
            if state is not None and state.failures and known is not None and known.private != item.private:
                self._states.pop(item.place)
        self._wanted = found
        places = {item.place for item in found}
        for table in (self._states, self._unsaved):
            for place in [place for place in list(table) if place not in places]:
                table.pop(place, None)  # in place: exchanges write to them meanwhile
        self._tokens.forget_others(places)

    def _sooner(self, place: Place, token: Secret) -> None:
        """An upstream refused this token. What failed or is under way is left to that: it comes to the same."""
        state = self._states.get(place)
        if state is None or state.failures or state.refused is token or place in self._running:
            return
        # Spread, because several gateways may hold one pair of a sign-in, and one renewal ends it for all.
        soonest = self._clock() + self._spread() * EARLY_SPREAD
        due = max(soonest, state.began + min(EARLY_PAUSE * 2 ** min(state.early, 10), LONGEST_PAUSE))
        self._states[place] = state._replace(due=min(state.due, due), refused=token)

    def _begin(self, item: Wanted) -> None:
        if self._stop.is_set():
            return
        self._running.add(item.place)
        if self._thread is None:
            self._work(item)  # no thread was started: the caller wants it done now
        else:
            # Not of a pool: those are waited for when the process ends, and an issuer may hang.
            threading.Thread(target=self._work_alone, args=(item,), name="minting", daemon=True).start()

    def _work_alone(self, item: Wanted) -> None:
        with _Told():
            self._work(item)

    def _work(self, item: Wanted) -> None:
        """One exchange, and when the next is due."""
        state, began = self._states.get(item.place, _State(0.0)), self._clock()
        pause = min(FIRST_PAUSE * 2 ** min(state.failures, 10), LONGEST_PAUSE)
        self._states[item.place] = state._replace(due=began + pause, failures=state.failures + 1, began=began)
        try:
            secret = self._unsaved.get(item.place) or self._keys.lease(item.key).secret
            if is_exchanged(item.scheme, secret):
                due = self._fetch(item, secret, state.refused)
                self._states[item.place] = _State(due, began=began, early=state.early + 1 if state.refused else 0)
            else:
                self._states[item.place] = _State(float("inf"))  # it is sent as it is
        except CannotMint as problem:
            if self._tokens.failed(item.place, str(problem)):
                log.warning("account %s has no new access token: %s", item.account, problem)
        except (Unsealable, BadRing) as problem:
            log.debug("a key of account %s does not open: %s", item.account, problem)  # the pool tells of it
        finally:
            self._running.discard(item.place)
            self._wake.set()

    def _fetch(self, item: Wanted, secret: Secret, refused: Secret | None) -> float:
        """Exchange and keep; when to renew."""
        began = self._clock()
        grant = self._exchange(item.scheme, secret, private=item.private, clock=self._clock, refused=refused)
        lives = grant.expires_at - began
        if lives <= 0:
            raise CannotMint("the token had ended before it came: is the clock of this machine right?")
        self._tokens.keep(item.place, msgspec.structs.replace(grant, renewed=None))
        renewed = grant.renewed or self._unsaved.get(item.place)
        if renewed is not None:
            self._unsaved[item.place] = renewed
            self._save(item, renewed)
        # Spread, because all gateways hold the same pair of a sign-in, and one of them is enough to renew it.
        early = min(max(lives * PART, SOONEST), LATEST) + self._spread() * SOONEST
        # A token that lives hardly longer than that is renewed in the middle of its life.
        return grant.expires_at - (early if lives > 2 * early else lives / 2)

    def _save(self, item: Wanted, renewed: Secret) -> None:
        try:
            self._store_key(item.key.key.id, renewed)
        except (DatabaseError, BadRing, BadUrl) as problem:
            raise CannotMint(f"its renewed sign-in cannot be stored now ({type(problem).__name__})") from None
        self._unsaved.pop(item.place, None)


def _replace(key_id: str, renewed: Secret) -> None:
    """Put a renewed pair in the place of the one that ended; nothing if the key has been deleted."""
    try:
        with together("minting", "a sign-in was renewed"):
            row = ProviderKey.objects.select_related("key_set__account__provider").filter(pk=key_id).first()
            if row is not None:
                replace_key(row, renewed)
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()  # this thread may not come back to it for hours


def wanted(snapshot: Snapshot) -> Iterator[Wanted]:
    """Every enabled key of the accounts whose scheme exchanges keys, each once per account."""
    for account in snapshot.accounts.values():
        provider = snapshot.providers.get(account.provider)
        if provider is None or provider.credential not in EXCHANGED or not (account.enabled and provider.enabled):
            continue
        seen: set[str] = set()
        for key_set in snapshot.key_sets.get(account.id, ()):
            for key in key_set.keys:
                if key.enabled and key.fingerprint not in seen:
                    seen.add(key.fingerprint)
                    place = (account.id, key.fingerprint)
                    candidate = Candidate(key, key_set)
                    yield Wanted(place, account.name, provider.credential, account.private_network, candidate)


class _Told:
    """What nobody foresaw ends a try or a round, and not more. Its text may hold anything: the log gets its kind."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if kind is not None:
            log.error("an exchange for an access token ended unforeseen: %s", kind.__name__)
        return True


minter = Minter(lambda: store.current)
