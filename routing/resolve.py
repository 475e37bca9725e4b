"""Which places may answer a request, in the order in which they are tried. Pure; every endpoint asks here (X-03).

What a name means does not change within a snapshot and is found by `routing.candidates`. Here comes what belongs to the
moment and to the request: `auto` and lists of models, who of the candidates is out and why, and the order of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import msgspec

from routing.allow import Allowance, allowance
from routing.candidates import Candidate, Dropped, Target, Unresolved, dropped_for, target
from routing.fitting import NOTHING, Needs, misfit
from routing.ordering import ordered
from routing.snapshot import Snapshot

AUTO: Final = "auto"
#: Models that a caller may list.
MOST_LISTED: Final = 5


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What of a request decides where it goes.

    `dialect` is the client's: a family that speaks it is taken where the provider offers one and nothing says
    otherwise. `service`: what is asked for, empty for nothing yet. `draw` in [0, 1) decides what is left open; equal
    arguments give equal plans. `models`: the caller's own order, after `model`; under `auto` the quickest of them comes
    first. `needs` is called where there is a choice.
    """

    project_id: int
    model: str
    dialect: str = ""
    service: str = ""
    draw: float = 0.0
    models: tuple[str, ...] = ()
    needs: Callable[[], Needs] = lambda: NOTHING


class Now(Protocol):
    """What the resolver asks of the moment."""

    def why_not(self, candidate: Candidate) -> str | None:
        """What keeps a candidate from serving now: no key, all keys resting, an open circuit; None if nothing does."""

    def latency(self, candidate: Candidate) -> float | None:
        """Seconds to the first byte there of late, None if nobody knows."""

    def in_flight(self, candidate: Candidate) -> int:
        """Requests that are there now."""


class _Unknown:
    """Nothing is known of the moment: everything serves, nothing was measured."""

    def why_not(self, candidate: Candidate) -> str | None:
        return None

    def latency(self, candidate: Candidate) -> float | None:
        return None

    def in_flight(self, candidate: Candidate) -> int:
        return 0


UNKNOWN: Final[Now] = _Unknown()


class Plan(msgspec.Struct, frozen=True, gc=False):
    """Where a request may go now. `identity` is what allowlist, price and usage go by."""

    asked: str
    identity: str
    #: equal to `identity`; where several models were to choose from, that of the first candidate
    public_name: str
    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]


def resolve(snapshot: Snapshot, now: Now, ask: Ask) -> Plan:
    """The candidates of a request, best first. Raises Unresolved.

    Where there is a choice, candidates that cannot serve now or do not fit are dropped, unless that would leave none:
    then the caller tries them and reports their own error (F-20).
    """
    name = ask.model.strip()
    if ask.models:
        auto = name == AUTO
        return _several(snapshot, now, ask, ((name,) if name and not auto else ()) + ask.models, quickest=auto)
    if not name or name == AUTO:
        return _several(snapshot, now, ask, _preferred(snapshot, ask.project_id, name), quickest=True)
    found = target(snapshot, allowance(snapshot, ask.project_id), name, ask.dialect, ask.service)
    if len(found.candidates) == 1:
        return Plan(name, found.identity, found.identity, found.candidates, found.dropped)
    able, out = _sifted(now, ask, found, ask.needs())
    if not able:
        able, out = _in_order(now, ask, found), found.dropped
    return Plan(name, found.identity, found.identity, able, out)


def _sifted(now: Now, ask: Ask, found: Target, needs: Needs) -> tuple[tuple[Candidate, ...], tuple[Dropped, ...]]:
    """Those that can serve, in order, and those that cannot."""
    out: list[Dropped] = []
    able: list[Candidate] = []
    for candidate in found.candidates:
        reason = misfit(needs, candidate.facts, streams=candidate.provider.streaming) or now.why_not(candidate)
        if reason is None:
            able.append(candidate)
        else:
            out.append(dropped_for(candidate, reason))
    return ordered(able, found.strategy, ask.draw, now), (*found.dropped, *out)


def _in_order(now: Now, ask: Ask, found: Target) -> tuple[Candidate, ...]:
    return ordered(found.candidates, found.strategy, ask.draw, now)


def _preferred(snapshot: Snapshot, project_id: int, asked: str) -> tuple[str, ...]:
    """The project's preferred models, without any its default model. Raises Unresolved.

    No model at all in the request means the default model (M-04).
    """
    preference = snapshot.preferences.get(project_id)
    default = preference.default_model.strip() if preference else ""
    names: Iterable[str] = preference.preferred if preference and asked else ()
    wanted = [name.strip() for name in names] or ([default] if default else [])
    wanted = [name for name in wanted if name and name != AUTO]
    if not wanted and not asked:
        raise Unresolved("model_required", "The request names no model, and this project has no default model.")
    if not wanted:
        raise Unresolved(
            "auto_not_configured", "This project has neither preferred models nor a default model for 'auto'."
        )
    return tuple(wanted)


class _Option(msgspec.Struct, frozen=True):
    """One of several models."""

    found: Target
    candidates: tuple[Candidate, ...]
    dropped: tuple[Dropped, ...]
    speed: float = 0.0


def _several(snapshot: Snapshot, now: Now, ask: Ask, names: Iterable[str], *, quickest: bool) -> Plan:
    """The candidates of several models: first those of models that can serve now, the quickest of them first or in
    the order given.

    A model nobody has measured yet counts as quickest, so that it gets measured; among equals the order given stands.
    """
    allow = allowance(snapshot, ask.project_id)
    needs = ask.needs()  # of a long body it takes a while: once for all of them
    ready: list[_Option] = []
    unready: list[_Option] = []
    dropped: list[Dropped] = []
    refusal: Unresolved | None = None
    for name in dict.fromkeys(names):
        try:
            found = _meaning(snapshot, allow, name, ask)
        except Unresolved as error:
            refusal = refusal or error
            dropped.append(Dropped(name, error.message))
            continue
        able, out = _sifted(now, ask, found, needs)
        if able:
            ready.append(_Option(found, able, out, now.latency(able[0]) or 0.0))
        else:
            unready.append(_Option(found, _in_order(now, ask, found), found.dropped))
    if quickest:
        ready.sort(key=_speed)
    options = ready or unready
    if not options:
        assert refusal is not None
        raise Unresolved(refusal.code, refusal.message, refusal.suggestions, dropped)
    if ready:
        dropped += [Dropped(option.found.identity, "none of its candidates is available") for option in unready]
    places: dict[tuple[int, str, int | None, str], Candidate] = {}
    for option in options:
        for candidate in option.candidates:  # two names may lead to one place
            where = (candidate.account.id, candidate.upstream_model, candidate.key_set_id, candidate.family)
            places.setdefault(where, candidate)
    first = options[0].found.identity
    return Plan(
        asked=ask.model.strip() or first,
        identity=first,
        public_name=first,
        candidates=tuple(places.values()),
        dropped=(*dropped, *(drop for option in options for drop in option.dropped)),
    )


def _meaning(snapshot: Snapshot, allow: Allowance, name: str, ask: Ask) -> Target:
    if name == AUTO:
        raise Unresolved("model_not_found", "'auto' cannot be one of several models.")
    return target(snapshot, allow, name, ask.dialect, ask.service)


def _speed(option: _Option) -> float:
    return option.speed
