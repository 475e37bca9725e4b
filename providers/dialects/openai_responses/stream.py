"""Reads a stream of this API. Pure.

Every item is told three times: in pieces, whole when it is done, and once more in the response that ends the stream.
What the pieces left out (some hosts leave out most) is taken from what came whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Began,
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
from providers.dialects.openai_responses.items import NAME, WHOLE, Key, call_of, content_part, listed, parts_of, string
from providers.dialects.openai_responses.response import extras_of, stop_of, stream_error
from providers.dialects.sse import Event
from providers.dialects.stream_reader import StreamReader
from providers.dialects.usage import read_openai_usage, tokens

_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_FAILS: Final = frozenset({"response.failed", "response.cancelled", "error"})


class _Begun(msgspec.Struct):
    """A part that was begun. `said` is what it grew by, `cited` how many citations were told."""

    index: int
    part: Part
    said: list[str] = []
    cited: int = 0
    logprobs: bool = False
    open: bool = True


class _Item(msgspec.Struct):
    """An item of the output, by what is known of it."""

    value: dict[str, Any]
    parts: dict[Key, _Begun] = {}
    #: the part that began last: those before it are over
    last: _Begun | None = None
    done: bool = False


class Reader(StreamReader):
    """Feed it the events of one upstream stream, take deltas."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._calls = False
        self._tier = ""
        self._items: dict[int, _Item] = {}
        self._out: list[Delta] = []

    def end(self) -> list[Delta]:
        """Ends what is still open; what never began has no end."""
        self._end_all()
        if self._began and not self._stopped:
            self._stopped = True
            self._out.append(Stopped(""))
        out, self._out = self._out, []
        return out

    def _told(self, event: Event, data: bytes, found: dict[str, Any]) -> list[Delta]:
        kind = string(found.get("type")) or event.name or ""
        if kind in _FAILS or found.get("error"):
            return self._failed(stream_error(data, found.get("response")))
        self._take(kind, found)
        out, self._out = self._out, []
        return out

    def _take(self, kind: str, found: dict[str, Any]) -> None:
        response = found.get("response")
        if isinstance(response, dict):
            self._out += self._start(response)
            tier = string(response.get("service_tier"))
            if tier and tier != self._tier:
                self._tier = tier
                self._out.append(Served(tier))
            if kind in _ENDS:
                self._end_response(response)
            return
        index, take = found.get("output_index"), _TAKES.get(kind)
        if take is None or type(index) is not int or self._stopped:
            return
        self._out += self._start({})
        take(self, index, found)

    # --- the response ------------------------------------------------------------------------------------------------

    def _head(self, found: dict[str, Any]) -> Began:
        self._tier = string(found.get("service_tier"))
        return Began(
            string(found.get("id")),
            string(found.get("model")),
            tokens(found.get("created_at")) or 0,
            self._tier,
            NAME,
        )

    def _end_response(self, response: dict[str, Any]) -> None:
        if self._stopped:
            return
        known = {_name(item.value) for item in self._items.values() if item.done} - {""}
        for index, value in enumerate(listed(response.get("output"))):
            item = self._items.get(index)
            if not (item is not None and item.done) and _name(value) not in known:
                self._item_done(index, {"item": value})
        self._end_all()
        usage, extras = read_openai_usage(response.get("usage")), extras_of(response)
        if usage is not None:
            self._out.append(Counted(usage))
        if extras:
            self._out.append(Noted(extras))
        stop, word = stop_of(response, (ToolCall("", ""),) if self._calls else ())
        self._out.append(Stopped(stop, 0, word))
        self._stopped = self.done_seen = True

    # --- items -------------------------------------------------------------------------------------------------------

    def _item_added(self, index: int, found: dict[str, Any]) -> None:
        value = found.get("item")
        if not isinstance(value, dict) or index in self._items:
            return
        item = self._items[index] = _Item(value)
        if string(value.get("type")) in _CALLS:
            call = call_of(value)
            self._begin(item, WHOLE, msgspec.structs.replace(call, arguments=""))

    def _item_done(self, index: int, found: dict[str, Any]) -> None:
        value = found.get("item")
        if not isinstance(value, dict):
            return
        item = self._items.setdefault(index, _Item(value))
        if item.done:
            return
        item.done, item.value = True, value
        contents = listed(value.get("content")) if value.get("type") == "message" else []
        whole = parts_of(value)
        keys = _keys(item, [key for key, _ in whole])
        for key, part in whole:
            logprobs = listed(contents[key[1]].get("logprobs")) if contents else []
            self._fill(item, keys.get(key, key), part, logprobs)
        self._end_item(item)

    def _part_added(self, index: int, found: dict[str, Any]) -> None:
        value, key = found.get("part"), _content_key(found)
        if isinstance(value, dict) and key is not None:
            if value.get("type") == "reasoning_text":
                self._grow(index, key, "", Thinking())
            elif value.get("type") in ("output_text", "refusal"):
                self._grow(index, key, "", Refusal("") if value["type"] == "refusal" else Text(""))

    def _part_done(self, index: int, found: dict[str, Any]) -> None:
        value, key = found.get("part"), _content_key(found)
        if not isinstance(value, dict) or key is None or value.get("type") == "reasoning_text":
            return
        item = self._items.setdefault(index, _Item({"type": "message"}))
        self._fill(item, key, content_part(value), listed(value.get("logprobs")))
        if key in item.parts:
            self._end_part(item.parts[key])

    def _annotated(self, index: int, found: dict[str, Any]) -> None:
        value, key = found.get("annotation"), _content_key(found)
        item = self._items.get(index)
        begun = item.parts.get(key) if item is not None and key is not None else None
        if not isinstance(value, dict) or begun is None or not begun.open:
            return
        cited = content_part({"type": "output_text", "annotations": [value]})
        if isinstance(cited, Text) and isinstance(begun.part, Text):
            begun.cited += 1
            self._out.append(Cited(begun.index, cited.citations[0]))

    # --- parts -------------------------------------------------------------------------------------------------------

    def _grow(self, index: int, key: Key, text: str, part: Part) -> _Begun | None:
        """More of a part, which begins here if it has not yet. None: it has ended already."""
        item = self._items.setdefault(index, _Item({}))
        begun = item.parts.get(key)
        if begun is None and not item.done:
            if isinstance(part, Thinking):
                part = msgspec.structs.replace(part, id=string(item.value.get("id")), summary=key[0] == "summary")
            begun = self._begin(item, key, part)
        if begun is None or not begun.open:
            return None
        if text:
            begun.said.append(text)
            self._out.append(Grew(begun.index, text))
        return begun

    def _begin(self, item: _Item, key: Key, part: Part) -> _Begun:
        """A part begins; the one before it in its item is over."""
        self._end_item(item)
        begun = item.last = item.parts[key] = _Begun(self._count, part)
        self._count += 1
        self._calls = self._calls or isinstance(part, ToolCall)
        self._out.append(PartBegan(begun.index, part))
        return begun

    def _fill(self, item: _Item, key: Key, part: Part, logprobs: list[Any]) -> None:
        """What the whole part says and its pieces did not."""
        begun = item.parts.get(key)
        if begun is None:
            begun = self._begin(item, key, _bare(part))
        if not begun.open:
            return
        text = part.arguments if isinstance(part, ToolCall) else getattr(part, "text", "")
        said = "".join(begun.said)
        if len(text) > len(said) and text.startswith(said):
            self._out.append(Grew(begun.index, text[len(said) :]))
            begun.said = [text]
        if isinstance(part, Text):
            self._out += [Cited(begun.index, one) for one in part.citations[begun.cited :]]
            begun.cited = max(begun.cited, len(part.citations))
        if isinstance(part, Thinking) and part.signature and isinstance(begun.part, Thinking):
            self._out.append(Signed(begun.index, part.signature, part.signer))
        if logprobs and not begun.logprobs:
            begun.logprobs = True
            self._out.append(Logprobs({"content": logprobs}))

    def _end_part(self, begun: _Begun) -> None:
        if begun.open:
            begun.open = False
            self._out.append(PartEnded(begun.index))

    def _end_item(self, item: _Item) -> None:
        if item.last is not None:
            self._end_part(item.last)

    def _end_all(self) -> None:
        for item in self._items.values():
            self._end_item(item)

    # --- pieces of parts ---------------------------------------------------------------------------------------------

    def _said(self, index: int, found: dict[str, Any]) -> None:
        key = _content_key(found)
        if key is None:
            return
        begun = self._grow(index, key, _piece(found), Text(""))
        logprobs = listed(found.get("logprobs"))
        if begun is not None and logprobs and isinstance(found.get("delta"), str):
            begun.logprobs = True
            self._out.append(Logprobs({"content": logprobs}))

    def _refused(self, index: int, found: dict[str, Any]) -> None:
        key = _content_key(found)
        if key is not None:
            self._grow(index, key, _piece(found), Refusal(""))

    def _thought(self, index: int, found: dict[str, Any]) -> None:
        key = _content_key(found)
        if key is not None:
            self._grow(index, key, _piece(found), Thinking())

    def _summed_up(self, index: int, found: dict[str, Any]) -> None:
        number = found.get("summary_index")
        self._grow(index, ("summary", number if type(number) is int else 0), _piece(found), Thinking())

    def _argued(self, index: int, found: dict[str, Any]) -> None:
        item = self._items.get(index)
        if item is not None and WHOLE in item.parts:
            self._grow(index, WHOLE, _piece(found), Text(""))


def _keys(item: _Item, whole: list[Key]) -> dict[Key, Key]:
    """Under which keys parts were begun, where those are not the places they came to have: some hosts count from 1."""
    if item.parts.keys() <= set(whole):
        return {}
    found: dict[Key, Key] = {}
    for name in ("summary", "content"):
        begun = sorted(key for key in item.parts if key[0] == name)
        found |= dict(zip((key for key in whole if key[0] == name), begun, strict=False))
    return found


def _name(item: dict[str, Any]) -> str:
    """What two accounts of an item have in common."""
    return string(item.get("call_id")) or string(item.get("id"))


def _content_key(found: dict[str, Any]) -> Key | None:
    number = found.get("content_index")
    return ("content", number) if type(number) is int else None


def _piece(found: dict[str, Any]) -> str:
    return string(found.get("delta"))


def _bare(part: Part) -> Part:
    """A part as it begins: what follows as growth is left out."""
    match part:
        case Text():
            return Text("")
        case Refusal():
            return Refusal("")
        case Thinking():
            return msgspec.structs.replace(part, text="", signature="", signer="")
        case ToolCall():
            return msgspec.structs.replace(part, arguments="")
    return part


_TAKES: Final[dict[str, Callable[[Reader, int, dict[str, Any]], None]]] = {
    "response.output_item.added": Reader._item_added,
    "response.output_item.done": Reader._item_done,
    "response.content_part.added": Reader._part_added,
    "response.content_part.done": Reader._part_done,
    "response.reasoning_part.added": Reader._part_added,
    "response.output_text.delta": Reader._said,
    "response.output_text.annotation.added": Reader._annotated,
    "response.refusal.delta": Reader._refused,
    "response.reasoning_text.delta": Reader._thought,
    "response.reasoning_summary_part.added": Reader._summed_up,
    "response.reasoning_summary_text.delta": Reader._summed_up,
    "response.function_call_arguments.delta": Reader._argued,
    "response.custom_tool_call_input.delta": Reader._argued,
}
