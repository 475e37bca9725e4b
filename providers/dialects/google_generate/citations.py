"""Grounding and citations: Google says them of a candidate, in bytes; the hub at the text they belong to. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from providers.dialects.canon import Citation, Text
from providers.dialects.google_generate.words import NAME

#: Segments that a place is looked for, each of which takes a walk through the text: no answer cites so much.
_MOST_PLACED: Final = 1000
_SOURCES: Final = ("web", "retrievedContext", "maps", "image")


class Told(NamedTuple):
    """A text of the answer: the index of its part, and its words."""

    part: int
    words: str


def read_citations(candidate: dict[str, Any], told: list[Told]) -> list[tuple[int, Citation]]:
    """The citations of a candidate, each with the index of the text part that it belongs to."""
    if not told:
        return []
    return [*_of_grounding(candidate.get("groundingMetadata"), told), *_quoted(candidate.get("citationMetadata"), told)]


def _of_grounding(found: Any, told: list[Told]) -> list[tuple[int, Citation]]:
    chunks = _entries(found, "groundingChunks")
    cited: list[tuple[int, Citation]] = []
    used: set[int] = set()
    for number, support in enumerate(_entries(found, "groundingSupports")):
        at, start, end = _place(support.get("segment") if number < _MOST_PLACED else None, told)
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            if type(index) is int and 0 <= index < len(chunks):
                used.add(index)
                cited.append((at, _citation(chunks[index], start, end)))
    rest = [chunk for index, chunk in enumerate(chunks) if index not in used]
    return cited + [(told[-1].part, _citation(chunk, None, None)) for chunk in rest]


def _citation(chunk: dict[str, Any], start: int | None, end: int | None) -> Citation:
    source: dict[str, Any] = next((chunk[name] for name in _SOURCES if isinstance(chunk.get(name), dict)), {})
    url, title, quote = (_text(source, name) for name in ("uri", "title", "text"))
    return Citation(url or _text(source, "sourceUri"), title, quote, start, end, NAME, chunk)


def _quoted(found: Any, told: list[Told]) -> list[tuple[int, Citation]]:
    cited = []
    for number, entry in enumerate(_entries(found, "citations") or _entries(found, "citationSources")):
        at, start, end = _place(entry if number < _MOST_PLACED else None, told)
        cited.append((at, Citation(_text(entry, "uri"), _text(entry, "title"), "", start, end, NAME, entry)))
    return cited


def _place(segment: Any, told: list[Told]) -> tuple[int, int | None, int | None]:
    """(part index, start, end in characters) of a segment; the last text without a place where it is not found.

    The bytes count from the beginning of one part or of all of them, whichever gives the segment's own words.
    """
    if not isinstance(segment, dict):
        return told[-1].part, None, None
    start, end, words = _count(segment, "startIndex"), _count(segment, "endIndex"), _text(segment, "text")
    if end > start:
        for index, whole in told:
            if words and whole.encode("utf-8", "surrogatepass")[start:end] == words.encode("utf-8", "surrogatepass"):
                return index, *_characters(whole, start, end)
        found = _in_all(told, start, end)
        if found is not None and (not words or _cut(told, *found) == words):
            return found
    if words:
        for index, whole in told:
            at = whole.find(words)
            if at >= 0:
                return index, at, at + len(words)
    return told[-1].part, None, None


def _in_all(told: list[Told], start: int, end: int) -> tuple[int, int, int] | None:
    done = 0
    for index, whole in told:
        size = len(whole.encode("utf-8", "surrogatepass"))
        if start < done + size and end <= done + size:
            return index, *_characters(whole, start - done, end - done)
        done += size
    return None


def _cut(told: list[Told], index: int, start: int, end: int) -> str:
    return next(whole for at, whole in told if at == index)[start:end]


def _characters(whole: str, start: int, end: int) -> tuple[int, int]:
    raw = whole.encode("utf-8", "surrogatepass")
    return tuple(len(raw[: max(at, 0)].decode("utf-8", "ignore")) for at in (start, end))  # type: ignore[return-value]  # two, as given


def _entries(found: Any, name: str) -> list[dict[str, Any]]:
    entries = found.get(name) if isinstance(found, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _count(found: dict[str, Any], name: str) -> int:
    value = found.get(name)
    return value if type(value) is int and value > 0 else 0


def write_grounding(texts: list[tuple[int, Text]]) -> dict[str, Any] | None:
    """`groundingMetadata` for texts with citations, each with the index of its part. None: they cite nothing."""
    chunks: list[dict[str, Any]] = []
    places: dict[bytes, int] = {}
    supports: list[dict[str, Any]] = []
    for index, text in texts:
        for citation in text.citations:
            chunk = _chunk(citation)
            key = msgspec.json.encode(chunk, order="deterministic")
            at = places.setdefault(key, len(chunks))
            if at == len(chunks):
                chunks.append(chunk)
            if citation.start is not None and citation.end is not None:
                segment = _segment(index, text.text, citation.start, citation.end)
                if supports and supports[-1]["segment"] == segment:
                    supports[-1]["groundingChunkIndices"].append(at)
                else:
                    supports.append({"segment": segment, "groundingChunkIndices": [at]})
    if not chunks:
        return None
    return {"groundingChunks": chunks, **({"groundingSupports": supports} if supports else {})}


def _chunk(citation: Citation) -> dict[str, Any]:
    if citation.dialect == NAME and citation.value is not None and not citation.value.keys().isdisjoint(_SOURCES):
        return citation.value
    source = {"uri": citation.url, "title": citation.title, "text": citation.quote}
    kind = "retrievedContext" if citation.quote or not citation.url else "web"
    return {kind: {name: value for name, value in source.items() if value}}


def _segment(index: int, words: str, start: int, end: int) -> dict[str, Any]:
    first, last = (len(words[:at].encode("utf-8", "surrogatepass")) for at in (start, end))
    segment: dict[str, Any] = {"partIndex": index, "startIndex": first, "endIndex": last, "text": words[start:end]}
    # As Google does: what is 0 is not said.
    return {name: value for name, value in segment.items() if value != 0}
