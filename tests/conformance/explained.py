"""Recordings that an SDK reads otherwise than the neutral reader does, and why that is as it should be."""

from __future__ import annotations

_TOTAL = "Google told no count of the output, and usage of the Responses API cannot be told without one"
_DETAILS = "the neutral reader does not know `reasoning_details`; what the model thought is told"
_SOUND = "Anthropic's API has no sound: the client gets what was said in it as text"

#: (recording, client dialect): the reason.
EXPLAINED: dict[tuple[str, str], str] = {
    ("google-78f6ff7aa918", "openai_responses"): _TOTAL,
    ("snowflake-9fd08c5ed024", "openai_responses"): _DETAILS,
    ("snowflake-9fd08c5ed024", "anthropic_messages"): _DETAILS,
    ("snowflake-9fd08c5ed024", "google_generate"): _DETAILS,
    ("openai-20ff24396c79", "anthropic_messages"): _SOUND,
}
