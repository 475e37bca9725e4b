"""How many tokens a request has: asked of the upstream that would serve it, or else estimated, and said so.

The upstream is asked as for an answer: with the same keys, deadlines and errors. What is counted costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec
from django.http import HttpResponseBase

from api import forward
from api.answer import JSON, Answer
from api.errors import ApiError
from api.lanes import Asked, Told, named, refused
from api.meanings import Domain
from api.trip import Trip
from api.usage import Outcome
from providers.counting import COUNTERS
from providers.dialects.anthropic_messages.count_tokens import write_count as write_anthropics
from providers.dialects.canon import Misfit, Target
from providers.dialects.estimate import estimate
from providers.dialects.google_generate.request import read_count as read_googles
from providers.dialects.google_generate.request import write_count as write_googles
from providers.dialects.jsonio import Fields
from providers.dialects.usage import Usage
from providers.families import FAMILIES
from providers.hosts import call_url, template_of
from routing.candidates import Candidate

_GOOGLE: Final = "google_generate"
_WRITE: Final = {
    _GOOGLE: write_googles,
    "anthropic_messages": write_anthropics,
    "openai_responses": b'{"object":"response.input_tokens","input_tokens":%d}'.__mod__,
}
#: Statuses of an upstream that speaks the dialect and has no such endpoint.
_NO_ENDPOINT: Final = frozenset({404, 405, 501})


class _Unasked(Exception):
    """The upstream whose turn it is cannot count."""


class Counting(Asked):
    """A request whose tokens are to be counted."""

    __slots__ = ()

    service = ""
    may_race = False

    def __init__(
        self, dialect: str, fields: Fields, model: str | None = None, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(dialect, fields, model=model, stream=False, headers=headers)
        if dialect == _GOOGLE:
            self.client = msgspec.structs.replace(self.client, read_request=read_googles)

    def told(self, candidate: Candidate, model: str, stream: bool, variables: Mapping[str, str]) -> Told:
        """The question, in place of the request. Raises ApiError, Unfetched, _Unasked."""
        counter = COUNTERS.get(candidate.family)
        if counter is None or (counter.hosts and _host(candidate) not in counter.hosts):
            raise _Unasked
        family = FAMILIES[candidate.family]
        target = Target(model=model, family=family.name, quirks=candidate.quirks)
        try:
            written = counter.write(self.meant(candidate, model), target)
        except Misfit as problem:
            raise refused(problem) from None
        own = self.headers if family.speaks(self.dialect) else ()
        headers = family.headers + written.headers + own
        return Told(msgspec.json.encode(written.body), headers, named(written.dropped), "application/json")

    def url(self, base: str, family: str, model: str, stream: bool) -> str:
        return COUNTERS[family].url(call_url(base, family, model))

    def answer(
        self, body: bytes, candidate: Candidate, told: Told, public: str, *, streamed: bool = False
    ) -> tuple[bytes, Usage | None]:
        """The count; with what else an upstream of the same dialect says of it."""
        count = COUNTERS[candidate.family].read(body)
        return body if FAMILIES[candidate.family].speaks(self.dialect) else self.say(count), None

    def say(self, count: int) -> bytes:
        """The count in the client's dialect."""
        return _WRITE[self.dialect](count)


def _host(candidate: Candidate) -> str:
    """The host that the candidate's requests go to, as the configuration names it."""
    return urlsplit(template_of(candidate.provider, candidate.account, candidate.family)).hostname or ""


async def count(trip: Trip, asked: Counting) -> HttpResponseBase:
    """Answer one question for a count. Raises ApiError; closes the trip unless it raises."""
    try:
        return await forward.answer(trip, asked)
    except _Unasked:
        pass
    except ApiError as error:
        if not _cannot_count(error):
            raise
    asked.refuse_untold()
    body = asked.say(estimate(asked.request))
    answer = Answer(body, [JSON, *trip.headers(), (b"x-jackfield-estimated", b"1")])
    trip.close(Outcome.OK, 200)
    return answer


def _cannot_count(error: ApiError) -> bool:
    """Whether an upstream says that it does not count, for this model at least."""
    if error.fault.domain is not Domain.UPSTREAM:
        return False
    no_model = error.status_code == 400 and "counting tokens" in error.message.lower()  # Bedrock, of most profiles
    return error.status_code in _NO_ENDPOINT or no_model
