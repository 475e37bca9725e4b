"""What only the client's dialect can say and the answer depends on: it is refused where another is spoken. Pure.

A request's `extras` are left out for an upstream of another dialect, and named. That does for cache marks and labels.
It does not for a beginning of the conversation that lies with one vendor, or for tools and documents that are given
beside the messages: the answer would be another, and nothing in it would say so.
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Media, Message, Misfit, Opaque, Request, ToolResult

#: vLLM's and its kin's ways to hold an answer to a form.
_GUIDED: Final = (
    "grammar", "guided_choice", "guided_decoding_backend", "guided_grammar", "guided_json", "guided_regex",
    "structured_outputs",
)  # fmt: skip
#: Members of a request, by the client's dialect. `response_format` is an extra where its type is nobody else's.
_NEEDED: Final[dict[str, frozenset[str]]] = {
    "anthropic_messages": frozenset({"container", "mcp_servers"}),
    "google_generate": frozenset({"cachedContent"}),
    "openai_chat": frozenset(
        {
            "data_sources",  # Azure's
            "documents",
            "enable_search",  # Qwen's
            "plugins",  # OpenRouter's
            "response_format",
            "search_parameters",  # xAI's
            *_GUIDED,
        }
    ),
    "openai_completions": frozenset({"documents", *_GUIDED}),
    "openai_responses": frozenset({"conversation", "previous_response_id", "prompt"}),
}
#: What the messages are called where they are not `messages`.
_MESSAGES: Final = {"openai_responses": "input", "google_generate": "contents"}
#: Of what the model is told to have said: stands for turns that are not in the request.
_STANDS_FOR_TURNS: Final = frozenset({"compaction", "compaction_summary", "item_reference"})


def refuse_untold(request: Request) -> None:
    """Raises Misfit for what an upstream of another dialect would have to be told, and cannot be."""
    for name in _NEEDED.get(request.dialect, frozenset()):
        if request.extras.get(name):
            raise _missing(name, name)
    choice = request.tool_choice
    tools = {tool.name for tool in request.tools}
    if choice is not None and choice.mode == "named" and "tool_choice" in request.extras and choice.name not in tools:
        raise _missing(f"tool `{choice.name}`", "tool_choice")
    param = _MESSAGES.get(request.dialect, "messages")
    for message in request.messages:
        _refuse_within(message, param)


def _refuse_within(message: Message, param: str) -> None:
    """The client's own words are needed, whatever they are; of what a model said, what stands for more."""
    for part in message.parts:
        if isinstance(part, Opaque):
            kind = str(part.value.get("type") or next(iter(part.value), "part"))[:64]
            if part.value.keys() == {"id"}:
                kind = "item_reference"  # which need not say so
            if message.role != "assistant" or kind in _STANDS_FOR_TURNS:
                raise _missing(kind, param)
        elif isinstance(part, ToolResult) and "output" in part.extras:
            raise _missing("part of a tool's result", param)
        elif isinstance(part, Media) and _is_clip(part.extras.get("videoMetadata")):
            raise _missing("way to see a part of a video", param)


def _is_clip(metadata: Any) -> bool:
    """Whether Gemini is to see less than the whole of a video."""
    return isinstance(metadata, dict) and bool(metadata.get("startOffset") or metadata.get("endOffset"))


def _missing(what: str, param: str) -> Misfit:
    shown = what if " " in what else f"`{what}`"
    return Misfit(f"The model's provider has no {shown}, on which the answer depends.", param, unsupported=True)
