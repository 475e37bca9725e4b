"""What `auto` and no model at all mean for a project."""

from __future__ import annotations

from routing.snapshot import Snapshot
from tests.panels import DEMO, Panel, panel, planned, refusal


def with_auto(**preference) -> Snapshot:
    made = Panel().provider("a").provider("b").provider("c")
    for name in "abc":
        made.account(name).model(f"m-{name}", (name, name))
    return made.project(**preference).freeze()


def autos(snapshot: Snapshot, **more) -> list[str]:
    return [c.public_name for c in planned(snapshot, DEMO, "auto", **more).candidates]


def test_f18_auto_takes_the_preferred_models_in_their_order():
    assert autos(with_auto(preferred=["m-c", "m-a"])) == ["m-c", "m-a"]


def test_a19_available_ones_first_then_the_quickest():
    snapshot = with_auto(preferred=["m-a", "m-b", "m-c"])
    seconds = {"a": 0.3, "b": 0.1, "c": 0.2}
    assert autos(snapshot, speed=lambda c: seconds[c.upstream_model]) == ["m-b", "m-c", "m-a"]
    without_b = {
        "speed": lambda c: seconds[c.upstream_model],
        "available": lambda c: "x" if c.upstream_model == "b" else None,
    }
    assert autos(snapshot, **without_b) == ["m-c", "m-a"]
    plan = planned(snapshot, DEMO, "auto", **without_b)
    assert [(d.what, d.reason) for d in plan.dropped] == [("m-b", "none of its candidates is available")]


def test_what_nobody_measured_is_tried_first():
    seconds = {"a": 0.3, "b": None, "c": 0.2}
    snapshot = with_auto(preferred=["m-a", "m-b", "m-c"])
    assert autos(snapshot, speed=lambda c: seconds[c.upstream_model]) == ["m-b", "m-c", "m-a"]


def test_f19_without_a_preference_the_default_model():
    assert autos(with_auto(default="m-b")) == ["m-b"]
    assert planned(with_auto(default="m-b"), DEMO, "auto").public_name == "m-b"


def test_m04_no_model_in_the_request_means_the_default_model():
    assert planned(with_auto(default="m-b", preferred=["m-a"]), DEMO, "").asked == "m-b"
    assert refusal(with_auto(), "").code == "model_required"
    assert refusal(with_auto(), "auto").code == "auto_not_configured"
    assert refusal(with_auto(default="auto"), "auto").code == "auto_not_configured"


def test_f20_if_none_is_available_the_candidates_stay_and_their_own_error_comes_out():
    assert autos(with_auto(preferred=["m-a", "m-b"]), available=lambda c: "no key") == ["m-a", "m-b"]


def test_auto_obeys_the_allowlist():
    snapshot = with_auto(preferred=["m-a", "m-b", "a/x"], allow=["m-b"])
    plan = planned(snapshot, DEMO, "auto")
    assert [c.public_name for c in plan.candidates] == ["m-b"]
    assert [d.what for d in plan.dropped] == ["m-a", "a/x"]
    assert refusal(with_auto(default="m-a", allow=["m-b"]), "auto").code == "model_not_allowed"
    assert refusal(with_auto(default="m-a", allow=["m-b"]), "").code == "model_not_allowed"


def test_auto_takes_refs_and_aliases_and_no_place_twice():
    made = panel().project(preferred=["best", "gpt-best", "openai/gpt-4o-2024-08-06", "zai/glm"]).freeze()
    assert [(c.account.name, c.upstream_model) for c in planned(made, DEMO, "auto").candidates] == [
        ("openai", "gpt-4o-2024-08-06"),
        ("zai", "glm"),
    ]
