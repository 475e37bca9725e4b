"""Which keys a candidate may be tried with, what they are signed with, what the caller is told where there is none."""

from __future__ import annotations

import math
from http import HTTPStatus

from django.conf import settings

from api.errors import ApiError, Fault
from api.trip import Trip
from keys.minted import NoToken, minted
from keys.missing import missing_key_message
from keys.order import Candidate as Key
from keys.order import in_order, shared_set
from keys.pool import Lease, pool
from keys.sealing import Unsealable
from providers.limits import PASSING
from providers.verdicts import Verdict
from routing.candidates import Candidate
from routing.resolve import Plan
from routing.serving import RESTING, Keys
from routing.snapshot import Snapshot


def keys_for(trip: Trip, candidate: Candidate) -> list[Key] | list[None]:
    """The keys to try now, in order; `[None]` where the provider needs none. Raises ApiError."""
    assert trip.snapshot is not None
    assert trip.project is not None
    if candidate.fleet:
        return [None]  # a worker is no vendor: it gets what it registered with, and no key of the account
    provider, project_id = candidate.provider, trip.project.id
    sets = trip.snapshot.key_sets.get(candidate.account.id, ())
    keys = list(pool.candidates(sets, project_id, candidate.key_set_id, candidate.upstream_model))
    if keys:
        # A key that does not open keeps nobody from a provider that needs none.
        return keys if provider.needs_key or any(map(_opens, keys)) else [None]
    wait = pool.wait(sets, project_id, candidate.key_set_id, candidate.upstream_model)
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
    usable = pool.candidates(sets, project_id, candidate.key_set_id, candidate.upstream_model)
    if usable:
        able, lack = minted.with_token(candidate.provider.credential, usable)
        return Keys(able, without_token=lack)
    return Keys((), resting=pool.wait(sets, project_id, candidate.key_set_id, candidate.upstream_model) is not None)


def rest(candidate: Candidate, lease: Lease, refusal: Verdict, *, alone: bool) -> None:
    """Let a limited key rest: for as long as the upstream asked, else for a guess.

    `alone`: nothing else is left to try. On a guess such a key does not rest: one stray 429 must not take a model away
    that would answer again at once. What a person may end at any moment is looked after in a while, whatever was asked.
    """
    asked = refusal.retry_after
    if refusal.spent:
        believed = asked is not None and asked > PASSING
        seconds = min(asked or 0.0, settings.KEY_SPENT) if believed else 0.0 if alone else settings.KEY_SPENT
    else:
        seconds = asked if asked is not None else 0.0 if alone else settings.KEY_COOLDOWN
    pool.cool(lease.key.fingerprint, seconds, candidate.upstream_model if refusal.of_model else "")
    if refusal.spent or refusal.code == Fault.EXHAUSTED.code:
        pool.spent.report(lease.key.fingerprint, candidate.account.name, seconds)


def when_again(trip: Trip, plan: Plan, error: ApiError) -> ApiError:
    """An error with the time after which it may pass, where that is known (R-REL-09).

    Where it is longer than callers wait, or nobody knows and somebody must pay, SDKs are told not to try by themselves:
    beyond a minute they would not wait, but ask again within seconds.
    """
    error = _soonest(trip, plan, error)
    if error.fault in (Fault.EXHAUSTED, Fault.KEYS_COOLING):
        told = error.headers.get("retry-after")
        if told is None or int(told) > PASSING:
            error.headers = {**error.headers, "x-should-retry": "false"}
    return error


def _soonest(trip: Trip, plan: Plan, error: ApiError) -> ApiError:
    """An error that names a time to wait, with the soonest of all places whose keys rest."""
    assert trip.snapshot is not None
    assert trip.project is not None
    told = error.headers.get("retry-after")
    if told is None:
        return error
    resting = [drop.candidate for drop in plan.dropped if drop.candidate and drop.reason.endswith(RESTING)]
    waits: list[tuple[float, str]] = []
    for candidate in (*plan.candidates, *resting):
        sets = trip.snapshot.key_sets.get(candidate.account.id, ())
        wait = pool.wait(sets, trip.project.id, candidate.key_set_id, candidate.upstream_model)
        if wait:
            waits.append((wait, candidate.provider.slug))
    if waits:
        wait, slug = min(waits)
        if error.fault is Fault.KEYS_COOLING:
            return _cooling(slug, wait)
        seconds = max(1, math.ceil(wait))
        if error.status_code != HTTPStatus.TOO_MANY_REQUESTS:  # it is no key that this one waits for
            seconds = min(seconds, int(told))
        error.headers = {**error.headers, "retry-after": str(seconds)}
    return error


def _cooling(slug: str, wait: float) -> ApiError:
    seconds = max(1, math.ceil(wait))
    return ApiError(
        Fault.KEYS_COOLING,
        f"All keys for provider '{slug}' are rate limited. Try again in {seconds} s.",
        headers={"retry-after": str(seconds)},
        step="Or add keys.",
    )
