"""Allowlists under every spelling, suggestions, and what the resolver keeps in memory."""

from __future__ import annotations

import msgspec
import pytest

from routing.allow import allowed_models
from routing.candidates import Candidate
from routing.suggest import distance
from tests.panels import DEMO, Panel, panel, place, planned, refusal


@pytest.mark.parametrize("allow", [(), ("",), ("*",), ("x", "*")])
def test_m03_an_empty_list_or_a_star_allows_everything(allow):
    snapshot = panel().project(allow).freeze()
    for name in ("best", "openai/x", "claude-3", "bedrock/x", "theta/x"):
        assert planned(snapshot, DEMO, name).candidates
    assert len(allowed_models(snapshot, DEMO)) == 3
    assert len(allowed_models(snapshot, 99)) == 3  # a project without preferences


SPELLINGS = {
    "gpt-best": ("gpt-best", "best", " best "),
    "openai/gpt-4o": ("openai/gpt-4o", "OpenAI/gpt-4o", "gpt-4o", " openai /gpt-4o"),
    "zai/glm-4.7": ("zai/glm-4.7", "z.ai/glm-4.7", "Z-AI/glm-4.7"),
    "amazon-bedrock/anthropic.claude": (
        *(
            "amazon-bedrock/anthropic.claude",
            "bedrock/anthropic.claude",
            "anthropic.claude",
            "BEDROCK/anthropic.claude",
        ),
    ),
    "openrouter/openai/gpt-4o-mini": ("openrouter/openai/gpt-4o-mini", "openrouter/gpt-4o-mini"),
    "theta/qwen3": ("theta/qwen3", "Theta/qwen3"),
}


@pytest.mark.parametrize("identity", SPELLINGS)
@pytest.mark.parametrize("other", SPELLINGS)
def test_a_model_is_allowed_or_refused_under_all_its_spellings(identity, other):
    """Whatever spelling stands on the list, exactly the spellings of that model pass; also under default and auto."""
    for entry in SPELLINGS[identity]:
        snapshot = panel().project([entry], default=SPELLINGS[other][-1]).freeze()
        for spelling in (*SPELLINGS[other], "auto", ""):
            if identity == other:
                assert planned(snapshot, DEMO, spelling).identity == identity
            else:
                assert refusal(snapshot, spelling).code == "model_not_allowed"


@pytest.mark.parametrize(
    ("glob", "passes", "refused"),
    [
        ("openai/*", ("openai/gpt-4o", "gpt-4o", "o1"), ("best", "openai", "mistral", "claude-3", "zai/x")),
        ("gpt-*", ("gpt-best", "best", "gpt-4o", "openai/gpt-4o"), ("o1", "openai/o1", "openrouter/gpt-4o")),
        ("Z.AI/*", ("zai/x", "z-ai/x"), ("openai", "openai/x")),
        ("bedrock/anthropic.*", ("anthropic.x", "amazon-bedrock/anthropic.x"), ("amazon.x", "bedrock/amazon.x")),
        ("*/claude-*", ("anthropic/claude-3", "claude-3", "google/claude-3"), ("gpt-4o",)),
        ("claude-?", ("claude-3", "anthropic/claude-3"), ("claude-33",)),
    ],
)
def test_globs_go_by_identity(glob, passes, refused):
    snapshot = panel().project([glob]).freeze()
    for name in passes:
        assert planned(snapshot, DEMO, name).candidates
    for name in refused:
        assert refusal(snapshot, name).code == "model_not_allowed"


def test_one_project_list_never_speaks_for_another():
    snapshot = panel().project(["gpt-best"], pk=1).project(["mistral"], pk=2).freeze()
    assert [m.name for m in allowed_models(snapshot, 1)] == ["gpt-best"]
    assert [m.name for m in allowed_models(snapshot, 2)] == ["mistral"]
    assert refusal(snapshot, "mistral", 1).code == refusal(snapshot, "best", 2).code == "model_not_allowed"


def test_a_list_of_unknown_names_allows_nothing():
    snapshot = panel().project(["no-such-model"]).freeze()
    assert refusal(snapshot, "gpt-best").code == "model_not_allowed" and allowed_models(snapshot, DEMO) == ()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("gpt_best", "gpt-best"),
        ("GPT-BEST", "gpt-best"),
        ("mistrl", "mistral"),
        ("Mistral", "mistral"),
        ("mistra", "mistral"),
        ("istral", "mistral"),
        ("bset", None),  # one error is forgiven in a word of four, and this is two
        ("opena/gpt-4o", "openai/gpt-4o"),
        ("opennai/gpt-4o", "openai/gpt-4o"),
        ("zz", None),
    ],
)
def test_c20_suggestions(asked, expected):
    near = refusal(panel().freeze(), asked).suggestions
    assert len(near) <= 3 and (expected in near if expected else not near)


def test_suggestions_name_only_what_the_project_may_use():
    snapshot = panel().project(["gpt-best"]).freeze()
    for asked in ("mistra", "opena/x", "gpt_best", "anthropi/claude", "glm"):
        for name in refusal(snapshot, asked).suggestions:
            assert planned(snapshot, DEMO, name).identity == "gpt-best"


def test_suggestions_over_many_models_are_bounded_work(benchmark_seconds=0.25):
    import time

    made = Panel().provider("p").account("p")
    for n in range(10_000):
        made.model(f"model-{n:05}", ("p", "u"))
    snapshot = made.freeze()
    refusal(snapshot, "modle-00001")
    start = time.perf_counter()
    for n in range(10):
        refusal(snapshot, f"modle-{n:05}x")
    assert (time.perf_counter() - start) / 10 < benchmark_seconds


@pytest.mark.parametrize(
    ("one", "other", "steps"), [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("abc", "abc", 0)]
)
def test_distance(one, other, steps):
    assert distance(one, other, 5) == distance(other, one, 5) == steps
    assert distance("aaaaaa", "bbbbbb", 2) == 3


def test_the_memo_does_not_grow_with_what_clients_ask():
    snapshot = panel().freeze()
    place(snapshot, "gpt-best"), place(snapshot, "openai/x0")
    size = len(snapshot.memo)
    for n in range(100):
        place(snapshot, f"openai/x{n}")
        refusal(snapshot, f"nonsense-{n}")
    assert len(snapshot.memo) == size


def test_a_snapshot_is_freed_with_its_last_user():
    """No cycle keeps it: its structs are not garbage collected."""
    import gc
    import sys

    snapshot = panel().project(["gpt-*"]).freeze()
    place(snapshot, "best")
    allowed_models(snapshot, DEMO)
    gc.collect()
    assert sys.getrefcount(snapshot) == 2


def test_candidates_are_plain_data():
    candidate = planned(panel().freeze(), DEMO, "best").candidates[0]
    assert isinstance(candidate, Candidate)
    assert msgspec.to_builtins(candidate)["account"]["name"] == "openai"
