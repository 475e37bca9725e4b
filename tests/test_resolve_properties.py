"""What holds of every plan, whatever is patched, allowed, asked and broken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.candidates import Candidate, Unresolved
from routing.ordering import Strategy
from routing.resolve import Ask, Plan, resolve
from routing.snapshot import Snapshot
from tests.panels import DEMO, Panel

ACCOUNTS = ("a", "b", "c", "d")
NAMES = ("m0", "m1", "m2", "m3")
UPSTREAMS = ("x", "y")


@dataclass
class Moment:
    """Which accounts have no key, which places rest, how quick and how busy they are."""

    keyless: frozenset[str]
    resting: frozenset[tuple[str, str]]
    speeds: dict[str, float] = field(default_factory=dict)
    loads: dict[str, int] = field(default_factory=dict)

    def why_not(self, candidate: Candidate) -> str | None:
        return "no key" if candidate.account.name in self.keyless else None

    def rests(self, candidate: Candidate) -> str | None:
        return "it rests" if (candidate.account.name, candidate.upstream_model) in self.resting else None

    def latency(self, candidate: Candidate) -> float | None:
        return self.speeds.get(candidate.account.name)

    def in_flight(self, candidate: Candidate) -> int:
        return self.loads.get(candidate.account.name, 0)


@dataclass
class Case:
    """One world and one question, as plain data: built anew it is the same."""

    models: dict[str, tuple[list[tuple[Any, ...]], dict[str, Any]]]
    off: frozenset[str]
    allow: tuple[str, ...]
    preferred: tuple[str, ...]
    default: str
    moment: Moment
    ask: Ask

    def snapshot(self) -> Snapshot:
        made = Panel()
        for name in ACCOUNTS:
            made.provider(name).account(name, enabled=name not in self.off)
        for name, (routes, held) in self.models.items():
            made.model(name, *routes, **held)
        made.alias("other", NAMES[0]).prefix("pre-", ACCOUNTS[0])
        return made.project(self.allow, self.preferred, self.default).freeze()

    def plan(self) -> Plan | None:
        try:
            return resolve(self.snapshot(), self.moment, self.ask)
        except Unresolved:
            return None


_routes = st.lists(
    st.tuples(
        st.sampled_from(ACCOUNTS),
        st.sampled_from(UPSTREAMS),
        st.fixed_dictionaries(
            {
                "priority": st.integers(0, 2),
                "weight": st.integers(0, 3),
                "enabled": st.sampled_from((True, True, False)),
            }
        ),
    ),
    max_size=5,
    unique_by=lambda route: route[:2],
)
_held = st.fixed_dictionaries({"strategy": st.sampled_from([one.value for one in Strategy]), "sticky": st.booleans()})
_asked = st.sampled_from((*NAMES, "other", "auto", "", "a/x", "b/y", "pre-x", "nothing"))
_somebody = st.sampled_from(ACCOUNTS)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    affinity = draw(st.binary(min_size=1, max_size=4))
    return Case(
        models={name: (draw(_routes), draw(_held)) for name in NAMES},
        off=draw(st.frozensets(_somebody, max_size=2)),
        allow=tuple(draw(st.lists(st.sampled_from((*NAMES, "a/x")), unique=True))),
        preferred=tuple(draw(st.lists(st.sampled_from((*NAMES, "a/x", "other")), max_size=3))),
        default=draw(st.sampled_from(("", *NAMES))),
        moment=Moment(
            draw(st.frozensets(_somebody)),
            draw(st.frozensets(st.tuples(_somebody, st.sampled_from(UPSTREAMS)))),
            draw(st.dictionaries(_somebody, st.floats(0.01, 5))),
            draw(st.dictionaries(_somebody, st.integers(0, 9))),
        ),
        ask=Ask(
            DEMO,
            draw(_asked),
            draw=draw(st.floats(0, 1, exclude_max=True)),
            models=tuple(draw(st.lists(_asked, max_size=3))),
            affinity=lambda: affinity,
        ),
    )


@settings(max_examples=100, deadline=None)
@given(cases())
def test_m03_no_plan_leads_outside_the_allowlist(case: Case) -> None:
    plan = case.plan()
    if plan is None or not case.allow:
        return
    allowed = set(case.allow)
    for candidate in plan.candidates:
        ref = f"{candidate.provider.slug}/{candidate.upstream_model}"
        assert candidate.public_name in allowed or (candidate.route_id is None and ref in allowed)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_f20_who_has_no_key_is_asked_only_where_nobody_has_one(case: Case) -> None:
    """Then all are in the plan, and their own error is the answer; resting places come one at a time."""
    plan = case.plan()
    if plan is None:
        return
    now = case.moment
    usable = [one for one in plan.candidates if now.why_not(one) is None and now.rests(one) is None]
    resting = [one for one in plan.candidates if now.why_not(one) is None and now.rests(one) is not None]
    out = [drop for drop in plan.dropped if drop.reason in ("no key", "it rests")]
    if len(plan.candidates) == 1 and not out:
        return  # where there is no choice, nobody looks
    if usable:
        assert usable == list(plan.candidates)
    elif resting:
        assert len(plan.candidates) == 1
    else:
        assert not [one for one in out if one.reason == "it rests"], "somebody with a key was left out"


@settings(max_examples=100, deadline=None)
@given(cases())
def test_equal_inputs_give_equal_plans(case: Case) -> None:
    assert case.plan() == case.plan()


@settings(max_examples=100, deadline=None)
@given(cases())
def test_a_plan_accounts_for_every_route_of_its_model_once(case: Case) -> None:
    plan = case.plan()
    if plan is None or case.ask.models or case.ask.model not in NAMES:
        return
    routes, _ = case.models[case.ask.model]
    told = [f"{one.account.name}/{one.upstream_model}" for one in plan.candidates] + [one.what for one in plan.dropped]
    assert sorted(told) == sorted(f"{account}/{upstream}" for account, upstream, _ in routes)
    assert all(one.reason for one in plan.dropped)
    priorities = [one.priority for one in plan.candidates]
    assert priorities == sorted(priorities)
    assert not any(one.account.name in case.off for one in plan.candidates)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_no_place_is_asked_twice_and_a_plan_is_never_empty(case: Case) -> None:
    plan = case.plan()
    if plan is None:
        return
    assert plan.candidates
    places = [(one.place, one.family, one.key_set_id) for one in plan.candidates]
    assert len(places) == len(set(places))
