"""Responses that are made in the background: asked after, and called off, at the upstream that makes them.

What was kept when one was asked for says where it is: the account, the key set and the key, which the present snapshot
must still have. The answer is kept when it is whole, and its tokens are written into the row of the request that asked
for it, once, whoever hears of them and however often.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import msgspec

from api import health, journal, keeping
from api.addressing import Address
from api.errors import ApiError, Fault
from api.failing import error_of
from api.keeping import Place, Turn
from api.leasing import no_key, opened
from api.trip import Trip
from api.turns import DIALECT, linked
from api.usage import Outcome, count
from api.waiting import whole_answer
from keys.minted import minted
from keys.order import in_order
from keys.pool import Lease
from keys.sealing import Unsealable
from providers.credentials import CannotSign
from providers.dialects.jsonio import BadBody
from providers.dialects.registry import CLIENTS
from providers.dialects.usage import Usage
from providers.exchange import Call, Outgoing
from providers.hosts import BadUrl, call_url
from providers.verdicts import judge, of_exception
from routing.candidates import Candidate, why_dropped

_HEADERS: Final = (("accept", "application/json"),)


async def present(trip: Trip, turn: Turn) -> Turn:
    """A kept response as it is now: its upstream is asked while it is being made. Raises ApiError."""
    return turn if turn.place is None else await _told(trip, turn, turn.place, "GET", "")


async def cancelled(trip: Trip, turn: Turn) -> Turn:
    """A kept response, called off if it is being made; one made in the background that has ended stays as it is.

    Raises ApiError.
    """
    if turn.place is not None:
        return await _told(trip, turn, turn.place, "POST", "/cancel")
    if msgspec.json.decode(turn.response).get("background") is not True:
        raise ApiError(Fault.UNSUPPORTED, "Only a response made in the background can be cancelled.", param="id")
    return turn


async def _told(trip: Trip, turn: Turn, place: Place, method: str, tail: str) -> Turn:
    """What the upstream says of a response, kept if it is its end. Raises ApiError."""
    candidate = _candidate(trip, place)
    lease = _lease(trip, turn.project, place, candidate)
    body = await _asked(_request(trip, (method, quote(turn.id, safe="") + tail), candidate, lease), candidate, lease)
    try:
        body, usage = CLIENTS[DIALECT].splice(body, place.public)
        response_id, status = keeping.status_of(body)
    except (BadBody, msgspec.DecodeError):
        raise ApiError(Fault.BAD_ANSWER) from None
    if response_id != turn.id or not status:
        raise ApiError(Fault.BAD_ANSWER)
    response = msgspec.Raw(linked(body, place.earlier))
    if keeping.is_underway(response):
        return msgspec.structs.replace(turn, response=response)
    ended = msgspec.structs.replace(turn, response=response, place=None)
    known = keeping.recent(turn.project, turn.id)
    if known is None or known.place is not None:  # else another who asked has heard of it before
        keeping.put(ended)
        _book(place, usage)
    return ended


def _book(place: Place, usage: Usage | None) -> None:
    """Write the tokens of a response that has ended. The row's id is that of the first booking, so they count once."""
    if usage is None:
        return
    row = msgspec.structs.replace(place.row, late=True, outcome=Outcome.OK, status=200)
    count(row, usage, place.facts)
    row.total_us = int((time.time() - row.started_at) * 1_000_000)
    journal.current().append(row)
    health.count_tokens(row)


# --- asking -----------------------------------------------------------------------------------------------------------


def _candidate(trip: Trip, place: Place) -> Candidate:
    """Where the response is made, as the present configuration has it. Raises ApiError."""
    assert trip.snapshot is not None
    account = trip.snapshot.accounts.get(place.account)
    if account is None:
        raise ApiError(Fault.NO_CANDIDATE, "The account that this response was asked of is no longer there.")
    provider = trip.snapshot.providers[account.provider]
    why = why_dropped(provider, account)
    if why is not None:
        raise ApiError(Fault.NO_CANDIDATE, f"This response cannot be asked after: {why}.")
    return Candidate(
        route_id=None,
        account=account,
        provider=provider,
        upstream_model=place.upstream_model,
        key_set_id=place.route_key_set,
        family=place.family,
        quirks=place.quirks,
        priority=0,
        weight=1,
        public_name=place.public,
        facts=place.facts,
    )


def _lease(trip: Trip, project: int, place: Place, candidate: Candidate) -> Lease | None:
    """The key that asked for the response, else another one of its set; None where none was needed. Raises ApiError."""
    assert trip.snapshot is not None
    if place.key_set is None:
        return None
    order = in_order(trip.snapshot.key_sets.get(candidate.account.id, ()), project, candidate.key_set_id)
    keys = [key for key in order if key.key_set.id == place.key_set]
    keys.sort(key=lambda key: key.key.fingerprint != place.key)
    for key in keys:
        try:
            return opened(candidate, key)
        except Unsealable:
            continue
    raise no_key(trip, candidate, sealed=bool(keys))


def _request(trip: Trip, asks: tuple[str, str], candidate: Candidate, lease: Lease | None) -> Outgoing:
    """The signed request: a method, and a path below where responses are asked for. Raises ApiError."""
    method, below = asks
    account, address = candidate.account, Address(trip, candidate, lease)
    try:
        parts = urlsplit(call_url(address.base(), candidate.family, candidate.upstream_model))
        url = urlunsplit(parts._replace(path=f"{parts.path}/{below}"))
        return address.request(method, url, _HEADERS, b"", Call(account.private_network, account.timeouts))
    except (BadUrl, CannotSign) as problem:
        raise address.refusal(problem) from None


async def _asked(request: Outgoing, candidate: Candidate, lease: Lease | None) -> bytes:
    """What the upstream says. Raises ApiError."""
    secrets = (lease.secret,) if lease is not None else ()
    try:
        async with asyncio.timeout(candidate.account.timeouts.total):
            response, body = await whole_answer(request)
    except TimeoutError:
        raise ApiError(Fault.TOTAL_TIMEOUT) from None
    except httpx.HTTPError as problem:
        raise error_of(of_exception(problem), candidate, DIALECT) from None
    status = response.status_code
    if status == HTTPStatus.UNAUTHORIZED and lease is not None:
        minted.refused(lease)
    if 200 <= status < 300:
        return body  # one that failed holds its error and is the answer all the same
    raise error_of(judge(status, response.headers, body, secrets), candidate, DIALECT)
