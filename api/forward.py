"""The one orchestrator: which upstream is asked, with which key, how often, and what the client gets in the end.

    candidate after candidate, at most three that were called; two at once, where the model is hedged
        key after key, while the upstream answers with a rate limit (M-12), each key once (M-15)
            api.attempt: encode, sign, send, judge
    the first deliverable answer is relayed; else the last attempt's error is the answer (M-14)

A next candidate is asked only while nothing has reached the client, and while its provider is not flooded with second
attempts; after a random moment, where it is the provider that just failed. All attempts share one total deadline.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from functools import cache, partial
from typing import Final

from django.http import HttpResponseBase

from api.answer import EventStream
from api.attempt import Exchange, Unsendable
from api.errors import ApiError, Fault
from api.failing import error_of, failure_of
from api.fetching import Unfetched
from api.hedging import Hedge, hedge_of
from api.lanes import Asked
from api.leasing import keys_for, keys_now, no_key, opened, rest, when_again
from api.naming import plan_for
from api.seating import Seats, in_turn
from api.trip import Trip
from api.usage import microseconds
from api.wishes import affinity_of
from keys.pool import Lease
from keys.sealing import Unsealable
from providers.families import FAMILIES
from providers.verdicts import Because, Verdict
from routing.candidates import Candidate
from routing.health import health
from routing.moment import Moment
from routing.places import Failure
from routing.resolve import AUTO, Ask, Plan
from routing.retries import retries

MOST_CANDIDATES: Final = 3
#: Seconds, at most, before a provider that failed is asked again; as many times longer as it did.
JITTER: Final = 0.04
#: Failures that other requests need not meet, and those where nothing was sent: nobody is asked twice on them.
_NO_STORM: Final = frozenset({None, Failure.REFUSED, Failure.CONNECT})


async def answer(trip: Trip, asked: Asked) -> HttpResponseBase:
    """Answer one request, in its client's dialect. Raises ApiError; closes the trip unless it raises."""
    return await _Forward(trip, asked).run()


class _Forward:
    """One request's attempts."""

    __slots__ = (
        "answered",
        "asked",
        "called",
        "error",
        "left",
        "longest",
        "plan",
        "refused",
        "seats",
        "started",
        "stormy",
        "trip",
    )

    def __init__(self, trip: Trip, asked: Asked) -> None:
        self.trip = trip
        self.asked = asked
        #: the answer so far: the error of the last attempt, or why there was none
        self.error: ApiError | None = None
        self.started = asyncio.get_running_loop().time()
        #: the candidates whose turn has not come, and how many others were called
        self.left: deque[Candidate] = deque()
        self.called = 0
        self.answered = False
        #: what of the request the last one refused, and the longest context that was too short
        self.refused: Because = ""
        self.longest = 0
        #: at whom an attempt failed for what other requests may meet as well: then the next ones are held back
        self.stormy: list[str] = []
        self.seats = Seats()

    async def run(self) -> HttpResponseBase:
        trip = self.trip
        row = trip.row
        self.plan = self._resolve()
        row.resolve_us = microseconds(trip.started)
        row.plan = self.plan.brief()
        self.left.extend(in_turn(self.plan.candidates))
        try:
            while (candidate := self._next()) is not None:
                hedge = hedge_of(trip, candidate) if self.left and self.asked.may_race else None
                if hedge is None:
                    response = await self._in_turn(candidate, later=bool(self.stormy))
                else:
                    response = await self._race(candidate, hedge)
                if response is not None:
                    return response
                if self._is_final():
                    break
        finally:
            if self.asked.files is not None:
                self.asked.files.forget()
        raise when_again(trip, self.plan, self.error or ApiError(Fault.NO_CANDIDATE))

    def _next(self, *, beside: Candidate | None = None) -> Candidate | None:
        """Whose turn it is now; `beside`: of those elsewhere, while this one is being asked."""
        if self.called + (beside is not None) >= MOST_CANDIDATES:
            return None
        for candidate in self.left:
            if self._too_long_for(candidate) or (beside is not None and beside.place == candidate.place):
                continue
            if (self.stormy or beside is not None) and self._is_held_back(candidate, beside):
                continue
            self.left.remove(candidate)
            return candidate
        return None

    def _is_held_back(self, candidate: Candidate, beside: Candidate | None) -> bool:
        """Whether this second attempt is one too many there. Where nothing failed of late it makes no storm: whoever is
        well takes all that others fail."""
        provider = candidate.provider.slug
        if beside is None and provider not in self.stormy and not health.falters(candidate.place):
            return False
        return not retries.may_ask(provider)

    async def _race(self, first: Candidate, hedge: Hedge) -> HttpResponseBase | None:
        """Ask a candidate, and another one as well once no answer of the first began in time: the answer that begins
        first, or None and `self.error`."""
        sent = self.trip.when_sent = asyncio.get_running_loop().create_future()
        asking = asyncio.create_task(self._in_turn(first, later=bool(self.stormy)))
        under_way = {asking}
        try:
            # What comes before, as files that are fetched or a worker that is waited for, is no lateness of the place.
            await asyncio.wait({asking, sent}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(under_way, timeout=hedge.delay)
            second = self._next(beside=first) if not asking.done() else None
            if second is not None:
                if await hedge.is_allowed() and not asking.done():
                    self.trip.row.hedged = True
                    under_way.add(asyncio.create_task(self._beside(second)))
                else:
                    self.left.appendleft(second)
            while under_way:
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=_refused):  # an answer that is there counts more than a refusal
                    if not task.cancelled() and (response := task.result()) is not None:
                        return response
                if self._is_final():
                    break
        finally:
            for task in under_way:
                if not task.cancelling():  # the one whose answer came has done so: a second time would cut its goodbye
                    task.cancel()
            for late in await asyncio.gather(*under_way, return_exceptions=True):
                if isinstance(late, EventStream):  # it began in the turn of the loop in which the request ended
                    await late.drop()
        return None

    async def _beside(self, candidate: Candidate) -> HttpResponseBase | None:
        """Ask a candidate while another is being asked: what cannot be said to this one says nothing against that."""
        try:
            return await self._in_turn(candidate, later=True)
        except ApiError as refusal:
            self._refuse(refusal)
            return None

    async def _in_turn(self, candidate: Candidate, *, later: bool) -> HttpResponseBase | None:
        """Ask one candidate. `later`: another was asked before, for whose failure or slowness this one is asked."""
        provider = candidate.provider.slug
        if provider in self.stormy:
            await asyncio.sleep(random.uniform(0, JITTER * len(self.stormy)))  # noqa: S311 - spreads load
        before = self._calls(candidate)
        with retries.attempt(provider, later=later):
            response = await self._try_candidate(candidate)
        self.called += self._calls(candidate) > before
        return response

    def _calls(self, candidate: Candidate) -> int:
        """How often an upstream was called for it so far. Whoever is asked beside it is elsewhere."""
        there = candidate.account.name, candidate.upstream_model
        return sum((one.account, one.model) == there for one in self.trip.row.attempt_log)

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
            if lease is not None and (outcome.kind == "next_key" or outcome.spent):
                alone = key is keys[-1] and candidate is self.plan.candidates[-1]
                rest(candidate, lease, outcome, alone=alone)
            if outcome.kind != "next_key":
                break
        return None

    def _refuse(self, error: ApiError) -> None:
        """Keep an error that came without an attempt; an attempt's error, or the first such one, counts more."""
        if self.error is None or (error.fault is Fault.KEYS_COOLING and not self.trip.row.attempts):
            self.error = error

    # --- one attempt ------------------------------------------------------------------------------------------------

    async def _attempt(self, candidate: Candidate, lease: Lease | None) -> HttpResponseBase | Verdict:
        """One call of one upstream with one key: an answer to send, or what to do next and `self.error`."""
        if candidate.fleet and candidate.seat is None:
            return await self._at_worker(candidate)
        self.trip.asks(candidate, lease.key.fingerprint if lease is not None else "")
        try:
            exchange = await self._exchange(candidate, lease)
        except Unsendable as problem:
            error = problem.error
            self._refuse(error)
            return Verdict("next_candidate", error.fault.code, error.status_code)
        if self.answered:  # by another, while this one was made ready
            raise asyncio.CancelledError
        outcome = await exchange.run()
        if not isinstance(outcome, Verdict):
            self.answered = True
        else:
            self.error = error_of(outcome, candidate, self.asked.dialect)
            self.error.final = outcome.kind == "final"
            self.refused = outcome.because
            if failure_of(outcome.code) not in _NO_STORM:
                self.stormy.append(candidate.provider.slug)
            if outcome.because == "length" and candidate.facts is not None:
                self.longest = max(self.longest, candidate.facts.context or 0)
        return outcome

    async def _at_worker(self, candidate: Candidate) -> HttpResponseBase | Verdict:
        """The same at the worker that takes the job."""
        assert self.trip.snapshot is not None
        due = self.started + candidate.account.timeouts.total
        try:
            seated = await self.seats.take(self.trip.snapshot, candidate, due)
        except ApiError as refusal:
            self._refuse(refusal)
            return Verdict("next_candidate", refusal.fault.code, refusal.status_code)
        assert seated.seat is not None
        try:
            return await self._attempt(seated, None)
        finally:
            seated.seat.leave()

    async def _exchange(self, candidate: Candidate, lease: Lease | None) -> Exchange:
        """The call, with the files that its upstream takes as bytes only. Raises Unsendable, ApiError."""
        public = self._public_name(candidate)
        due = self.started + candidate.account.timeouts.total
        make = partial(Exchange, self.trip, self.asked, candidate, lease, public=public, due=due)
        try:
            return make()
        except Unfetched as missing:
            await missing.fetch(due)
        return make()

    def _public_name(self, candidate: Candidate) -> str:
        """The model in the answer: the name that was asked for; where several were to choose from, what serves."""
        asked = self.asked
        return candidate.public_name if asked.models or asked.model in ("", AUTO) else asked.model


def _refused(task: asyncio.Task[HttpResponseBase | None]) -> bool:
    """Whether it ended with an error."""
    return not task.cancelled() and task.exception() is not None
