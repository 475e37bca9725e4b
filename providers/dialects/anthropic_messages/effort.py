"""How much to think, how much to say, and how freely: the parameters that depend on one another. Pure."""

from __future__ import annotations

from typing import Any, Final

from providers.dialects.anthropic_messages.words import NAME
from providers.dialects.canon import DEFAULT_MAX_TOKENS, Reasoning, Request, Target
from providers.dialects.claude import Accepts
from providers.dialects.reasoning import budget_of, effort_of

_LEAST_BUDGET: Final = 1024
_LEAST_TOP_P: Final = 0.95
_EFFORT: Final = "reasoning_effort"


class Effort:
    """Decides on `thinking`, `effort`, `max_tokens` and the sampling; names what it leaves out in `dropped`."""

    def __init__(
        self,
        request: Request,
        target: Target,
        able: Accepts,
        dropped: dict[str, None],
        *,
        forced: bool,
        unthinking: bool,
    ) -> None:
        self._request = request
        self._able = able
        self._own = request.dialect == NAME
        self._dropped = dropped
        self._forced = forced
        self._unthinking = unthinking
        self.thinking: dict[str, Any] | None = None
        self.effort: str | None = None
        self._limit = target.max_output
        asked = request.max_tokens
        self.max_tokens = asked if asked is not None else (target.max_output or DEFAULT_MAX_TOKENS)
        if self._limit is not None:
            self.max_tokens = min(self.max_tokens, self._limit)
        if request.reasoning is not None:
            self._reason(request.reasoning, target.reasons is not False)
        elif able.thinks and forced and able.forcing == "unthinking":
            self._off()

    def sampling(self) -> dict[str, Any]:
        """temperature, top_p and top_k, as far as the model takes them."""
        asked = self._request
        found = {"temperature": asked.temperature, "top_p": asked.top_p, "top_k": asked.top_k}
        wanted = {name: value for name, value in found.items() if value is not None}
        thinks = self.thinking is not None and self.thinking["type"] != "disabled" and not self._own
        kept = {name: value for name, value in wanted.items() if self._takes(name, value, thinks)}
        if "temperature" in kept and not self._able.both:
            kept.pop("top_p", None)
        self._dropped.update(dict.fromkeys(name for name in wanted if name not in kept))
        if kept.get("temperature", 0) > 1:
            kept["temperature"] = 1
            self._dropped["temperature"] = None
        return kept

    def _takes(self, name: str, value: float, thinks: bool) -> bool:
        if not self._able.sampling:
            return False
        if not thinks:
            return True
        return value == 1 if name == "temperature" else name == "top_p" and _LEAST_TOP_P <= value <= 1

    def _reason(self, asked: Reasoning, able: bool) -> None:
        if asked.budget == 0 or asked.effort == "none":
            self._off()
        elif asked.budget is None and asked.effort is None:
            return
        elif not able:
            self._dropped[_EFFORT] = None
        elif self._own and asked.budget is None:
            self.effort = self._word(asked.effort)
        elif self._forced and self._able.forcing == "unthinking":
            self._dropped[_EFFORT] = None
            self._off()
        else:
            self._on(asked)

    def _off(self) -> None:
        """Not to think, or as little as can be."""
        if not self._able.thinks:
            return
        if self._able.off:
            self.thinking = {"type": self._able.off}
        else:
            self._dropped[_EFFORT] = None
        if self._able.off != "disabled":
            self.effort = "low"

    def _on(self, asked: Reasoning) -> None:
        able, budget = self._able, asked.budget or 0
        if able.budgets and (budget > 0 or not able.adaptive):
            self._enable(budget if budget > 0 else budget_of(asked.effort or "medium") or _LEAST_BUDGET)
            if self._own and asked.effort is not None:
                self.effort = self._word(asked.effort)
        elif able.adaptive:
            self.thinking = {"type": "adaptive"}
            word = asked.effort or effort_of(budget or -1)
            self.effort = self._word(word) if word else None
        else:
            self._dropped[_EFFORT] = None
        shown = True if asked.show is None and asked.summary else asked.show
        if self.thinking is not None and shown is not None and (self._own or able.adaptive):
            self.thinking["display"] = "summarized" if shown else "omitted"

    def _enable(self, budget: int) -> None:
        """A budget, which must be less than all that may be said. Where this API's own client got it wrong, the
        upstream is to say so.
        """
        if self._own and self.max_tokens == self._request.max_tokens:
            self.thinking = {"type": "enabled", "budget_tokens": budget}
            return
        budget = max(_LEAST_BUDGET, budget)
        if budget >= self.max_tokens:
            if self._request.max_tokens is None and self._limit is None:
                self.max_tokens = budget + DEFAULT_MAX_TOKENS
            else:
                budget = max(_LEAST_BUDGET, self.max_tokens // 2)
        if budget >= self.max_tokens or (self._unthinking and not self._own):
            self._dropped[_EFFORT] = None
        else:
            self.thinking = {"type": "enabled", "budget_tokens": budget}

    def _word(self, word: str | None) -> str | None:
        """The model's word for an effort; a word that is none of ours goes on as it is where its client knows it."""
        known = self._able.word(word) if word is not None else None
        if word is None or known is not None:
            return known
        if self._own and self._able.lenient:
            return word
        self._dropped[_EFFORT] = None
        return None
