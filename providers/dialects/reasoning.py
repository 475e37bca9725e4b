"""How much to think: OpenAI's words and other dialects' tokens, one in terms of the other. Pure.

No API promises how many tokens an effort is worth. These are ours, so that asking in words of a model that is told in
tokens, or the other way round, gives the same amount each time; every word comes back from its own budget.
"""

from __future__ import annotations

from typing import Final

#: Least to most.
EFFORT_BUDGETS: Final[dict[str, int]] = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}


def budget_of(effort: str) -> int | None:
    """Tokens for an effort: 0 for "none", None for a word that is none of OpenAI's."""
    return 0 if effort == "none" else EFFORT_BUDGETS.get(effort)


def effort_of(budget: int) -> str | None:
    """The effort nearest in proportion, the lesser of two; "none" for 0, None for "as the model likes" (-1)."""
    if budget <= 0:
        return None if budget < 0 else "none"
    return min(EFFORT_BUDGETS, key=lambda effort: _ratio(budget, EFFORT_BUDGETS[effort]))


def _ratio(one: int, other: int) -> float:
    return max(one, other) / min(one, other)
