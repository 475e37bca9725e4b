"""From the upstream to the client: whole answers read under a limit, streams relayed event by event.

A stream ends in one of three ways: the upstream said its last word and the row says ok; it broke off, and the client
gets an error event, no `[DONE]` and no invented finish reason; or the client left. In each the upstream is closed and
the row written before the last byte goes out. What counts as a last word: docs/decisions/end-of-stream.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import httpx

from api.cutting import open_streams
from api.errors import BY_CODE, ApiError, Fault
from api.trip import Trip
from api.usage import Outcome
from providers.dialects.dialect import Splitter, StreamError, Tap
from providers.dialects.sse import Event, EventTooLong
from providers.dialects.values import is_text
from providers.entries import Timeouts
from providers.secrets import Secret
from providers.verdicts import judge_event, of_exception

#: Comments keep a stream without events alive for so many seconds (R-REL-06).
COMMENTS_COUNT_FOR: Final = 300.0
#: Seconds given to the end of the HTTP message after `[DONE]`, so that the connection can be used again.
SETTLE: Final = 0.25
#: The transport has a total deadline too, and timers fire some milliseconds early or late.
CLOCKS_DIFFER: Final = 0.02
#: Bytes of one stream.
MOST_STREAM: Final = 1024 * 1024 * 1024


#: A place that streams come from: account, address, upstream model.
Place = tuple[int, str, str]


class Endings:
    """The places that ended a stream with `[DONE]`: without it, a later stream from there was cut.

    At most `most` are remembered, those that were heard from last.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._places: dict[Place, None] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._places

    def note(self, place: Place) -> None:
        """This place has just said `[DONE]`."""
        places = self._places
        if place in places:
            if len(places) < self._most:
                return
            del places[place]
        elif len(places) >= self._most:
            del places[next(iter(places))]
        places[place] = None


#: Of this process.
endings = Endings()


class Broken(Exception):
    """The upstream's answer cannot be used; the fault says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


async def read_some(response: httpx.Response, limit: int) -> bytes:
    """The body of a response, or its first `limit` bytes and a little. Raises httpx.HTTPError."""
    parts: list[bytes] = []
    size = 0
    async for part in response.stream:  # type: ignore[union-attr]  # async here
        parts.append(part)
        size += len(part)
        if size >= limit:
            break
    return b"".join(parts)


class Pump:
    """One upstream stream being relayed. `total_due` is in the loop's time; `needs_usage`: it was asked for its usage,
    so a stream without any is not whole unless it says so.
    """

    def __init__(
        self,
        response: httpx.Response,
        tap: Tap,
        timeouts: Timeouts,
        total_due: float,
        *,
        dialect: str,
        splitter: Splitter,
        secrets: tuple[Secret, ...],
        place: Place,
        needs_usage: bool,
    ) -> None:
        self.response = response
        self._dialect = dialect
        self.tap = tap
        self.secrets = secrets
        self._place = place
        self._needs_usage = needs_usage
        #: events with data that were fed and were no error
        self.relayed = 0
        self._splitter = splitter
        self._chunks: AsyncIterator[bytes] = aiter(response.stream)  # type: ignore[arg-type]  # async here
        self._time = asyncio.get_running_loop().time
        self._gap = timeouts.gap
        self._total_due = total_due
        self._last_event = self._time()
        self._gap_due = self._last_event + timeouts.first_byte
        self._size = 0
        self._patience: asyncio.Timeout | None = None
        self._revoked = False

    def cut(self) -> None:
        """The token was revoked as compromised: end the stream now, or when the client has taken what was sent."""
        self._revoked = True
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(0)

    async def head(self) -> bytes:
        """What there is to relay up to the first event with data. Raises Broken, httpx.HTTPError.

        If that event was an error, `tap.error` is set and `relayed` is 0.
        """
        out = b""
        while not self.relayed and self.tap.error is None:
            chunk = await self._next()
            out += self._take(self._splitter.close() if chunk is None else self._splitter.feed(chunk))
            if chunk is None:
                if not self.relayed and self.tap.error is None:
                    raise Broken(Fault.BAD_ANSWER)
                break
        return out

    async def pieces(self, out: bytes, trip: Trip) -> AsyncGenerator[bytes, None]:
        """The rest of the stream, after the head. Closes the trip and the upstream."""
        tap = self.tap
        assert trip.token is not None
        open_streams.add(trip.token.mac, self)
        try:
            while tap.error is None and not tap.done_seen:
                if out:
                    yield out
                    out = b""
                try:
                    chunk = await self._next()
                    events = self._splitter.close() if chunk is None else self._splitter.feed(chunk)
                    out = self._take(events)
                except (httpx.HTTPError, EventTooLong, Broken) as problem:
                    error = self._of(problem)
                    trip.close(Outcome.PARTIAL, 200, tap.usage, error.fault)
                    yield error.event(self._dialect)
                    return
                if chunk is None and tap.error is None and not tap.done_seen:
                    if self._whole():
                        out += tap.end()
                        trip.close(Outcome.OK, 200, tap.usage)
                    else:
                        error = ApiError(Fault.CUT)
                        trip.close(Outcome.PARTIAL, 200, tap.usage, error.fault)
                        out += error.event(self._dialect)
                    if out:
                        yield out
                    return
            if tap.error is not None:
                error = self._reported()
                trip.close(Outcome.PARTIAL, 200, tap.usage, error.fault)
                yield out + error.event(self._dialect)
                return
            endings.note(self._place)
            trip.close(Outcome.OK, 200, tap.usage)
            yield out
            await self._settle()
        finally:
            open_streams.remove(trip.token.mac, self)
            await self.drop(trip)

    async def drop(self, trip: Trip) -> None:
        """Close the upstream, and the trip if nothing else did: the stream is over, or never began."""
        trip.abandon(self.tap.usage)
        await self.response.aclose()

    def _whole(self) -> bool:
        """Whether a message that ended properly, but without `[DONE]`, was all that the upstream had to say."""
        tap = self.tap
        return tap.finished and (tap.has_usage or not self._needs_usage) and self._place not in endings

    def _take(self, events: list[Event]) -> bytes:
        """Feed the tap, up to the first error or the end; what is to be relayed comes back."""
        tap = self.tap
        out: list[bytes] = []
        now = self._time()
        for event in events:
            if event.data is None or is_text(event.data):
                piece = tap.feed(event)
            else:
                tap.error = StreamError(event.data, malformed=True)
            if tap.error is not None:
                break
            if piece is not None:
                out.append(piece)
            if event.data is not None:
                self.relayed += 1
                self._last_event = now
                self._gap_due = now + self._gap
                if tap.done_seen:
                    break
            else:
                self._gap_due = min(now + self._gap, self._last_event + max(self._gap, COMMENTS_COUNT_FOR))
        return b"".join(out)

    async def _next(self) -> bytes | None:
        """The next chunk, None at the end of the message. Raises Broken when a deadline passes."""
        if self._revoked:
            raise Broken(Fault.TOKEN_REVOKED)
        try:
            async with asyncio.timeout_at(min(self._gap_due, self._total_due)) as self._patience:
                chunk = await anext(self._chunks, None)
        except TimeoutError:
            if self._revoked:
                raise Broken(Fault.TOKEN_REVOKED) from None
            if self._total_due <= self._gap_due:
                raise Broken(Fault.TOTAL_TIMEOUT) from None
            raise Broken(Fault.GAP_TIMEOUT if self.relayed else Fault.TIMEOUT) from None
        finally:
            self._patience = None
        if chunk is not None:
            self._size += len(chunk)
            if self._size > MOST_STREAM:
                raise Broken(Fault.ANSWER_TOO_LARGE)
        return chunk

    async def _settle(self) -> None:
        """Read the end of the message, if it comes at once: an unread end would cost the connection."""
        try:
            async with asyncio.timeout(SETTLE):
                while await anext(self._chunks, None) is not None:
                    pass
        except (TimeoutError, httpx.HTTPError):
            return

    def _reported(self) -> ApiError:
        """The upstream's own error event, in our words where it had none that could be read."""
        assert self.tap.error is not None
        if self.tap.error.malformed:
            return ApiError(Fault.BAD_ANSWER)
        verdict = judge_event(self.tap.error.body, self.response.headers, self.secrets)
        return ApiError(
            BY_CODE.get(verdict.code, Fault.STREAM_ERROR), verdict.message, status=verdict.status, error=verdict.error
        )

    def _of(self, problem: Exception) -> ApiError:
        """The error event for a stream that broke."""
        if isinstance(problem, Broken):
            return ApiError(problem.fault)
        if isinstance(problem, EventTooLong):
            return ApiError(Fault.ANSWER_TOO_LARGE)
        if self._time() >= self._total_due - CLOCKS_DIFFER:
            return ApiError(Fault.TOTAL_TIMEOUT)
        verdict = of_exception(problem)
        if verdict.code in ("upstream_protocol", "upstream_error"):
            return ApiError(Fault.CUT)
        return ApiError(BY_CODE.get(verdict.code, Fault.CUT))
