"""What whole answers and streams of Converse have in common. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.bedrock_converse.content import MEDIA_TYPES, NAME
from providers.dialects.canon import Citation, Media, Stop
from providers.dialects.usage import Usage, added, first

STOPS: Final[dict[str, Stop]] = {
    "end_turn": "end",
    "tool_use": "tool",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "sequence",
    "guardrail_intervened": "filter",
    "content_filtered": "filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
#: Members of an answer, and of a stream's last event, that no other dialect knows.
EXTRAS: Final = ("metrics", "trace", "performanceConfig", "additionalModelResponseFields")


def stop_of(word: Any) -> tuple[Stop, str]:
    """Why it stopped, and the upstream's word for it. A word that is new stands for an end."""
    if not isinstance(word, str) or not word:
        return "", ""
    return STOPS.get(word, "end"), word


def sequence_of(fields: Any) -> str:
    """The stop sequence it stopped at, of `additionalModelResponseFields`, if the model tells."""
    found = fields.get("stop_sequence") if isinstance(fields, dict) else None
    return found if isinstance(found, str) else ""


def usage_of(value: Any) -> Usage | None:
    """Converse counts cached tokens beside the input; here they are part of it."""
    if not isinstance(value, dict):
        return None
    read = first(value, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = first(value, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    details = value.get("outputTokensDetails")
    reasoning = first(details, "reasoningTokens") if isinstance(details, dict) else None
    plain = first(value, "inputTokens")
    found = Usage(
        input=None if plain is None else added(plain, read, written),
        output=first(value, "outputTokens"),
        cache_read=read,
        cache_write=written,
        reasoning=first(value, "reasoningTokens") if reasoning is None else reasoning,
    )
    return None if found == Usage() else found


def extras_of(source: dict[str, Any]) -> dict[str, Any]:
    """The members that only this dialect knows."""
    return {name: source[name] for name in EXTRAS if source.get(name) is not None}


def citation_of(value: dict[str, Any], length: int) -> Citation:
    """A citation for a whole block of text of this length: Converse gives each cited stretch a block of its own.

    The numbers that it tells are places in the source.
    """
    location = value.get("location")
    web = location.get("web") if isinstance(location, dict) else None
    url = web.get("url") if isinstance(web, dict) else None
    source = value.get("source")
    if not isinstance(url, str):
        url = source if isinstance(source, str) and source.startswith(("http://", "https://")) else ""
    title = value.get("title")
    content = value.get("sourceContent")
    quotes = [
        piece["text"]
        for piece in (content if isinstance(content, list) else ())
        if isinstance(piece, dict) and isinstance(piece.get("text"), str)
    ]
    return Citation(
        url=url,
        title=title if isinstance(title, str) else "",
        quote="".join(quotes),
        start=0 if length else None,
        end=length or None,
        dialect=NAME,
        value=value,
    )


def media_of(block: dict[str, Any]) -> Media | None:
    """The media of a block that has some, with its data; None for any other."""
    for kind, known in MEDIA_TYPES.items():
        value = block.get(kind)
        if not isinstance(value, dict):
            continue
        source, word = value.get("source"), value.get("format")
        data = source.get("bytes") if isinstance(source, dict) else None
        if isinstance(data, str) and data and isinstance(word, str):
            media_type = known.get(word, "")
            if kind == "image":
                return Media("image", data=data, media_type=media_type)
            if kind == "audio":
                return Media("audio", data=data, media_type=media_type)
    return None


def tier_of(source: dict[str, Any]) -> str:
    """The tier that served it, if that is told."""
    tier = source.get("serviceTier")
    kind = tier.get("type") if isinstance(tier, dict) else None
    return kind if isinstance(kind, str) else ""
