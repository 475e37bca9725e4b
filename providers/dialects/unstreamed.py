"""Streams of upstreams that have none: a reader that takes a whole answer for the one event of a stream. Pure."""

from __future__ import annotations

from collections.abc import Callable

from providers.dialects.canon import Answer, BadAnswer, Delta
from providers.dialects.dialect import StreamError
from providers.dialects.sse import Event
from providers.dialects.streams import dissect


class Reader:
    """Reads one answer, made whole by `read_answer`."""

    def __init__(self, read_answer: Callable[[bytes], Answer]) -> None:
        self._read_answer = read_answer
        self.done_seen = False
        self.error: StreamError | None = None

    @property
    def finished(self) -> bool:
        """The answer came."""
        return self.done_seen

    def feed(self, event: Event) -> list[Delta]:
        """What the answer says."""
        if event.data is None or self.done_seen:
            return []
        try:
            answer = self._read_answer(event.data)
        except BadAnswer:
            self.error = StreamError(event.data, malformed=True)
            return []
        self.done_seen = True
        return list(dissect(answer))

    def end(self) -> list[Delta]:
        """Nothing is ever left."""
        return []


def reader_of(read_answer: Callable[[bytes], Answer]) -> Callable[[], Reader]:
    """What makes readers for answers of this dialect."""
    return lambda: Reader(read_answer)
