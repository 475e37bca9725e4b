"""What `previous_response_id` and references to items stand for: items of earlier turns. Pure.

Who keeps an answer keeps the body that asked for it (as it was sent on, with earlier turns put in) and the response
object that came back; nothing else is needed for the next turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from providers.dialects.values import UNREADABLE

#: Of an answer's items, not said again.
_CONTENT: Final = "content"
_REFERENCE: Final = "item_reference"
#: A reference says its type, or nothing but its id.
_BARE: Final = re.compile(rb'\{\s*"id"\s*:\s*"[^"\\]*"\s*\}')
#: Characters of an id: those of some gateways hold what they need to know.
LONGEST_ID: Final = 2048


def carried(body: dict[str, Any], response: dict[str, Any]) -> list[dict[str, Any]]:
    """The items that the next turn begins with: what was asked, and what was answered. Instructions are not carried."""
    output = response.get("output")
    answered = [_again(item) for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    return [*_items(body.get("input")), *answered]


def continued(body: dict[str, Any], earlier: list[dict[str, Any]]) -> dict[str, Any]:
    """The body of the next turn with the items of the turns before it in place of `previous_response_id`."""
    rest = {name: value for name, value in body.items() if name != "previous_response_id"}
    return rest | {"input": [*earlier, *_items(body.get("input"))]}


def said_items(response: bytes) -> dict[str, bytes]:
    """The items of an encoded response that can be referred to, each encoded, by their ids; none if it is no such."""
    found: dict[str, bytes] = {}
    try:
        if not response.isascii():
            response.decode()  # what lies within is not read yet
        for raw in _read_output(response).output:
            name = _read_id(raw).id
            if isinstance(name, str) and 0 < len(name) <= LONGEST_ID:
                found[name] = bytes(raw)
    except UNREADABLE:
        return {}
    return found


def references(value: bytes) -> list[str]:
    """The ids that an encoded `input`, a valid one, has in place of items, each once."""
    if _REFERENCE.encode() not in value and not _BARE.search(value):
        return []
    items = msgspec.json.decode(value)
    named = [_referred(item) for item in items] if isinstance(items, list) else []
    return list(dict.fromkeys(name for name in named if name))


def dereferenced(value: bytes, found: Mapping[str, dict[str, Any] | None]) -> list[Any]:
    """The items of an encoded `input`, with those that were found in place of their ids; None leaves one out.

    What is referred to twice is said once: an upstream would refuse it.
    """
    out: list[Any] = []
    said: set[str] = set()
    for item in msgspec.json.decode(value):
        name = _referred(item)
        if name not in found:
            out.append(item)
        elif name not in said:
            said.add(name)
            put = found[name]
            out += () if put is None else (put,)
    return out


def again(item: bytes) -> dict[str, Any]:
    """An encoded item of an answer as one of a history."""
    return _again(msgspec.json.decode(item))


def _referred(item: Any) -> str:
    """The id that an item is but a reference to; "" if it is none."""
    if not isinstance(item, dict) or item.get("type") not in (None, _REFERENCE) or item.keys() - {"id", "type"}:
        return ""
    name = item.get("id")
    return name if isinstance(name, str) else ""


class _Output(msgspec.Struct):
    output: list[msgspec.Raw] = []


class _Identified(msgspec.Struct):
    id: Any = None


_read_output: Final = msgspec.json.Decoder(_Output).decode
_read_id: Final = msgspec.json.Decoder(_Identified).decode


def _items(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _again(item: dict[str, Any]) -> dict[str, Any]:
    """An item of an answer as one of a history: members that are null are refused there, log probabilities useless."""
    kept = {name: value for name, value in item.items() if value is not None}
    content = kept.get(_CONTENT)
    if item.get("type") == "message" and isinstance(content, list):
        kept[_CONTENT] = [
            {name: value for name, value in part.items() if name != "logprobs"}
            for part in content
            if isinstance(part, dict)
        ]
    return kept
