"""The page of usage: totals of what is shown, and nothing called unknown that is known to be nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
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


def test_a_refusal_is_not_called_a_failure() -> None:
    """A wrong request and a model that is not set up are refused; what broke upstream or here has failed."""
    words = {"caller": "refused", "policy": "refused (policy)", "upstream": "failed", "gateway": "failed"}
    for number, fault in enumerate(words):
        used(number, outcome="error", fault=fault, model=fault)
    browser, url = client("auditor"), reverse("admin:api_usagerecord_changelist")
    page = admin.site._registry[UsageRecord]
    rows = browser.get(url).context["cl"].result_list
    assert {row.model: page.result(row) for row in rows} == words
    found = {
        name: {row.fault for row in browser.get(url, {"fault__exact": name}).context["cl"].result_list}
        for name in ("failed", "refused")
    }
    assert found == {"failed": {"upstream", "gateway"}, "refused": {"caller", "policy"}}


def test_the_page_of_a_request_tells_its_attempts() -> None:
    tries = [
        {"account": "one", "model": "m", "key": "f00d", "status": 429, "verdict": "next_key", "us": 1500},
        {"account": "<b>two</b>", "model": "m"},
    ]
    used(1, attempts=2, attempt_log=tries, total_us=2500, input_tokens=3)
    row = UsageRecord.objects.get()
    text = client("auditor").get(reverse("admin:api_usagerecord_change", args=[row.pk])).content.decode()
    assert "one / m, key f00d: 429 next_key, 1.5 ms" in text and "2.5 ms" in text
    assert "&lt;b&gt;two&lt;/b&gt; / m: no answer, -" in text
