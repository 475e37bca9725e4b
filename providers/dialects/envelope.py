"""A dialect that is another one in an envelope: how the two are put together without knowing each other. Pure.

The dialect of the envelope says what stands around a request and an answer, and the name of what is inside; the
registry, which knows both, makes the upstream of them. Answers and events are unwrapped as bytes and read once.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from providers.dialects.canon import Answer, BadAnswer, Delta, Request, Target, Written
from providers.dialects.dialect import Envelope, Reader, StreamError, Upstream
from providers.dialects.sse import Event


class _Unwrapping:
    """Reads a stream whose events are enveloped."""

    def __init__(self, inner: Reader, opened: Callable[[bytes], bytes | None]) -> None:
        self._inner = inner
        self._opened = opened
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        """As the reader inside says."""
        return self._inner.finished

    def feed(self, event: Event) -> list[Delta]:
        """What one event says; an empty envelope says nothing."""
        if event.data is not None:
            data = self._opened(event.data)
            if data is None:
                return []
            event = msgspec.structs.replace(event, data=data, at=-1)
        said = self._inner.feed(event)
        self.done_seen, self.error = self._inner.done_seen, self._inner.error
        return said

    def end(self) -> list[Delta]:
        """What the reader inside left unsaid."""
        return self._inner.end()


def enveloped(inside: Upstream, envelope: Envelope) -> Upstream:
    """The upstream of a dialect that is `inside` in an envelope."""

    def write_request(request: Request, target: Target) -> Written:
        at = msgspec.structs.replace(target, family=envelope.family)
        return envelope.write(inside.write_request(request, at))

    def read_answer(body: bytes) -> Answer:
        data = envelope.read(body)
        if data is None:
            raise BadAnswer("the answer's envelope is empty")
        return inside.read_answer(data)

    def reader() -> Reader:
        return _Unwrapping(inside.reader(), envelope.read)

    return msgspec.structs.replace(
        inside, write_request=write_request, read_answer=read_answer, reader=reader, inside=envelope.inside
    )
