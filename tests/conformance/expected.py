"""Where a scenario does not arrive as it was said, and why. Whatever is not listed here must arrive."""

from __future__ import annotations

from conformance.capture import FAMILIES

_CHAT = ("openai-completions", "azure-openai")
_RESPONSES = ("openai-responses",)
_CLAUDE = ("anthropic-messages", "google-vertex-anthropic")
_GEMINI = ("google-generative-ai", "google-vertex")
_BEDROCK = ("bedrock-converse",)
_COHERE = ("cohere-chat",)
_OLLAMA = ("ollama-native",)
_ALL = tuple(FAMILIES)

Table = dict[tuple[str, str], str]


def _table(*rows: tuple[str, tuple[str, ...], str]) -> Table:
    return {(name, family): why for names, families, why in rows for name in names.split() for family in families}


#: (scenario, family): why the request is refused with `unsupported_parameter`.
REFUSED: Table = _table(
    ("image_url", _BEDROCK + _OLLAMA, "takes images as data only"),
    ("pdf_url", _CHAT + _BEDROCK + _COHERE + _OLLAMA, "takes documents as data or as text only"),
    ("pdf_data", _COHERE + _OLLAMA, "takes documents as text only"),
    ("image_file pdf_file", _ALL, "a file that was uploaded to one API is unknown to every other"),
    ("audio", _CLAUDE + _COHERE + _OLLAMA, "hears nothing"),
    ("choice_required choice_named everything", _OLLAMA, "cannot make a model call a tool"),
    ("web_search", _CHAT + _BEDROCK + _COHERE + _OLLAMA, "the model or its API has no search of its own"),
    ("json_schema_and_tools", _GEMINI, "Gemini 2.5 takes one or the other"),
    ("stop everything snake_case", _RESPONSES, "has no stop sequences, and the answer would be a longer one"),
    ("two_answers", _RESPONSES + _CLAUDE + _BEDROCK + _COHERE + _OLLAMA, "gives one answer"),
    ("logprobs", _CLAUDE + _BEDROCK, "tells no log probabilities"),
    ("logprobs", _COHERE, "tells those of chosen tokens only"),
)

#: (aspect, family): why it is left out and named in `x-jackfield-dropped`. Each does no harm to the answer.
LOST: Table = _table(
    ("parallel", _GEMINI + _BEDROCK + _COHERE + _OLLAMA, "has no word for one call at a time"),
    ("failed", _RESPONSES + _COHERE + _OLLAMA, "marks no result as failed: its text says so"),
    ("limit", _RESPONSES, "OpenAI refuses less than 16"),
    ("temperature", _CLAUDE + _BEDROCK, "ends at 1"),
    ("top_k", _CHAT + _RESPONSES, "OpenAI has none"),
    ("frequency_penalty presence_penalty", _RESPONSES + _CLAUDE + _GEMINI + _BEDROCK, "has none"),
    ("frequency_penalty presence_penalty", _COHERE, "has none below 0"),
    ("seed", _RESPONSES + _CLAUDE + _BEDROCK, "has none"),
    ("thinking", _CHAT, "OpenAI takes no thoughts back in chat completions"),
    ("thinking", _RESPONSES + _CLAUDE + _GEMINI + _BEDROCK, "takes back only what it signed itself"),
    ("thinking", _COHERE + _OLLAMA, "a redacted thought has no words, which is all it takes"),
    ("effort", _CLAUDE + _BEDROCK, "a turn goes on with thought only if it began with one that Claude signed"),
    ("cached", _CHAT + _RESPONSES + _GEMINI + _COHERE + _OLLAMA, "caches without being told where"),
    ("unknown", _ALL, "nobody but its own API knows what it means"),
    ("user", _GEMINI + _BEDROCK + _COHERE + _OLLAMA, "has no place for it"),
    ("metadata", _CLAUDE + _GEMINI + _COHERE + _OLLAMA, "has no place for it"),
    ("tier", _CHAT, "copies of OpenAI's API have tiers of their own, if any"),
    ("tier", _GEMINI + _COHERE + _OLLAMA, "has none, or others"),
    ("cited", _ALL, "citations are taken back only by who made them"),
)

#: (scenario, family): how it is said there otherwise, with nothing lost.
OTHERWISE: Table = _table(
    ("only_system", _CLAUDE + _GEMINI, "the user must say something: so the user says it"),
    ("prefill_with_space", _CLAUDE, "a last word of the assistant's that ends in a space is refused"),
    ("two_images", _OLLAMA, "images stand beside the text of a message"),
    ("result_with_image", _GEMINI, "Gemini 2.5 takes images beside a response, not within"),
    ("result_with_image", _COHERE, "results are text: the user shows the image right after"),
    ("effort_none", _CLAUDE + _BEDROCK, "the model does not think unless it is asked to"),
    ("tier_default", _COHERE + _OLLAMA, "there is only one tier"),
)

#: Names in the header, where they are not the aspect's own.
NAMES = {
    "failed": "is_error",
    "limit": "max_tokens",
    "effort": "reasoning_effort",
    "cited": "citations",
    "cached": "cache_control",
    "parallel": "parallel_tool_calls",
    "tier": "service_tier",
    "unknown": "tomorrow",
}
