"""Items of a history and of an answer in the hub's words. Lenient: what a request must not lack is asked for before.

An item becomes one part or several: a message its contents, a reasoning item its summaries and thoughts, any other
just one. The key of a part says which of the item's it is, so that a stream finds the part that it has begun. Pure.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from providers.dialects.canon import Citation, Opaque, Part, Refusal, Text, Thinking, ToolCall
from providers.dialects.openai_responses import wire
from providers.dialects.signatures import unframed

NAME: Final = "openai_responses"
#: In ids that this package made up. Those are nothing to an upstream, which is never sent one.
MADE: Final = "jf"

Key = tuple[str, int]
WHOLE: Final[Key] = ("whole", 0)

_encode: Final = msgspec.json.Encoder().encode
_CALL: Final = frozenset({"type", "id", "call_id", "name", "arguments", "input", "status"})


def parts_of(item: dict[str, Any]) -> list[tuple[Key, Part]]:
    """The parts of an item, each with its key."""
    kind = item.get("type")
    if kind == "message":
        contents = listed(item.get("content"))
        return [(("content", index), content_part(value)) for index, value in enumerate(contents)]
    if kind == "reasoning":
        return _thoughts(item)
    if kind in ("function_call", "custom_tool_call"):
        return [(WHOLE, call_of(item))]
    return [(WHOLE, Opaque(NAME, item))]


def content_part(value: dict[str, Any]) -> Part:
    """A content of an assistant's message."""
    kind = value.get("type")
    if kind in ("output_text", "input_text", "text"):
        citations = tuple(citation_of(one) for one in listed(value.get("annotations")))
        return Text(string(value.get("text")), citations)
    if kind == "refusal":
        return Refusal(string(value.get("refusal")))
    return Opaque(NAME, value)


def call_of(item: dict[str, Any]) -> ToolCall:
    """A call of a tool of the client's. Every tool call has an id, be it that of its item."""
    free = item["type"] == "custom_tool_call"
    said = item.get("input" if free else "arguments")
    if isinstance(said, dict):
        said = _encode(said).decode()
    arguments = said if isinstance(said, str) else ""
    return ToolCall(
        id=string(item.get("call_id")) or string(item.get("id")),
        name=string(item.get("name")),
        arguments=arguments if arguments or free else "{}",
        free=free,
        item_id=string(item.get("id")),
        extras=wire.rest(item, _CALL),
    )


def _thoughts(item: dict[str, Any]) -> list[tuple[Key, Part]]:
    """Summaries before thoughts; the signature is the last one's. Without any of it, the item is but a reference."""
    name = string(item.get("id"))
    found: list[tuple[Key, Part]] = []
    for member in ("summary", "content"):
        for index, value in enumerate(listed(item.get(member))):
            found.append(((member, index), Thinking(string(value.get("text")), id=name, summary=member == "summary")))
    signature, signer, _ = unframed(string(item.get("encrypted_content")), NAME)
    if not found:
        if not signature:
            return [(WHOLE, Opaque(NAME, item))]
        return [(WHOLE, Thinking("", signature, signer, redacted=True, id=name))]
    if signature:
        key, last = found[-1]
        found[-1] = (key, msgspec.structs.replace(last, signature=signature, signer=signer))
    return found


def citation_of(value: dict[str, Any]) -> Citation:
    """An annotation of a text."""
    start, end = value.get("start_index"), value.get("end_index")
    return Citation(
        url=string(value.get("url")),
        title=string(value.get("title")) or string(value.get("filename")),
        start=start if type(start) is int else None,
        end=end if type(end) is int else None,
        dialect=NAME,
        value=value,
    )


def annotation_of(citation: Citation, length: int) -> dict[str, Any] | None:
    """A citation in a text of this length. None: it names no page, and this API can cite nothing else of others."""
    if citation.dialect == NAME and citation.value is not None:
        return citation.value
    if not citation.url:
        return None
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start or 0,
        "end_index": length if citation.end is None else citation.end,
    }


def call_mark(call_id: str) -> str:
    """The name of a call in the frame of a signature that belongs to it, see `signatures.framed`."""
    return "call-" + hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def made(name: Any) -> bool:
    """Whether an id of an item is one that this package made up."""
    return isinstance(name, str) and name.partition("_")[2].startswith(MADE)


def string(value: Any) -> str:
    """The value if it is text."""
    return value if isinstance(value, str) else ""


def listed(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
