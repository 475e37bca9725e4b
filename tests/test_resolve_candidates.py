"""Which places a name leads to: accounts, what drops out and why, priorities, weights, families."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.families import OPENAI_CHAT
from routing.snapshot import Snapshot
from tests.panels import CHAT, DEMO, Panel, panel, planned, refusal


def test_refs_go_to_the_account_named_like_the_provider():
    made = Panel().provider("azure").account("Azure (One)", "azure").account("azure").freeze()
    assert [c.account.name for c in planned(made, DEMO, "azure/gpt").candidates] == ["azure"]


def test_without_such_an_account_to_the_providers_accounts_by_id():
    made = Panel().provider("azure").account("B", "azure").account("A", "azure").account("C", "azure", enabled=False)
    plan = planned(made.freeze(), DEMO, "azure/gpt")
    assert [c.account.name for c in plan.candidates] == ["B", "A"]
    assert [(d.what, d.reason) for d in plan.dropped] == [("C/gpt", "account C is switched off")]


def test_a_switched_off_account_of_the_providers_name_opens_no_other():
    """Switching the account off must not send refs to somebody else's contract."""
    made = Panel().provider("azure").account("azure", enabled=False).account("Azure (One)", "azure").freeze()
    error = refusal(made, "azure/gpt")
    assert error.code == "no_candidate" and [d.what for d in error.dropped] == ["azure/gpt"]


def test_dropped_routes_say_why():
    made = (
        Panel()
        .provider("on")
        .provider("off", enabled=False)
        .provider("late", deferred_to="on", deferred_reason="no API")
        .account("on")
        .account("shut", "on", enabled=False)
        .account("off")
        .account("late")
    )
    made.model("m", ("on", "a"), ("on", "b", {"enabled": False}), ("shut", "c"), ("off", "d"), ("late", "e"))
    plan = planned(made.freeze(), DEMO, "m")
    assert [c.upstream_model for c in plan.candidates] == ["a"]
    assert [(d.what, d.reason) for d in plan.dropped] == [
        ("on/b", "the route is switched off"),
        ("shut/c", "account shut is switched off"),
        ("off/d", "provider off is switched off"),
        ("late/e", "provider late cannot be served (no API), the nearest is on"),
    ]


def test_nothing_left_is_an_error_of_its_own():
    made = Panel().provider("on").account("on").model("m", ("on", "a", {"enabled": False})).model("bare").freeze()
    error = refusal(made, "m")
    assert (error.code, len(error.dropped)) == ("no_candidate", 1)
    assert refusal(made, "bare").code == "no_candidate"


@pytest.mark.parametrize("accounts", [0, 1])
def test_m21_a_provider_that_is_switched_off_says_so_and_who_can_switch_it_on(accounts):
    made = Panel().provider("google-antigravity", enabled=False)
    if accounts:
        made.account("google-antigravity")
    error = refusal(made.freeze(), "google-antigravity/gemini-3-pro")
    assert error.code == "no_candidate" and error.message == (
        "Provider 'google-antigravity' is switched off; a security admin can switch it on in the admin."
    )


def test_m21_a_model_whose_provider_is_switched_off_says_so_too():
    made = Panel().provider("on").account("on").provider("shut", enabled=False).account("shut")
    made.provider("closed", enabled=False).account("closed", enabled=False)
    made.model("m", ("shut", "a"), ("shut", "b"), ("closed", "c"), ("on", "d", {"enabled": False}))
    assert refusal(made.freeze(), "m").message == (
        "Nothing serves the model 'm' now. "
        "Provider 'shut' is switched off; a security admin can switch it on in the admin."
    )


def test_r47_a_deferred_provider_names_the_nearest_alternative():
    error = refusal(panel().freeze(), "v0/v0-1.5-md")
    assert error.code == "provider_deferred"
    assert "'vercel'" in error.message and error.suggestions == ("vercel",)


@pytest.mark.parametrize(
    ("route", "account", "facts", "families", "dialect", "family"),
    [
        ("", "", "", {}, OPENAI_CHAT, "anthropic-messages"),  # the provider's, where it offers nothing else
        ("", "", "", {CHAT: "https://x"}, OPENAI_CHAT, CHAT),  # what it also offers, in the client's dialect
        ("", "", "", {CHAT: "https://x"}, "", "anthropic-messages"),
        ("", "", "anthropic-messages", {CHAT: "https://x"}, OPENAI_CHAT, "anthropic-messages"),  # the model's own
        ("", "openai-responses", "anthropic-messages", {CHAT: "https://x"}, OPENAI_CHAT, "openai-responses"),
        ("cohere-chat", "openai-responses", "anthropic-messages", {CHAT: "x"}, OPENAI_CHAT, "cohere-chat"),
    ],
)
def test_a08_the_family_is_the_routes_then_the_accounts_then_the_models(
    route, account, facts, families, dialect, family
):
    made = Panel().provider("p", family="anthropic-messages", families=families).account("p", family=account)
    made.facts("p", "m", family=facts).model("x", ("p", "m", {"family": route}))
    assert planned(made.freeze(), DEMO, "x", dialect=dialect).candidates[0].family == family


def test_p14_quirks_of_the_route_lie_over_the_providers():
    made = Panel().provider("p", quirks={"a": 1, "b": 1}).account("p")
    made.model("plain", ("p", "m")).model("search", ("p", "m", {"quirks": {"search": True, "b": 2}}))
    snapshot = made.freeze()
    assert planned(snapshot, DEMO, "plain").candidates[0].quirks == {"a": 1, "b": 1}
    assert planned(snapshot, DEMO, "search").candidates[0].quirks == {"a": 1, "b": 2, "search": True}


def test_facts_come_with_the_candidate_under_other_ids_too():
    made = panel().model("mini", ("openrouter", "gpt-4o-mini")).freeze()
    candidate = planned(made, DEMO, "mini").candidates[0]
    assert candidate.upstream_model == "gpt-4o-mini"  # what the operator wrote goes out unaltered (P-15)
    assert candidate.facts is not None and candidate.facts.model == "openai/gpt-4o-mini"


def weighted() -> Snapshot:
    made = Panel().provider("p").account("p")
    made.model(
        "m",
        ("p", "last", {"priority": 5}),
        ("p", "a", {"weight": 3}),
        ("p", "b", {"weight": 1}),
        ("p", "drained", {"weight": 0}),
    )
    return made.freeze()


def order(snapshot: Snapshot, draw: float) -> list[str]:
    return [c.upstream_model for c in planned(snapshot, DEMO, "m", draw=draw).candidates]


def test_weights_share_a_priority_and_equal_draws_give_equal_plans():
    snapshot, draws = weighted(), random.Random(7)
    firsts = Counter(order(snapshot, draws.random())[0] for _ in range(8000))
    assert set(firsts) == {"a", "b"} and 0.72 < firsts["a"] / 8000 < 0.78
    assert order(snapshot, 0.9) == order(weighted(), 0.9) == ["b", "a", "drained", "last"]


@given(
    st.floats(0, 1, exclude_max=True), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=8)
)
def test_every_draw_orders_all_candidates_by_priority(draw, routes):
    made = Panel().provider("p").account("p")
    made.model("m", *(("p", f"u{n}", {"priority": p, "weight": w}) for n, (p, w) in enumerate(routes)))
    candidates = planned(made.freeze(), DEMO, "m", draw=draw).candidates
    assert sorted(c.upstream_model for c in candidates) == sorted(f"u{n}" for n in range(len(routes)))
    assert [c.priority for c in candidates] == sorted(p for p, _ in routes)
    for one, other in itertools.pairwise(candidates):
        assert one.priority < other.priority or one.weight > 0 or other.weight == 0


def test_the_second_of_three_is_drawn_by_weight_too():
    made = Panel().provider("p").account("p")
    made.model("m", ("p", "a", {"weight": 1}), ("p", "b", {"weight": 1}), ("p", "c", {"weight": 8}))
    snapshot, draws = made.freeze(), random.Random(3)
    seconds = Counter(o[1] for o in (order(snapshot, draws.random()) for _ in range(8000)) if o[0] == "a")
    assert 0.84 < seconds["c"] / seconds.total() < 0.94


def test_unavailable_candidates_are_dropped_unless_nothing_is_left():
    snapshot = weighted()
    plan = planned(snapshot, DEMO, "m", draw=0.0, available=lambda c: "no key" if c.upstream_model == "a" else None)
    assert [c.upstream_model for c in plan.candidates] == ["b", "drained", "last"]
    assert ("p/a", "no key") in [(d.what, d.reason) for d in plan.dropped]
    plan = planned(snapshot, DEMO, "m", available=lambda c: "no key")
    assert len(plan.candidates) == 4 and not plan.dropped
