"""Dialects by name: an endpoint speaks one, families speak one, and what relays takes its parts from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from providers.dialects import registry
from providers.dialects.registry import CLIENTS, DIALECTS, UPSTREAMS
from providers.families import FAMILIES, OPENAI_CHAT, OPENAI_COMPLETIONS


def test_every_dialect_has_its_package_and_a_family() -> None:
    folder = Path(registry.__file__).parent
    assert {path.parent.name for path in folder.glob("*/dialect.py")} == set(DIALECTS)
    assert {family.dialect for family in FAMILIES.values() if family.dialect} == set(UPSTREAMS)


def test_a_family_speaks_one_dialect_and_those_without_one_none() -> None:
    assert FAMILIES[OPENAI_COMPLETIONS].speaks(OPENAI_CHAT)
    assert not FAMILIES[OPENAI_COMPLETIONS].speaks("anthropic_messages")
    assert not FAMILIES["anthropic-messages"].speaks(OPENAI_CHAT)
    assert not FAMILIES["anthropic-messages"].speaks("")


@pytest.mark.django_db(transaction=True)
def test_answers_streams_and_errors_are_of_the_endpoints_dialect(plane: Any, monkeypatch: Any) -> None:
    """One more dialect is a package and its entry: nothing that relays names one."""
    taps = []
    known = CLIENTS[OPENAI_CHAT]

    def tap(model: str, asked_usage: bool) -> Any:
        taps.append(model)
        return known.tap(model, asked_usage)

    other = msgspec.structs.replace(
        known,
        splice=lambda body, model: (b'{"spliced": "%s"}' % model.encode(), None),
        tap=tap,
        envelope=lambda error: json.dumps({"oops": error["code"]}).encode(),
    )
    monkeypatch.setitem(CLIENTS, OPENAI_CHAT, other)
    model = plane.scenario("ok")
    assert plane.ask(model).json() == {"spliced": model}
    assert plane.ask(model, stream=True).status_code == 200
    assert taps == [model]
    assert plane.ask("no-such-model").json() == {"oops": "model_not_found"}
    assert {row.dialect for row in plane.rows()} == {OPENAI_CHAT}


@pytest.mark.django_db(transaction=True)
def test_a_family_without_a_dialect_is_not_asked(plane: Any, monkeypatch: Any) -> None:
    model = plane.scenario("ok")
    unspoken = msgspec.structs.replace(FAMILIES[OPENAI_COMPLETIONS], dialect="", embedding="", imaging="")
    monkeypatch.setitem(FAMILIES, OPENAI_COMPLETIONS, unspoken)
    answer = plane.ask(model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "family_not_served")
    assert not plane.upstream.requests
