"""Base URLs, their variables and the origin a key is bound to (A-26, C-21, R-SEC-04), and the choice of a family."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.entries import AccountEntry, ProviderEntry, Timeouts, Variable
from providers.families import FAMILIES, OPENAI_CHAT, OPENAI_EMBEDDINGS, OPENAI_IMAGES, choose
from providers.hosts import BadUrl, UnfilledVariable, base_url, call_url, fill, origin_of


def provider(**changes) -> ProviderEntry:
    fields = {
        "slug": "p", "name": "P", "family": "openai-completions", "families": {}, "base_url": "https://api.p.example/v1",
        "variables": (), "credential": "bearer", "credential_name": "", "env_keys": (), "aliases": (),
        "capabilities": (), "streaming": True, "keyless": False, "quirks": {}, "enabled": True, "deferred_to": "",
        "deferred_reason": "",
    }  # fmt: skip
    return ProviderEntry(**{**fields, **changes})


def account(**changes) -> AccountEntry:
    fields = {
        "id": 1, "name": "a", "provider": "p", "family": "", "base_url": "", "variables": {},
        "private_network": False, "timeouts": Timeouts(), "enabled": True,
    }  # fmt: skip
    return AccountEntry(**{**fields, **changes})


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com:443"),
        ("https://API.OpenAI.com./v1?x=1", "https://api.openai.com:443"),
        ("http://127.0.0.1:9100/v1", "http://127.0.0.1:9100"),
        ("http://localhost", "http://localhost:80"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
        ("https://bücher.example/", "https://xn--bcher-kva.example:443"),
        ("HTTPS://a.example:443", "https://a.example:443"),
    ],
)
def test_origin(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://a",
        "https://",
        "https://u:p@a",
        "https://a:x",
        "https://a:99999",
        "file:///etc",
        "https://[::1",
    ],
)
def test_no_origin(url):
    with pytest.raises(BadUrl):
        origin_of(url)


def test_variables_are_filled():
    template = "https://{resource}.openai.azure.com/openai/deployments/{deployment}/x?api-version={version}"
    values = {"resource": "my-res", "deployment": "gpt-4.1", "version": "2024-10-21"}
    assert fill(template, values) == (
        "https://my-res.openai.azure.com/openai/deployments/gpt-4.1/x?api-version=2024-10-21"
    )
    assert fill("{service_url}", {"service_url": "https://a.example/x/"}) == "https://a.example/x"
    assert fill("{host}/v1", {"host": "http://10.0.0.1:80"}) == "http://10.0.0.1:80/v1"


@pytest.mark.parametrize("values", [{}, {"resource": ""}, {"resource": "  "}])
def test_an_unfilled_variable_is_named(values):
    with pytest.raises(UnfilledVariable, match="resource") as caught:
        fill("https://{resource}.example", values)
    assert caught.value.name == "resource"


@pytest.mark.parametrize(
    "value", ["evil.com/", "a@evil", "a#", "a?b", "..", "a b", "a\nb", "a\\b", "a:1", "%2f", "ä", "-a", "x" * 3 + "/"]
)
def test_a_value_cannot_move_the_request(value):
    with pytest.raises(BadUrl):
        fill("https://{resource}.example/{path}", {"resource": value, "path": "ok"})


@given(st.text(max_size=20))
def test_no_value_changes_the_host(value):
    try:
        url = fill("https://{resource}.trusted.example/v1", {"resource": value})
    except BadUrl:
        return
    assert origin_of(url).endswith(".trusted.example:443")


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/responses", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/chat/completions/", "https://api.openai.com/v1/chat/completions"),
        ("https://a.example", "https://a.example/chat/completions"),
        ("https://a.example/openai/v1/", "https://a.example/openai/v1/chat/completions"),
        ("https://a.example/mychat/completions", "https://a.example/mychat/completions/chat/completions"),
        ("https://a.example/v1?api-version=1", "https://a.example/v1/chat/completions?api-version=1"),
        ("http://127.0.0.1:9100/v1", "http://127.0.0.1:9100/v1/chat/completions"),
    ],
)
def test_call_url(base, url):
    assert call_url(base, "openai-completions", "m") == url


def test_other_families_are_joined_too():
    assert call_url("https://api.anthropic.com", "anthropic-messages", "m") == "https://api.anthropic.com/v1/messages"
    assert call_url("https://k.example/v1/messages", "anthropic-messages", "m") == "https://k.example/v1/messages"
    assert call_url("https://k.example/v1", "anthropic-messages", "m") == "https://k.example/v1/messages"
    assert call_url("https://api.cohere.com/v2", "cohere-chat", "m") == "https://api.cohere.com/v2/chat"
    assert call_url("https://api.cohere.com", "cohere-chat", "m") == "https://api.cohere.com/v2/chat"
    assert (
        call_url("https://api.openai.com/v1/chat/completions", "openai-responses", "m")
        == "https://api.openai.com/v1/responses"
    )


def test_p15_models_in_urls_are_escaped_only_where_a_path_needs_it():
    google = "https://generativelanguage.googleapis.com/v1beta"
    assert call_url(google, "google-generative-ai", "gemini-3-pro") == f"{google}/models/gemini-3-pro:generateContent"
    assert (
        call_url(google, "google-generative-ai", "g", stream=True) == f"{google}/models/g:streamGenerateContent?alt=sse"
    )
    aws = "https://bedrock-runtime.us-east-1.amazonaws.com"
    assert (
        call_url(aws, "bedrock-converse", "us.anthropic.claude-haiku-4-5-20251001-v1:0", stream=True)
        == f"{aws}/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse-stream"
    )
    vertex = "https://x-aiplatform.googleapis.com/v1/models/{model}"
    assert call_url(vertex, "google-vertex-anthropic", "claude-sonnet-4-5@20250929").endswith(
        "/models/claude-sonnet-4-5@20250929:rawPredict"
    )
    assert call_url(aws, "bedrock-converse", "../x?y#z").startswith(f"{aws}/model/..%2Fx%3Fy%23z/")


def test_c22_the_deployment_is_the_model_where_the_account_names_none():
    one = provider(
        base_url="https://{resource}.openai.azure.com/openai/deployments/{deployment}/chat/completions?api-version=1"
    )
    mine = account(variables={"resource": "r"})
    base = base_url(one, mine, {}, "azure-openai")
    host = "https://r.openai.azure.com/openai/deployments"
    assert call_url(base, "azure-openai", "gpt-5-mini") == f"{host}/gpt-5-mini/chat/completions?api-version=1"
    base = base_url(one, mine, {"deployment": "d"}, "azure-openai")
    assert call_url(base, "azure-openai", "gpt-5-mini") == f"{host}/d/chat/completions?api-version=1"


def test_the_accounts_url_comes_first_then_the_familys_then_the_providers():
    one = provider(families={"anthropic-messages": "https://msgs.p.example"})
    assert base_url(one, account(), {}, "openai-completions") == "https://api.p.example/v1"
    assert base_url(one, account(), {}, "anthropic-messages") == "https://msgs.p.example"
    assert (
        base_url(one, account(base_url="https://mine.example/x"), {}, "anthropic-messages") == "https://mine.example/x"
    )
    with pytest.raises(UnfilledVariable):
        base_url(provider(base_url=""), account(), {}, "openai-completions")


def test_variables_come_from_provider_account_and_key_set():
    one = provider(
        base_url="https://{region}.p.example/{project}/{version}",
        variables=(Variable("region", default="us"), Variable("project"), Variable("version", default="v1")),
    )
    mine = account(variables={"project": "mine", "version": ""})
    assert base_url(one, mine, {}, "x") == "https://us.p.example/mine/v1"
    assert base_url(one, mine, {"region": "eu"}, "x") == "https://eu.p.example/mine/v1"
    with pytest.raises(UnfilledVariable, match="project"):
        base_url(one, account(), {}, "x")


def test_the_url_that_is_called_has_the_host_that_keys_are_bound_to():
    mine = account(base_url="https://BÜCHER.example:443/v1")
    assert base_url(provider(), mine, {}, "x") == "https://xn--bcher-kva.example/v1"


def test_the_family_of_a_request():
    offered = {"openai-completions": "https://x"}
    assert choose(OPENAI_CHAT, "openai-responses", offered) == "openai-completions"
    assert choose(OPENAI_CHAT, "openai-completions", {}) == "openai-completions"
    assert choose(OPENAI_CHAT, "anthropic-messages", {}) == "anthropic-messages"
    assert choose(OPENAI_CHAT, "openai-responses", offered, asked="openai-responses") == "openai-responses"
    # What speaks another dialect is translated for; what none is known for, is not asked while something else is.
    assert (
        choose(OPENAI_CHAT, "worker-fleet", {"byteplus-image": "x", "anthropic-messages": "y"}) == "anthropic-messages"
    )
    assert choose(OPENAI_CHAT, "worker-fleet", {}) == "worker-fleet"
    assert choose(OPENAI_EMBEDDINGS, "google-vertex", {"openai-completions": "x"}) == "google-vertex"
    assert (
        choose(OPENAI_EMBEDDINGS, "anthropic-messages", {"bedrock-converse": "x", "azure-openai": "y"})
        == "azure-openai"
    )
    assert choose(OPENAI_EMBEDDINGS, "anthropic-messages", {"cohere-chat": "x"}) == "cohere-chat"
    assert choose(OPENAI_EMBEDDINGS, "anthropic-messages", {}) == "anthropic-messages"
    assert choose(OPENAI_IMAGES, "openai-completions", {"byteplus-image": "x"}) == "openai-completions"
    assert choose(OPENAI_IMAGES, "google-vertex", {"byteplus-image": "x"}) == "byteplus-image"
    assert choose(OPENAI_IMAGES, "worker-fleet", {}) == "worker-fleet"
    assert not FAMILIES["google-vertex-image"].is_served


AZURE = "https://{resource}.{domain}/openai/deployments/{deployment}/chat/completions?api-version={api_version}"


@pytest.mark.parametrize(
    ("written", "variables", "url"),
    [
        ("", {"resource": "r"}, "r.openai.azure.com/openai/deployments/m/chat/completions?api-version=v0"),
        (
            "",
            {"resource": "r", "domain": "cognitiveservices.azure.com", "deployment": "d", "api_version": "v1"},
            "r.cognitiveservices.azure.com/openai/deployments/d/chat/completions?api-version=v1",
        ),
        ("r.openai.azure.com", {}, "r.openai.azure.com/openai/deployments/m/chat/completions?api-version=v0"),
        ("r.openai.azure.com/openai/", {}, "r.openai.azure.com/openai/deployments/m/chat/completions?api-version=v0"),
        (
            "r.cognitiveservices.azure.com/openai/deployments/d/chat/completions?api-version=v2",
            {},
            "r.cognitiveservices.azure.com/openai/deployments/d/chat/completions?api-version=v2",
        ),
        (
            "r.openai.azure.com/openai/deployments/d?api-version=v2",
            {"deployment": "mine", "api_version": "v3"},
            "r.openai.azure.com/openai/deployments/mine/chat/completions?api-version=v3",
        ),
        ("r.openai.azure.com/openai/v1", {}, "r.openai.azure.com/openai/v1/chat/completions"),
        ("proxy.example/azure/x", {}, "proxy.example/azure/x/chat/completions"),
    ],
)
def test_r11_c22_what_an_account_says_of_its_place_at_azure(written, variables, url):
    defaults = (
        Variable("resource"),
        Variable("domain", default="openai.azure.com"),
        Variable("api_version", default="v0"),
    )
    one = provider(family="azure-openai", base_url=AZURE, variables=defaults)
    mine = account(base_url=f"https://{written}" if written else "", variables=variables)
    assert call_url(base_url(one, mine, {}, "azure-openai"), "azure-openai", "m") == f"https://{url}"


def test_c22_azure_without_a_resource_is_a_configuration_error():
    one = provider(family="azure-openai", base_url=AZURE, variables=(Variable("domain", default="x.example"),))
    with pytest.raises(UnfilledVariable, match="resource"):
        base_url(one, account(), {}, "azure-openai")


def test_c25_sap_takes_the_deployment_for_a_model_and_the_base_urls_version():
    def url(base):
        return call_url(base, "sap-ai-core", "d1", stream=True)

    tail = "v2/inference/deployments/d1/chat/completions?api-version"
    assert url("https://a.example") == f"https://a.example/{tail}=2024-12-01-preview"
    assert url("https://a.example/v2") == f"https://a.example/{tail}=2024-12-01-preview"
    assert url("https://a.example?api-version=2023-05-15") == f"https://a.example/{tail}=2023-05-15"
