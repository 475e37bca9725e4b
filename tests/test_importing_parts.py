"""Credentials of several parts out of the environment: SAP's service key says its address as well (C-25)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keys import vault
from keys.importing import import_keys
from keys.models import KeySet
from providers.models import Account
from routing.loading import load_catalog
from tests.issuers import service_key, split_values

TOKENS = "https://tenant.authentication.example"
API = "https://api.ai.example"


@pytest.fixture
def sap(db: Any) -> Any:
    load_catalog()
    return Account.objects.get(name="sap-ai-core")


def held(account: Any) -> tuple[str, list[dict[str, Any]]]:
    """Where the account's keys are bound to, and the documents they hold."""
    key_set = KeySet.objects.get(account=account)
    to = vault.bound(key_set)
    opened = [vault.open_key(vault.entry(row), to).reveal() for row in key_set.keys.all()]
    return to.origins, [json.loads(plain) for plain in opened]


@pytest.mark.parametrize("addresses", [{"serviceurls": {"AI_API_URL": API}}, {"serviceurls": 0, "service_url": API}])
def test_a_service_key_is_all_that_is_needed(sap: Any, addresses: dict[str, Any]) -> None:
    report = import_keys({"AICORE_SERVICE_KEY": service_key(TOKENS, **addresses)})
    assert not report.refused
    origins, (document,) = held(sap)
    assert origins == f"{API}:443" and document["url"] == TOKENS


def test_the_four_split_variables_do_as_well(sap: Any) -> None:
    split = json.loads(split_values(f"{TOKENS}/oauth/token"))
    names = {f"SAP_AI_CORE_{name.upper()}": value for name, value in split.items()}
    report = import_keys({**names, "SAP_AI_CORE_SERVICE_URL": API})
    assert not report.refused
    assert held(sap) == (f"{API}:443", [split])


def test_c25_the_service_key_goes_before_the_split_variables(sap: Any) -> None:
    """Also for the address, so that one source is used, not a mixture."""
    environ = {
        "AICORE_SERVICE_KEY": service_key(TOKENS),
        "SAP_AI_CORE_SERVICE_URL": "https://split.example",
        "SAP_AI_CORE_CLIENT_ID": "other",
        "SAP_AI_CORE_CLIENT_SECRET": "other",
        "SAP_AI_CORE_TOKEN_URL": "https://split.example/oauth/token",
    }
    import_keys(environ)
    origins, (first, second) = held(sap)
    assert origins == f"{API}:443"
    assert first["url"] == TOKENS and second["token_url"].startswith("https://split.example")


@pytest.mark.parametrize(
    "value", ["{broken", "[]", "text", '{"serviceurls": []}', '{"serviceurls": {"AI_API_URL": 7}}']
)
def test_a_service_key_without_an_address_fills_none(sap: Any, value: str) -> None:
    import_keys({"AICORE_SERVICE_KEY": value})
    sap.refresh_from_db()
    assert "service_url" not in sap.variables


def test_the_resource_group_comes_from_its_variable(sap: Any) -> None:
    import_keys({"AICORE_SERVICE_KEY": service_key(TOKENS), "AICORE_RESOURCE_GROUP": "team-a"})
    sap.refresh_from_db()
    assert sap.variables["resource_group"] == "team-a"
