"""What OpenAI's own models take and refuse, told from the model's name, whichever of its APIs they are asked through.

Pure. A name counts also behind a maker (`openai/gpt-5`) and in the longer id of a fine-tuned model. Of a name that is
not OpenAI's nothing is known, except of the weights it has given away.
"""

from __future__ import annotations

import re
from typing import Final

_BEHIND: Final = r"(?:.*[/:.])?"
_OWN: Final = re.compile(_BEHIND + r"(?:gpt-(?!oss)|o[134](?:$|-)|chatgpt-|codex-)")
_NEW: Final = re.compile(_BEHIND + r"(?:o[134](?:$|-)|gpt-[5-9](?:$|[.-]))")
_O_SERIES: Final = re.compile(_BEHIND + r"o[134](?:$|-)")
_STOPLESS: Final = re.compile(_BEHIND + r"(?:o3(?:$|-)|o4-mini)")
_GENERATION: Final = re.compile(_BEHIND + r"gpt-([5-9])(?:\.(\d+))?(?:$|-)")
#: Least to most.
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
USUAL: Final = ("low", "medium", "high")


def is_own(model: str) -> bool:
    """Whether the model is OpenAI's and served by nobody else under this name."""
    return _OWN.match(model.lower()) is not None


def is_new(model: str) -> bool:
    """Whether it knows the limit of tokens by its new name only."""
    return _NEW.match(model.lower()) is not None


def is_o_series(model: str) -> bool:
    """One of the first reasoning models."""
    return _O_SERIES.match(model.lower()) is not None


def thinks(model: str) -> bool:
    """Whether it is a reasoning model, which takes no `temperature` and no `top_p` and tells no logprobs."""
    return is_new(model) and "chat" not in model.lower()


def knows_no_stops(model: str) -> bool:
    """Whether it refuses stop sequences."""
    return thinks(model) and _STOPLESS.match(model.lower()) is not None


def efforts(model: str) -> tuple[str, ...]:
    """The words for its effort; none where nothing is known."""
    name = model.lower()
    found = _GENERATION.match(name)
    if found is not None and thinks(name):
        generation = (int(found[1]), int(found[2] or 0))
        more = ("xhigh",) if generation >= (5, 2) or "max" in name else ()
        if "-pro" in name:
            return ("medium", "high", *more) if generation > (5, 0) else ("high",)
        if "codex" in name:
            return (*USUAL, *more)
        return ("none" if generation > (5, 0) else "minimal", *USUAL, *more)
    return USUAL if "gpt-oss" in name or (thinks(name) and "gpt" not in name) else ()


def nearest(wanted: str, known: tuple[str, ...]) -> str:
    """The nearest of the known words; the word as it is if it, or all of those, are none of OpenAI's."""
    ranked = [word for word in known if word in EFFORTS]
    if wanted in known or wanted not in EFFORTS or not ranked:
        return wanted
    rank = EFFORTS.index(wanted)
    return min(ranked, key=lambda word: abs(EFFORTS.index(word) - rank))
