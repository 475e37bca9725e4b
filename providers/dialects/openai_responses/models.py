"""What OpenAI's models refuse, and what the place where Codex signs in demands. Pure.

Only requests of other dialects are fitted: who speaks this one knows what it asks for. Quirks of a route that count:
`sampling` (true where a reasoning model takes `temperature` and `top_p`), `efforts` (the words it takes, a list).
"""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.canon import Target
from providers.dialects.openai_models import efforts, nearest, thinks

#: The backend that serves people who signed in to ChatGPT.
CODEX: Final = "openai-codex-responses"
#: What a host has to be told where nobody said how to behave.
_INSTRUCTIONS: Final = "You are a helpful assistant."


def refuses_sampling(target: Target) -> bool:
    """Whether the model takes no `temperature` and `top_p`."""
    return target.quirks.get("sampling") is not True and thinks(target.model)


def effort_for(target: Target, wanted: str) -> str:
    """The nearest effort that the model knows; the word as it is where nobody knows."""
    named = target.quirks.get("efforts")
    return nearest(wanted, tuple(named) if isinstance(named, list | tuple) else efforts(target.model))


def fit_codex(body: dict[str, Any]) -> dict[str, Any]:
    """The body as Codex's backend takes it: system prompts in `instructions`, nothing stored, always a stream."""
    kept, prompts = [], [body["instructions"]] if body.get("instructions") else []
    for item in body["input"]:
        if item.get("type") == "message" and item.get("role") == "system":
            content = item["content"]
            prompts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        else:
            kept.append(item)
    return body | {
        "input": kept,
        "instructions": "\n\n".join(filter(None, prompts)) or _INSTRUCTIONS,
        "store": False,
        "stream": True,
    }
