"""What each generation of Claude accepts, told from the model's name, whichever API it is asked through. Pure.

Anthropic removes parameters as generations go by, and refuses a request that still names one. A model that is no
Claude (others serve Anthropic's API too) is taken to accept what the API had before that.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_OLD: Final = re.compile(r"claude-(?:instant-)?v?(\d)(?:[-.](\d))?(?!\d)")
_NEW: Final = re.compile(r"claude-(opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")

_CLASSIC: Final = (3, 7)
_LATEST: Final = (99, 0)
_NONE: Final = (0, 0)
#: Lines whose models cannot be asked not to think.
_ALWAYS: Final = ("fable", "mythos")
#: What stands in for an effort that a model has no word for.
_NEAREST: Final = {"minimal": "low", "xhigh": "high", "max": "high"}


class Accepts(msgspec.Struct, frozen=True):
    """What a model takes. `efforts`: the words for `output_config.effort`, none if it has no such member."""

    #: thinking of type "enabled" with a budget
    budgets: bool = True
    #: thinking of type "adaptive"
    adaptive: bool = False
    efforts: tuple[str, ...] = ()
    #: It thinks where the request does not say.
    thinks: bool = False
    #: It cannot be asked not to think at all.
    always: bool = False
    #: How to ask it not to think: "disabled", "between_tools" (as near as it comes), or empty if that cannot be asked.
    off: str = "disabled"
    #: temperature, top_p and top_k
    sampling: bool = True
    #: temperature and top_p in one request
    both: bool = True
    #: A forced tool: always, not while it thinks, or never.
    forcing: str = "unthinking"
    #: output_config.format, and strict tools
    schemas: bool = False
    #: messages of the role "system" after the first
    system_turns: bool = False
    #: No Claude: takes thoughts that nobody signed, and whatever else its client knows it to take.
    lenient: bool = False

    def word(self, effort: str) -> str | None:
        """The model's word for an effort; None if it has none."""
        if effort in self.efforts:
            return effort
        nearest = _NEAREST.get(effort)
        return nearest if nearest in self.efforts else None


def accepts(model: str) -> Accepts:
    """What the model of this name accepts."""
    line, version = _read(model.lower())
    if version == _NONE:
        return Accepts(lenient=True)
    return _accepts(line, version, preview="preview" in model.lower())


def unnamed() -> Accepts:
    """What a Claude is safely asked whose name says nothing of it: what all of them have taken."""
    return Accepts(budgets=False, both=False)


def _accepts(line: str, version: tuple[int, int], *, preview: bool) -> Accepts:
    if version < (4, 0):
        return Accepts(budgets=version >= _CLASSIC)
    modern = version >= (4, 7)
    always = version >= (5, 0) and (line in _ALWAYS or (line == "opus" and version >= (5, 5)))
    unforced = always and (version > (5, 0) or preview)
    return Accepts(
        budgets=not modern,
        adaptive=version >= (4, 6),
        efforts=_efforts(line, version),
        thinks=version >= (5, 0),
        always=always,
        off="" if always else "between_tools" if line == "sonnet" and version >= (5, 5) else "disabled",
        sampling=not modern,
        both=version < (4, 1),
        forcing="never" if unforced else "always" if version >= (4, 8) else "unthinking",
        schemas=version >= (4, 5),
        system_turns=version >= (4, 8),
    )


def _read(model: str) -> tuple[str, tuple[int, int]]:
    """The line and the version: ("opus", (4, 7)). A Claude without a version that can be read is a new one."""
    match = _NEW.search(model)
    if match is not None:
        return match[1], (int(match[2]), int(match[3] or 0))
    match = _OLD.search(model)
    if match is not None:
        return "", (int(match[1]), int(match[2] or 0))
    if "claude-mythos" in model:
        return "mythos", (5, 0)
    return "", _LATEST if "claude" in model else _NONE


def _efforts(line: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    return ("low", "medium", "high") if line == "opus" and version >= (4, 5) else ()
