"""The keys a request may use, in order, opened and ready: no query, no wait, no plaintext outside `Secret`.

A key is chosen by M-08 to M-11: the project's own keys first, then those the account shares; a live override is the
only candidate; of two equal keys the first counts. `api.forward` walks the list by M-12 to M-16: the next key is tried
after a rate-limit answer only, each key once. A key that was limited rests, and is left out while it does. If every
candidate rests, the list is empty and `wait` says how long: the caller gets 429 with that Retry-After, and nothing is
sent to a provider that has just asked for silence (unless another route can serve).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from keys.cooling import Cooling, resting_name
from keys.entries import KeyEntry, KeySetEntry
from keys.mirror import Mirror
from keys.order import Candidate, in_order
from keys.origins import allows
from keys.sealing import Unsealable
from keys.spent import Spent
from keys.vault import bound_entry, open_key
from providers.hosts import origin_of
from providers.secrets import Secret

#: Orders remembered at most: one per (account's sets, project, route's set) in use.
_MOST_ORDERS: Final = 20_000
#: Seconds for which a key that did not open is left out.
_TRY_AGAIN: Final = 15.0
#: Key sets that `check` goes through in one go.
_AT_ONCE: Final = 50


Identity = tuple[str, bytes, int, int | None, str]


class Lease(NamedTuple):
    """An opened key, or the access token that stands for it (`keys.minted`). For one request; keep it nowhere.

    `api`: the base URL that the token's issuer named for it; `headers` are sent beside the token.
    """

    secret: Secret
    key: KeyEntry
    key_set: KeySetEntry
    api: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def may_go(self, url: str) -> bool:
        """Is this URL at an origin that the key was sealed for, or that its token's issuer named?"""
        return allows(self.key_set.origin, url) or (bool(self.api) and allows(origin_of(self.api), url))


class KeyPool:
    """One per process. Every method but `start` and `stop` is plain, quick and safe to call in a request."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.cooling = Cooling(clock)
        self.spent = Spent(clock)
        #: key id -> why it does not open (a reason of Unsealable); these keys are skipped
        self.undecryptable: dict[str, str] = {}
        self._opened: dict[Identity, Secret] = {}
        #: what does not open, why, and when it is tried again: the ring may have been put right meanwhile
        self._failed: dict[Identity, tuple[str, float]] = {}
        self._orders: dict[tuple[int, int | None, int | None], tuple[Sequence[KeySetEntry], list[Candidate]]] = {}
        self._mirror: Mirror | None = None

    # --- choosing -----------------------------------------------------------------------------------------------

    def candidates(
        self, sets: Sequence[KeySetEntry], project_id: int | None, key_set_id: int | None = None, model: str = ""
    ) -> list[Candidate]:
        """Keys to try now, in order. `sets` are all key sets of the account, `key_set_id` the one its route names,
        `model` the upstream's that is asked for.

        Resting keys and keys that do not open are left out. Empty: see `wait`. Do not change the list.
        """
        order = self._order(sets, project_id, key_set_id)
        if not self._failed and not self.cooling.any():
            return order
        return [
            candidate for candidate in order if not self._rest(candidate, model) and self._failure(candidate) is None
        ]

    def wait(
        self, sets: Sequence[KeySetEntry], project_id: int | None, key_set_id: int | None = None, model: str = ""
    ) -> float | None:
        """Seconds until a key of this list may be used (0: now); None if it has none that opens: a missing key."""
        waits = [
            self._rest(candidate, model)
            for candidate in self._order(sets, project_id, key_set_id)
            if self._failure(candidate) is None
        ]
        return min(waits, default=None)

    def lease(self, candidate: Candidate) -> Lease:
        """Open a candidate's key. Raises Unsealable, and leaves that key out for a while."""
        identity = _identity(candidate)
        secret = self._opened.get(identity)
        if secret is None:
            failure = self._failure(candidate)
            if failure is not None:
                raise Unsealable(failure)
            try:
                secret = open_key(candidate.key, bound_entry(candidate.key_set))
            except Unsealable as error:
                self._failed[identity] = (error.reason, self.cooling.clock() + _TRY_AGAIN)
                self.undecryptable[candidate.key.id] = error.reason
                raise
            self._opened[identity] = secret
            if self._failed.pop(identity, None) is not None:
                self.undecryptable.pop(candidate.key.id, None)
        return Lease(secret, candidate.key, candidate.key_set)

    # --- resting ------------------------------------------------------------------------------------------------

    def cool(self, fingerprint: str, seconds: float, model: str = "") -> None:
        """Let a key rest after a rate-limit answer, for one model where the limit is that model's; the other processes
        learn of it within a quarter of a second."""
        self.cooling.cool(resting_name(fingerprint, model), seconds)

    def is_cool(self, fingerprint: str) -> bool:
        """Does this key rest now?"""
        return self.cooling.is_cool(fingerprint)

    # --- living with the snapshot -------------------------------------------------------------------------------

    def check(self, sets: Iterable[KeySetEntry], pace: Callable[[], None] | None = None) -> dict[str, str]:
        """Open every key of a snapshot and forget every other one; returns `undecryptable`.

        For a snapshot that has just been swapped in. A key that left the configuration leaves memory here. Costs
        about 10 microseconds for a key not seen before and half of one for the rest: call it off the event loop, with
        a `pace` that lets requests run between two sets.
        """
        present: set[Identity] = set()
        failed: dict[str, str] = {}
        for number, key_set in enumerate(sets, 1):
            if pace is not None and number % _AT_ONCE == 0:
                pace()
            for key in key_set.keys:
                candidate = Candidate(key, key_set)
                present.add(_identity(candidate))
                self._failed.pop(_identity(candidate), None)
                try:
                    self.lease(candidate)
                except Unsealable as error:
                    failed[key.id] = error.reason
        self._opened = {identity: secret for identity, secret in list(self._opened.items()) if identity in present}
        self._failed = {identity: failure for identity, failure in list(self._failed.items()) if identity in present}
        self._orders.clear()
        self.undecryptable = failed
        return failed

    async def start(self, redis_url: str) -> None:
        """Begin to share resting keys through Redis, if there is one. Redis may be down, now or later."""
        if redis_url and self._mirror is None:
            self._mirror = Mirror(self.cooling, redis_url)
            self._mirror.start()

    async def stop(self) -> None:
        """End the sharing and close its connection."""
        mirror, self._mirror = self._mirror, None
        if mirror is not None:
            await mirror.stop()

    def _rest(self, candidate: Candidate, model: str) -> float:
        """Seconds until this key may be used for the model; 0 if now."""
        fingerprint = candidate.key.fingerprint
        left = self.cooling.remaining(fingerprint)
        return max(left, self.cooling.remaining(resting_name(fingerprint, model))) if model else left

    def _failure(self, candidate: Candidate) -> str | None:
        """Why this key did not open, if it has just been tried."""
        if not self._failed:
            return None
        failure = self._failed.get(_identity(candidate))
        return failure[0] if failure is not None and self.cooling.clock() < failure[1] else None

    def _order(self, sets: Sequence[KeySetEntry], project_id: int | None, key_set_id: int | None) -> list[Candidate]:
        """All candidates in order, remembered for as long as the very same `sets` are asked for."""
        known = (id(sets), project_id, key_set_id)
        found = self._orders.get(known)
        if found is not None and found[0] is sets:
            return found[1]
        if len(self._orders) >= _MOST_ORDERS:
            self._orders.clear()
        order = in_order(sets, project_id, key_set_id)
        # Holding `sets` keeps its id from being given to another object.
        self._orders[known] = (sets, order)
        return order


def _identity(candidate: Candidate) -> Identity:
    """What opening depends on: a key that opened in one place must not be had from memory in another."""
    key_set = candidate.key_set
    return (candidate.key.id, candidate.key.sealed, key_set.account_id, key_set.project_id, key_set.origin)


#: The pool of this process.
pool = KeyPool()
