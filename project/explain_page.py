"""The page that shows what a request would meet: which places it would try, in which order and why, and who is out.

The question is the address, so that it can be sent to somebody. The answer is that of `routing.explain`, which every
way of asking shares; beside each place stands how it does now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.http import urlencode

from api.forward import MOST_CANDIDATES
from keys.roles import may
from project.health_page import shown
from routing.build import BadSnapshot
from routing.explain import UnknownProject, explain
from routing.models import PublicModel
from routing.overview import Told, overview, told
from routing.places import Circuit, served_by_worker
from routing.questions import ENDPOINTS, WORDS, BadQuestion, needs_of
from routing.snapshot import Snapshot
from routing.store import at_hand

#: What the words of a question mean, beside their boxes.
_MEANT = {"stream": "streaming", "tools": "tools", "images": "images", "schema": "a JSON schema"}


@dataclass(frozen=True)
class Question:
    """What is asked, as the address says it."""

    model: str
    project: str
    endpoint: str
    needs: tuple[str, ...]
    tokens: str

    @property
    def words(self) -> str:
        return ",".join((*self.needs, self.tokens) if self.tokens else self.needs)

    def of_model(self, name: str) -> str:
        """The query string of the same question about another model."""
        given = {"model": name, "project": self.project, "endpoint": self.endpoint, "tokens": self.tokens}
        return urlencode(
            [*((key, value) for key, value in given.items() if value), *(("needs", n) for n in self.needs)]
        )


def explain_page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The question's form, and its answer once a model is named."""
    if not may(request.user, "view", PublicModel):
        raise PermissionDenied
    given = request.GET
    needed = [word for part in given.getlist("needs") for word in part.split(",")]
    asked = Question(
        model=given.get("model", "").strip(),
        project=given.get("project", ""),
        endpoint=given.get("endpoint", ""),
        needs=tuple(word for word in WORDS if word in needed),
        tokens=given.get("tokens", "").strip(),
    )
    problem, found, snapshot = "", None, None
    try:
        snapshot = at_hand()
        if asked.model:
            found = explain(snapshot, asked.model, asked.project, asked.endpoint, needs_of(asked.words))
    except (UnknownProject, BadQuestion, BadSnapshot) as error:
        problem = str(error)
    context = {
        **context,
        "title": "Explain",
        "asked": asked,
        "problem": problem,
        "found": found,
        "models": _names(snapshot),
        "projects": sorted(project.name for project in snapshot.projects.values()) if snapshot is not None else [],
        "endpoints": list(ENDPOINTS),
        "needs": [(word, _MEANT[word], word in asked.needs) for word in WORDS],
        "most": MOST_CANDIDATES,
    }
    if found is not None:
        context |= _answer(found, asked)
    return TemplateResponse(request, "admin/routing/publicmodel/explain.html", context)


def _names(snapshot: Snapshot | None) -> list[str]:
    return ["auto", *sorted({*snapshot.models, *snapshot.aliases})] if snapshot is not None else []


def _answer(found: dict[str, Any], asked: Question) -> dict[str, Any]:
    """The plan as the page draws it, each place with how it does."""
    seen = overview()
    rows = told(seen)
    health = {(row.account, row.model): shown(row) for row in rows}
    places = [
        {
            **place,
            "number": number,
            "asked": number <= MOST_CANDIDATES,
            "health": health.get((place["account"], place["upstream_model"])),
            "workers": _workers(rows, place["account"], place["upstream_model"]) if place["fleet"] else None,
            "price": _price(place["prices"]),
        }
        for number, place in enumerate(found["candidates"], 1)
    ]
    error = found["error"]
    near = [(name, asked.of_model(name)) for name in error["suggestions"]] if error else []
    return {"places": places, "near": near, "whose": seen.whose}


def _workers(rows: list[Told], account: str, model: str) -> dict[str, Any]:
    """How the workers of a fleet do that were asked for the model of late, together: each has a circuit of its own."""
    figures = [row.figures for row in rows if row.account == account and served_by_worker(model, row.model)]
    return {
        "asked": len(figures),
        "resting": sum(one.circuit is not Circuit.CLOSED for one in figures),
        "in_flight": sum(one.in_flight for one in figures),
    }


def _price(prices: dict[str, int | None]) -> str:
    given, made = prices["price_input"], prices["price_output"]
    if given is None or made is None:
        return "price unknown"
    return f"${given / 1_000_000:g} in, ${made / 1_000_000:g} out per million tokens"
