"""The catalog's image models, as a new installation has them once accounts have keys: what is asked, and where."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from django.core.management import call_command

from keys.models import KeySet
from keys.tokens import issue
from providers.models import Account
from routing import revisions
from routing.fleet import fleet

pytestmark = pytest.mark.django_db(transaction=True)

AZURE = "https://res.openai.azure.com/openai/deployments/{}/images/generations?api-version=2025-04-01-preview"
ARK = "https://ark.ap-southeast.bytepluses.com/api/v3/images/generations"


@pytest.fixture
def catalog(plane: Any) -> Any:
    """The shipped catalog, with keys for all accounts of image models."""
    plane.account.delete()
    call_command("load_catalog", verbosity=0)
    with revisions.recording("tester"):
        for name in ("flux-kontext", "gptimage"):
            row = KeySet.objects.get(name=name)
            row.variables = {**row.variables, "resource": "res"}
            row.save()
            plane.world.keys(row.account, f"key-of-{name}", name=name)
        for name in ("ByteDance", "Google", "openai"):
            plane.world.keys(Account.objects.get(name=name), f"key-of-{name.lower()}")
    plane.settle()
    return plane


#: model -> (URL, header of the key, body beside prompt and size, usage that is told, cost)
ASKED: dict[str, tuple[str, tuple[str, str], dict[str, Any], dict[str, int] | None, int]] = {
    "kontext": (
        AZURE.format("kontext"),
        ("api-key", "key-of-flux-kontext"),
        {"model": "flux.1-kontext-pro"},
        None,
        40_000,
    ),
    "gptimage": (
        AZURE.format("gptimage"),
        ("api-key", "key-of-gptimage"),
        {"model": "gpt-image-1-mini"},
        {"input_tokens": 50, "output_tokens": 1000, "total_tokens": 1050},
        8_100,
    ),
    "seedream": (
        ARK,
        ("authorization", "Bearer key-of-bytedance"),
        {"model": "seedream-4-0-250828", "watermark": False},
        {"generated_images": 1, "output_tokens": 4096},
        30_000,
    ),
    "seedream-pro": (
        ARK,
        ("authorization", "Bearer key-of-bytedance"),
        {"model": "seedream-4-5-251128", "watermark": False},
        None,
        40_000,
    ),
}


def test_p11_an_account_is_asked_for_the_vendors_own_model(catalog: Any, openai_client: Any, embedders: Any) -> None:
    """P-R06, P-R09, P-R28, P-R29; F-02: `dall-e-` leads to OpenAI, for pictures as well."""
    for count, (name, (url, key, body, usage, cost)) in enumerate(ASKED.items(), 1):
        embedders.say({"created": 1, "data": [{"b64_json": "QUJD"}], **({"usage": usage} if usage else {})})
        raw = openai_client.images.with_raw_response.generate(model=name, prompt="a barn", size="2048x2048")
        assert raw.parse().data[0].b64_json == "QUJD" and json.loads(raw.content)["model"] == name
        request, said = embedders.taken()
        assert str(request.url) == url and request.headers[key[0]] == key[1]
        assert said == {"prompt": "a barn", "size": "2048x2048", **body}
        assert catalog.rows(count)[-1].cost_micro == cost, name
    embedders.say({"created": 1, "data": [{"url": "https://x.example/1.png"}]})
    found = openai_client.images.generate(model="dall-e-3", prompt="a barn")
    assert found.data[0].url == "https://x.example/1.png"
    request, said = embedders.taken()
    assert str(request.url) == "https://api.openai.com/v1/images/generations"
    assert (request.headers["authorization"], said["model"]) == ("Bearer key-of-openai", "dall-e-3")


def test_p08_p09_p10_fleets_of_the_catalog_paint(catalog: Any, openai_client: Any, embedders: Any) -> None:
    """P-R25, P-R32, P-R33: once a worker of the account has registered, whatever else the account serves."""
    fleet.clear()
    for name, account in (("turbo", "Scaleway"), ("flux", "io.net"), ("zimage", "io.net")):
        token = issue(None, account=Account.objects.get(name=account), kind="f")[1]
        catalog.settle()
        with pytest.raises(openai.APIStatusError) as refusal:
            openai_client.images.generate(model=name, prompt="a barn")
        assert refusal.value.code == "no_worker", name
        me = {"url": f"https://{name}.example", "type": name}
        headers = {"authorization": f"Bearer {token}"}
        assert catalog.client.post("/fleet/register", json=me, headers=headers).status_code == 200
        embedders.say([{"image": "QUJD"}])
        assert openai_client.images.generate(model=name, prompt="a barn").data[0].b64_json == "QUJD"
        request, body = embedders.taken()
        assert str(request.url) == f"https://{name}.example/generate" and "authorization" not in request.headers
        assert body == {"prompts": ["a barn"], "width": 1024, "height": 1024, "steps": 4}
    fleet.clear()


def test_p11_what_cannot_be_spoken_yet_says_so(catalog: Any, openai_client: Any, embedders: Any) -> None:
    """P-R20, P-R22, P-R30: pictures of Vertex, and films."""
    refused = {"nanobanana": "family_not_served", "veo": "unsupported_parameter", "seedance": "unsupported_parameter"}
    for name, code in refused.items():
        with pytest.raises(openai.APIStatusError) as refusal:
            openai_client.images.generate(model=name, prompt="a barn")
        assert refusal.value.code == code, name
    assert embedders.sent == []
