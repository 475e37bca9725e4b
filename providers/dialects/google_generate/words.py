"""The fixed words of this dialect and what they mean in the hub's. Pure."""

from __future__ import annotations

from typing import Final

from providers.dialects.canon import Stop

NAME: Final = "google_generate"

#: Why a candidate ended. STOP with function calls means "tool", which the reader sees by itself.
STOPS: Final[dict[str, Stop]] = {
    "STOP": "end",
    "MAX_TOKENS": "length",
    "SAFETY": "filter",
    "RECITATION": "filter",
    "LANGUAGE": "filter",
    "BLOCKLIST": "filter",
    "PROHIBITED_CONTENT": "filter",
    "SPII": "filter",
    "IMAGE_SAFETY": "filter",
    "IMAGE_PROHIBITED_CONTENT": "filter",
    "IMAGE_RECITATION": "filter",
    "ESCALATION": "filter",
    "PUP_LIMITED_DISABLED": "filter",
    "MODEL_ARMOR": "filter",
    "CONTINUATION": "pause",
    "OTHER": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
}
#: No word of Google's, whose answers with calls end with STOP: aimock 1.43 ends them so, as OpenAI's chat does.
CALLED: Final = "FUNCTION_CALL"
#: Said of a candidate that goes on, by hosts that print the defaults of their enums.
UNSPECIFIED: Final = "FINISH_REASON_UNSPECIFIED"
#: The same for answers of other dialects. A refusal has no word of its own here.
REASONS: Final[dict[Stop, str]] = {
    "": "OTHER",
    "end": "STOP",
    "length": "MAX_TOKENS",
    "tool": "STOP",
    "filter": "SAFETY",
    "sequence": "STOP",
    "refusal": "SAFETY",
    "pause": "CONTINUATION",
    "error": "OTHER",
}


def stop_of(word: str, called: bool) -> Stop:
    """What a finish reason means; a word that is not known yet is no natural end. `called`: it holds function calls."""
    stop = "end" if word == CALLED else STOPS.get(word, "error")
    return "tool" if stop == "end" and called else stop


def reason_of(stop: Stop, word: str, native: bool) -> str:
    """The finish reason for a choice; its own `word` where it came in this dialect."""
    return word if native and word in STOPS else REASONS[stop]
