"""One call of one upstream with one key: encode, sign, send, and read as much of the answer as it takes to judge it.

What an upstream did wrong comes back as a verdict; api.forward decides what is tried next.
"""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Final

import httpx
import msgspec
from django.http import HttpResponseBase

from api import seating
from api.addressing import Address
from api.answer import JSON, STREAM, Answer, EventStream
from api.errors import ApiError, Fault
from api.failing import failure_of, is_whole, verdict_of
from api.lanes import Asked
from api.relay import CLOCKS_DIFFER, Broken, Pump
from api.trip import Trip, Try
from api.usage import Attempt, Outcome, microseconds
from api.waiting import read_whole, settled
from keys.minted import minted
from keys.pool import Lease
from providers import transport
from providers.credentials import CannotSign
from providers.dialects.canon import BadAnswer
from providers.dialects.jsonio import BadBody
from providers.dialects.registry import UPSTREAMS
from providers.dialects.sse import EventTooLong
from providers.dialects.usage import Usage
from providers.dialects.values import is_text
from providers.exchange import Call, CallClock, Outgoing
from providers.families import FAMILIES
from providers.hosts import BadUrl
from providers.secrets import Secret
from providers.verdicts import Verdict, judge, judge_event, of_exception
from routing.candidates import Candidate

#: What speaks against one upstream: another one of the model's may be able to.
_ELSEWHERE: Final = frozenset(
    {Fault.UNSUPPORTED, Fault.FILE_NOT_FETCHED, Fault.RESPONSE_NOT_FOUND, Fault.ITEM_NOT_FOUND}
)


class Unsendable(Exception):
    """This upstream cannot be asked; `error` says why, and another one may be."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.fault.code)
        self.error = error


class Exchange:
    """One call. `public` is the model's name in the answer, `due` the end of all attempts in the loop's time."""

    __slots__ = (
        "_address",
        "_asked",
        "_candidate",
        "_clock",
        "_dropped",
        "_due",
        "_fingerprint",
        "_first_byte_us",
        "_lease",
        "_public",
        "_request",
        "_stream",
        "_told",
        "_trip",
        "_try",
        "_usage",
    )

    def __init__(
        self, trip: Trip, asked: Asked, candidate: Candidate, lease: Lease | None, *, public: str, due: float
    ) -> None:
        """Make the request for the upstream, signed. Raises Unsendable, Unfetched, ApiError."""
        self._trip = trip
        self._asked = asked
        self._candidate = candidate
        self._lease = lease
        self._fingerprint = lease.key.fingerprint if lease is not None else ""
        self._address = Address(trip, candidate, lease)
        self._public = public
        self._due = due
        self._stream = (asked.stream or FAMILIES[candidate.family].streams_only) and candidate.provider.streaming
        self._clock = CallClock()
        #: of a whole answer
        self._usage: Usage | None = None
        self._dropped: tuple[str, ...] = ()
        self._try: Try | None = None
        self._first_byte_us: int | None = None
        try:
            self._request = self._encode()
        except (BadUrl, CannotSign) as problem:
            raise Unsendable(self._address.refusal(problem)) from None
        except ApiError as refusal:
            if refusal.fault not in _ELSEWHERE:
                raise
            raise Unsendable(refusal) from None

    # --- to the upstream --------------------------------------------------------------------------------------------

    def _encode(self) -> Outgoing:
        """Raises BadUrl, CannotSign, Unfetched, ApiError."""
        candidate, trip = self._candidate, self._trip
        account = candidate.account
        model = candidate.upstream_model.removeprefix(candidate.quirks.get("strip_model_prefix") or "")
        told = self._told = self._asked.told(candidate, model, self._stream, self._address.variables())
        if told.dropped and trip.wants_all():
            raise ApiError(Fault.UNSUPPORTED, f"'{candidate.public_name}' cannot be told: {', '.join(told.dropped)}.")
        self._dropped = ("stream", *told.dropped) if self._asked.stream and not self._stream else told.dropped
        url = self._asked.url(self._address.base(), candidate.family, model, self._stream)
        headers = (("content-type", "application/json"), ("accept", told.accept), *told.headers)
        timeouts, ponders = account.timeouts, max(FAMILIES[candidate.family].ponders, self._asked.ponders)
        if timeouts.first_byte < ponders:
            timeouts = msgspec.structs.replace(timeouts, first_byte=ponders)
        call = Call(
            *(account.private_network, timeouts, self._clock),
            worker=candidate.seat is not None,
            twice=self._asked.may_race,
        )
        return self._address.request("POST", url, headers, told.body, call)

    # --- and back ---------------------------------------------------------------------------------------------------

    async def run(self) -> HttpResponseBase | Verdict:
        """Send: an answer for the client, or what its failure means. A whole answer closes the trip.

        Where several calls are under way, the first that comes to an answer is it, and ends the others.
        """
        trip, candidate = self._trip, self._candidate
        attempt = Attempt(candidate.account.name, candidate.upstream_model, self._fingerprint)
        watch = seating.watch(candidate)
        one = self._try = Try(attempt, candidate.facts, watch)
        trip.sent(one)
        try:
            outcome = await self._judged(attempt)
            if attempt.status == HTTPStatus.UNAUTHORIZED and self._lease is not None:
                minted.refused(self._lease)
            attempt.us = microseconds(one.started)
            if isinstance(outcome, Verdict):
                self._tell()
                attempt.verdict = outcome.code
                failure = failure_of(outcome.code)
                if failure is not None:
                    watch.failed(failure)
                return outcome
            watch.began(((self._first_byte_us or 0) - microseconds(trip.arrived, one.started)) / 1_000_000)
        finally:
            attempt.again = self._clock.alone
            trip.ended(one)
            if trip.watch is not watch:
                watch.drop()
        if isinstance(outcome, Answer):  # a stream closes the trip when it ends
            trip.close(Outcome.OK, outcome.status_code, self._usage)
        return outcome

    def _serve(self) -> None:
        """The answer is good: it is the request's."""
        assert self._try is not None
        self._trip.served(self._try)
        self._tell()

    def _tell(self) -> None:
        """What there is to say of this call is so of the request: it was the last one, or serves."""
        trip, row = self._trip, self._trip.row
        trip.asks(self._candidate, self._fingerprint)
        trip.dropped = self._dropped
        row.connect_us = self._clock.connect_us
        row.first_byte_us = self._first_byte_us

    async def _judged(self, attempt: Attempt) -> HttpResponseBase | Verdict:
        """One exchange, and what its failures mean."""
        try:
            # The transport's own total deadline begins anew with each attempt, and stays a second behind.
            async with asyncio.timeout_at(self._due):
                return await self._exchange(attempt)
        except TimeoutError:
            return verdict_of(Fault.TOTAL_TIMEOUT, "final")
        except Broken as problem:
            return verdict_of(problem.fault)
        except EventTooLong:
            return verdict_of(Fault.ANSWER_TOO_LARGE)
        except httpx.HTTPError as problem:
            if asyncio.get_running_loop().time() >= self._due - CLOCKS_DIFFER:
                return verdict_of(Fault.TOTAL_TIMEOUT, "final")
            return of_exception(problem)

    async def _exchange(self, attempt: Attempt) -> HttpResponseBase | Verdict:
        """Send, and read as much as it takes to judge. Whatever is not relayed is closed."""
        secrets = self._address.secrets
        response = await transport.current().handle_async_request(self._request)
        attempt.status = response.status_code
        relayed = False
        try:
            whole = (
                not self._stream or response.status_code != 200 or is_whole(response.headers.get("content-type", ""))
            )
            if whole or not self._asked.stream:
                return await self._read_answer(response, secrets, streamed=not whole)
            outcome = await self._open_stream(response, secrets)
            relayed = isinstance(outcome, EventStream)
            return outcome
        finally:
            if not relayed:
                await response.aclose()

    async def _read_answer(
        self, response: httpx.Response, secrets: tuple[Secret, ...], *, streamed: bool
    ) -> HttpResponseBase | Verdict:
        """A whole answer: judged, spliced or translated, journalled and ready to be sent."""
        trip, asked, candidate = self._trip, self._asked, self._candidate
        self._first_byte_us = microseconds(trip.arrived)
        status, body = response.status_code, await read_whole(response)
        upstream = UPSTREAMS.get(FAMILIES[candidate.family].dialect)
        if upstream is not None and upstream.again is not None and status < 300:
            status, body = await settled(self._request, status, body, upstream)
        verdict = judge(status, response.headers, body, secrets)
        if verdict.kind != "deliver":
            return verdict
        if not streamed and not is_text(body):
            raise Broken(Fault.BAD_ANSWER)
        # A provider that is set not to stream answers in one piece (F-17); one that was asked for a stream, as asked.
        retold = asked.stream and (self._stream or FAMILIES[candidate.family].retold)
        try:
            if retold:
                body, self._usage = asked.stream_of(body, candidate, self._public)
            else:
                body, self._usage = asked.answer(body, candidate, self._told, self._public, streamed=streamed)
        except BadBody:
            raise Broken(Fault.BAD_ANSWER) from None
        except BadAnswer as problem:
            if problem.error is None:
                raise Broken(Fault.BAD_ANSWER) from None
            return judge_event(msgspec.json.encode(problem.error), response.headers, secrets)
        if asked.stream and "stream" not in self._dropped:
            self._dropped = ("stream", *self._dropped)
        self._serve()
        return Answer(body, [*(STREAM if retold else (JSON,)), *trip.headers()], 200)

    async def _open_stream(self, response: httpx.Response, secrets: tuple[Secret, ...]) -> HttpResponseBase | Verdict:
        """A stream whose first event has been judged; its headers are not sent before that. It closes the trip."""
        trip, asked, candidate = self._trip, self._asked, self._candidate
        tap = asked.tap(candidate, self._told, self._public)
        pump = Pump(
            response,
            tap,
            candidate.account.timeouts,
            self._due,
            dialect=asked.dialect,
            splitter=asked.splitter(candidate.family),
            secrets=secrets,
            place=(candidate.account.id, self._address.base(), candidate.upstream_model),
            needs_usage=asked.usage_is_asked(candidate),
        )
        head = await pump.head()
        self._first_byte_us = microseconds(trip.arrived)
        if tap.error is not None and not pump.relayed:
            if tap.error.malformed:
                raise Broken(Fault.BAD_ANSWER)
            return judge_event(tap.error.body, response.headers, secrets)
        self._serve()
        return EventStream(pump.pieces(head, trip), partial(pump.drop, trip), trip.headers())
