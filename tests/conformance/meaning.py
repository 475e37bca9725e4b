"""What a request means, in no API's words: what scenarios say, and what is read back from what arrived upstream."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import Any

#: One thing that is said: ("text", words), ("image" | "document" | "audio", key), ("call", name, arguments),
#: ("result", number of the call, items, failed), ("thought", words, signature), ("redacted", data).
Item = tuple[Any, ...]
Turn = tuple[str, tuple[Item, ...]]

#: What an API that wants words where there are none is given; it says nothing.
PLACEHOLDERS = frozenset({"(begin)", "(see the document)", "(no output)", "(see the image)"})
#: How many tokens of thought each word asks for, as docs/ promise it.
EFFORTS = {"none": 0, "minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """None and empty: not said."""

    turns: tuple[Turn, ...] = ()
    system: tuple[str, ...] = ()
    #: (name, description, JSON schema)
    tools: tuple[tuple[str, str, Any], ...] = ()
    search: bool = False
    choice: str | None = None
    parallel: bool | None = None
    #: "json" or a JSON schema
    format: Any = None
    limit: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    #: a word of EFFORTS
    effort: str | None = None
    user: str = ""
    metadata: Any = None
    tier: str = ""
    #: the places with cache marks: "system", "tools", "messages"
    cached: frozenset[str] = frozenset()
    #: addresses cited in the history
    cited: tuple[str, ...] = ()
    #: whether the member that no API knows is there
    unknown: bool = False


def media(data: str) -> str:
    """The key of what is said in base64."""
    return "sha256:" + hashlib.sha256(data.encode()).hexdigest()[:16]


def effort_of(budget: int) -> str:
    """The word whose budget is nearest; below 0: as the model likes."""
    if budget < 0:
        return "auto"
    return min(EFFORTS, key=lambda word: abs(EFFORTS[word] - budget))


def arguments(text: str) -> str:
    """A call's arguments, however they are spaced and ordered."""
    try:
        return json.dumps(json.loads(text or "{}"), sort_keys=True)
    except ValueError:
        return text


def differences(said: Meaning, arrived: Meaning) -> dict[str, tuple[Any, Any]]:
    """What arrived otherwise than it was said, by aspect."""
    wrong: dict[str, tuple[Any, Any]] = {}
    if said.choice == "none" and not arrived.tools and arrived.choice is None:
        arrived = replace(arrived, tools=said.tools, choice="none")  # what is not offered is not called
    if said.choice and said.choice.startswith("named:") and len(arrived.tools) == 1 and arrived.tools[0] in said.tools:
        arrived = replace(arrived, tools=said.tools)  # only the one that must be called is offered
    for field in fields(Meaning):
        name = field.name
        one, other = getattr(said, name), getattr(arrived, name)
        if name == "turns":
            wrong |= _turns(one, other)
        elif name == "system":
            if not _same_text(list(one), "\n\n".join(other)):
                wrong[name] = (one, other)
        elif not _asked(name, one):
            if other and name not in ("limit", "choice", "parallel", "n", "effort", "tier", "logprobs"):
                wrong[name] = (one, other)  # nobody asked for it
        elif one != other and not (name == "effort" and other == "yes" and one != "none"):
            wrong[name] = (one, other)
    return wrong


def _asked(name: str, value: Any) -> bool:
    """What is said by saying nothing need not be said: one answer, a choice of the model's."""
    usual = {"n": 1, "choice": "auto", "parallel": True}
    return (
        (value not in (None, "", (), False, frozenset()) and usual.get(name) != value)
        or (name == "parallel" and value is False)
        or (name in ("temperature", "top_p", "seed") and value is not None)
    )


def _turns(one: tuple[Turn, ...], other: tuple[Turn, ...]) -> dict[str, tuple[Any, Any]]:
    if _same_turns(one, other):
        return {}
    bare, seen = _without(one, ("thought", "redacted")), _without(other, ("thought", "redacted"))
    if _same_turns(bare, seen):
        return {"thinking": (one, other)}
    if _same_turns(_unfailed(bare), _unfailed(seen)):
        return {"failed": (one, other)}
    return {"turns": (one, other)}


def _without(turns: tuple[Turn, ...], kinds: tuple[str, ...]) -> tuple[Turn, ...]:
    return tuple((role, tuple(item for item in items if item[0] not in kinds)) for role, items in turns)


def _unfailed(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    return tuple(
        (role, tuple((*item[:3], False) if item[0] == "result" else item for item in items)) for role, items in turns
    )


def _same_turns(one: tuple[Turn, ...], other: tuple[Turn, ...]) -> bool:
    left, right = _merged(one), _merged(other)
    return [role for role, _ in left] == [role for role, _ in right] and all(
        _same_items(mine, theirs) for (_, mine), (_, theirs) in zip(left, right, strict=True)
    )


def _merged(turns: tuple[Turn, ...]) -> list[tuple[str, list[Any]]]:
    """Turns of one speaker in a row as one; texts in a row gathered; nothing that says nothing."""
    found: list[tuple[str, list[Any]]] = []
    for role, items in turns:
        kept = [item for item in items if item[0] != "text" or (item[1].strip() and item[1] not in PLACEHOLDERS)]
        if not kept:
            continue
        if not found or found[-1][0] != role:
            found.append((role, []))
        found[-1][1].extend(kept)
    return [(role, _gathered(items)) for role, items in found]


def _gathered(items: Any) -> list[Any]:
    """[["text", t1, t2 ...], item, ...]; results before words, where all APIs but a few want them."""
    made: list[Any] = []
    results = [item for item in items if item[0] == "result"]
    for item in [*results, *(item for item in items if item[0] != "result")]:
        if item[0] == "text" and made and made[-1][0] == "text":
            made[-1].append(item[1])
        else:
            made.append(["text", item[1]] if item[0] == "text" else item)
    return made


def _same_items(mine: list[Any], theirs: list[Any]) -> bool:
    return len(mine) == len(theirs) and all(_same_item(one, other) for one, other in zip(mine, theirs, strict=True))


def _same_item(one: Any, other: Any) -> bool:
    if one[0] != other[0]:
        return False
    if one[0] == "text":
        return _same_text(one[1:], "\n\n".join(other[1:]))
    if one[0] == "result":
        words = [_spoken(items) for items in (one[2], other[2])]  # spaces in JSON say nothing
        return one[1] == other[1] and bool(one[3]) == bool(other[3]) and _same_items(*words)
    if one[0] == "thought" and not other[2]:
        return bool(one[1] == other[1])  # where thoughts are but words, no proof is asked for
    return bool(one == other)


def _spoken(items: Any) -> list[Any]:
    kept = [item for item in items if item[0] != "text" or (item[1] and item[1] not in PLACEHOLDERS)]
    return _gathered([("text", arguments(item[1])) if item[0] == "text" else item for item in kept])


def _same_text(texts: list[str], whole: str) -> bool:
    """Whether these texts, in order, are all of it: between them there may be room, within them nothing changes."""
    at = 0
    for text in texts:
        found = whole.find(text, at)
        if found < 0 or whole[at:found].strip():
            return False
        at = found + len(text)
    return not whole[at:].strip()
