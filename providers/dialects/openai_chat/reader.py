"""A chat stream, read. Pure."""

from __future__ import annotations

from typing import Any

from providers.dialects.canon import Began, Citation, Counted, Delta, Logprobs, Noted, Served
from providers.dialects.dialect import StreamError
from providers.dialects.openai_chat.parts import read_sources
from providers.dialects.openai_chat.response import (
    found_usage,
    read_extras,
    read_head,
    read_logprobs,
    seed_of,
    text_of,
)
from providers.dialects.openai_chat.turn import Turn
from providers.dialects.sse import Event
from providers.dialects.stream_reader import StreamReader
from providers.dialects.usage import Usage


class Reader(StreamReader):
    """Feed it the events of one upstream stream."""

    ends_with_done = True

    def __init__(self) -> None:
        super().__init__()
        self._id = ""
        self._tier = ""
        self._turns: dict[int, Turn] = {}
        self._usage: Usage | None = None
        self._extras: dict[str, Any] = {}
        self._sources: list[Citation] = []

    @property
    def finished(self) -> bool:
        """The upstream said its last word: `[DONE]`, or a finish reason for every choice it began."""
        if self.error is not None:
            return False
        return self.done_seen or (bool(self._turns) and all(turn.stopped for turn in self._turns.values()))

    def end(self) -> list[Delta]:
        """Ends what is open."""
        return [delta for turn in self._turns.values() if not turn.stopped for delta in turn.stop("", self._sources)]

    def _told(self, event: Event, data: bytes, found: dict[str, Any]) -> list[Delta]:
        if event.name == "error" or found.get("error") is not None:
            return self._failed(StreamError(data))
        out: list[Delta] = []
        choices = found.get("choices")
        choices = choices if isinstance(choices, list) else []
        usage = found_usage(found)
        begins = not self._began and (bool(choices) or usage is not None)
        tier = text_of(found, "service_tier")
        late = self._began and tier not in ("", self._tier)
        self._tier = tier or self._tier
        if late:
            out.append(Served(tier))
        if begins:
            self._began = True
            head = read_head(found)
            self._id = head["id"]
            out.append(Began(service_tier=self._tier, **head))
        self._sources = read_sources(found) or self._sources
        for at, choice in enumerate(choices):
            if isinstance(choice, dict):
                self._choice(choice, at, out)
        if usage is not None and usage != self._usage:
            self._usage = usage
            out.append(Counted(usage))
        fresh = {name: value for name, value in read_extras(found).items() if self._extras.get(name) != value}
        if fresh:
            self._extras |= fresh
        if self._began and (begins or fresh) and self._extras:
            out.append(Noted(dict(self._extras) if begins else fresh))
        return out

    def _choice(self, choice: dict[str, Any], at: int, out: list[Delta]) -> None:
        index = choice.get("index")
        index = index if type(index) is int and index >= 0 else at
        turn = self._turns.get(index)
        if turn is None:
            turn = self._turns[index] = Turn(index, seed_of(self._id, index))
        if turn.stopped:
            return
        delta = choice.get("delta")
        delta = choice.get("message") if delta is None else delta
        if isinstance(delta, dict):
            out += turn.feed(delta)
        logprobs = read_logprobs(choice)
        if logprobs is not None:
            out.append(Logprobs(logprobs, index))
        word = text_of(choice, "finish_reason")
        if word:
            out += turn.stop(word, self._sources)
