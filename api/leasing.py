"""Which keys a candidate may be tried with, and what the caller is told where there is none."""

from __future__ import annotations

import math
from typing import Any

from api.errors import ApiError, Fault
from api.trip import Trip
from keys.missing import missing_key_message
from keys.pool import in_order, pool, shared_set
from providers.families import FAMILIES
from routing.resolve import Candidate


def keys_for(trip: Trip, candidate: Candidate) -> list[Any]:
    """The keys to try now, in order; `[None]` where the provider needs none. Raises ApiError."""
    assert trip.snapshot is not None
    assert trip.project is not None
    provider, project_id = candidate.provider, trip.project.id
    sets = trip.snapshot.key_sets.get(candidate.account.id, ())
    keys: list[Any] = list(pool.candidates(sets, project_id, candidate.key_set_id))
    if keys:
        return keys
    wait = pool.wait(sets, project_id, candidate.key_set_id)
    if wait is not None:
        raise _cooling(provider.slug, wait)
    if provider.keyless or provider.credential == "none":
        return [None]
    raise no_key(trip, candidate, sealed=bool(in_order(sets, project_id, candidate.key_set_id)))


def no_key(trip: Trip, candidate: Candidate, *, sealed: bool) -> ApiError:
    """The refusal of a candidate without a key; `sealed`: there are keys, and none of them can be opened."""
    assert trip.snapshot is not None
    account = candidate.account
    used = shared_set(trip.snapshot.key_sets.get(account.id, ()), candidate.key_set_id)
    where = f"account '{account.name}'"
    if sealed:
        where += " (a stored key cannot be opened and must be entered again)"
    return ApiError(Fault.PROVIDER_KEY_MISSING, missing_key_message(candidate.provider, where, account, used))


def why_unavailable(trip: Trip, candidate: Candidate) -> str | None:
    """What speaks against a candidate before it is tried; `resolve` drops such ones while others are left."""
    if not FAMILIES[candidate.family].speaks(trip.row.dialect):
        return "its API is not served by this endpoint yet"
    if candidate.provider.keyless or candidate.provider.credential == "none":
        return None
    assert trip.snapshot is not None
    assert trip.project is not None
    sets = trip.snapshot.key_sets.get(candidate.account.id, ())
    if pool.candidates(sets, trip.project.id, candidate.key_set_id):
        return None
    return "it has no key that can be used now"


def _cooling(slug: str, wait: float) -> ApiError:
    seconds = max(1, math.ceil(wait))
    return ApiError(
        Fault.KEYS_COOLING,
        f"All keys for provider '{slug}' are rate limited. Try again in {seconds} s.",
        headers={"retry-after": str(seconds)},
    )
