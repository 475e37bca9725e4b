"""The one orchestrator: which upstream is asked, with which key, how often, and what the client gets in the end.

    candidate after candidate, at most three that were called
        key after key, while the upstream answers with a rate limit (M-12), each key once (M-15)
            encode, sign, send, judge
    the first deliverable answer is relayed; else the last attempt's error is the answer (M-14)

A next candidate is asked only while nothing has reached the client. All attempts share one total deadline.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

import httpx
import msgspec
from django.conf import settings
from django.http import HttpResponseBase

from api import identity
from api.answer import JSON, Answer, EventStream
from api.errors import ApiError, Fault
from api.failing import error_of, is_whole, verdict_of
from api.lanes import Asked
from api.leasing import keys_for, no_key, why_unavailable
from api.naming import plan_for
from api.relay import CLOCKS_DIFFER, Broken, Pump
from api.trip import Trip
from api.usage import Attempt, Outcome, microseconds
from api.waiting import read_whole, settled
from keys.minted import NoToken, minted
from keys.pool import Lease, pool
from keys.sealing import Unsealable
from providers import transport
from providers.credentials import CannotSign, Unsigned, sign
from providers.dialects.canon import BadAnswer
from providers.dialects.jsonio import BadBody
from providers.dialects.registry import UPSTREAMS
from providers.dialects.sse import EventTooLong
from providers.dialects.usage import Usage
from providers.exchange import Call, CallClock, Outgoing
from providers.families import FAMILIES
from providers.hosts import BadUrl, UnfilledVariable, base_url, variables_of
from providers.quirks import as_signed
from providers.secrets import Secret
from providers.verdicts import Verdict, judge, judge_event, of_exception
from routing.latency import latencies
from routing.resolve import AUTO, Candidate, Plan

MOST_CANDIDATES: Final = 3


async def chat(trip: Trip, asked: Asked) -> HttpResponseBase:
    """Answer one request, in its client's dialect. Raises ApiError; closes the trip unless it raises."""
    return await _Forward(trip, asked).run()


class _Forward:
    """One request's attempts."""

    __slots__ = ("asked", "due", "error", "plan", "trip", "usage")

    def __init__(self, trip: Trip, asked: Asked) -> None:
        self.trip = trip
        self.asked = asked
        #: the answer so far: the error of the last attempt, or why there was none
        self.error: ApiError | None = None
        self.due = 0.0
        #: of a whole answer
        self.usage: Usage | None = None

    async def run(self) -> HttpResponseBase:
        trip = self.trip
        row = trip.row
        self.plan = self._resolve()
        row.resolve_us = microseconds(trip.started)
        called = 0
        now = asyncio.get_running_loop().time()
        for candidate in self.plan.candidates:
            if called >= MOST_CANDIDATES:
                break
            before = row.attempts
            self.due = now + candidate.account.timeouts.total
            response = await self._try_candidate(candidate)
            if response is not None:
                return response
            if self.error is not None and self.error.final:
                break
            called += row.attempts > before
        raise self.error or ApiError(Fault.NO_CANDIDATE)

    # --- before anything is sent ------------------------------------------------------------------------------------

    def _resolve(self) -> Plan:
        trip = self.trip
        assert trip.snapshot is not None
        assert trip.project is not None
        asked = self.asked.model
        trip.row.model = asked[:191]
        trip.row.stream = self.asked.stream
        return plan_for(
            trip.snapshot,
            trip.project.id,
            asked,
            self.asked.dialect,
            draw=random.random(),  # noqa: S311 - spreads load
            # Otherwise the candidates without a key are passed over when their turn comes.
            available=partial(why_unavailable, trip) if asked in ("", AUTO) else None,
            latency=latencies.of,
        )

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
                    lease = minted.exchanged(candidate.provider.credential, pool.lease(key))
                except Unsealable:
                    if self.error is None:
                        self._refuse(no_key(trip, candidate, sealed=True))
                    continue
                except NoToken as problem:
                    text = f"Account '{candidate.account.name}' has no access token now: {problem}."
                    self._refuse(ApiError(Fault.BAD_ACCOUNT, text))
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
        trip = self.trip
        row = trip.row
        account, provider = candidate.account, candidate.provider
        row.account, row.provider = account.name, provider.slug
        row.upstream_model, row.served_model = candidate.upstream_model, candidate.public_name
        row.key_fingerprint = lease.key.fingerprint if lease is not None else ""
        trip.facts = candidate.facts
        stream = (self.asked.stream or FAMILIES[candidate.family].streams_only) and provider.streaming
        clock = CallClock()
        try:
            request = self._encode(candidate, lease, stream, clock)
        except (BadUrl, CannotSign) as problem:
            fault = Fault.VARIABLE_MISSING if isinstance(problem, UnfilledVariable) else Fault.BAD_ACCOUNT
            self._refuse(ApiError(fault, f"Account '{account.name}': {problem}."))
            return Verdict("next_candidate", fault.code, fault.status)
        except ApiError as refusal:
            if refusal.fault is not Fault.UNSUPPORTED:
                raise
            self._refuse(refusal)  # what this upstream cannot be asked, another one may
            return Verdict("next_candidate", refusal.fault.code, refusal.status_code)
        row.attempts += 1
        attempt = Attempt(account.name, candidate.upstream_model, row.key_fingerprint)
        row.attempt_log.append(attempt)
        trip.sent()
        start = time.perf_counter()
        outcome = await self._send(request, candidate, lease, stream, attempt)
        row.connect_us = clock.connect_us
        if attempt.status == HTTPStatus.UNAUTHORIZED and lease is not None:
            minted.refused(lease)
        attempt.us = microseconds(start)
        if isinstance(outcome, Verdict):
            attempt.verdict = outcome.code
            self.error = error_of(outcome, candidate, self.asked.dialect)
            self.error.final = outcome.kind == "final"
            return outcome
        to_first_byte = (row.first_byte_us or 0) - microseconds(trip.arrived, start)
        latencies.note(account.id, candidate.upstream_model, to_first_byte / 1_000_000)
        if isinstance(outcome, Answer):  # a stream closes the trip when it ends
            trip.close(Outcome.OK, outcome.status_code, self.usage)
        return outcome

    async def _send(
        self, request: Outgoing, candidate: Candidate, lease: Lease | None, stream: bool, attempt: Attempt
    ) -> HttpResponseBase | Verdict:
        """One exchange, and what its failures mean."""
        try:
            # The transport's own total deadline begins anew with each attempt, and stays a second behind.
            async with asyncio.timeout_at(self.due):
                return await self._exchange(request, candidate, lease, stream, attempt)
        except TimeoutError:
            return verdict_of(Fault.TOTAL_TIMEOUT, "final")
        except Broken as problem:
            return verdict_of(problem.fault)
        except EventTooLong:
            return verdict_of(Fault.ANSWER_TOO_LARGE)
        except httpx.HTTPError as problem:
            if asyncio.get_running_loop().time() >= self.due - CLOCKS_DIFFER:
                return verdict_of(Fault.TOTAL_TIMEOUT, "final")
            return of_exception(problem)

    async def _exchange(
        self, request: Outgoing, candidate: Candidate, lease: Lease | None, stream: bool, attempt: Attempt
    ) -> HttpResponseBase | Verdict:
        """Send, and read as much as it takes to judge. Whatever is not relayed is closed."""
        secrets = (lease.secret,) if lease is not None else ()
        response = await transport.current().handle_async_request(request)
        attempt.status = response.status_code
        relayed = False
        try:
            streamed = stream and response.status_code == 200 and not is_whole(response.headers.get("content-type", ""))
            if streamed and self.asked.stream:
                outcome = await self._open_stream(candidate, lease, response, secrets)
                relayed = isinstance(outcome, EventStream)
                return outcome
            return await self._read_answer(candidate, request, response, secrets, streamed=streamed)
        finally:
            if not relayed:
                await response.aclose()

    def _encode(self, candidate: Candidate, lease: Lease | None, stream: bool, clock: CallClock) -> Outgoing:
        """The request for the upstream, signed. Raises BadUrl, CannotSign, ApiError."""
        account, provider = candidate.account, candidate.provider
        model = candidate.upstream_model.removeprefix(candidate.quirks.get("strip_model_prefix") or "")
        told = self.asked.told(candidate, model, stream)
        if told.dropped and self.trip.wants_all():
            raise ApiError(Fault.UNSUPPORTED, f"'{candidate.public_name}' cannot be told: {', '.join(told.dropped)}.")
        self.trip.dropped = ("stream", *told.dropped) if self.asked.stream and not stream else told.dropped
        url = self.asked.url(self._base(candidate, lease), candidate.family, model, stream)
        if lease is not None and not lease.may_go(url):
            raise BadUrl("the route's address is not one that the account's keys were sealed for")
        headers = [
            ("content-type", "application/json"),
            ("accept", told.accept),
            ("user-agent", "jackfield"),
            ("x-request-id", self.trip.row.request_id),
            ("via", identity.via()),
            *told.headers,
            *(lease.headers if lease is not None else ()),
        ]
        signed_as = as_signed(provider, candidate.quirks)
        unsigned = Unsigned(signed_as, "POST", url, headers, told.body, self._variables(candidate, lease))
        url, headers = sign(unsigned, lease.secret if lease is not None else None)
        timeouts, ponders = account.timeouts, FAMILIES[candidate.family].ponders
        if timeouts.first_byte < ponders:
            timeouts = msgspec.structs.replace(timeouts, first_byte=ponders)
        call = Call(account.private_network, timeouts, clock)
        return Outgoing("POST", url, headers, told.body, call)

    def _variables(self, candidate: Candidate, lease: Lease | None) -> Mapping[str, str]:
        """What a signer may ask of the account; made once per snapshot."""
        assert self.trip.snapshot is not None
        memo = self.trip.snapshot.memo
        key_set = lease.key_set if lease is not None else None
        known = ("variables", candidate.account.id, key_set.id if key_set is not None else None)
        values: Mapping[str, str] | None = memo.get(known)
        if values is None:
            own = key_set.variables if key_set is not None else {}
            values = memo[known] = variables_of(candidate.provider, candidate.account, own)
        return values

    def _base(self, candidate: Candidate, lease: Lease | None) -> str:
        """Below which URL the request goes; made once per snapshot. Raises BadUrl."""
        if lease is not None and lease.api and not candidate.account.base_url:
            return lease.api  # where the issuer of its access token wants it
        assert self.trip.snapshot is not None
        memo = self.trip.snapshot.memo
        key_set = lease.key_set if lease is not None else None
        location = candidate.quirks.get("location") or ""
        known = ("base", candidate.account.id, key_set.id if key_set is not None else None, candidate.family, location)
        url: str | None = memo.get(known)
        if url is None:
            variables = key_set.variables if key_set is not None else {}
            url = memo[known] = base_url(candidate.provider, candidate.account, variables, candidate.family, location)
        return url

    async def _read_answer(
        self,
        candidate: Candidate,
        request: Outgoing,
        response: httpx.Response,
        secrets: tuple[Secret, ...],
        *,
        streamed: bool,
    ) -> HttpResponseBase | Verdict:
        """A whole answer: judged, spliced, ready to be journalled and sent."""
        trip = self.trip
        trip.row.first_byte_us = microseconds(trip.arrived)
        status, body = response.status_code, await read_whole(response)
        upstream = UPSTREAMS[FAMILIES[candidate.family].dialect]
        if upstream.again is not None and status < 300:
            status, body = await settled(request, status, body, upstream)
        verdict = judge(status, response.headers, body, secrets)
        if verdict.kind != "deliver":
            return verdict
        try:
            body, self.usage = self.asked.answer(body, candidate, self._public_name(), streamed=streamed)
        except BadBody:
            raise Broken(Fault.BAD_ANSWER) from None
        except BadAnswer as problem:
            if problem.error is None:
                raise Broken(Fault.BAD_ANSWER) from None
            return judge_event(msgspec.json.encode(problem.error), response.headers, secrets)
        return Answer(body, [JSON, *trip.headers()], 200)

    async def _open_stream(
        self, candidate: Candidate, lease: Lease | None, response: httpx.Response, secrets: tuple[Secret, ...]
    ) -> HttpResponseBase | Verdict:
        """A stream whose first event has been judged; its headers are not sent before that."""
        trip = self.trip
        row = trip.row
        tap = self.asked.tap(candidate, self._public_name())
        place = (candidate.account.id, self._base(candidate, lease), candidate.upstream_model)
        needs_usage = self.asked.usage_is_asked(candidate)
        pump = Pump(
            response,
            tap,
            candidate.account.timeouts,
            self.due,
            dialect=self.asked.dialect,
            splitter=self.asked.splitter(candidate.family),
            secrets=secrets,
            place=place,
            needs_usage=needs_usage,
        )
        head = await pump.head()
        row.first_byte_us = microseconds(trip.arrived)
        if tap.error is not None and not pump.relayed:
            if tap.error.malformed:
                raise Broken(Fault.BAD_ANSWER)
            return judge_event(tap.error.body, response.headers, secrets)
        return EventStream(pump.pieces(head, trip), trip.headers())

    def _public_name(self) -> str:
        """The model in the answer: the name that was asked for; what `auto` chose, where none was."""
        asked = self.asked.model
        return self.plan.public_name if asked in ("", AUTO) else asked
