"""What an item is made of while it is told: texts, refusals, thoughts and arguments, and the events of each. Pure."""

from __future__ import annotations

from typing import Any

from providers.dialects.canon import Citation
from providers.dialects.openai_responses.items import annotation_of

Event = dict[str, Any]


class Piece:
    """A piece of an item. `begin` puts it there, `grow` adds to it, `end` makes it whole."""

    def __init__(self, text: str) -> None:
        self.citations: list[Citation] = []
        self._texts = [text] if text else []
        self._item: dict[str, Any] = {}
        self._where: dict[str, Any] = {}

    def begin(self, item: dict[str, Any], output_index: int) -> list[Event]:
        """The events with which it begins; what it began with is told at once."""
        self._item = item
        self._where = {"item_id": item["id"], "output_index": output_index}
        held, self._texts = self._texts, []
        return [*self.announce(), *(event for text in held for event in self.grow(text))]

    def announce(self) -> list[Event]:
        """The event that says there is a piece, where there is one."""
        return []

    def grow(self, text: str) -> list[Event]:
        """More of its text."""
        raise NotImplementedError

    def end(self) -> list[Event]:
        """The events with which it ends."""
        raise NotImplementedError

    def event(self, name: str, **members: Any) -> Event:
        """An event about this piece."""
        return {"type": f"response.{name}", **self._where, **members}


class Said(Piece):
    """A text or a refusal of a message. Citations are told when the text is whole."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self._kind = kind
        self.logprobs: list[Any] = []

    def announce(self) -> list[Event]:
        self._where["content_index"] = len(self._item["content"])
        return [self.event("content_part.added", part=self._part("", [], []))]

    def grow(self, text: str) -> list[Event]:
        self._texts.append(text)
        if self._kind == "refusal":
            return [self.event("refusal.delta", delta=text)]
        return [self.event("output_text.delta", delta=text, logprobs=[])]

    def end(self) -> list[Event]:
        text = "".join(self._texts)
        found = (annotation_of(citation, len(text)) for citation in self.citations)
        annotations = [annotation for annotation in found if annotation is not None]
        part = self._part(text, annotations, self.logprobs)
        self._item["content"].append(part)
        out = [
            self.event("output_text.annotation.added", annotation_index=index, annotation=annotation)
            for index, annotation in enumerate(annotations)
        ]
        if self._kind == "refusal":
            out.append(self.event("refusal.done", refusal=text))
        else:
            out.append(self.event("output_text.done", text=text, logprobs=self.logprobs))
        return [*out, self.event("content_part.done", part={**part})]

    def _part(self, text: str, annotations: list[Any], logprobs: list[Any]) -> dict[str, Any]:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text}


class Thought(Piece):
    """A summary or a thought of a reasoning item. One that `waits` is there only if it gets a text."""

    def __init__(self, text: str, *, summary: bool, waits: bool) -> None:
        super().__init__(text)
        self._waits = waits
        self._list = "summary" if summary else "content"
        self._kind = "summary_text" if summary else "reasoning_text"
        self._text_events = "reasoning_summary_text" if summary else "reasoning_text"
        self._part_events = "reasoning_summary_part" if summary else "content_part"

    def announce(self) -> list[Event]:
        if self._waits:
            return []
        held = self._item.setdefault(self._list, [])
        self._where["summary_index" if self._list == "summary" else "content_index"] = len(held)
        return [self.event(f"{self._part_events}.added", part={"type": self._kind, "text": ""})]

    def grow(self, text: str) -> list[Event]:
        waited, self._waits = self._waits, False
        self._texts.append(text)
        return [*(self.announce() if waited else ()), self.event(f"{self._text_events}.delta", delta=text)]

    def end(self) -> list[Event]:
        if self._waits:
            return []
        text = "".join(self._texts)
        part = {"type": self._kind, "text": text}
        self._item[self._list].append(part)
        return [self.event(f"{self._text_events}.done", text=text), self.event(f"{self._part_events}.done", part=part)]


class Arguments(Piece):
    """The arguments of a function call, or what a custom tool is told."""

    def __init__(self, text: str, *, free: bool) -> None:
        super().__init__(text)
        self._free = free
        self._member = "input" if free else "arguments"
        self._events = "custom_tool_call_input" if free else "function_call_arguments"

    def grow(self, text: str) -> list[Event]:
        self._texts.append(text)
        return [self.event(f"{self._events}.delta", delta=text)]

    def end(self) -> list[Event]:
        text = "".join(self._texts)
        out = []
        if not text and not self._free:
            text = "{}"
            out = self.grow(text)
        self._item[self._member] = text
        return [*out, self.event(f"{self._events}.done", **{self._member: text})]
