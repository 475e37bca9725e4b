"""A request of the Responses API: its earlier turns put in, its answer kept for the turns to come.

An earlier turn that is ours is sent on as a whole conversation, to whatever upstream, and so is an item of one. What is
not ours may be the upstream's own, if that speaks this dialect; others are told that there is no such response or item.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from api import keeping
from api.errors import ApiError, Fault
from api.keeping import Place, Turn
from api.lanes import Asked, Told
from api.trip import Trip
from keys.order import in_order
from providers.dialects.canon import Answer, BadAnswer, Began, Delta
from providers.dialects.dialect import Reader, StreamError, Tap
from providers.dialects.jsonio import BadBody, Fields, read_object
from providers.dialects.openai_responses.turns import again, carried, continued, dereferenced
from providers.dialects.openai_responses.writer import Writer
from providers.dialects.registry import UPSTREAMS
from providers.dialects.sse import Event
from providers.dialects.streams import Translation, retold
from providers.dialects.usage import Usage
from providers.families import FAMILIES
from routing.candidates import Candidate

DIALECT: Final = "openai_responses"
#: What an answer says of the earlier response, where the upstream was not told of any.
_NO_EARLIER: Final = re.compile(rb'"previous_response_id"\s*:\s*null')
_NOTHING: Final = (None, b"null", b"false")
#: Items that a request may hold without an id.
_ANONYMOUS: Final = frozenset(
    {"message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)
_encode: Final = msgspec.json.Encoder().encode


class Links(NamedTuple):
    """What a request names of earlier turns: the response whose conversation was put in, and what is not ours, which is
    a response or an item. Empty where there is none.
    """

    earlier: str = ""
    unknown: str = ""
    unknown_item: str = ""

    @property
    def broken(self) -> bool:
        """Whether an upstream alone may have what is named."""
        return bool(self.unknown or self.unknown_item)


def with_items(fields: Fields, found: Mapping[str, bytes]) -> Fields:
    """The request with these items, encoded, in place of their ids. Raises BadBody."""
    items = {name: again(item) for name, item in found.items()}
    put = {name: _own(item) if _goes_on(item) else None for name, item in items.items()}
    return read_object(fields.replace("input", _encode(dereferenced(fields.get("input") or b"[]", put))))


def with_earlier(fields: Fields, turn: Turn) -> Fields:
    """The request with the whole conversation in it, in place of the id of its last turn. Raises BadBody."""
    earlier = carried({"input": msgspec.json.decode(turn.input)}, msgspec.json.decode(turn.response))
    body = fields.decoded()
    return read_object(_encode(continued(body, [_own(item) for item in earlier if _goes_on(item)])))


def _goes_on(item: dict[str, Any]) -> bool:
    """Reasoning that is no more than an id is known to one upstream and key only: without it, each takes the rest."""
    return item.get("type") != "reasoning" or "encrypted_content" in item


def _own(item: dict[str, Any]) -> dict[str, Any]:
    """An item as one of this request: by an id, an upstream would look for an item of its own."""
    if item.get("type", "message") not in _ANONYMOUS:
        return item
    return {name: value for name, value in item.items() if name not in ("id", "status")}


def linked(said: bytes, earlier: str) -> bytes:
    """An answer, or events, with the id of the earlier response in it, of which the upstream knew nothing."""
    if not earlier or b"previous_response_id" not in said:
        return said
    return _NO_EARLIER.sub(b'"previous_response_id":' + _encode(earlier), said)


class Turning(Asked):
    """One request. `keeper`: the project that its answer is kept for, None: it is not kept.

    The trip's request id makes the ids of answers that an upstream of another dialect gave.
    """

    __slots__ = ("_alone", "_conversed", "_given", "_keeper", "_links", "_trip", "background", "may_race")

    def __init__(self, fields: Fields, trip: Trip, keeper: int | None, links: Links) -> None:
        super().__init__(DIALECT, fields)
        self._trip = trip
        self._given = trip.row.request_id
        self._links = links
        self._conversed = fields.get("conversation") not in _NOTHING
        self._keeper = keeper
        # What the upstream alone has the beginning of cannot be gone on with from here.
        self._alone = links.broken or self._conversed
        #: whether the answer may come later than the end of this request
        self.background = fields.get("background") not in _NOTHING
        self.may_race = not (self.background or self._conversed)

    def told(self, candidate: Candidate, model: str, stream: bool, variables: Mapping[str, str]) -> Told:
        family = FAMILIES[candidate.family]
        if family.speaks(DIALECT):
            if self.background and family.fitted:
                raise _no_background()
            return super().told(candidate, model, stream, variables)
        self._refuse_foreign()
        told = super().told(candidate, model, stream, variables)
        # Answers are kept here, whatever the upstream does.
        return told._replace(dropped=tuple(name for name in told.dropped if name != "store"))

    def _refuse_foreign(self) -> None:
        """What only an upstream of this API can do. Raises ApiError."""
        links = self._links
        if links.unknown:
            raise no_earlier(links.unknown)
        if links.unknown_item:
            raise ApiError(Fault.ITEM_NOT_FOUND, f"Item with id '{links.unknown_item}' not found.", param="input")
        if self._conversed:
            text = "The model's provider keeps no conversations."
            raise ApiError(Fault.UNSUPPORTED, text, param="conversation")
        if self.background:
            raise _no_background()

    # --- the answer -------------------------------------------------------------------------------------------------

    def answer(
        self, body: bytes, candidate: Candidate, told: Told, public: str, *, streamed: bool = False
    ) -> tuple[bytes, Usage | None]:
        if self._goes_on(candidate, body):
            body, usage = self.client.splice(body, public)
        else:
            body, usage = super().answer(body, candidate, told, public, streamed=streamed)
        body = self.linked(body)
        self.keep(body, self._place(candidate, public))
        return body, usage

    def _goes_on(self, candidate: Candidate, body: bytes) -> bool:
        """Whether this tells of an answer that is still being made: there is nothing to translate in it yet."""
        return self.background and FAMILIES[candidate.family].speaks(DIALECT) and keeping.is_underway(body)

    def stream_of(self, body: bytes, candidate: Candidate, public: str) -> tuple[bytes, Usage | None]:
        if self._goes_on(candidate, body):
            raise BadAnswer("the upstream does not stream what it makes in the background")
        answer, writer = self.read(body, candidate), Writer(public, self.request)
        said = retold(answer, writer)
        self.keep(self.linked(_encode(writer.response)))
        return self.linked(said), answer.usage

    def read(self, body: bytes, candidate: Candidate, *, streamed: bool = False) -> Answer:
        answer = super().read(body, candidate, streamed=streamed)
        if FAMILIES[candidate.family].speaks(DIALECT):
            return answer
        return msgspec.structs.replace(answer, id=self._given)

    def tap(self, candidate: Candidate, told: Told, public: str) -> Tap:
        family = FAMILIES[candidate.family]
        if told.through:
            tap: Any = self.client.tap(public, self.asked_usage)
            return _Keeping(self, tap, tap, partial(self.note, candidate=candidate, public=public))
        reader: Reader = UPSTREAMS[family.dialect].reader()
        writer = Writer(public, self.request)
        reads = reader if family.speaks(DIALECT) else _Named(reader, self._given)
        note = partial(self.note, candidate=candidate, public=public)
        return _Keeping(self, Translation(reads, writer), writer, note)

    def linked(self, said: bytes) -> bytes:
        """What is said to the client, with the id of the earlier response in it."""
        return linked(said, self._links.earlier)

    def keep(self, response: bytes, place: Place | None = None) -> None:
        """Keep the answer for turns to come, or to be asked after at its place while it is being made."""
        if self._keeper is None:
            return
        self.fields.restore()
        keeping.keep(self._keeper, self.fields.get("input") or b"[]", response, place, alone=self._alone)

    def _place(self, candidate: Candidate, public: str) -> Place | None:
        """Where the answer is made, if that may go on in the background."""
        trip = self._trip
        if not self.background or not FAMILIES[candidate.family].speaks(DIALECT):
            return None
        assert trip.snapshot is not None
        assert trip.project is not None
        fingerprint = trip.row.key_fingerprint
        sets = trip.snapshot.key_sets.get(candidate.account.id, ())
        keys = in_order(sets, trip.project.id, candidate.key_set_id) if fingerprint else []
        return Place(
            account=candidate.account.id,
            family=candidate.family,
            upstream_model=candidate.upstream_model,
            public=public,
            row=trip.row,
            key_set=next((key.key_set.id for key in keys if key.key.fingerprint == fingerprint), None),
            key=fingerprint,
            route_key_set=candidate.key_set_id,
            quirks=candidate.quirks,
            facts=candidate.facts,
            earlier=self._links.earlier,
        )

    def note(self, event: Event, candidate: Candidate, public: str) -> bool:
        """Keep what an event tells of an answer that is being made, so that who loses the stream can ask after it."""
        try:
            told = _told(event.data or b"").response
            if not keeping.is_underway(told):
                return False
            body, _ = self.client.splice(bytes(told), public)
        except (msgspec.DecodeError, UnicodeDecodeError, BadBody):
            return False
        self.keep(self.linked(body), self._place(candidate, public))
        return True


def no_earlier(response_id: str) -> ApiError:
    """The refusal of a request that goes on from a response that is not there."""
    text = f"Previous response with id '{response_id}' not found."
    step = "Send the whole conversation as `input`."
    return ApiError(Fault.RESPONSE_NOT_FOUND, text, param="previous_response_id", step=step)


def _no_background() -> ApiError:
    return ApiError(Fault.UNSUPPORTED, "The model's provider does no work in the background.", param="background")


class _Telling(msgspec.Struct):
    response: msgspec.Raw = msgspec.Raw(b"{}")


_told: Final = msgspec.json.Decoder(_Telling).decode


class _Responded(Protocol):
    response: Any


class _Keeping:
    """A tap whose response is kept when it is whole, before its last event goes out.

    Of one that is made in the background, `note` is given the events until it has found where it is.
    """

    __slots__ = ("_asked", "_kept", "_note", "_source", "_tap", "done_seen", "error")

    def __init__(self, asked: Turning, tap: Tap, source: _Responded, note: Callable[[Event], bool]) -> None:
        self._asked = asked
        self._note = note if asked.background else None
        self._tap = tap
        self._source = source
        self._kept = False
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        return self._tap.finished

    @property
    def has_usage(self) -> bool:
        return self._tap.has_usage

    @property
    def usage(self) -> Usage | None:
        return self._tap.usage

    def feed(self, event: Event) -> bytes | None:
        piece = self._tap.feed(event)
        self.done_seen, self.error = self._tap.done_seen, self._tap.error
        if self._note is not None and self._note(event):
            self._note = None
        if self.done_seen:
            self._keep()
        return None if piece is None else self._asked.linked(piece)

    def end(self) -> bytes:
        piece = self._tap.end()
        self._keep()
        return self._asked.linked(piece)

    def _keep(self) -> None:
        response = self._source.response
        if response is None or self._kept:
            return
        self._kept = True
        self._asked.keep(self._asked.linked(response if isinstance(response, bytes) else _encode(response)))


class _Named:
    """A reader whose answer has an id of our own: some upstreams give none, and others the same each time."""

    __slots__ = ("_given", "_reader", "done_seen", "error")

    def __init__(self, reader: Reader, given: str) -> None:
        self._reader = reader
        self._given = given
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        return self._reader.finished

    def feed(self, event: Event) -> list[Delta]:
        found = self._reader.feed(event)
        self.done_seen, self.error = self._reader.done_seen, self._reader.error
        return [self._name(delta) for delta in found]

    def end(self) -> list[Delta]:
        return [self._name(delta) for delta in self._reader.end()]

    def _name(self, delta: Delta) -> Delta:
        return msgspec.structs.replace(delta, id=self._given) if isinstance(delta, Began) else delta
