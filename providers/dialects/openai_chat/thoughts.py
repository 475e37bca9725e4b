"""Thoughts on this wire: `reasoning_content` for their text, `reasoning_details` for their proofs. Pure.

`reasoning_details` is OpenRouter's: a list of texts, summaries and encrypted thoughts, each with an `index`; in a
stream, and in histories that clients glue together of streams, one thought comes in many entries of one index.

A signature that an upstream of this dialect sent is kept with its `format` and `id`, without which the upstream
would not take it back: `format;id;signature`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from providers.dialects.canon import Thinking
from providers.dialects.openai_chat.words import NAME
from providers.dialects.signatures import framed, unframed

_PACKED: Final = re.compile(r"([\w.-]*);([^;]*);(.*)", re.DOTALL)
_UNKNOWN: Final = "unknown"
_FORMATS: Final = {
    "anthropic_messages": "anthropic-claude-v1",
    "bedrock_converse": "anthropic-claude-v1",
    "openai_responses": "openai-responses-v1",
}
Kind = Literal["text", "summary", "encrypted"]
_KINDS: Final[dict[str, Kind]] = {
    "reasoning.text": "text",
    "reasoning.summary": "summary",
    "reasoning.encrypted": "encrypted",
}


class Detail(msgspec.Struct, frozen=True):
    """One entry. `apart`: an encrypted thought of the Responses API, which belongs to the summary before it whatever
    its index.
    """

    kind: Kind
    text: str = ""
    signature: str = ""
    signer: str = ""
    id: str = ""
    index: int | None = None
    apart: bool = False

    def begins(self) -> Thinking:
        """The thought that begins with it, without its text and its signature."""
        return Thinking(id=self.id, redacted=self.kind == "encrypted", summary=self.kind == "summary")


class Open(msgspec.Struct):
    """What must be known of a thought that may still grow."""

    kind: Kind
    index: int | None = None
    signed: bool = False

    def takes(self, detail: Detail) -> bool:
        """Whether the entry belongs to this thought."""
        if self.signed or self.kind == "encrypted":
            return False
        if detail.kind == "encrypted":
            return self.kind == "summary" and (detail.apart or detail.index == self.index)
        return detail.kind == self.kind and (detail.index is None or self.index is None or detail.index == self.index)


def read_detail(entry: Any) -> Detail | None:
    """One entry; None if it is none that is known, or an empty one."""
    if not isinstance(entry, dict):
        return None
    kind: Kind | None = _KINDS.get(_text(entry, "type"))
    summary = _text(entry, "summary")
    if kind == "encrypted" and summary:
        kind = "summary"  # OpenAI's own clients glue entries of one index together, whatever their types
    text, signature = summary or _text(entry, "text"), _text(entry, "signature") or _text(entry, "data")
    if kind is None or not (text or signature):
        return None
    said, given = _text(entry, "format"), _text(entry, "id")
    bare, signer, item = unframed(signature, NAME)
    own = signer == NAME
    index = entry.get("index")
    return Detail(
        kind,
        text,
        _packed(said, given, bare) if own else bare,
        signer,
        "" if own else item or (given if said in ("", _UNKNOWN) else ""),
        index if type(index) is int else None,
        own and said.endswith("responses-v1"),
    )


def read_details(entries: Any) -> list[Thinking]:
    """The thoughts of a whole message."""
    found: list[Thinking] = []
    last: Open | None = None
    for detail in map(read_detail, entries if isinstance(entries, list) else ()):
        if detail is None:
            continue
        if last is None or not last.takes(detail):
            last = Open(detail.kind, detail.index)
            found.append(detail.begins())
        thought = msgspec.structs.replace(found[-1], text=found[-1].text + detail.text)
        if detail.signature:
            last.signed = True
            known = detail.id or thought.id
            thought = msgspec.structs.replace(thought, signature=detail.signature, signer=detail.signer, id=known)
        found[-1] = thought
    return found


def plain(message: dict[str, Any]) -> str:
    """The text of a thought where it has no proof: `reasoning_content`, or `reasoning` as some call it."""
    return _text(message, "reasoning_content") or _text(message, "reasoning")


def read_thoughts(message: dict[str, Any]) -> list[Thinking]:
    """The thoughts of a whole message, said in either way or in both."""
    found = read_details(message.get("reasoning_details"))
    if not any(thought.text for thought in found) and (text := plain(message)):
        return [Thinking(text), *found]
    return found


def signed_details(thought: Thinking, index: int) -> list[dict[str, Any]]:
    """The entries for a thought, with its signature framed if another dialect made it."""
    said = text_detail(thought, thought.text, index, first=True) if thought.text else None
    proof = proof_detail(thought, index) if thought.signature else None
    if said is None or proof is None:
        return [{"format": _UNKNOWN, **entry} for entry in (said, proof) if entry is not None]
    return [{**said, "format": proof["format"]}, proof] if thought.summary else [{**said, **proof}]


def text_detail(thought: Thinking, text: str, index: int, *, first: bool) -> dict[str, Any]:
    """The entry for (more of) a thought's text.

    What clients glue together they add up: all but the text may come once in a stream.
    """
    known = {"id": thought.id} if first and thought.id else {}
    if thought.summary:
        return {"type": "reasoning.summary", "summary": text, "index": index, **known}
    return {"type": "reasoning.text", "text": text, "index": index, **known}


def proof_detail(thought: Thinking, index: int) -> dict[str, Any]:
    """The entry for a thought's signature."""
    said, item, bare = _unpacked(thought)
    signature = framed(bare, thought.signer, NAME, thought.id)
    common = {
        "format": said or _format_of(thought.signer),
        "index": index,
        **({"id": item} if item and not thought.id else {}),
    }
    if thought.redacted or thought.summary:
        return {"type": "reasoning.encrypted", "data": signature, **common}
    return {"type": "reasoning.text", "signature": signature, **common}


def _format_of(signer: str) -> str:
    return "google-gemini-v1" if signer.startswith("google") else _FORMATS.get(signer, _UNKNOWN)


def _packed(said: str, item: str, signature: str) -> str:
    said = "" if said == _UNKNOWN else said
    return f"{said};{item};{signature}" if said or item else signature


def _unpacked(thought: Thinking) -> tuple[str, str, str]:
    """(format, id, signature) of a thought that an upstream of this dialect signed; the signature alone of others."""
    match = _PACKED.fullmatch(thought.signature) if thought.signer == NAME else None
    return (match[1], match[2], match[3]) if match else ("", "", thought.signature)


def texts_of(thoughts: Iterable[Thinking]) -> str:
    """Their words, for `reasoning_content`."""
    return "".join(thought.text for thought in thoughts)


def _text(source: dict[str, Any], name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""
