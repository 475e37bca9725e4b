"""The page of usage: totals of what is shown, and nothing called unknown that is known to be nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from api.models import UsageRecord
from tests.people import client

pytestmark = pytest.mark.django_db


def used(number: int, **values: Any) -> None:
    fixed = {"request_id": f"r{number}", "started_at": timezone.now(), "endpoint": "chat", "dialect": "openai_chat"}
    UsageRecord.objects.create(**{**fixed, "outcome": "ok", **values})


def test_the_list_of_usage_sums_what_its_filters_let_through() -> None:
    used(1, input_tokens=10, output_tokens=5, cost_micro=1500, attempts=1)
    used(2, input_tokens=7, output_tokens=1, attempts=1)
    used(3, outcome="error", fault="caller", error_code="model_not_found")
    browser, url = client("auditor"), reverse("admin:api_usagerecord_changelist")
    page = browser.get(url)
    totals = page.context["cl"].totals
    assert (totals["requests"], totals["input"], totals["output"]) == (3, 17, 6)
    assert (totals["cost"], totals["unpriced"]) == (1500, 1)
    text = page.content.decode()
    assert "model_not_found" in text and "unknown / unknown" not in text
    for fault, count in (("none", 2), ("caller", 1), ("gateway", 0)):
        assert browser.get(url, {"fault__exact": fault}).context["cl"].totals["requests"] == count
