"""Which keys a candidate may be tried with, and what the caller is told where there is none."""

from __future__ import annotations

import math
from typing import Any

from api.errors import ApiError, Fault
from api.trip import Trip
from keys.minted import minted
from keys.missing import missing_key_message
from keys.order import Candidate as Key
from keys.order import in_order, shared_set
from keys.pool import pool
from keys.sealing import Unsealable
from routing.candidates import Candidate
from routing.health import health, resting
from routing.serving import Keys, why_not
from routing.snapshot import Snapshot


def keys_for(trip: Trip, candidate: Candidate) -> list[Any]:
    """The keys to try now, in order; `[None]` where the provider needs none. Raises ApiError."""
    assert trip.snapshot is not None
    assert trip.project is not None
    provider, project_id = candidate.provider, trip.project.id
    sets = trip.snapshot.key_sets.get(candidate.account.id, ())
    keys: list[Any] = list(pool.candidates(sets, project_id, candidate.key_set_id))
    if keys:
        # A key that does not open keeps nobody from a provider that needs none.
        return keys if provider.needs_key or any(map(_opens, keys)) else [None]
    wait = pool.wait(sets, project_id, candidate.key_set_id)
    if wait is not None:
        raise _cooling(provider.slug, wait)
    if not provider.needs_key:
        return [None]
    raise no_key(trip, candidate, sealed=bool(in_order(sets, project_id, candidate.key_set_id)))


def _opens(key: Key) -> bool:
    try:
        pool.lease(key)
    except Unsealable:
        return False
    return True


def no_key(trip: Trip, candidate: Candidate, *, sealed: bool) -> ApiError:
    """The refusal of a candidate without a key; `sealed`: there are keys, and none of them can be opened."""
    assert trip.snapshot is not None
    account = candidate.account
    used = shared_set(trip.snapshot.key_sets.get(account.id, ()), candidate.key_set_id)
    where = f"account '{account.name}'"
    if sealed:
        where += " (a stored key cannot be opened and must be entered again)"
    return ApiError(Fault.PROVIDER_KEY_MISSING, missing_key_message(candidate.provider, where, account, used))


class Moment:
    """What `routing.resolve` asks of the moment, for one request."""

    __slots__ = ("_dialect", "_project_id", "_snapshot")

    def __init__(self, snapshot: Snapshot, project_id: int, dialect: str) -> None:
        self._snapshot = snapshot
        self._project_id = project_id
        self._dialect = dialect

    def why_not(self, candidate: Candidate) -> str | None:
        """What speaks against a candidate before it is tried."""
        rests = resting(health, candidate.place)
        if rests is not None:
            return rests
        sets = self._snapshot.key_sets.get(candidate.account.id, ())
        usable = pool.candidates(sets, self._project_id, candidate.key_set_id)
        if usable:
            able, lack = minted.with_token(candidate.provider.credential, usable)
            return why_not(self._snapshot, candidate, self._dialect, Keys(able, without_token=lack))
        waiting = pool.wait(sets, self._project_id, candidate.key_set_id) is not None
        return why_not(self._snapshot, candidate, self._dialect, Keys((), resting=waiting))

    def latency(self, candidate: Candidate) -> float | None:
        """Seconds to the first byte there of late."""
        return health.latency(candidate.place)

    def in_flight(self, candidate: Candidate) -> int:
        """Requests of this process that are there now."""
        return health.in_flight(candidate.place)


def _cooling(slug: str, wait: float) -> ApiError:
    seconds = max(1, math.ceil(wait))
    return ApiError(
        Fault.KEYS_COOLING,
        f"All keys for provider '{slug}' are rate limited. Try again in {seconds} s.",
        headers={"retry-after": str(seconds)},
    )
