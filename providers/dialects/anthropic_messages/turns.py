"""The conversation, said as this API wants it: one system prompt, and turns of the user and the assistant. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.dialects.anthropic_messages.media import media_block
from providers.dialects.anthropic_messages.saying import citations, input_of, mark
from providers.dialects.anthropic_messages.words import NAME, call_id
from providers.dialects.canon import (
    Media,
    Message,
    Misfit,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from providers.dialects.claude import Accepts

Block = dict[str, Any]
Content = str | list[Block]

_INSTRUCTING = ("system", "developer")


class Turns:
    """Writes a request's messages into `system` and `turns`; names what it leaves out in `dropped`."""

    def __init__(self, request: Request, able: Accepts, dropped: dict[str, None]) -> None:
        self.own = request.dialect == NAME
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []
        self._able = able
        self._dropped = dropped
        for at, message in enumerate(request.messages):
            if message.name:
                dropped["name"] = None
            if message.role in _INSTRUCTING:
                self._instruct(message, request.messages[at + 1 :])
            else:
                self._speak("assistant" if message.role == "assistant" else "user", message)
        self._settle()

    @property
    def unthinking(self) -> bool:
        """Whether the turn to be continued is a tool call without a thought: a budget to think would be refused."""
        for turn in reversed(self.turns):
            if turn["role"] == "assistant":
                return turn["content"][0]["type"] not in ("thinking", "redacted_thinking")
            if turn["role"] == "user" and not any(block["type"] == "tool_result" for block in turn["content"]):
                return False
        return False

    def said(self) -> dict[str, Any]:
        """`system` and `messages`."""
        turns = [{**turn, "content": _short(turn["content"])} for turn in self.turns]
        return {"messages": turns, **({"system": _short(self.system)} if self.system else {})}

    def _instruct(self, message: Message, following: Sequence[Message]) -> None:
        """Instructions stay where they stand if the model takes them there, and join the system prompt if not."""
        blocks = self._blocks(message.parts, "system")
        if not blocks:
            return
        needs_turn = any(block["type"] != "text" for block in blocks)
        if needs_turn or (self.turns and self._able.system_turns and (self.own or self._fits(following))):
            self._turn("system", blocks, message.extras)
        else:
            self.system += blocks

    def _fits(self, following: Sequence[Message]) -> bool:
        """A system turn must come between a user's turn and the assistant's."""
        after = next((message.role for message in following if message.role not in _INSTRUCTING), "assistant")
        return self.turns[-1]["role"] != "assistant" and after == "assistant"

    def _speak(self, role: str, message: Message) -> None:
        blocks = self._blocks(message.parts, role)
        if blocks:
            self._turn(role, blocks, message.extras)

    def _turn(self, role: str, blocks: list[Block], extras: dict[str, Any]) -> None:
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, **(extras if self.own else {}), "content": blocks})

    def _settle(self) -> None:
        for turn in self.turns:
            if turn["role"] == "user":  # results first, as the API demands
                turn["content"].sort(key=lambda block: block["type"] != "tool_result")
        if not self.turns and self.system and not self.own:
            self.turns, self.system = [{"role": "user", "content": self.system}], []
        if not self.turns:
            raise Misfit("`messages` must hold at least one message that says something.", "messages")
        last = self.turns[-1]
        if last["role"] == "assistant" and last["content"][-1]["type"] == "text" and not self.own:
            last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()

    def _blocks(self, parts: Sequence[Part], role: str) -> list[Block]:
        found = (self._block(part, role) for part in parts)
        return [block for block in found if block is not None]

    def _block(self, part: Part, role: str) -> Block | None:
        match part:
            case Text():
                return self._text(part)
            case Refusal(text):
                return {"type": "text", "text": text} if text.strip() else None
            case Thinking():
                return self._thought(part)
            case ToolCall():
                if part.signature:
                    self._dropped["thinking"] = None
                extras = part.extras if self.own else {}
                made = {"type": "tool_use", "id": call_id(part.id), "name": part.name, "input": input_of(part)}
                return {**made, **extras, **mark(part.cache)}
            case ToolResult():
                return self._result(part)
            case Media():
                return self._media(part, role)
        if part.dialect == NAME:
            return part.value
        self._dropped[f"opaque:{part.value.get('type', 'part')}"] = None
        return None

    def _text(self, part: Text) -> Block | None:
        if not part.text.strip():
            return None
        said = citations(part) if self.own else []
        if len(said) < len(part.citations):
            self._dropped["citations"] = None
        return {"type": "text", "text": part.text, **({"citations": said} if said else {}), **mark(part.cache)}

    def _thought(self, part: Thinking) -> Block | None:
        if part.signer == NAME and part.redacted:
            return {"type": "redacted_thinking", "data": part.signature}
        if part.signer == NAME or (self._able.lenient and not part.signer and part.text):
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        self._dropped["thinking"] = None
        return None

    def _media(self, part: Media, role: str) -> Block | None:
        if role == "assistant" and part.kind == "audio" and part.text:
            return {"type": "text", "text": part.text}
        if part.detail and part.detail != "auto":
            self._dropped["detail"] = None
        if role != "user" and not self.own:
            raise Misfit(
                f"The model does not take a {part.kind} in an answer of its own.", "messages", unsupported=True
            )
        return media_block(part, self.own)

    def _result(self, part: ToolResult) -> Block:
        made: Block = {"type": "tool_result", "tool_use_id": call_id(part.call_id)}
        extras = dict(part.extras) if self.own else {}
        content: Content = extras.pop("content", None) or _short(self._blocks(part.parts, "user"))
        if content:
            made["content"] = content
        if part.failed:
            made["is_error"] = True
        return {**made, **extras, **mark(part.cache)}


def _short(blocks: list[Block]) -> Content:
    """A single text without marks as the string it is."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text":
        text: str = blocks[0]["text"]
        return text
    return blocks
