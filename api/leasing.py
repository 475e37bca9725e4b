"""Which keys a candidate may be tried with, what they are signed with, what the caller is told where there is none."""

from __future__ import annotations

import math

from api.errors import ApiError, Fault
from api.trip import Trip
from keys.minted import NoToken, minted
from keys.missing import missing_key_message
from keys.order import Candidate as Key
from keys.order import in_order, shared_set
from keys.pool import Lease, pool
from keys.sealing import Unsealable
from routing.candidates import Candidate
from routing.serving import Keys
from routing.snapshot import Snapshot


def keys_for(trip: Trip, candidate: Candidate) -> list[Key] | list[None]:
    """The keys to try now, in order; `[None]` where the provider needs none. Raises ApiError."""
    assert trip.snapshot is not None
    assert trip.project is not None
    provider, project_id = candidate.provider, trip.project.id
    sets = trip.snapshot.key_sets.get(candidate.account.id, ())
    keys = list(pool.candidates(sets, project_id, candidate.key_set_id))
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
    text = missing_key_message(candidate.provider, where, account, used)
    return ApiError(Fault.PROVIDER_KEY_MISSING, text, step="")


def opened(candidate: Candidate, key: Key) -> Lease:
    """What a request is signed with now: the key, or the access token that stands for it.

    Raises Unsealable; ApiError where there is no access token.
    """
    try:
        return minted.exchanged(candidate.provider.credential, pool.lease(key))
    except NoToken as problem:
        text = f"Account '{candidate.account.name}' has no access token now: {problem}."
        raise ApiError(Fault.BAD_ACCOUNT, text) from None


def keys_now(snapshot: Snapshot, project_id: int, candidate: Candidate) -> Keys:
    """The keys that `routing.serving` judges a candidate by, before it is tried: none that rests or lacks its token."""
    sets = snapshot.key_sets.get(candidate.account.id, ())
    usable = pool.candidates(sets, project_id, candidate.key_set_id)
    if usable:
        able, lack = minted.with_token(candidate.provider.credential, usable)
        return Keys(able, without_token=lack)
    return Keys((), resting=pool.wait(sets, project_id, candidate.key_set_id) is not None)


def _cooling(slug: str, wait: float) -> ApiError:
    seconds = max(1, math.ceil(wait))
    return ApiError(
        Fault.KEYS_COOLING,
        f"All keys for provider '{slug}' are rate limited. Try again in {seconds} s.",
        headers={"retry-after": str(seconds)},
        step="Or add keys.",
    )
