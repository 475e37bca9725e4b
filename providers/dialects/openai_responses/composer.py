"""An answer told in pieces, put together as items of this API, with the event that tells each step. Pure.

A stream is these events, one after the other; a whole answer is the response that they add up to.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import (
    Began,
    Cited,
    Counted,
    Delta,
    Grew,
    Logprobs,
    Media,
    Noted,
    Opaque,
    Part,
    PartBegan,
    PartEnded,
    Refusal,
    Request,
    Served,
    Signed,
    Stopped,
    Text,
    Thinking,
    ToolCall,
)
from providers.dialects.openai_responses import pieces
from providers.dialects.openai_responses.echo import base_of, frame, response_id, tier, usage_object
from providers.dialects.openai_responses.items import NAME, call_mark
from providers.dialects.openai_responses.pieces import Piece
from providers.dialects.openai_responses.tools import spaces_of
from providers.dialects.signatures import framed
from providers.dialects.usage import Usage

Event = dict[str, Any]
#: Reasons to be incomplete, for the hub's reasons to stop.
_INCOMPLETE: Final = {"length": "max_output_tokens", "filter": "content_filter"}


class Composer:
    """Feed it deltas of the first choice, at most one part open at a time; take the events that tell them."""

    def __init__(self, model: str, request: Request) -> None:
        self._request = request
        self._spaces = spaces_of(request.tools)
        self._frame = frame(request, model)
        #: Clients show summaries, and hardly any shows thoughts: who asks for summaries gets others' thoughts as such.
        self._sums_up = request.reasoning is not None and bool(request.reasoning.show)
        self._began: Began | None = None
        self._base = ""
        self._tier = ""
        self._usage: Usage | None = None
        self._extras: dict[str, Any] = {}
        self._stop = Stopped("")
        self._ids: set[str] = set()
        self._output: list[dict[str, Any]] = []
        #: the item that is open, the last of the output
        self._item: dict[str, Any] | None = None
        self._piece: Piece | None = None
        self._call: ToolCall | None = None
        #: the id that the thoughts of the open reasoning item share
        self._thought = ""

    def feed(self, delta: Delta) -> list[Event]:
        """The events that say this."""
        if isinstance(delta, Began):
            return self._start(delta) if self._began is None else []
        if getattr(delta, "choice", 0) != 0:
            return []
        out = self._start(Began()) if self._began is None else []
        match delta:
            case PartBegan(_, part):
                out += self._begin(part)
            case Grew(_, text):
                out += self._piece.grow(text) if self._piece is not None else []
            case Signed(_, signature, signer):
                self._sign(signature, signer)
            case Cited(_, citation):
                if self._piece is not None:
                    self._piece.citations.append(citation)
            case PartEnded():
                out += self._end_part()
            case Logprobs(value):
                self._note_logprobs(value)
            case Stopped():
                self._stop = delta
                out += self._close(complete=delta.stop not in _INCOMPLETE)
            case Counted() | Served() | Noted():
                self._note(delta)
        return out

    def _note(self, delta: Counted | Served | Noted) -> None:
        """Keep what the end says of the whole answer."""
        match delta:
            case Counted(usage):
                self._usage = usage
            case Served(tier):
                self._tier = tier
            case Noted(extras):
                self._extras |= extras

    def end(self) -> list[Event]:
        """The events that end the response."""
        out = self._start(Began()) if self._began is None else []
        out += self._close(complete=True)
        response = self.response()
        return [*out, {"type": f"response.{response['status']}", "response": response}]

    def response(self) -> dict[str, Any]:
        """The response object as it ends."""
        stop = self._stop.stop
        withheld = stop == "refusal" and not self._refused()
        reason = "content_filter" if withheld else _INCOMPLETE.get(stop)
        status = "incomplete" if reason else "failed" if stop == "error" else "completed"
        out = self._object(status, self._output)
        began = self._began or Began()
        out["service_tier"] = tier(self._tier or began.service_tier, "default")
        out["usage"] = usage_object(self._usage)
        if reason:
            out["incomplete_details"] = {"reason": reason}
        if status == "failed":
            out["error"] = {"code": "server_error", "message": "The model stopped with an error."}
        return out | self._extras if self._native() else out

    def _native(self) -> bool:
        """Whether the answer is one of this API."""
        return self._began is not None and self._began.dialect == NAME

    def _refused(self) -> bool:
        return any(part["type"] == "refusal" for item in self._output for part in item.get("content", ()))

    def _object(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        began = self._began or Began()
        return {
            "id": response_id(began, self._base),
            "object": "response",
            "created_at": began.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            **self._frame,
            "output": output,
            "service_tier": tier(self._request.service_tier, "auto"),
            "usage": None,
        }

    def _start(self, began: Began) -> list[Event]:
        self._began = began
        self._base = base_of(began, self._request)
        names = ("response.created", "response.in_progress")
        return [{"type": name, "response": self._object("in_progress", [])} for name in names]

    # --- parts -------------------------------------------------------------------------------------------------------

    def _begin(self, part: Part) -> list[Event]:
        match part:
            case Text():
                return [*self._message(), *self._place(pieces.Said(part.text, "output_text"))]
            case Refusal(text):
                return [*self._message(), *self._place(pieces.Said(text, "refusal"))]
            case Thinking():
                summary = part.summary or (self._sums_up and not self._native())
                out = self._reasoning(part, summary=summary)
                thought = pieces.Thought(part.text, summary=summary, waits=part.redacted)
                out += self._place(thought)
                self._sign(part.signature, part.signer)
                return out
            case ToolCall():
                return self._begin_call(part)
            case Opaque(dialect, value) if dialect == NAME:
                return [*self._close(), *self._whole(value)]
            case Media(kind, data=data) if kind == "image" and data:
                return [*self._close(), *self._whole(_image(part, self._id("ig", "")))]
        return self._close()

    def _begin_call(self, call: ToolCall) -> list[Event]:
        out = self._close()
        free = call.free
        item: dict[str, Any] = {
            "id": self._id("ctc" if free else "fc", call.item_id),
            "type": "custom_tool_call" if free else "function_call",
            "status": "in_progress",
            "call_id": call.id,
            "name": call.name,
            "input" if free else "arguments": "",
        }
        if self._native():
            item |= {name: value for name, value in call.extras.items() if name != "status"}
        elif call.name in self._spaces:
            item["namespace"], item["name"] = self._spaces[call.name]
        out += self._open(item)
        self._call = call
        return out + self._place(pieces.Arguments(call.arguments, free=free))

    def _place(self, piece: Piece) -> list[Event]:
        """Put a piece into the open item."""
        assert self._item is not None
        self._piece = piece
        return piece.begin(self._item, len(self._output) - 1)

    def _end_part(self) -> list[Event]:
        piece, self._piece = self._piece, None
        if piece is None:
            return []
        out = piece.end()
        call, self._call = self._call, None
        if call is not None:
            out += self._close()
            if call.signature:
                out += self._signature_of(call)
        return out

    def _sign(self, signature: str, signer: str) -> None:
        if not signature or self._item is None:
            return
        if self._call is not None:
            self._call = ToolCall(self._call.id, self._call.name, signature=signature, signer=signer)
        elif self._item["type"] == "reasoning":
            self._item["encrypted_content"] = framed(signature, signer, NAME)

    def _signature_of(self, call: ToolCall) -> list[Event]:
        """A call's signature, for which its item has no place: a thought that carries it and comes back with it."""
        name = self._id("rs", "")
        mark = framed(call.signature, call.signer, NAME, call_mark(call.id))
        return self._whole({"id": name, "type": "reasoning", "summary": [], "encrypted_content": mark})

    def _note_logprobs(self, value: dict[str, Any]) -> None:
        content = value.get("content")
        if not isinstance(content, list):
            return
        if isinstance(self._piece, pieces.Said):
            self._piece.logprobs += content
            return
        for item in reversed(self._output):
            for part in reversed(item.get("content", ()) if item["type"] == "message" else ()):
                if part["type"] == "output_text":
                    part["logprobs"] = [*part["logprobs"], *content]
                    return

    # --- items -------------------------------------------------------------------------------------------------------

    def _message(self) -> list[Event]:
        if self._item is not None and self._item["type"] == "message":
            return []
        out = self._close()
        item = {"id": self._id("msg", ""), "type": "message", "status": "in_progress", "content": []}
        return out + self._open(item | {"role": "assistant"})

    def _reasoning(self, part: Thinking, *, summary: bool) -> list[Event]:
        item = self._item
        unsigned = item is not None and item["type"] == "reasoning" and "encrypted_content" not in item
        follows = unsigned and part.id == self._thought and not part.redacted
        if item is not None and follows and not (summary and item.get("content")):
            return []
        out = self._close()
        self._thought = part.id
        return out + self._open({"id": self._id("rs", part.id), "type": "reasoning", "summary": []})

    def _id(self, prefix: str, given: str) -> str:
        """The id of the next item."""
        name = given if given and given not in self._ids else f"{prefix}_{self._base}_{len(self._output)}"
        self._ids.add(name)
        return name

    def _open(self, item: dict[str, Any]) -> list[Event]:
        self._item = item
        self._output.append(item)
        shown = {**item, "content": []} if item["type"] == "message" else {**item}
        return [{"type": "response.output_item.added", "output_index": len(self._output) - 1, "item": shown}]

    def _close(self, *, complete: bool = True) -> list[Event]:
        item, self._item = self._item, None
        if item is None:
            return []
        out = self._piece.end() if self._piece is not None else []
        self._piece = None
        if "status" in item:
            item["status"] = "completed" if complete else "incomplete"
        return [*out, {"type": "response.output_item.done", "output_index": len(self._output) - 1, "item": item}]

    def _whole(self, item: dict[str, Any]) -> list[Event]:
        self._output.append(item)
        index = len(self._output) - 1
        names = ("response.output_item.added", "response.output_item.done")
        return [{"type": name, "output_index": index, "item": item} for name in names]


def _image(part: Media, name: str) -> dict[str, Any]:
    """A picture of another API's, as the tool that makes them here would have it."""
    form = part.media_type.rpartition("/")[2] or "png"
    return {
        "id": name, "type": "image_generation_call", "status": "completed", "output_format": form, "result": part.data,
    }  # fmt: skip
