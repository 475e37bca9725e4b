"""Quirks: every one of the catalog does something, has its form, and is refused in another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from catalog_lists import CATALOG, frozen
from providers.credentials import header_key
from providers.credentials.request import Unsigned
from providers.families import FAMILIES, of_model
from providers.models import Provider
from providers.quirk_forms import FORMS, faults
from providers.quirks import as_signed, of_family
from routing.build import BadSnapshot, build
from routing.models import Route
from routing.revisions import RefusedChange


def of_the_catalog() -> Iterator[tuple[str, dict[str, Any]]]:
    for provider in CATALOG.providers:
        yield provider.id, provider.quirks
    for model in CATALOG.public_models:
        for route in model.routes:
            yield model.name, route.quirks


def test_every_quirk_of_the_catalog_is_known_and_in_form() -> None:
    for name, quirks in of_the_catalog():
        assert quirks.keys() <= FORMS.keys(), name
        assert faults(quirks) == [], name
        for own in quirks.get("by_family", {}).values():
            assert own.keys() <= FORMS.keys(), name


@pytest.mark.parametrize(
    ("quirks", "said"),
    [
        ({"drop": "seed"}, "'drop' must be a list of texts"),
        ({"rename": {"a": 1}}, "'rename' must be an object of old names and new names"),
        ({"default": []}, "'default' must be an object"),
        ({"cap": {"max_tokens": "9"}}, "'cap' must be an object of names and numbers"),
        ({"cap": {"max_tokens": True}}, "'cap'"),
        ({"search": "yes"}, "'search' must be true or false"),
        ({"stream_usage": 0}, "'stream_usage' must be true or false"),
        ({"system": ""}, "'system' must be a text that is not empty"),
        ({"location": "evil.example/"}, "'location' must be a location"),
        ({"location": ["us"]}, "'location'"),
        ({"family_by_prefix": {"gpt-": "no-family"}}, "'family_by_prefix'"),
        ({"by_family": {"no-family": {}}}, "'by_family'"),
        ({"by_family": {"openai-completions": {"drop": "seed"}}}, "'by_family'"),
        ({"signed_as": {"credential": "sigv4"}}, "'signed_as' must be alternative, or an object"),
        ({"signed_as": "other"}, "'signed_as'"),
        ({"reasoning_field": "thoughts"}, "'reasoning_field' must be one of reasoning_effort"),
        ({"efforts": [1]}, "'efforts'"),
        ({"keep_alive": True}, "'keep_alive'"),
    ],
)
def test_another_form_is_refused_in_a_sentence(quirks: dict[str, Any], said: str) -> None:
    (fault,) = faults(quirks)
    assert said in fault


def test_what_is_in_form_passes() -> None:
    good = {
        "drop": ["seed"],
        "cap": {"max_tokens": 9, "temperature": 0.5},
        "signed_as": {"credential": "query", "credential_name": "key"},
        "keep_alive": -1,
        "thoughts": "none",
        "location": "global",
        "unheard_of": object(),
    }
    assert faults(good) == []


@pytest.mark.django_db
def test_a_save_of_another_form_is_refused(world: Any) -> None:
    world.model("m", (world.account(), "up"))
    with pytest.raises(RefusedChange, match=r"route \d+ of model 'm': the quirk 'drop' must be a list of texts"):
        Route.objects.update(quirks={"drop": "seed"})
    Route.objects.update(quirks={"drop": ["seed"]})
    with pytest.raises(RefusedChange, match="provider 'up': the quirk 'search' must be true or false"):
        Provider.objects.update(quirks={"search": 1})


@pytest.mark.django_db
def test_what_came_in_past_the_saves_is_not_served(world: Any, unchecked: None) -> None:
    world.model("m", (world.account(), "up"))
    Route.objects.update(quirks={"drop": "seed"})
    with pytest.raises(BadSnapshot, match="the quirk 'drop' must be"):
        build()


def test_c32_the_longest_beginning_says_the_family() -> None:
    listed = {"gpt-5": "openai-responses", "gpt-5-chat": "openai-completions", "claude-": "anthropic-messages"}
    assert of_model(listed, "gpt-5.1-codex") == "openai-responses"
    assert of_model(listed, "gpt-5-chat-latest") == "openai-completions"
    assert of_model(listed, "Claude-x") == of_model(None, "gpt-5") == of_model({}, "gpt-5") == ""


def test_a_family_has_its_own_quirks_beneath_the_routes() -> None:
    quirks = {"a": 1, "b": 1, "c": 1, "by_family": {"azure-openai": {"b": 2, "c": 2}}}
    assert of_family(quirks, {}, "openai-completions") is quirks
    found = of_family(quirks, {"c": 3}, "azure-openai")
    assert (found["a"], found["b"], found["c"]) == (1, 2, 3)


def test_a20_theta_takes_its_key_in_either_header() -> None:
    theta = frozen(CATALOG.provider("theta"))
    assert as_signed(theta, theta.quirks) is theta
    other = as_signed(theta, {**theta.quirks, "signed_as": "alternative"})
    assert (other.credential, other.credential_name) == ("header", "x-theta-api-key")


@pytest.mark.parametrize("beta", ["", "a-beta", "a-beta,oauth-2025-04-20"])
def test_a_setup_token_goes_as_bearer(beta: str) -> None:
    """M-19: Anthropic's access tokens stand in Authorization, and it wants to be told so."""
    anthropic = frozen(CATALOG.provider("anthropic"))
    given = [("x", "y"), *([("anthropic-beta", beta)] if beta else [])]
    signed = header_key.sign(Unsigned(anthropic, "POST", "https://u", given), "sk-ant-oat01-abc")
    found = dict(signed.headers)
    assert found["Authorization"] == "Bearer sk-ant-oat01-abc" and "x-api-key" not in found
    assert sorted(found["anthropic-beta"].split(",")) == sorted({*filter(None, beta.split(",")), "oauth-2025-04-20"})
    assert len(signed.headers) == len(found)
    plain = header_key.sign(Unsigned(anthropic, "POST", "https://u", given), "sk-ant-api03-abc")
    assert plain.headers == [*given, ("x-api-key", "sk-ant-api03-abc")]


def test_families_of_quirks_are_served() -> None:
    for name, quirks in of_the_catalog():
        for family in quirks.get("family_by_prefix", {}).values():
            assert FAMILIES[family].is_served, name
            assert family in CATALOG.provider(name).families, name
