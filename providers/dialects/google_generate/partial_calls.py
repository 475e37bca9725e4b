"""Function calls whose arguments come in pieces, as Vertex streams them where a request asks for it. Pure.

A call begins with its name and `willContinue`; each of `partialArgs` is a place in the arguments (`jsonPath`) and what
is there, texts in several pieces; a call without members is its end (PartialArg and FunctionCall of Vertex's v1 API).
"""

from __future__ import annotations

import re
from typing import Any, Final

from providers.dialects.canon import BadAnswer

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\['([^']*)'\]|\["([^"]*)"\]""")
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")
_DEEPEST: Final = 64


class PartialCall:
    """One call as far as it has come. `part` is the one that began it."""

    def __init__(self, part: dict[str, Any]) -> None:
        self._part = part
        args = part["functionCall"].get("args")
        self._args: dict[str, Any] = args if isinstance(args, dict) else {}
        self.take(part)

    def take(self, part: dict[str, Any]) -> None:
        """More of the call. Raises BadAnswer."""
        if part.get("thoughtSignature"):
            self._part = {**self._part, "thoughtSignature": part["thoughtSignature"]}
        pieces = part["functionCall"].get("partialArgs")
        for piece in pieces if isinstance(pieces, list) else ():
            if not isinstance(piece, dict):
                raise BadAnswer("a piece of a function call's arguments is no object")
            name = next((name for name in _VALUES if name in piece), None)
            if name is not None:
                _put(self._args, _steps(piece.get("jsonPath")), None if name == "nullValue" else piece[name])

    def whole(self) -> dict[str, Any]:
        """The part as it would have come in one piece."""
        call = self._part["functionCall"]
        kept = {name: call[name] for name in ("id", "name") if name in call}
        return {**self._part, "functionCall": {**kept, "args": self._args}}


def begins(call: dict[str, Any]) -> bool:
    """Whether a call with a name is the first piece of one."""
    return call.get("willContinue") is True or "partialArgs" in call


def _steps(path: Any) -> list[str | int]:
    """The names and numbers of a JSON path without wildcards. Raises BadAnswer."""
    steps: list[str | int] = []
    at = 1
    if not isinstance(path, str) or not path.startswith("$"):
        raise BadAnswer("a piece of a function call's arguments has no place")
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or len(steps) >= _DEEPEST:
            raise BadAnswer("a piece of a function call's arguments has a place that cannot be read")
        name, number, *quoted = found.groups()
        steps.append(int(number) if number is not None else name or quoted[0] or quoted[1] or "")
        at = found.end()
    if not steps or isinstance(steps[0], int):
        raise BadAnswer("a function call's arguments are an object")
    return steps


def _put(args: dict[str, Any], steps: list[str | int], value: Any) -> None:
    """Set what is at a place; a text that is there already goes on. Raises BadAnswer."""
    held: Any = args
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        known = _at(held, step)
        if following is None:
            known = known + value if isinstance(known, str) and isinstance(value, str) else value
        elif not isinstance(known, dict | list):
            known = [] if isinstance(following, int) else {}
        if isinstance(held, list) and step == len(held):
            held.append(known)
        else:
            held[step] = known
        held = known


def _at(held: Any, step: str | int) -> Any:
    """What is there now, None where nothing is. Raises BadAnswer where nothing can be."""
    if isinstance(step, str) and isinstance(held, dict):
        return held.get(step)
    if isinstance(step, int) and isinstance(held, list) and step <= len(held):
        return held[step] if step < len(held) else None
    raise BadAnswer("pieces of a function call's arguments do not fit together")
