"""Pictures: words in, images out. Asked of upstreams as answers are, with the same keys, retries, deadlines, errors.

There are two lanes here as well (`api.lanes`): the client's own bytes for upstreams of OpenAI's dialect, else the
request said anew (`providers.dialects.imaging`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from api.body import decoded
from api.errors import ApiError, Fault
from api.lanes import Asked, RawMembers, Told, named, refused
from api.seating import waiting_for
from providers.dialects import imaging as hub
from providers.dialects.canon import Misfit, Target
from providers.dialects.jsonio import Fields, quote
from providers.dialects.openai_chat import images
from providers.dialects.registry import IMAGE_UPSTREAMS
from providers.dialects.usage import Usage
from providers.families import FAMILIES, Family
from providers.hosts import call_url
from providers.quirks import Members, shape, shapes
from routing.candidates import Candidate
from routing.fitting import NOTHING, Needs
from routing.health import health
from routing.snapshot import IMAGE

_encode: Final = msgspec.json.Encoder().encode
#: Jobs that a worker does at the same time, where it did not register itself and say how many (C-38).
_AT_ONCE: Final = 2


class Imaging(Asked):
    """A request for pictures."""

    __slots__ = ("_wish",)

    service = IMAGE
    #: A large picture takes OpenAI's models up to two minutes.
    ponders = 180.0

    def __init__(self, dialect: str, fields: Fields) -> None:
        super().__init__(dialect, fields)
        if self.stream:
            raise ApiError(Fault.UNSUPPORTED, "Pictures come whole: leave out `stream`.", param="stream")
        self.dialect = images.NAME
        self._wish: hub.Request | None = None

    def needs(self) -> Needs:
        """Nothing that the facts of a model tell: they are of those that chat."""
        return NOTHING

    def told(self, candidate: Candidate, model: str, stream: bool, variables: Mapping[str, str]) -> Told:
        """The request for this candidate. Raises ApiError."""
        family = FAMILIES[candidate.family]
        if not family.imaging:
            raise ApiError(
                Fault.UNSUPPORTED,
                f"'{candidate.public_name}' is served by an API of the family '{family.name}', which is not asked for "
                "pictures here.",
                param="model",
            )
        if family.speaks(self.dialect):
            return self._as_it_came(candidate, family, model)
        return self._anew(candidate, family, model)

    def url(self, base: str, family: str, model: str, stream: bool) -> str:
        return call_url(base, family, model, instead=FAMILIES[family].image_path)

    def _as_it_came(self, candidate: Candidate, family: Family, model: str) -> Told:
        fields = self.fields
        fields.restore()
        fields.set("model", quote(model))
        dropped = shape(RawMembers(fields), candidate.quirks) if shapes(candidate.quirks) else ()
        return Told(fields.body(), family.headers, named(dropped), "application/json", through=True)

    def _anew(self, candidate: Candidate, family: Family, model: str) -> Told:
        target = Target(model=model, family=family.name, quirks=candidate.quirks)
        try:
            written = IMAGE_UPSTREAMS[family.imaging].write_request(self.wish, target, waiting_at(candidate))
        except Misfit as problem:
            raise refused(problem) from None
        body: dict[str, Any] = {**written.body, "model": model} if family.model_in_body else dict(written.body)
        dropped = shape(Members(body), candidate.quirks)
        lost = named((*written.dropped, *self.wish.extras, *dropped))
        return Told(_encode(body), family.headers + written.headers, lost, "application/json")

    @property
    def wish(self) -> hub.Request:
        """The canonical form. Raises ApiError."""
        if self._wish is None:
            try:
                self._wish = images.read_request(decoded(self.fields))
            except Misfit as problem:
                raise refused(problem) from None
        return self._wish

    def answer(
        self, body: bytes, candidate: Candidate, told: Told, public: str, *, streamed: bool = False
    ) -> tuple[bytes, Usage | None]:
        """The pictures, with the public model's name. Raises BadBody or BadAnswer."""
        if told.through:
            return images.splice(body, public)
        answer = IMAGE_UPSTREAMS[FAMILIES[candidate.family].imaging].read_answer(body)
        made = hub.Answer(answer.images[: self.wish.count])
        return images.write_answer(made, public), Usage(images=len(made.images))


def waiting_at(candidate: Candidate) -> int:
    """How many requests wait for the place, which does some at a time."""
    if candidate.seat is not None:
        return waiting_for(candidate)
    return max(0, health.in_flight(candidate.place) + 1 - _AT_ONCE)
