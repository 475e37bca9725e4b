"""What the readers of all dialects do alike: turn an event into an object, and know which part is open. Pure."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from providers.dialects.canon import BadAnswer, Began, Delta, Grew, Misfit, Part, PartBegan, PartEnded, Stopped
from providers.dialects.dialect import StreamError
from providers.dialects.sse import Event
from providers.dialects.values import object_in

_DONE: Final = b"[DONE]"


class StreamReader:
    """The frame of a Reader. A dialect says what an event's object means (`_told`); one whose answers begin and end as
    here also says what stands in their head (`_head`) and what is still open (`_close`).
    """

    #: `[DONE]` is this dialect's last event; to the others, copies of OpenAI's API say it, and it means nothing.
    ends_with_done: ClassVar[bool] = False

    def __init__(self) -> None:
        self.done_seen = False
        self.error: StreamError | None = None
        self._began = False
        #: it was said why the answer stopped
        self._stopped = False

    @property
    def finished(self) -> bool:
        """The upstream said why it stopped, be it without the last event."""
        return self.error is None and (self.done_seen or self._stopped)

    def feed(self, event: Event) -> list[Delta]:
        """What one event says; nothing after one that set `error`."""
        data = event.data
        if data is None or self.error is not None:
            return []
        if data[:1] != b"{":
            word = data.strip()
            if word in (b"", _DONE):
                self.done_seen = self.done_seen or (self.ends_with_done and word == _DONE)
                return []
        return self._hear(event, data)

    def end(self) -> list[Delta]:
        """The ends of what is still open, and of the answer where nobody said that it stopped."""
        return [] if self._stopped else [*self._start({}), *self._close(), Stopped("")]

    def _hear(self, event: Event, data: bytes) -> list[Delta]:
        """What an event with this data says, which must be an object."""
        found = object_in(data)
        if found is None:
            return self._failed(StreamError(data, malformed=True))
        try:
            return self._told(event, data, found)
        except (BadAnswer, Misfit):
            return self._failed(StreamError(data, malformed=True))

    def _failed(self, error: StreamError) -> list[Delta]:
        """The event reported this error, and says no more."""
        self.error = error
        return []

    def _told(self, event: Event, data: bytes, found: dict[str, Any]) -> list[Delta]:
        """What the object in the event's data says. Raises BadAnswer or Misfit where the API promises another."""
        raise NotImplementedError

    def _start(self, found: dict[str, Any]) -> list[Delta]:
        """The beginning of the answer, once."""
        if self._began:
            return []
        self._began = True
        return [self._head(found)]

    def _head(self, found: dict[str, Any]) -> Began:
        """What an object says of the whole answer."""
        raise NotImplementedError

    def _close(self) -> list[Delta]:
        """The ends of all parts that are open."""
        raise NotImplementedError


class Parts:
    """The parts of one choice, where a stream does not say that one ends: it ends when one of another kind begins.

    Kinds are compared only; by default a part's kind is its class.
    """

    __slots__ = ("choice", "count", "index", "kind")

    def __init__(self, choice: int = 0) -> None:
        self.choice = choice
        self.count = 0
        #: the part that is open: its place, and its kind; None where there is none
        self.index = -1
        self.kind: object = None

    def is_open(self, index: int) -> bool:
        """Whether this is the part that is open."""
        return self.kind is not None and self.index == index

    def begin(self, part: Part) -> PartBegan:
        """A part that the caller ends; beside it another may be open."""
        self.count += 1
        return PartBegan(self.count - 1, part, self.choice)

    def open(self, part: Part, kind: object = None) -> list[Delta]:
        """A part begins and stays open; the one before it ends."""
        deltas = self.close()
        begun = self.begin(part)
        self.index, self.kind = begun.index, kind or type(part)
        return [*deltas, begun]

    def grow(self, part: Part, text: str, kind: object = None) -> list[Delta]:
        """More of the open part if it is of this kind, or of a new one."""
        if not text:
            return []
        if self.kind == (kind or type(part)):
            return [Grew(self.index, text, self.choice)]
        return [*self.open(part, kind), Grew(self.index, text, self.choice)]

    def whole(self, part: Part) -> list[Delta]:
        """A part that comes in one piece."""
        begun = self.begin(part)
        return [*self.close(), begun, PartEnded(begun.index, self.choice)]

    def close(self) -> list[Delta]:
        """The end of the open part."""
        if self.kind is None:
            return []
        self.kind = None
        return [PartEnded(self.index, self.choice)]
