"""Whole JSON values that upstreams send, and what it is called when they are none. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects.canon import BadAnswer

_decode: Final = msgspec.json.Decoder().decode
#: What decoding raises where bytes or a text are no JSON, no Unicode, or nested beyond all sense.
UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeError)
#: Values in a whole answer. As Python's objects they take many times the room of their bytes.
MOST_VALUES: Final = 1_000_000


def holds_too_many(data: bytes | msgspec.Raw) -> bool:
    """Whether these bytes may hold more values than any answer does."""
    data = bytes(data)
    return len(data) > MOST_VALUES and sum(map(data.count, (b",", b"[", b"{"))) > MOST_VALUES


def is_text(data: bytes) -> bool:
    """Whether these bytes are UTF-8. msgspec does not look into strings that nobody asks it for, and clients do."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeError:
        return False
    return True


def object_in(data: bytes | str) -> dict[str, Any] | None:
    """The JSON object that an event or a text holds; None if it holds anything else."""
    try:
        found = _decode(data)
    except UNREADABLE:
        return None
    return found if isinstance(found, dict) else None


def value_in(raw: bytes) -> Any:
    """The JSON value that a member is, which was passed over until now; None also where it cannot be read.

    That a decoder passed over a member proves little: its words may be no text, its numbers beyond all range.
    """
    try:
        return _decode(raw)
    except UNREADABLE:
        return None


def value_of(answer: bytes) -> Any:
    """The JSON value that an upstream answered. Raises BadAnswer."""
    if holds_too_many(answer):
        raise BadAnswer(f"the upstream's answer holds more than {MOST_VALUES} values")
    try:
        return _decode(answer)
    except UNREADABLE as error:
        raise BadAnswer("the upstream's answer is not JSON") from error
