"""Which places may answer a request, in the order in which they are tried. Pure; every endpoint asks here (X-03).

What a name means does not change within a snapshot and is found by `routing.candidates`. Here comes what belongs to the
moment and to the request: `auto` and lists of models, who of the candidates is out and why, and the order of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

from routing.allow import Allowance, allowance
from routing.candidates import Candidate, Dropped, Target, Unresolved, dropped_for, target
from routing.fitting import NOTHING, Needs, misfit
from routing.ordering import ordered
from routing.snapshot import IMAGE, TEXT, Snapshot

AUTO: Final = "auto"
#: Models that a caller may list.
MOST_LISTED: Final = 5


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What of a request decides where it goes.

    `dialect` is the client's: a family that speaks it is taken where the provider offers one and nothing says
    otherwise. `service`: what is asked for, empty for nothing yet. `draw` in [0, 1) decides what is left open; equal
    arguments give equal plans. `models`: the caller's own order, after `model`; under `auto` the quickest of them comes
    first. `needs` is called where there is a choice, `affinity` where models are sticky: what requests of one
    conversation have in common.
    """

    project_id: int
    model: str
    dialect: str = ""
    service: str = ""
    draw: float = 0.0
    models: tuple[str, ...] = ()
    needs: Callable[[], Needs] = lambda: NOTHING
    affinity: Callable[[], bytes] = lambda: b""


class Now(Protocol):
    """What the resolver asks of the moment."""

    def why_not(self, candidate: Candidate) -> str | None:
        """What keeps a candidate from serving now: no key, all keys resting; None if nothing does."""

    def rests(self, candidate: Candidate) -> str | None:
        """Why the circuit of its place is open, None: it is not."""

    def latency(self, candidate: Candidate) -> float | None:
        """Seconds to the first byte there of late, None if nobody knows."""

    def in_flight(self, candidate: Candidate) -> int:
        """Requests that are there now."""


class _Unknown:
    """Nothing is known of the moment: everything serves, nothing was measured."""

    def why_not(self, candidate: Candidate) -> str | None:
        return None

    def rests(self, candidate: Candidate) -> str | None:
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
    #: the next is asked where one refuses a request for its content
    content_fallback: bool = False

    def brief(self) -> str:
        """The plan in a line, as it is kept of a request: whom it would ask, and who was out and why.

        Nothing, where there was one place to go and no other.
        """
        if len(self.candidates) == 1 and not self.dropped:
            return ""
        places = " > ".join(f"{one.account.name}/{one.upstream_model}" for one in self.candidates)
        out = "; ".join(f"{one.what}: {one.reason}" for one in self.dropped)
        return f"{places} | out: {out}" if out else places


def resolve(snapshot: Snapshot, now: Now, ask: Ask) -> Plan:
    """The candidates of a request, best first. Raises Unresolved.

    Where there is a choice, candidates that cannot serve now or do not fit are dropped. If that leaves none, one of
    those whose circuits are open is asked: an outage of all costs one attempt a request, and the end of it is noticed
    at once. Without such ones the caller tries all and reports their own error (F-20).
    """
    name = ask.model.strip()
    if ask.models:
        auto = name == AUTO
        return _several(snapshot, now, ask, ((name,) if name and not auto else ()) + ask.models, quickest=auto)
    if not name or name == AUTO:
        return _several(snapshot, now, ask, _preferred(snapshot, ask.project_id, name), quickest=True)
    found = target(snapshot, allowance(snapshot, ask.project_id), name, ask.dialect, ask.service)
    if len(found.candidates) == 1:
        return _plan(name, found, found.candidates, found.dropped)
    sifted = _sifted(now, ask, found, ask.needs())
    if sifted.able:
        return _plan(name, found, sifted.able, sifted.out)
    if sifted.resting:
        last = _last([_Option(found, sifted.resting, sifted.out)], ask.draw)
        return _plan(name, found, last.candidates, last.dropped)
    return _plan(name, found, _in_order(now, ask, found, found.candidates), found.dropped)


def _plan(asked: str, found: Target, candidates: tuple[Candidate, ...], dropped: tuple[Dropped, ...]) -> Plan:
    return Plan(asked, found.identity, found.identity, candidates, dropped, found.content_fallback)


class _Sifted(msgspec.Struct, frozen=True):
    """The candidates of one model: those that can serve, in order; all others with the reason; of these, those that
    lack nothing but rest."""

    able: tuple[Candidate, ...]
    out: tuple[Dropped, ...]
    resting: tuple[Candidate, ...]


def _sifted(now: Now, ask: Ask, found: Target, needs: Needs) -> _Sifted:
    out: list[Dropped] = []
    able: list[Candidate] = []
    resting: list[Candidate] = []
    for candidate in found.candidates:
        reason = misfit(needs, candidate.facts, streams=candidate.provider.streaming) or now.why_not(candidate)
        if reason is None:
            reason = now.rests(candidate)
            (able if reason is None else resting).append(candidate)
        if reason is not None:
            out.append(dropped_for(candidate, reason))
    return _Sifted(_in_order(now, ask, found, able), (*found.dropped, *out), tuple(resting))


def _in_order(now: Now, ask: Ask, found: Target, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    # One place needs no order, and the beginning of a long conversation takes a while to read.
    affinity = ask.affinity() if found.sticky and len(candidates) > 1 else b""
    return ordered(candidates, found.strategy, ask.draw, now, affinity)


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
    needs = ask.needs()
    ready: list[_Option] = []
    resting: list[_Option] = []
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
        sifted = _sifted(now, ask, found, needs)
        if sifted.able:
            ready.append(_Option(found, sifted.able, sifted.out, now.latency(sifted.able[0]) or 0.0))
        elif sifted.resting:
            resting.append(_Option(found, sifted.resting, sifted.out))
        else:
            unready.append(_Option(found, _in_order(now, ask, found, found.candidates), found.dropped))
    if quickest:
        ready.sort(key=_speed)
    options = ready or ([_last(resting, ask.draw)] if resting else unready)
    if not options:
        assert refusal is not None
        raise Unresolved(refusal.code, refusal.message, refusal.suggestions, dropped)
    asked = {option.found.identity for option in options}
    dropped += [
        Dropped(option.found.identity, "none of its candidates is available")
        for option in (*resting, *unready)
        if option.found.identity not in asked
    ]
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
        content_fallback=all(option.found.content_fallback for option in options),
    )


def _last(resting: list[_Option], draw: float) -> _Option:
    """One place of all that rest, with its model."""
    places = [(option, candidate) for option in resting for candidate in option.candidates]
    option, candidate = places[int(draw * len(places))]
    others = tuple(drop for drop in option.dropped if drop.candidate is not candidate)
    return _Option(option.found, (candidate,), others)


def _meaning(snapshot: Snapshot, allow: Allowance, name: str, ask: Ask) -> Target:
    if name == AUTO:
        raise Unresolved("model_not_found", "'auto' cannot be one of several models.")
    found = target(snapshot, allow, name, ask.dialect, ask.service)
    public = snapshot.models.get(found.identity)
    if not ask.models and ask.service == TEXT and public is not None and public.service == IMAGE:
        # Who names one may know that it chats as well; who leaves the choice to the project wants words.
        raise Unresolved("unsupported_parameter", f"The model '{public.name}' makes pictures.")
    return found


def _speed(option: _Option) -> float:
    return option.speed
