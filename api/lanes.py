"""What a client asks, said to each upstream, and what the upstream says, said to the client.

There are two lanes. Where both speak the same dialect the bytes go through, with the model's name replaced both ways
and an ear on usage and ending. Otherwise the request is read once into its canonical form and written for the upstream,
and the answer or stream is read and written anew for the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, NamedTuple

import msgspec
from django.conf import settings

from api.body import decoded, refuse_lookalikes
from api.errors import ApiError, Fault
from api.fetching import Files
from api.wishes import listed, needs_of, without_list
from providers.dialects import canon
from providers.dialects.canon import Answer, Misfit, Target
from providers.dialects.dialect import Splitter, Tap
from providers.dialects.jsonio import BadBody, Fields, quote, read_object
from providers.dialects.registry import CLIENTS, UPSTREAMS
from providers.dialects.signatures import travels
from providers.dialects.streams import Translation, gathered, retold
from providers.dialects.untold import refuse_untold
from providers.dialects.usage import Usage
from providers.dialects.values import UNREADABLE
from providers.families import FAMILIES, Family
from providers.hosts import body_members, call_url
from providers.inlining import brought_in, wanted, with_files
from providers.quirks import Members, changes_meaning, meant, shape, shapes
from routing.candidates import Candidate
from routing.fitting import Needs
from routing.snapshot import TEXT

_OPTIONS: Final = frozenset(("include_usage",))
_encode: Final = msgspec.json.Encoder().encode
_Members = tuple[tuple[str, str], ...]
_ASK_USAGE: Final = b'{"include_usage":true}'


#: Where a dialect has what is shown to the model.
_SHOWN: Final = {"openai_responses": "input", "google_generate": "contents"}

#: Something that is given by its URL, in a dialect that a family with `inline_own` speaks.
_BY_URL: Final = re.compile(rb'"type"\s*:\s*"url"')

#: What a name in `x-jackfield-dropped` may look like, and how many there may be.
_NAME: Final = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,64}")
MOST_NAMED: Final = 32


class Told(NamedTuple):
    """A request as one upstream gets it. `dropped` names what it cannot be told.

    `through`: these are the client's own bytes, and what the upstream says goes through as well.
    """

    body: bytes
    headers: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    accept: str
    through: bool = False


class Asked:
    """One request in its client's dialect. `model` and `stream` are given where the URL says them.

    `headers`: those of the client's that are the dialect's own and go to upstreams of the same dialect.
    """

    __slots__ = (
        "_framed",
        "_options",
        "_request",
        "asked_usage",
        "client",
        "dialect",
        "fields",
        "files",
        "headers",
        "model",
        "models",
        "stream",
    )

    #: What kind of model answers; empty: any.
    service: ClassVar[str] = TEXT
    #: Seconds that an upstream may be silent before it answers, however short the account's patience is otherwise.
    ponders: ClassVar[float] = 0.0
    #: Whether two upstreams may be asked at once, where the model is hedged: nothing but an answer comes of it.
    may_race: bool = True

    def __init__(
        self,
        dialect: str,
        fields: Fields,
        model: str | None = None,
        stream: bool | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.dialect = dialect
        self.client = CLIENTS[dialect]
        #: the caller's own order of models
        self.models = listed(fields)
        self.fields = without_list(fields) if self.models else fields
        self.headers = headers
        self.model = _model(fields) if model is None else model.strip()
        self.stream = _flag(fields, "stream") if stream is None else stream
        #: whether the client itself wants to hear the usage of a stream
        self.asked_usage = not self.client.stream_options
        #: what `stream_options` becomes; None: it stays as it came
        self._options: bytes | None = None
        #: what was fetched of what the request gives by URL
        self.files: Files | None = None
        self._request: canon.Request | None = None
        self._framed: bool | None = None
        if self.stream and self.client.stream_options:
            self._read_stream_options()

    def _read_stream_options(self) -> None:
        """Metering needs the usage of a stream: ask for it, and remember whether the client did."""
        raw = self.fields.get("stream_options")
        if raw is None or raw == b"null":
            self._options = _ASK_USAGE
            return
        try:
            options = read_object(raw)
        except BadBody:
            raise ApiError(
                Fault.INVALID_PARAMETER, "`stream_options` must be an object.", param="stream_options"
            ) from None
        refuse_lookalikes(options, _OPTIONS)
        self.asked_usage = options.flag("include_usage") is True
        if not self.asked_usage:
            self._options = options.replace("include_usage", b"true")

    def needs(self) -> Needs:
        """What it needs of a model. The whole body is looked through: `routing.resolve` asks once."""
        return needs_of(self.fields, stream=self.stream)

    # --- to the upstream --------------------------------------------------------------------------------------------

    def told(self, candidate: Candidate, model: str, stream: bool, variables: Mapping[str, str]) -> Told:
        """The request for this candidate, whose upstream calls the model `model`. Raises ApiError, Unfetched,
        UnfilledVariable.

        `stream`: whether the upstream is asked for one, which not all can give. `variables`: the account's.
        """
        family = FAMILIES[candidate.family]
        if not family.dialect:
            raise ApiError(
                Fault.UNSUPPORTED,
                f"'{candidate.public_name}' is served by an API of the family '{family.name}', which does not chat.",
                param="model",
            )
        members = body_members(family.name, variables)
        if self._goes_through(candidate):
            return self._relayed(candidate, family, model, stream, members)
        return self._translated(candidate, family, model, stream, members)

    def url(self, base: str, family: str, model: str, stream: bool) -> str:
        """Where it is told, below this base URL."""
        return call_url(base, family, model, stream)

    def _goes_through(self, candidate: Candidate) -> bool:
        """Whether this candidate gets the client's own bytes, and the client its."""
        family = FAMILIES[candidate.family]
        if not family.speaks(self.dialect) or family.fitted or changes_meaning(candidate.quirks):
            return False
        if family.inline_own and settings.FETCH_MAX and _BY_URL.search(self.fields.body()):
            return False
        if self._framed is None:  # proofs that other upstreams gave: this one would refuse them
            self._framed = travels(self.fields.body())
        return not self._framed

    def _relayed(self, candidate: Candidate, family: Family, model: str, stream: bool, members: _Members) -> Told:
        """The client's bytes with the model, and what streaming and the host need, replaced."""
        fields = self.fields
        fields.restore()
        if family.model_in_body:
            fields.set("model", quote(model))
        else:
            fields.remove("model")
        for name, value in members:
            fields.set(name, quote(value))
        if self.stream and self.client.stream_options:
            if not stream:
                fields.remove("stream_options")
            elif self._options is not None and self.usage_is_asked(candidate):
                fields.set("stream_options", self._options)
        if self.stream and not stream and "stream" in fields:
            fields.set("stream", b"false")
        dropped = shape(RawMembers(fields), candidate.quirks) if shapes(candidate.quirks) else ()
        return Told(fields.body(), family.headers + self.headers, named(dropped), _accepted(family, stream), True)

    def _translated(self, candidate: Candidate, family: Family, model: str, stream: bool, members: _Members) -> Told:
        upstream = UPSTREAMS[family.dialect]
        facts = candidate.facts
        target = Target(
            model=model,
            stream=stream,
            family=family.name,
            max_output=facts.max_output if facts is not None else None,
            reasons=facts.reasoning if facts is not None else None,
            quirks=candidate.quirks,
        )
        try:
            written = upstream.write_request(self.meant(candidate, model), target)
        except Misfit as problem:
            raise refused(problem) from None
        body = dict(written.body)
        if family.model_in_body:
            body["model"] = model
        else:
            body.pop("model", None)
        body.update(members)
        if stream and self.usage_is_asked(candidate):
            body["stream_options"] = {"include_usage": True}
        dropped = shape(Members(body), candidate.quirks)
        own = self.headers if family.speaks(self.dialect) else ()
        headers = family.headers + written.headers + own
        # What only the client's dialect knows says nothing to another.
        unknown = () if self._is_understood(family) else self.request.extras
        lost = named((*written.dropped, *unknown, *dropped))
        return Told(_encode(body), headers, lost, _accepted(family, stream))

    def meant(self, candidate: Candidate, model: str) -> canon.Request:
        """The canonical form as this candidate is to understand it, with the files that its API does not read from
        their URLs. Raises ApiError, Unfetched.
        """
        request = meant(self.request, candidate.quirks)
        family = FAMILIES[candidate.family]
        if not self._is_understood(family):
            self.refuse_untold()
        if family.speaks(self.dialect) and not family.inline_own:
            return request  # it says what that API takes
        needed = wanted(request, family.inline, model, candidate.quirks)
        if not needed or not settings.FETCH_MAX:
            return request
        if self.files is None:
            self.files = Files(_SHOWN.get(self.dialect, "messages"))
        files = self.files.of(needed)
        self.files.refuse_more(brought_in(request, files))
        return with_files(request, files)

    def _is_understood(self, family: Family) -> bool:
        """Whether all that the client's dialect can say reaches this family, be it in an envelope."""
        return family.speaks(self.dialect) or UPSTREAMS[family.dialect].inside == self.dialect

    def refuse_untold(self) -> None:
        """Refuse what no upstream of another dialect can be told. Raises ApiError."""
        try:
            refuse_untold(self.request)
        except Misfit as problem:
            raise refused(problem) from None

    @property
    def request(self) -> canon.Request:
        """The canonical form. Raises ApiError."""
        if self._request is None:
            try:
                found = self.client.read_request(decoded(self.fields))
            except Misfit as problem:
                raise refused(problem) from None
            self._request = msgspec.structs.replace(found, model=self.model, stream=self.stream)
        return self._request

    # --- to the client ----------------------------------------------------------------------------------------------

    def answer(
        self, body: bytes, candidate: Candidate, told: Told, public: str, *, streamed: bool = False
    ) -> tuple[bytes, Usage | None]:
        """The candidate's whole answer to what it was told, under the public model's name, and its usage.

        `streamed`: the body is a stream, of an upstream that gives nothing else. Raises BadBody or BadAnswer.
        """
        if told.through:
            return self.client.splice(body, public)
        answer = self.read(body, candidate, streamed=streamed)
        return self.client.write_answer(answer, public, self.request), answer.usage

    def stream_of(self, body: bytes, candidate: Candidate, public: str) -> tuple[bytes, Usage | None]:
        """The candidate's whole answer as the stream that the client wanted, and its usage. Raises BadAnswer."""
        answer = self.read(body, candidate)
        return retold(answer, self.client.writer(public, self.request)), answer.usage

    def read(self, body: bytes, candidate: Candidate, *, streamed: bool = False) -> Answer:
        """The candidate's whole answer in its canonical form. Raises BadAnswer."""
        upstream = UPSTREAMS[FAMILIES[candidate.family].dialect]
        return gathered(body, upstream.reader(), upstream.splitter()) if streamed else upstream.read_answer(body)

    def tap(self, candidate: Candidate, told: Told, public: str) -> Tap:
        """What relays the stream with which the candidate answers what it was told."""
        if told.through:
            return self.client.tap(public, self.asked_usage)
        upstream = UPSTREAMS[FAMILIES[candidate.family].dialect]
        return Translation(upstream.reader(), self.client.writer(public, self.request))

    @staticmethod
    def usage_is_asked(candidate: Candidate) -> bool:
        """Whether this upstream tells the usage of a stream because it was asked to."""
        spoken = CLIENTS.get(FAMILIES[candidate.family].dialect)
        return spoken is not None and spoken.stream_options and candidate.quirks.get("stream_usage") is not False

    @staticmethod
    def splitter(family: str) -> Splitter:
        """What cuts a stream of this family into events."""
        return UPSTREAMS[FAMILIES[family].dialect].splitter()


class RawMembers:
    """The members of the client's own bytes, for quirks."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._edits: dict[str, Any] = {}

    def member(self, name: str) -> Any:
        """As JSON has it, UNSET where there is none. Raises ApiError."""
        if name in self._edits:
            return self._edits[name]
        raw = self._fields.get(name)
        if raw is None:
            return msgspec.UNSET
        try:
            return msgspec.json.decode(raw)
        except UNREADABLE:  # a number beyond all range: it can be relayed, and not be held to a cap
            raise ApiError(
                Fault.INVALID_PARAMETER, f"`{name}` holds a number that is out of range.", param=name
            ) from None

    def put(self, name: str, value: Any) -> None:
        self._edits[name] = value
        self._fields.set(name, _encode(value))

    def leave_out(self, name: str) -> None:
        self._edits[name] = msgspec.UNSET
        self._fields.remove(name)


def named(dropped: Iterable[str]) -> tuple[str, ...]:
    """The names of what was dropped, each once, fit for a header: members are called as the client likes."""
    fit = dict.fromkeys(name if _NAME.fullmatch(name) else "unnamed" for name in dropped)
    return tuple(fit)[:MOST_NAMED]


def _accepted(family: Family, stream: bool) -> str:
    return UPSTREAMS[family.dialect].accept if stream else "application/json"


def _model(fields: Fields) -> str:
    asked = fields.text("model")
    if asked is None:
        if fields.get("model") not in (None, b"null"):
            raise ApiError(Fault.INVALID_PARAMETER, "`model` must be a string.", param="model")
        return ""
    return asked.strip()


def _flag(fields: Fields, name: str) -> bool:
    value = fields.flag(name)
    if value is None and fields.get(name) not in (None, b"null"):
        raise ApiError(Fault.INVALID_PARAMETER, f"`{name}` must be true or false.", param=name)
    return value is True


def refused(problem: Misfit) -> ApiError:
    """What the client is told of a request that cannot be said."""
    fault = Fault.UNSUPPORTED if problem.unsupported else Fault.INVALID_PARAMETER
    # Some messages say what to do themselves, after a colon.
    step = "Or name another model." if problem.unsupported and ": " in problem.message else None
    return ApiError(fault, problem.message, param=problem.param or None, step=step)
