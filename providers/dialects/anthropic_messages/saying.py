"""Parts, said as content blocks: what requests and answers have in common. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects import signatures
from providers.dialects.anthropic_messages.words import NAME, call_id
from providers.dialects.canon import Cache, Citation, Text, Thinking, ToolCall
from providers.dialects.values import UNREADABLE

_decode: Final = msgspec.json.Decoder().decode


def mark(cache: Cache | None) -> dict[str, Any]:
    """`cache_control`, or nothing."""
    if cache is None:
        return {}
    return {"cache_control": {"type": "ephemeral", **({"ttl": cache.ttl} if cache.ttl else {})}}


def input_of(call: ToolCall) -> dict[str, Any]:
    """A call's arguments as the object they must be here. Free text, or what is no object, is put into one."""
    if call.free:
        return {"input": call.arguments}
    if not call.arguments.strip():
        return {}
    try:
        found = _decode(call.arguments)
    except UNREADABLE:
        found = call.arguments
    return found if isinstance(found, dict) else {"arguments": found}


def citation(found: Citation) -> dict[str, Any] | None:
    """A citation; one of another dialect if it names a page."""
    if found.dialect == NAME and found.value is not None:
        return found.value
    if not found.url:
        return None
    return {
        "type": "web_search_result_location",
        "url": found.url,
        "title": found.title or None,
        "cited_text": found.quote,
        "encrypted_index": "",
    }


def citations(text: Text) -> list[dict[str, Any]]:
    """Those of a text that can be said here."""
    return [said for said in map(citation, text.citations) if said is not None]


def thought(part: Thinking) -> dict[str, Any] | None:
    """A thought for a client: in plain, or, where there is nothing but its proof, redacted."""
    carried = signatures.framed(part.signature, part.signer, NAME, part.id)
    if part.redacted or (not part.text and carried):
        if not part.redacted and part.signer == NAME:
            return {"type": "thinking", "thinking": "", "signature": carried}
        return {"type": "redacted_thinking", "data": carried} if carried else None
    return {"type": "thinking", "thinking": part.text, "signature": carried} if part.text else None


def carrier(call: ToolCall, signature: str, signer: str) -> dict[str, Any] | None:
    """The block that carries the proof of a tool call through a client, which has no place for one in the call.

    Clients of this API must send redacted thoughts back as they came; `blocks` knows it by the id of the call.
    """
    if not signature or signer in ("", NAME) or call_id(call.id) != call.id:
        return None
    return {"type": "redacted_thinking", "data": signatures.framed(signature, signer, NAME, call.id)}
