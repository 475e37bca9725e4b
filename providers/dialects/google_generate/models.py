"""What a Gemini model can be asked for, told by its name. Pure.

Gemini 3 and later are told how much to think in levels, Gemini 2.5 in tokens; both in one request are refused. Earlier
ones do not think. A name that tells no version (a tuned model's endpoint) is told in tokens, which both understand,
unless the name ends in `-latest`, which is the newest.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from providers.dialects.canon import Reasoning
from providers.dialects.reasoning import budget_of, effort_of

_NAME: Final = re.compile(r"gemini-(?:(\d+)(?:\.(\d+))?|(?=.*-latest))")
_OLD: Final = re.compile(
    r"gemma|gemini-(?:1|2\.0)(?!\d)|gemini-2\.5-flash-image|-tts|gemini-(?:pro|ultra)(?:-vision)?$"
)
#: (least, most) tokens of thought.
_PRO_TOKENS: Final = (128, 32768)
_FLASH_TOKENS: Final = (0, 24576)
_LITE_LEAST: Final = 512
_LEVELS: Final = {
    "none": "LOW",
    "minimal": "LOW",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}


class Gemini(NamedTuple):
    """A model, as far as its name tells. `version`: (2, 5) for 2.5, None if unknown."""

    name: str
    version: tuple[int, int] | None

    @property
    def is_recent(self) -> bool:
        """Gemini 3 or later."""
        return self.version is not None and self.version >= (3, 0)

    @property
    def thinks(self) -> bool:
        """Whether it can be told how much to think."""
        return not _OLD.search(self.name)

    @property
    def has_minimal(self) -> bool:
        """Whether the level MINIMAL is known: to Flash from 3 to 3.6 and to every Flash-Lite of Gemini 3."""
        if self.version is None or self.version[0] != 3 or "flash" not in self.name:
            return False
        return "lite" in self.name or self.version[1] <= 6

    @property
    def has_penalties(self) -> bool:
        """Whether presence and frequency penalties are taken: nothing since 2.0 does."""
        return self.version is not None and self.version <= (2, 0)


def model_of(name: str) -> Gemini:
    """What a model's name tells."""
    lower = name.lower()
    found = _NAME.search(lower)
    if found is None:
        return Gemini(lower, None)
    if found[1] is None:
        return Gemini(lower, (99, 0))
    return Gemini(lower, (int(found[1][:4]), int((found[2] or "0")[:4])))


def thinking_config(asked: Reasoning, model: Gemini, native: bool) -> dict[str, Any]:
    """`thinkingConfig` for a model that thinks. `native`: the client chose Google's own words."""
    made: dict[str, Any] = {}
    if model.is_recent:
        level = _level(asked, model, native)
        if level:
            made["thinkingLevel"] = level
    else:
        budget = _budget(asked, model, native)
        if budget is not None:
            made["thinkingBudget"] = budget
    show = asked.show if asked.show is not None or not asked.summary else True
    if show is not None:
        made["includeThoughts"] = show
    return made


def _level(asked: Reasoning, model: Gemini, native: bool) -> str:
    effort = asked.effort
    if native and effort:
        return effort.upper()
    if effort is None and asked.budget is not None:
        effort = effort_of(asked.budget)
    if effort in ("none", "minimal") and model.has_minimal:
        return "MINIMAL"
    level = _LEVELS.get(effort or "", "")
    # The first Gemini 3 Pro knew no level between.
    return "HIGH" if level == "MEDIUM" and model.version == (3, 0) and "pro" in model.name else level


def _budget(asked: Reasoning, model: Gemini, native: bool) -> int | None:
    budget, wanted = asked.budget, budget_of(asked.effort) if asked.effort is not None else None
    if budget is None or (budget < 0 and wanted is not None and not native):  # as you like, but about that much
        budget = wanted
    if budget is None and asked.adaptive:
        budget = -1
    if budget is None or budget < 0 or (native and asked.budget is not None) or model.version is None:
        return budget
    least, most = _PRO_TOKENS if "pro" in model.name else _FLASH_TOKENS
    if "lite" in model.name and budget:
        least = _LITE_LEAST
    return min(max(budget, least), most)
