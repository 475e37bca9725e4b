"""The turns of a conversation, written as the items of a request's `input`. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from providers.dialects.canon import (
    Media,
    Message,
    Misfit,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.dialects.openai_responses.items import NAME, annotation_of, made
from providers.dialects.openai_responses.media import breakpoint_of, write_content

#: The longest id of a call that OpenAI takes.
_LONGEST: Final = 64


class Outgoing:
    """Writes messages. `dropped` names what it left out, in order."""

    def __init__(self, request: Request) -> None:
        self._own = request.dialect == NAME
        self._dialect = request.dialect
        self._messages = request.messages
        self._free = {
            part.id
            for message in request.messages
            for part in message.parts
            if isinstance(part, ToolCall) and part.free
        }
        self.dropped: dict[str, None] = {}
        self.instructions = ""

    def items(self) -> list[dict[str, Any]]:
        """The items. Raises Misfit."""
        out: list[dict[str, Any]] = []
        for message in self._messages:
            if self._own and message.notes.get("instructions") and message.role == "system":
                self.instructions += "".join(part.text for part in message.parts if isinstance(part, Text))
            else:
                out += self._message(message)
        return out

    def drop(self, name: str) -> None:
        """Name what is left out."""
        self.dropped[name] = None

    def _message(self, message: Message) -> Iterator[dict[str, Any]]:
        if message.name:
            self.drop("name")
        noted = self._noted(message)
        parts = message.parts
        at = 0
        while at < len(parts):
            if at in noted:
                count, members = noted[at]
                contents = [self._content(part, message.role, inside=True) for part in parts[at : at + count]]
                yield self._said(message.role, parts[at : at + count], contents, members)
                at += count
                continue
            end = at + 1
            while end < len(parts) and end not in noted and _joined(parts[at], parts[end], message.role):
                end += 1
            yield from self._run(message, parts[at:end])
            at = end

    def _noted(self, message: Message) -> dict[int, tuple[int, dict[str, Any]]]:
        """Which parts were one message item of our own: (how many, what else it said) by the first one's position."""
        if not self._own:
            return {}
        notes = message.notes.get("items", ())
        whole = len(message.parts)
        found = {note["at"]: (note["parts"], note["members"]) for note in notes if note["parts"]}
        return found if all(at + count <= whole for at, (count, _) in found.items()) else {}

    def _run(self, message: Message, parts: tuple[Part, ...]) -> Iterator[dict[str, Any]]:
        """Parts that belong into one item."""
        first = parts[0]
        if isinstance(first, Thinking):
            yield from self._thoughts([part for part in parts if isinstance(part, Thinking)])
        elif isinstance(first, ToolCall):
            yield self._call(first)
        elif isinstance(first, ToolResult):
            yield self._result(first)
        elif isinstance(first, Opaque):
            if first.dialect == NAME:
                yield first.value
            else:
                self.drop(f"opaque:{first.value.get('type', 'part')}")
        else:
            kept = tuple(part for part in parts if not (isinstance(part, Text) and not part.text and not self._own))
            # A picture that another model made: only the user shows pictures here.
            role = "user" if isinstance(first, Media) and first.kind == "image" else message.role
            contents = [self._content(part, role) for part in kept]
            if contents:
                yield self._said(role, kept, contents, {})

    def _said(
        self, role: str, parts: tuple[Part, ...], contents: list[dict[str, Any]], members: dict[str, Any]
    ) -> dict[str, Any]:
        """A message item. A plain text goes as such, which every host of this API takes."""
        members = {name: value for name, value in members.items() if name != "id" or not made(value)}
        plain = len(parts) == 1 and isinstance(parts[0], Text) and not (self._own and parts[0].cache)
        if plain and not contents[0].get("annotations") and not members:
            return {"type": "message", "role": role, "content": contents[0]["text"]}
        return {"type": "message", "role": role, "content": contents, **members}

    def _content(self, part: Part, role: str, *, inside: bool = False) -> dict[str, Any]:
        if isinstance(part, Text):
            return self._text(part, role)
        if isinstance(part, Refusal):
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, Opaque) and inside:
            return part.value
        if isinstance(part, Media):
            if role != "assistant":
                return self._media(part)
            if part.text:
                return self._text(Text(part.text), role)
        raise Misfit("This API takes no files or sounds in the assistant's turns.", "input", unsupported=True)

    def _media(self, part: Media) -> dict[str, Any]:
        if part.cache is not None and not self._own:
            self.drop("cache_control")
        return write_content(part, self._dialect)

    def _text(self, part: Text, role: str) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
        if role == "assistant":
            own = [annotation_of(one, len(part.text)) for one in part.citations if one.dialect == NAME]
            out["annotations"] = [one for one in own if one is not None]
            if len(own) < len(part.citations):
                self.drop("citations")
        if part.cache is not None:
            if self._own:
                out["prompt_cache_breakpoint"] = breakpoint_of(part.cache)
            else:
                self.drop("cache_control")
        return out

    def _thoughts(self, parts: list[Thinking]) -> Iterator[dict[str, Any]]:
        """A reasoning item. Only its maker understands its signature; without one only its own host knows it."""
        last = parts[-1]
        ours = last.signer == NAME and bool(last.signature)
        if not ours and not (self._own and not last.signature and not made(last.id)):
            self.drop("thinking")
            return
        item: dict[str, Any] = {"type": "reasoning"}
        if last.id and not made(last.id):
            item["id"] = last.id
        told = [part for part in parts if part.text or not part.redacted]
        summary = [part.text for part in told if part.summary or (not self._own and part.text)]
        item["summary"] = [{"type": "summary_text", "text": text} for text in summary]
        content = [part.text for part in told if not part.summary] if self._own else []
        if content:
            item["content"] = [{"type": "reasoning_text", "text": text} for text in content]
        if ours:
            item["encrypted_content"] = last.signature
        yield item

    def _call(self, call: ToolCall) -> dict[str, Any]:
        item: dict[str, Any] = {
            "type": "custom_tool_call" if call.free else "function_call",
            "call_id": self._call_id(call.id),
            "name": call.name,
            "input" if call.free else "arguments": call.arguments if call.arguments or call.free else "{}",
        }
        if self._own and call.item_id and not made(call.item_id):
            item["id"] = call.item_id
        return item | call.extras if self._own else item

    def _result(self, result: ToolResult) -> dict[str, Any]:
        if result.failed:
            self.drop("is_error")
        free = result.free or result.call_id in self._free
        item: dict[str, Any] = {
            "type": "custom_tool_call_output" if free else "function_call_output",
            "call_id": self._call_id(result.call_id),
            "output": self._output(result.parts),
        }
        return item | result.extras if self._own else item

    def _output(self, parts: tuple[Text | Media, ...]) -> str | list[dict[str, Any]]:
        if not parts:
            return ""
        if len(parts) == 1 and isinstance(parts[0], Text) and not (self._own and parts[0].cache):
            return parts[0].text
        return [self._content(part, "tool") for part in parts]

    def _call_id(self, name: str) -> str:
        if self._own or len(name) <= _LONGEST:
            return name
        return "call_" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _joined(first: Part, part: Part, role: str) -> bool:
    """Whether a part goes into the same item as the first of a run does."""
    if isinstance(first, Thinking):
        return isinstance(part, Thinking) and part.id == first.id and not first.signature
    said = (Text, Refusal) if role == "assistant" else (Text, Refusal, Media)
    return isinstance(first, said) and isinstance(part, said)
