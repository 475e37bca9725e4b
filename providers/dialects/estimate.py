"""How many tokens a request has, roughly, where nobody can be asked who knows. Pure.

Letters, digits and signs of ASCII come four to a token, as English does with all tokenizers of today; of other scripts
each character counts as one. What stands around a message, a tool and a call costs a few more. An image is taken for
one of a megapixel, other media for what their bytes come to. The result is meant for deciding whether a conversation
still fits, where it is within a third for text; it is never a bill.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from providers.dialects.canon import (
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)

#: ASCII characters of a token.
_LETTERS: Final = 4
_PER_MESSAGE: Final = 4
_PER_TOOL: Final = 12
_PER_CALL: Final = 8
_IMAGE: Final = 1400
#: Of sounds, films and documents: bytes of a token, and what one costs whose bytes are not here.
_BYTES: Final = 60
_ELSEWHERE: Final = 2000
_encode: Final = msgspec.json.Encoder().encode


def estimate(request: Request) -> int:
    """The tokens of a request's messages and tools, at least 1."""
    found = sum(map(_message, request.messages)) + sum(map(_tool, request.tools))
    if request.format is not None and request.format.schema is not None:
        found += _value(request.format.schema)
    return max(1, found)


def _message(message: Message) -> int:
    return _PER_MESSAGE + _words(message.name) + _parts(message.parts)


def _parts(parts: Iterable[Part]) -> int:
    return sum(map(_part, parts))


def _part(part: Part) -> int:
    match part:
        case Text(text) | Refusal(text) | Thinking(text):
            return _words(text)
        case Media():
            return _media(part)
        case ToolCall():
            return _PER_CALL + _words(part.name) + _words(part.arguments)
        case ToolResult():
            return _PER_CALL + _parts(part.parts)
        case Opaque(_, value):
            return _value(value)


def _media(media: Media) -> int:
    if media.kind == "image":
        return _IMAGE
    if media.text:
        return _words(media.text)
    return len(media.data) * 3 // 4 // _BYTES if media.data else _ELSEWHERE


def _tool(tool: Tool) -> int:
    return _PER_TOOL + _words(tool.name) + _words(tool.description) + _value(tool.parameters) + _value(tool.value)


def _value(value: Any) -> int:
    return _words(_encode(value).decode()) if value else 0


def _words(text: str) -> int:
    if text.isascii():
        return -(-len(text) // _LETTERS)
    foreign = sum(1 for letter in text if ord(letter) > 127)
    return foreign - (foreign - len(text)) // _LETTERS
