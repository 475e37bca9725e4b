"""Whom a request is written for: what the model and the route's quirks decide, and what had to be left out. Pure.

Quirks this dialect knows, each of a route or a provider:
- `max_tokens_field`: the name under which the limit is sent.
- `thoughts`: how the thoughts of earlier turns are sent: `reasoning_content`, `reasoning`, `content` (Mistral's parts
  of type thinking), `none`.
- `reasoning_field`: how thinking is asked for: `reasoning_effort`, `reasoning` (OpenRouter), `thinking` (DeepSeek,
  Z.AI), `enable_thinking` (Qwen), `none`.
- `efforts`: the words that `reasoning_effort` takes, a list.
- `cache_marks`: `cache_control`, `prompt_cache_breakpoint` or `none`.
- `developer_role`: whether there is one.
- `accepts`: what is taken beyond OpenAI's own: `top_k`, `min_p`, `video_url`, `file_url`, `audio_url`, `tool_images`.
- `sampling`: true where a reasoning model of OpenAI's takes `temperature`, `logprobs` and the like after all.
- `stream_usage`: false where `stream_options` is refused.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.dialects import openai_models
from providers.dialects.canon import Misfit, Request, Target
from providers.dialects.openai_chat.words import KIN, NAME

#: The efforts that all who copied OpenAI's API know.
_COPIED: Final = ("none", "minimal", *openai_models.USUAL)


class Aim(msgspec.Struct):
    """One writing of one request."""

    request: Request
    target: Target
    dropped: dict[str, None] = {}

    def drop(self, *names: str) -> None:
        """Remember what is left out, once."""
        self.dropped.update(dict.fromkeys(names))

    def quirk(self, name: str, default: Any = None) -> Any:
        """A quirk of the route."""
        return self.target.quirks.get(name, default)

    def accepts(self, name: str) -> bool:
        """Whether what OpenAI itself does not take is taken here: its client sent it so, or the route says so."""
        found = self.quirk("accepts", ())
        return self.own or (isinstance(found, list | tuple) and name in found)

    @property
    def own(self) -> bool:
        """The client speaks this very dialect, and knows what it asks for."""
        return self.request.dialect == NAME

    @property
    def kin(self) -> bool:
        """The client speaks a dialect of OpenAI's."""
        return self.request.dialect in KIN

    @property
    def openai(self) -> bool:
        """The model is OpenAI's, by its name."""
        return openai_models.is_own(self.target.model)

    @property
    def cache_marks(self) -> str:
        """How cache marks are spelt: as the client did, who knows whom it asks, or as the route says."""
        theirs = self.request.notes.get("cache_marks", "cache_control") if self.own else "none"
        return str(self.quirk("cache_marks", theirs))

    @property
    def strict(self) -> bool:
        """OpenAI's reasoning models refuse what only others can be asked for."""
        return self.quirk("sampling") is not True and openai_models.thinks(self.target.model)

    @property
    def o_series(self) -> bool:
        """One of OpenAI's first reasoning models."""
        return openai_models.is_o_series(self.target.model)

    @property
    def stopless(self) -> bool:
        """Knows no stop sequences."""
        return self.strict and openai_models.knows_no_stops(self.target.model)

    @property
    def searches(self) -> bool:
        """The model may search the web: of OpenAI's own only those that always do."""
        model = self.target.model.lower()
        return self.quirk("search") is True or not self.openai or "/" in model or "search" in model

    @property
    def reasons(self) -> bool:
        """The model thinks before it answers, as far as known."""
        return self.target.reasons is True or (self.target.reasons is None and self.strict)

    @property
    def limit(self) -> str:
        """What the limit of tokens is called."""
        named = self.quirk("max_tokens_field")
        if isinstance(named, str) and named:
            return named
        new = self.target.reasons is True or openai_models.is_new(self.target.model)
        return "max_completion_tokens" if new else "max_tokens"

    def effort(self, wanted: str) -> str:
        """The nearest effort that the model knows; the word as it is where nobody knows."""
        named = self.quirk("efforts")
        if isinstance(named, list | tuple):
            return openai_models.nearest(wanted, tuple(named))
        known = openai_models.efforts(self.target.model)
        return openai_models.nearest(wanted, known or (() if self.kin else _COPIED))

    @staticmethod
    def cannot(what: str, advice: str, param: str) -> Misfit:
        """What would change the answer if it were left out."""
        return Misfit(f"This model's provider does not take {what}: {advice}.", param, unsupported=True)
