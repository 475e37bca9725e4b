"""Every scenario of faults in its short form; `make chaos` runs the long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from tests.faults import lab
from tests.faults.rows import Scenario, number_of
from tests.faults.scenarios import SCENARIOS

SEED = 1
#: Scenarios bring databases and a Redis of their own: on other ones than these nothing would be different.
pytestmark = pytest.mark.skipif("postgresql" in settings.DATABASES["default"]["ENGINE"], reason="shown on SQLite")


@pytest.fixture(scope="module", autouse=True)
def closed_labs() -> Iterator[None]:
    yield
    lab.close()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_promise_is_kept(scenario: Scenario) -> None:
    row = scenario("short", SEED)
    assert row.number == number_of(scenario)
    assert row.kept, row
