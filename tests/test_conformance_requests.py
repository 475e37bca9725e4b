"""What clients ask, in every dialect, arrives at every family and means the same, or it is refused, or it is told."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.capture import FAMILIES, capturing
from conformance.expected import LOST, NAMES, OTHERWISE, REFUSED
from conformance.meaning import differences
from conformance.requests import Asking, Outcome
from conformance.scenarios import SCENARIOS
from conformance.scenarios_of_one import OF_ONE
from conformance.speakers_native import SPEAKERS
from providers.families import FAMILIES as UPSTREAMS

pytestmark = pytest.mark.slow

_TALK = SCENARIOS["calls_and_results"]
_FAILED = tuple((*item[:3], True) for item in _TALK.turns[2][1])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Outcome]]:
    """All of them, of one gateway."""
    database = os.environ.pop("DATABASE_URL", None)
    try:
        with capturing(Path(tmp_path_factory.mktemp("requests")) / "home") as (url, token, capture):
            yield Asking(url, token, capture).all()
    finally:
        if database is not None:
            os.environ["DATABASE_URL"] = database


def test_there_is_enough_to_ask(outcomes: list[Outcome]) -> None:
    """At least 40 scenarios; each dialect says most of them, to each family."""
    names = {*SCENARIOS, *(name for name, *_ in OF_ONE)}
    assert len(names) >= 40
    said = defaultdict(set)
    for one in outcomes:
        said[one.client, one.family].add(one.scenario)
    assert said.keys() == {(client, family) for client in SPEAKERS for family in FAMILIES}
    assert min(map(len, said.values())) >= 40


def test_every_request_means_the_same_or_says_why_not(outcomes: list[Outcome]) -> None:
    wrong = [(one.client, one.scenario, one.family, problem) for one in outcomes if (problem := _problem(one))]
    assert not wrong, "\n".join(str(each)[:2000] for each in wrong[:20])


def test_every_exception_is_one(outcomes: list[Outcome]) -> None:
    """What is listed happens: tables of reasons do not outlive their reasons."""
    refused = {(one.scenario, one.family) for one in outcomes if one.status != 200}
    lost = {(aspect, one.family) for one in outcomes for aspect in one.otherwise}
    otherwise = {(one.scenario, one.family) for one in outcomes if one.otherwise}
    assert set(REFUSED) <= refused
    assert set(LOST) <= lost
    assert set(OTHERWISE) <= otherwise


@pytest.mark.parametrize(
    ("aspect", "changes"),
    [
        ("turns", {"turns": SCENARIOS["many_turns"].turns}),
        ("turns", {"turns": (("user", (("text", "Weather in Paris and  Rome, and the time?"),)), *_TALK.turns[1:])}),
        ("turns", {"turns": (*_TALK.turns[:2], ("user", _TALK.turns[2][1][1:]), *_TALK.turns[3:])}),
        ("turns", {"turns": _TALK.turns[:-1]}),
        ("failed", {"turns": (*_TALK.turns[:2], ("user", _FAILED), *_TALK.turns[3:])}),
        ("tools", {"tools": _TALK.tools[:1]}),
        ("system", {"system": ("Be brief.",)}),
        ("temperature", {"temperature": 1}),
        ("stop", {"stop": ("END",)}),
        ("format", {"format": "json"}),
        ("search", {"search": True}),
    ],
)
def test_a_difference_is_seen(aspect: str, changes: dict[str, Any]) -> None:
    assert list(differences(_TALK, replace(_TALK, **changes))) == [aspect]
    assert not differences(_TALK, _TALK)


def _problem(one: Outcome) -> Any:
    """What is wrong with an outcome, or nothing."""
    place = (one.scenario, one.family)
    if UPSTREAMS[one.family].speaks(one.client) and (one.status != 200 or one.otherwise.keys() - {"thinking"}):
        return one  # its own API is told all but the proofs of others
    if one.status != 200:
        clear = one.status == 400 and one.error.startswith("unsupported_parameter: ")
        return None if clear and place in REFUSED else one.error
    if place in OTHERWISE and not one.otherwise.keys() - {"turns", "system", "effort", "tier"}:
        said, arrived = ([one.otherwise.get(name, ((), ()))[at] for name in ("turns", "system")] for at in (0, 1))
        return None if _things(*said) == _things(*arrived) else one.otherwise
    for aspect, pair in one.otherwise.items():
        if (aspect, one.family) not in LOST:
            return f"{aspect}: {pair[1]!r} instead of {pair[0]!r}, dropped: {sorted(one.dropped)}"
        if NAMES.get(aspect, aspect) not in one.dropped:
            return f"{aspect}: not named in {sorted(one.dropped)}"
    return None


def _things(turns: Any, system: Any) -> list[str]:
    """All that is shown and called in a conversation, and the words without what stands in for an image."""
    found = [word for text in system for word in text.split()]
    for _, items in turns:
        for item in items:
            inner = item[2] if item[0] == "result" else (item,)
            found += [str(one) for one in inner if one[0] != "text"]
            found += [word for one in inner if one[0] == "text" and one[1][0] != "(" for word in one[1].split()]
    return sorted(found)
