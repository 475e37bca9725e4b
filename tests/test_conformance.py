"""Recorded answers behind the gateway, read by the official SDKs: `make conformance` asks all, this an eighth.

Every other recording is asked, in one client dialect, another one for each that follows; those with an explanation in
all that it is given for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.explained import EXPLAINED
from conformance.recordings import CASSETTES, cases
from conformance.runs import DIALECTS, running

pytestmark = [
    pytest.mark.skipif(not CASSETTES.exists(), reason="the recordings are not beside the repository"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[dict[str, Any], str, list[str]]]]:
    """Of a gateway of its own."""
    wanted = [
        (case, dialect)
        for at, case in enumerate(cases())
        for number, dialect in enumerate(DIALECTS)
        if at % (2 * len(DIALECTS)) == 2 * number or (case["id"], dialect) in EXPLAINED
    ]
    database = os.environ.pop("DATABASE_URL", None)
    try:
        with running(Path(tmp_path_factory.mktemp("recorded")) / "home") as run:
            yield run.all(wanted)
    finally:
        if database is not None:
            os.environ["DATABASE_URL"] = database


def test_what_was_recorded_is_what_an_sdk_reads(outcomes: Any) -> None:
    failed = {(case["id"], dialect): wrong for case, dialect, wrong in outcomes if wrong}
    unexplained = {place: wrong for place, wrong in failed.items() if place not in EXPLAINED}
    assert not unexplained, "\n".join(f"{place}: {'; '.join(wrong)}" for place, wrong in unexplained.items())
    assert len(EXPLAINED) <= 0.02 * len(list(cases())) * len(DIALECTS)
    assert len(outcomes) >= 200


def test_every_explanation_is_needed(outcomes: Any) -> None:
    assert {(case["id"], dialect) for case, dialect, wrong in outcomes if wrong} == EXPLAINED.keys()
