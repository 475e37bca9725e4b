"""The one orchestrator: which upstream is asked, with which key, how often, and what the client gets in the end.

    candidate after candidate, at most three that were called
        key after key, while the upstream answers with a rate limit (M-12), each key once (M-15)
            api.attempt: encode, sign, send, judge
    the first deliverable answer is relayed; else the last attempt's error is the answer (M-14)

A next candidate is asked only while nothing has reached the client, and while its provider is not flooded with second
attempts. All attempts share one total deadline.
"""

from __future__ import annotations

import asyncio
import random
from functools import cache, partial
from typing import Final

from django.conf import settings
from django.http import HttpResponseBase

from api.attempt import Exchange, Unsendable
from api.errors import ApiError, Fault
from api.failing import error_of, failure_of
from api.fetching import Unfetched
from api.lanes import Asked
from api.leasing import keys_for, keys_now, no_key, opened
from api.naming import plan_for
from api.trip import Trip
from api.usage import microseconds
from api.wishes import affinity_of
from keys.pool import Lease, pool
from keys.sealing import Unsealable
from providers.families import FAMILIES
from providers.verdicts import Because, Verdict
from routing.candidates import Candidate
from routing.health import Failure
from routing.moment import Moment
from routing.resolve import AUTO, Ask, Plan
from routing.retries import retries

MOST_CANDIDATES: Final = 3


async def answer(trip: Trip, asked: Asked) -> HttpResponseBase:
    """Answer one request, in its client's dialect. Raises ApiError; closes the trip unless it raises."""
    return await _Forward(trip, asked).run()


class _Forward:
    """One request's attempts."""

    __slots__ = ("asked", "due", "error", "longest", "plan", "refused", "stormy", "trip")

    def __init__(self, trip: Trip, asked: Asked) -> None:
        self.trip = trip
        self.asked = asked
        #: the answer so far: the error of the last attempt, or why there was none
        self.error: ApiError | None = None
        self.due = 0.0
        #: what of the request the last one refused, and the longest context that was too short
        self.refused: Because = ""
        self.longest = 0
        #: whether an attempt failed for what other requests may meet as well: then the next ones are held back
        self.stormy = False

    async def run(self) -> HttpResponseBase:
        trip = self.trip
        row = trip.row
        self.plan = self._resolve()
        row.resolve_us = microseconds(trip.started)
        row.plan = self.plan.brief()
        called = 0
        now = asyncio.get_running_loop().time()
        try:
            for candidate in self.plan.candidates:
                if called >= MOST_CANDIDATES:
                    break
                provider = candidate.provider.slug
                if self._too_long_for(candidate) or (self.stormy and not retries.may_ask(provider)):
                    continue
                before = row.attempts
                self.due = now + candidate.account.timeouts.total
                with retries.attempt(provider, later=self.stormy):
                    response = await self._try_candidate(candidate)
                if response is not None:
                    return response
                if self._is_final():
                    break
                called += row.attempts > before
        finally:
            if self.asked.files is not None:
                self.asked.files.forget()
        raise self.error or ApiError(Fault.NO_CANDIDATE)

    def _is_final(self) -> bool:
        """Whether the last refusal is the answer, whoever else could be asked."""
        if self.error is None or not self.error.final:
            return False
        match self.refused:
            case "length":
                return False
            case "content":
                return not self.plan.content_fallback
        return True

    def _too_long_for(self, candidate: Candidate) -> bool:
        """Whether a request that was too long for another is, for all that is known, too long for this one."""
        if self.refused != "length" or candidate.larger_context:
            return False
        context = candidate.facts.context if candidate.facts is not None else None
        return context is None or context <= self.longest

    # --- before anything is sent ------------------------------------------------------------------------------------

    def _resolve(self) -> Plan:
        trip = self.trip
        assert trip.snapshot is not None
        assert trip.project is not None
        asked = self.asked.model
        trip.row.model = asked[:191]
        trip.row.stream = self.asked.stream
        dialect, draw = self.asked.dialect, random.random()  # noqa: S311 - spreads load
        now = Moment(trip.snapshot, dialect, partial(keys_now, trip.snapshot, trip.project.id))
        affinity = cache(partial(affinity_of, self.asked.fields, trip.project.id, trip.session))
        ask = Ask(
            trip.project.id, asked, dialect, self.asked.service, draw, self.asked.models, self.asked.needs, affinity
        )
        return plan_for(trip.snapshot, now, ask)

    # --- one candidate ----------------------------------------------------------------------------------------------

    async def _try_candidate(self, candidate: Candidate) -> HttpResponseBase | None:
        """The answer, or None and `self.error`."""
        trip = self.trip
        try:
            keys = keys_for(trip, candidate)
        except ApiError as refusal:
            self._refuse(refusal)
            return None
        if not FAMILIES[candidate.family].is_served:
            self._refuse(
                ApiError(
                    Fault.FAMILY_NOT_SERVED,
                    f"'{candidate.public_name}' is served by an API of the family '{candidate.family}', "
                    "which cannot be spoken yet.",
                )
            )
            return None
        for key in keys:
            lease: Lease | None = None
            if key is not None:
                try:
                    lease = opened(candidate, key)
                except Unsealable:
                    if self.error is None:
                        self._refuse(no_key(trip, candidate, sealed=True))
                    continue
                except ApiError as refusal:
                    self._refuse(refusal)
                    continue
            outcome = await self._attempt(candidate, lease)
            if not isinstance(outcome, Verdict):
                return outcome
            if outcome.kind != "next_key":
                break
            if lease is not None:
                self._cool(lease, outcome.retry_after, alone=key is keys[-1] and candidate is self.plan.candidates[-1])
        return None

    def _cool(self, lease: Lease, asked: float | None, *, alone: bool) -> None:
        """Let a limited key rest: for as long as the upstream asked, else for a guess.

        On a guess nobody's last key rests: one stray 429 must not take a model away that would answer again at once.
        """
        if asked is not None:
            pool.cool(lease.key.fingerprint, asked)
        elif not alone:
            pool.cool(lease.key.fingerprint, settings.KEY_COOLDOWN)

    def _refuse(self, error: ApiError) -> None:
        """Keep an error that came without an attempt; an attempt's error, or the first such one, counts more."""
        if self.error is None or (error.fault is Fault.KEYS_COOLING and not self.trip.row.attempts):
            self.error = error

    # --- one attempt ------------------------------------------------------------------------------------------------

    async def _attempt(self, candidate: Candidate, lease: Lease | None) -> HttpResponseBase | Verdict:
        """One call of one upstream with one key: an answer to send, or what to do next and `self.error`."""
        trip, row = self.trip, self.trip.row
        row.account, row.provider = candidate.account.name, candidate.provider.slug
        row.upstream_model, row.served_model = candidate.upstream_model, candidate.public_name
        row.key_fingerprint = lease.key.fingerprint if lease is not None else ""
        trip.facts = candidate.facts
        try:
            exchange = await self._exchange(candidate, lease)
        except Unsendable as problem:
            error = problem.error
            self._refuse(error)
            return Verdict("next_candidate", error.fault.code, error.status_code)
        outcome = await exchange.run()
        if isinstance(outcome, Verdict):
            self.error = error_of(outcome, candidate, self.asked.dialect)
            self.error.final = outcome.kind == "final"
            self.refused = outcome.because
            self.stormy = self.stormy or failure_of(outcome.code) not in (None, Failure.REFUSED)
            if outcome.because == "length" and candidate.facts is not None:
                self.longest = max(self.longest, candidate.facts.context or 0)
        return outcome

    async def _exchange(self, candidate: Candidate, lease: Lease | None) -> Exchange:
        """The call, with the files that its upstream takes as bytes only. Raises Unsendable, ApiError."""
        public = self._public_name(candidate)
        make = partial(Exchange, self.trip, self.asked, candidate, lease, public=public, due=self.due)
        try:
            return make()
        except Unfetched as missing:
            await missing.fetch(self.due)
        return make()

    def _public_name(self, candidate: Candidate) -> str:
        """The model in the answer: the name that was asked for; where several were to choose from, what serves."""
        asked = self.asked
        return candidate.public_name if asked.models or asked.model in ("", AUTO) else asked.model
