"""What whole answers and streams of Cohere have in common. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Citation, Stop
from providers.dialects.cohere_chat.messages import NAME
from providers.dialects.usage import Usage, first

STOPS: Final[dict[str, Stop]] = {
    "COMPLETE": "end",
    "STOP_SEQUENCE": "sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool",
    "ERROR": "error",
    "TIMEOUT": "error",
    "ERROR_TOXIC": "filter",
    "ERROR_LIMIT": "length",
}
#: Members of a source that hold the words that are cited, the likeliest first.
_QUOTES: Final = ("text", "snippet", "content")


def stop_of(word: Any) -> tuple[Stop, str]:
    """Why it stopped, and the upstream's word for it. A word that is new stands for an end."""
    if not isinstance(word, str) or not word:
        return "", ""
    return STOPS.get(word, "end"), word


def usage_of(value: Any) -> Usage | None:
    """What was processed (`tokens`), or else what is charged for (`billed_units`)."""
    if not isinstance(value, dict):
        return None
    counted, billed = (value.get(name) for name in ("tokens", "billed_units"))
    counted = counted if isinstance(counted, dict) else {}
    billed = billed if isinstance(billed, dict) else {}
    source = counted if "input_tokens" in counted or "output_tokens" in counted else billed
    found = Usage(
        input=first(source, "input_tokens"),
        output=first(source, "output_tokens"),
        cache_read=first(value, "cached_tokens"),
        reasoning=first(counted, "reasoning_tokens"),
    )
    return None if found == Usage() else found


def billed_of(value: Any) -> dict[str, Any]:
    """What is charged for, which no other dialect has a place for."""
    billed = value.get("billed_units") if isinstance(value, dict) else None
    return {"billed_units": billed} if isinstance(billed, dict) else {}


def is_of_text(value: dict[str, Any]) -> bool:
    """Whether a citation belongs to the text of the answer, and not to a thought or a plan."""
    return value.get("type") in (None, "TEXT_CONTENT")


def citations_of(value: dict[str, Any]) -> list[Citation]:
    """A citation, once for each of its sources; each holds the whole of it."""
    sources = value.get("sources")
    found = [source for source in sources if isinstance(source, dict)] if isinstance(sources, list) else []
    return [_citation(value, source) for source in found or [{}]]


def _citation(value: dict[str, Any], source: dict[str, Any]) -> Citation:
    document = source.get("document")
    if not isinstance(document, dict):
        document = source.get("tool_output")
    if not isinstance(document, dict):
        document = {}
    url = _text(document.get("url"))
    return Citation(
        url=url if url.startswith(("http://", "https://")) else "",
        title=_text(document.get("title")) or _text(source.get("id")),
        quote=next((text for name in _QUOTES if (text := _text(document.get(name)))), ""),
        start=first(value, "start"),
        end=first(value, "end"),
        dialect=NAME,
        value=value,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def logprobs_of(items: Any) -> dict[str, Any] | None:
    """Log probabilities as OpenAI says them. A piece of several tokens is one, as probable as all of them together."""
    content = []
    for item in items if isinstance(items, list) else ():
        chosen = item.get("logprobs") if isinstance(item, dict) else None
        if isinstance(chosen, list) and all(type(value) in (int, float) for value in chosen) and chosen:
            text = _text(item.get("text"))
            encoded = list(text.encode("utf-8", "replace"))
            content.append({"token": text, "logprob": sum(chosen), "bytes": encoded, "top_logprobs": []})
    return {"content": content} if content else None
