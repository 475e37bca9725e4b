"""Between streams and whole answers, and from one dialect's stream to another's. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from providers.dialects.canon import (
    Answer,
    BadAnswer,
    Began,
    Choice,
    Cited,
    Counted,
    Delta,
    Grew,
    Logprobs,
    Noted,
    Part,
    PartBegan,
    PartEnded,
    Refusal,
    Served,
    Signed,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.dialect import Reader, Splitter, StreamError, Writer
from providers.dialects.sse import Event
from providers.dialects.usage import Usage
from providers.dialects.values import object_in


class _Open(msgspec.Struct):
    """A part that grows."""

    part: Part
    texts: list[str]
    citations: list[Any]

    def whole(self) -> Part:
        text = "".join(self.texts)
        part = self.part
        if isinstance(part, Text):
            return msgspec.structs.replace(part, text=part.text + text, citations=(*part.citations, *self.citations))
        if isinstance(part, Thinking | Refusal):
            return msgspec.structs.replace(part, text=part.text + text)
        if isinstance(part, ToolCall):
            arguments = part.arguments + text
            return msgspec.structs.replace(part, arguments=arguments if arguments or part.free else "{}")
        return part


class _Assembly:
    """An answer that is being put together."""

    def __init__(self) -> None:
        self.began = Began()
        self.usage: Usage | None = None
        self.extras: dict[str, Any] = {}
        self.parts: dict[int, dict[int, _Open]] = {}
        self.stops: dict[int, Stopped] = {}
        self.logprobs: dict[int, dict[str, Any]] = {}

    def take(self, delta: Delta) -> None:
        match delta:
            case Began():
                self.began = delta
            case PartBegan(index, part, choice):
                self.parts.setdefault(choice, {})[index] = _Open(part, [], [])
            case Stopped():
                self.stops[delta.choice] = delta
            case Counted(usage):
                self.usage = usage
            case Served(tier):
                self.began = msgspec.structs.replace(self.began, service_tier=tier)
            case Logprobs(value, choice):
                held = self.logprobs.setdefault(choice, {})
                for name, values in value.items():
                    if isinstance(values, list):
                        held.setdefault(name, []).extend(values)
            case Noted(extras):
                self.extras.update(extras)
            case Grew() | Signed() | Cited():
                self.grow(self.parts[delta.choice][delta.index], delta)

    @staticmethod
    def grow(found: _Open, delta: Grew | Signed | Cited) -> None:
        match delta:
            case Grew(_, text):
                found.texts.append(text)
            case Signed(_, signature, signer):
                found.part = msgspec.structs.replace(found.part, signature=signature, signer=signer)
            case Cited(_, citation):
                found.citations.append(citation)

    def choice(self, index: int) -> Choice:
        stop, parts = self.stops.get(index, Stopped("")), self.parts.get(index, {})
        whole = tuple(parts[at].whole() for at in sorted(parts))
        return Choice(whole, stop.stop, index, stop.word, stop.sequence, self.logprobs.get(index))


def assemble(deltas: Iterable[Delta]) -> Answer:
    """The whole answer that a stream told in pieces."""
    made = _Assembly()
    for delta in deltas:
        made.take(delta)
    began = made.began
    return Answer(
        dialect=began.dialect,
        id=began.id,
        model=began.model,
        created=began.created,
        choices=tuple(made.choice(index) for index in sorted(made.parts.keys() | made.stops.keys())),
        usage=made.usage,
        service_tier=began.service_tier,
        extras=made.extras,
    )


def gathered(body: bytes, reader: Reader, splitter: Splitter) -> Answer:
    """The whole answer that a stream in one piece told. Raises BadAnswer, also where it was cut off."""
    deltas: list[Delta] = []
    for event in (*splitter.feed(body), *splitter.close()):
        deltas += reader.feed(event)
        if reader.error is not None:
            raise BadAnswer("the upstream's stream reported an error", _said(reader.error))
        if reader.done_seen:
            break
    if not (reader.done_seen or reader.finished):
        raise BadAnswer("the upstream's stream was cut off")
    return assemble([*deltas, *reader.end()])


def _said(error: StreamError) -> dict[str, Any] | None:
    return None if error.malformed else object_in(error.body)


def dissect(answer: Answer) -> Iterator[Delta]:
    """A whole answer told as a stream, for a client that wanted one of an upstream that has none."""
    yield Began(answer.id, answer.model, answer.created, answer.service_tier, answer.dialect)
    for choice in answer.choices:
        for index, part in enumerate(choice.parts):
            yield from _told(index, part, choice.index)
        if choice.logprobs is not None:
            yield Logprobs(choice.logprobs, choice.index)
        yield Stopped(choice.stop, choice.index, choice.word, choice.sequence)
    if answer.usage is not None:
        yield Counted(answer.usage)
    if answer.extras:
        yield Noted(answer.extras)


def retold(answer: Answer, writer: Writer) -> bytes:
    """A whole answer as the whole of a client's stream."""
    pieces = [writer.feed(delta) for delta in dissect(answer)]
    return b"".join((*pieces, writer.end()))


def _told(index: int, part: Part, choice: int) -> Iterator[Delta]:
    match part:
        case Text(text, citations):
            bare = msgspec.structs.replace(part, text="", citations=(), signature="", signer="")
            yield PartBegan(index, bare, choice)
            if text:
                yield Grew(index, text, choice)
            for citation in citations:
                yield Cited(index, citation, choice)
        case Thinking(text) | Refusal(text):
            yield PartBegan(index, _bare(part), choice)
            if text:
                yield Grew(index, text, choice)
        case ToolCall(_, _, arguments):
            yield PartBegan(index, msgspec.structs.replace(part, arguments="", signature="", signer=""), choice)
            if arguments:
                yield Grew(index, arguments, choice)
        case _:
            yield PartBegan(index, part, choice)
    signature = getattr(part, "signature", "")
    if signature:
        yield Signed(index, signature, getattr(part, "signer", ""), choice)
    yield PartEnded(index, choice)


def _bare(part: Part) -> Part:
    if isinstance(part, Thinking):
        return msgspec.structs.replace(part, text="", signature="", signer="")
    return Refusal("")


class OneAtATime:
    """Orders the deltas of each choice so that at most one of its parts is open: what belongs to later parts waits."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._waiting: dict[int, OrderedDict[int, list[Delta]]] = {}

    def feed(self, delta: Delta) -> list[Delta]:
        """The deltas whose turn has come."""
        if isinstance(delta, PartBegan | Grew | Signed | Cited | PartEnded):
            return self._of_part(delta)
        if isinstance(delta, Stopped):
            return [*self._rest(delta.choice), delta]
        return [delta]

    def _of_part(self, delta: PartBegan | Grew | Signed | Cited | PartEnded) -> list[Delta]:
        choice, index = delta.choice, delta.index
        current = self._open.get(choice)
        if current is None and isinstance(delta, PartBegan):
            self._open[choice] = current = index
        if current != index:
            self._waiting.setdefault(choice, OrderedDict()).setdefault(index, []).append(delta)
            return []
        if not isinstance(delta, PartEnded):
            return [delta]
        del self._open[choice]
        return [delta, *self._next(choice)]

    def _next(self, choice: int) -> list[Delta]:
        """The parts that waited, as far as they have come."""
        out: list[Delta] = []
        waiting = self._waiting.get(choice)
        while waiting:
            index, held = waiting.popitem(last=False)
            out += held
            if not isinstance(held[-1], PartEnded):
                self._open[choice] = index
                break
        return out

    def _rest(self, choice: int) -> list[Delta]:
        """Everything of a choice that stops, each part ended."""
        out: list[Delta] = []
        while True:
            out += self._next(choice) if choice not in self._open else []
            index = self._open.pop(choice, None)
            if index is None:
                return out
            out.append(PartEnded(index, choice))


class Translation:
    """A tap that hears an upstream in one dialect and tells the client in another."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer
        self._order = OneAtATime()
        self.usage: Usage | None = None
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        """The upstream said its last word."""
        return self.error is None and self._reader.finished

    @property
    def has_usage(self) -> bool:
        """Whether any usage was reported."""
        return self.usage is not None

    def feed(self, event: Event) -> bytes | None:
        """What the client is told for one event."""
        try:
            deltas = self._reader.feed(event)
        except BadAnswer:
            self.error = StreamError(event.data or b"", malformed=True)
            return None
        if self._reader.error is not None:
            self.error = self._reader.error
            return None
        out = self._tell(deltas)
        if self._reader.done_seen:
            self.done_seen = True
            out += self._tell(self._reader.end()) + self._writer.end()
        return out or None

    def end(self) -> bytes:
        """What ends the client's stream where the upstream's had no last event."""
        return self._tell(self._reader.end()) + self._writer.end()

    def _tell(self, deltas: list[Delta]) -> bytes:
        out = []
        for delta in deltas:
            if isinstance(delta, Counted):
                self.usage = delta.usage
            out += [self._writer.feed(ordered) for ordered in self._order.feed(delta)]
        return b"".join(out)
