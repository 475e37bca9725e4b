"""What OpenAI's models refuse, and what the place where Codex signs in demands. Pure.

Only requests of other dialects are fitted: who speaks this one knows what it asks for. Quirks of a route that count:
`sampling` (true where a reasoning model takes `temperature` and `top_p`), `efforts` (the words it takes, a list).
"""

from __future__ import annotations

import re
from typing import Any, Final

from providers.dialects.canon import Target

#: The backend that serves people who signed in to ChatGPT.
CODEX: Final = "openai-codex-responses"
_THINKS: Final = re.compile(r"(?:.*[/:.])?(?:o[134](?:$|-)|gpt-([5-9])(?:\.(\d+))?(?:$|-))(?!chat)")
_RANKED: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
#: What a host has to be told where nobody said how to behave.
_INSTRUCTIONS: Final = "You are a helpful assistant."


def refuses_sampling(target: Target) -> bool:
    """Whether the model takes no `temperature` and `top_p`."""
    return target.quirks.get("sampling") is not True and _THINKS.match(target.model.lower()) is not None


def effort_for(target: Target, wanted: str) -> str:
    """The nearest effort that the model knows; the word as it is where nobody knows."""
    named = target.quirks.get("efforts")
    known = tuple(named) if isinstance(named, list | tuple) else _efforts(target.model.lower())
    ranked = [word for word in known if word in _RANKED]
    if wanted in known or wanted not in _RANKED or not ranked:
        return wanted
    rank = _RANKED.index(wanted)
    return min(ranked, key=lambda word: abs(_RANKED.index(word) - rank))


def _efforts(model: str) -> tuple[str, ...]:
    found = _THINKS.match(model)
    if found is None:
        return ()
    usual = ("low", "medium", "high")
    if found[1] is None:
        return usual
    generation = (int(found[1]), int(found[2] or 0))
    if generation < (5, 1):
        return ("minimal", *usual)
    return ("none", *usual) if generation < (5, 2) else ("none", *usual, "xhigh")


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
