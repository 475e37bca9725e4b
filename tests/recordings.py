"""Recorded traffic of upstreams, where it is at hand (beside the repository, never in it), and what to hold it to."""

from __future__ import annotations

import base64
import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

from providers.dialects.canon import Delta, PartBegan, PartEnded, Stopped

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


def recorded(family: str, *apis: str) -> list[Any]:
    """The successful exchanges of a family's APIs; none where there are no recordings."""
    path = SHARED / "cassettes" / f"{family}.jsonl"
    if not path.exists():
        return []
    cases = [json.loads(line) for line in path.read_text().splitlines()]
    return [case for case in cases if case["api"] in apis and case["status"] == 200]


def body_of(case: dict[str, Any]) -> bytes:
    body = case["response_body"] or ""
    return base64.b64decode(body) if case["response_encoding"] == "base64" else body.encode()


@functools.cache
def neutral() -> Any:
    """The reader of all wire formats that recordings are judged by."""
    spec = importlib.util.spec_from_file_location("neutral", SHARED / "tools" / "neutral.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_brackets(deltas: list[Delta]) -> None:
    """Parts begin once, grow while they are open, and end before the choice stops."""
    open_parts: set[int] = set()
    begun = 0
    for delta in deltas:
        if isinstance(delta, PartBegan):
            assert delta.index == begun
            begun += 1
            open_parts.add(delta.index)
        elif isinstance(delta, PartEnded):
            open_parts.remove(delta.index)
        elif hasattr(delta, "index"):
            assert delta.index in open_parts
        elif isinstance(delta, Stopped):
            assert not open_parts
    assert sum(isinstance(delta, Stopped) for delta in deltas) == 1
