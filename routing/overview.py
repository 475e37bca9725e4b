"""How every place does now, for pages, doctor and probes: the figures of all processes that can be heard from here.

A process that serves, or that hears the others through Redis, knows about the last second. Others, and all without
Redis, are known by their signs of life in the database: a few seconds old, and of the busiest places only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.conf import settings

from providers.dialects.values import UNREADABLE
from providers.models import Account
from routing.hearsay import Report, by_place, decoded, everybody, report
from routing.models import AccountProbe, GatewayProcess
from routing.places import Circuit, Figures, Place
from routing.presence import BEAT, process_name, serving
from routing.store import store
from routing.talk import talk

#: Circuits that are not closed come first.
_ORDER: Final = (Circuit.OPEN, Circuit.HALF_OPEN, Circuit.CLOSED)


@dataclass(frozen=True)
class Overview:
    """`places`: worst first. `whose`: a sentence that says whose figures these are. `processes`: how many tell."""

    places: dict[Place, Figures]
    whose: str
    processes: int


@dataclass(frozen=True)
class Told:
    """One place by its names, with its figures and what was last found by a probe of its account."""

    account_id: int
    account: str
    provider: str
    model: str
    figures: Figures
    probe: AccountProbe | None


def told(found: Overview, account: str = "", provider: str = "") -> list[Told]:
    """The places of an overview, worst first: all, or those of an account, of a provider. Two queries."""
    rows = Account.objects.filter(pk__in={pk for pk, _ in found.places})
    if account:
        rows = rows.filter(name=account)
    if provider:
        rows = rows.filter(provider__slug=provider)
    names = {pk: (name, slug) for pk, name, slug in rows.values_list("pk", "name", "provider__slug")}
    probes = AccountProbe.objects.exclude(at=None).in_bulk(list(names))
    return [
        Told(pk, *names[pk], model, figures, probes.get(pk))
        for (pk, model), figures in found.places.items()
        if pk in names
    ]


def overview() -> Overview:
    """One query at most: none where the others are heard."""
    serves = store.running and settings.PLANE != "control"
    if talk.hears:
        reports = everybody.reports() if serves else list(everybody.others.values())
        count = len(reports)
        return _of(reports, f"{_processes(count)} told through Redis, about a second ago.", count)
    others = [_read(row) for row in serving() if not (serves and row.name == process_name())]
    away = "Redis does not answer" if settings.REDIS_URL and store.running else "no Redis"
    if not serves:
        said = f"{_processes(len(others))} told with signs of life, at most {BEAT:.0f} seconds ago ({away} here)."
        return _of(others, said if others else "No process that serves requests was heard of just now.", len(others))
    own = report(everybody.own)
    if not others:
        return _of([own], "This process, the only one that serves requests, as of now.", 1)
    said = (
        f"This process as of now, and {_processes(len(others), 'other')} by signs of life, at most {BEAT:.0f} seconds "
        f"ago ({away}: each orders places by its own figures)."
    )
    return _of([own, *others], said, 1 + len(others))


def _of(reports: list[Report], whose: str, count: int) -> Overview:
    found = by_place(reports)
    worst = sorted(
        found.items(), key=lambda item: (_ORDER.index(item[1].circuit), -(item[1].error_rate or 0.0), item[0])
    )
    return Overview(dict(worst), whose, count)


def _processes(count: int, which: str = "") -> str:
    name = f"{which} process" if which else "process"
    return f"{count} {name}{'' if count == 1 else 'es'}"


def _read(row: GatewayProcess) -> Report:
    try:
        return decoded((row.places or "[]").encode())
    except UNREADABLE:
        return ()  # of another version, which tells it in another form
