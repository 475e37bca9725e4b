"""Embeddings: texts in, vectors out. Asked of upstreams as answers are, with the same keys, retries, deadlines, errors.

There are two lanes here as well (`api.lanes`): the client's own bytes for upstreams that embed in its dialect, else the
request said anew. Embeddings have dialects of their own: `providers.dialects.embedding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from api.body import decoded
from api.errors import ApiError, Fault
from api.lanes import Asked, RawMembers, Told, named, refused
from providers.dialects import embedding as hub
from providers.dialects.canon import BadAnswer, Misfit, Target
from providers.dialects.jsonio import BadBody, Fields
from providers.dialects.registry import EMBEDDING_CLIENTS, EMBEDDING_UPSTREAMS
from providers.dialects.usage import Usage
from providers.families import FAMILIES, Family
from providers.hosts import call_url
from providers.quirks import Members, shape, shapes
from routing.candidates import Candidate
from routing.snapshot import EMBEDDING

_encode: Final = msgspec.json.Encoder().encode


class Embedding(Asked):
    """A request for vectors. `verb` is Google's, which stands in its path; empty: OpenAI's."""

    __slots__ = ("_texts", "speech")

    service = EMBEDDING

    def __init__(self, dialect: str, fields: Fields, verb: str = "", model: str | None = None) -> None:
        super().__init__(dialect, fields, model=model, stream=False)
        self.speech = EMBEDDING_CLIENTS[verb]
        self.dialect = self.speech.dialect
        self._texts: hub.Request | None = None

    def told(self, candidate: Candidate, model: str, stream: bool, variables: Mapping[str, str]) -> Told:
        """The request for this candidate. Raises ApiError."""
        family = FAMILIES[candidate.family]
        if not family.embedding:
            raise ApiError(
                Fault.UNSUPPORTED,
                f"'{candidate.public_name}' is served by an API of the family '{family.name}', which does not embed.",
                param="model",
            )
        if family.speaks(self.dialect):
            return self._as_it_came(candidate, family, model)
        return self._anew(candidate, family, model)

    def url(self, base: str, family: str, model: str, stream: bool) -> str:
        known = FAMILIES[family]
        if known.speaks(self.dialect):
            verb = self.speech.verb
        else:
            verb = EMBEDDING_UPSTREAMS[known.embedding].verb(model, len(self.texts.inputs))
        return call_url(base, family, model, instead=known.embed_path.replace("{verb}", verb))

    def _as_it_came(self, candidate: Candidate, family: Family, model: str) -> Told:
        fields = self.fields
        fields.restore()
        try:
            self.speech.aim(fields, model, family.model_in_body)
        except BadBody as problem:
            raise ApiError(Fault.INVALID_PARAMETER, problem.message) from None
        dropped = shape(RawMembers(fields), candidate.quirks) if shapes(candidate.quirks) else ()
        return Told(fields.body(), family.headers, named(dropped), "application/json", through=True)

    def _anew(self, candidate: Candidate, family: Family, model: str) -> Told:
        target = Target(model=model, family=family.name, quirks=candidate.quirks)
        try:
            written = EMBEDDING_UPSTREAMS[family.embedding].write_request(self.texts, target)
        except Misfit as problem:
            problem.param = self._word(problem.param)
            raise refused(problem) from None
        body: dict[str, Any] = {**written.body, "model": model} if family.model_in_body else dict(written.body)
        dropped = shape(Members(body), candidate.quirks)
        lost = named((*map(self._word, written.dropped), *self.texts.extras, *dropped))
        return Told(_encode(body), family.headers + written.headers, lost, "application/json")

    def _word(self, name: str) -> str:
        return self.speech.words.get(name, name)

    @property
    def texts(self) -> hub.Request:
        """The canonical form. Raises ApiError."""
        if self._texts is None:
            try:
                self._texts = self.speech.read_request(decoded(self.fields))
            except Misfit as problem:
                raise refused(problem) from None
        return self._texts

    def answer(
        self, body: bytes, candidate: Candidate, told: Told, public: str, *, streamed: bool = False
    ) -> tuple[bytes, Usage | None]:
        """The vectors, under the public model's name. Raises BadBody or BadAnswer."""
        if told.through:
            return self.speech.splice(body, public)
        answer = EMBEDDING_UPSTREAMS[FAMILIES[candidate.family].embedding].read_answer(body)
        if len(answer.vectors) != len(self.texts.inputs):
            raise BadAnswer("the upstream's answer holds another number of vectors than of texts")
        return self.speech.write_answer(answer, public, self.texts), hub.usage_of(answer.tokens)
