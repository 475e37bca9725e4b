"""The error vocabulary is closed, documented, and the one that every room uses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from api.errors import BY_CODE, ApiError, Fault
from api.lanes import refused
from api.meanings import Domain
from error_page import page
from providers.dialects.canon import Misfit

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_is_the_vocabulary() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == page()


def test_codes_are_distinct_and_plain() -> None:
    codes = [fault.code for fault in Fault]
    assert len(set(codes)) == len(codes) == len(BY_CODE)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{2,59}", code) for code in codes)
    for fault in Fault:
        assert 400 <= fault.status < 600
        assert fault.value.text.endswith(".") and fault.value.step.endswith(".")
        assert (fault.domain is Domain.CALLER) <= (fault.status < 500 or fault is Fault.LOOP)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("providers/verdicts.py", ("upstream_", "egress_")),
        ("providers/transport.py", ("upstream_", "egress_")),
        ("providers/resolving.py", ("upstream_", "egress_")),
    ],
)
def test_upstream_codes_of_other_rooms_are_known(path: str, names: tuple[str, ...]) -> None:
    tree = ast.parse((ROOT / path).read_text())
    found = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(names)
        and re.fullmatch(r"[a-z_]+", node.value)
    }
    assert found <= set(BY_CODE), found - set(BY_CODE)


@pytest.mark.parametrize(
    ("path", "raised"), [("routing/resolve.py", "Unresolved"), ("providers/dialects/jsonio.py", "BadBody")]
)
def test_refusals_of_other_rooms_are_known(path: str, raised: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    found = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == raised
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert found and found <= set(BY_CODE), found - set(BY_CODE)


def test_an_upstreams_own_words_are_bounded() -> None:
    error = ApiError(
        Fault.REFUSED, "m" * 5000, status=422, error={"message": "x", "type": "t" * 5000, "code": 7, "more": {"a": 1}}
    )
    shown = error.as_object()
    assert len(shown["message"]) == 2048 and len(shown["type"]) == 2048
    assert (shown["code"], shown["more"], error.status_code) == (7, None, 422)
    assert error.event() == b"data: " + error.body() + b"\n\n"


def test_our_own_words_end_with_what_to_do_next() -> None:
    for fault in Fault:
        said = ApiError(fault).as_object()["message"]
        assert said.endswith(fault.value.step), said
    said = ApiError(Fault.PROVIDER_KEY_MISSING, "No key. Enter one.", step="").as_object()["message"]
    assert said == "No key. Enter one.", "the message says it"
    theirs = ApiError(Fault.UPSTREAM_AUTH, "bad key", error={"type": "authentication_error", "code": "invalid_api_key"})
    assert theirs.as_object()["message"] == "bad key", "an upstream's words stay its own"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("It gives one answer: leave `n` out.", "It gives one answer: leave `n` out. Or name another model."),
        ("It answers in text only.", "It answers in text only. Leave it out, or name another model."),
    ],
)
def test_advice_is_given_once(message: str, shown: str) -> None:
    assert refused(Misfit(message, "n", unsupported=True)).as_object()["message"] == shown
