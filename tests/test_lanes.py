"""The two lanes: what is special about saying a request anew."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.lanes import MOST_NAMED, named


def test_names_of_what_was_dropped_cannot_break_a_header() -> None:
    """Clients call unknown members as they like, and the gateway repeats the names in a header."""
    assert named(("seed", "a\r\nx-evil: 1", "seed", "grüße", "x" * 65, "tools[2].cache")) == (
        "seed",
        "unnamed",
        "tools[2].cache",
    )
    assert len(named(f"member-{number}" for number in range(1000))) == MOST_NAMED


@pytest.mark.django_db(transaction=True)
def test_a_strict_project_is_refused_what_an_upstream_cannot_be_told(plane: Any) -> None:
    """Anthropic's API knows no seed: left out and named, or refused before anything is sent."""
    from routing.models import Preference, PublicModel, Route

    model = plane.scenario("ok")
    Route.objects.filter(model=PublicModel.objects.get(name=model)).update(family="anthropic-messages")
    plane.settle()
    answer = plane.ask(model, seed=7)
    assert answer.headers["x-jackfield-dropped"] == "seed"
    (asked,) = plane.upstream.requests
    assert "seed" not in json.loads(asked.body) and "/v1/messages " in asked.head

    Preference.objects.update_or_create(project=plane.world.project(), defaults={"strict": True})
    plane.settle()
    refused = plane.ask(model, seed=7)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert "seed" in refused.json()["error"]["message"]
    assert len(plane.upstream.requests) == 1, "nothing was sent"
