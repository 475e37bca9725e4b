"""Pictures at upstreams of OpenAI's dialect: the client's own bytes go there, and what was used comes back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from providers.dialects.openai_chat.images import splice
from providers.dialects.usage import Usage

pytestmark = pytest.mark.django_db(transaction=True)

DATA = [{"b64_json": "QUJD"}, {"b64_json": "REVG", "revised_prompt": "a red barn"}]
USAGE = {
    "total_tokens": 2120,
    "input_tokens": 40,
    "output_tokens": 2080,
    "input_tokens_details": {"text_tokens": 40, "image_tokens": 0},
}
#: How each family that speaks it is asked: (base URL, path and query).
PLACES = {
    "openai-completions": ("https://o.example/v1", b"/v1/images/generations"),
    "openai-responses": ("https://o.example/v1/responses", b"/v1/images/generations"),
    "azure-openai": (
        "https://z.example/openai/deployments/up/chat/completions?api-version=1",
        b"/openai/deployments/up/images/generations?api-version=1",
    ),
    "azure-image": (
        "https://z.example/openai/deployments/{deployment}/images/generations?api-version=1",
        b"/openai/deployments/up/images/generations?api-version=1",
    ),
    "byteplus-image": ("https://b.example/api/v3/images/generations", b"/api/v3/images/generations"),
}


@pytest.mark.parametrize("family", PLACES)
def test_openais_client_at_every_family(
    family: str, plane: Any, openai_client: Any, embeds_at: Any, embedders: Any
) -> None:
    base, path = PLACES[family]
    model = embeds_at(family, family, base, "up", service="image")
    embedders.say({"created": 1, "data": DATA, "usage": USAGE})
    raw = openai_client.images.with_raw_response.generate(
        model=model, prompt="a barn", n=2, quality="high", size="1024x1024", extra_body={"watermark": False}
    )
    found = raw.parse()
    assert [each.b64_json for each in found.data] == ["QUJD", "REVG"] and found.usage.output_tokens == 2080
    assert json.loads(raw.content)["model"] == model and raw.headers["x-jackfield-dropped"] == ""
    request, body = embedders.taken()
    assert (request.method, request.url.raw_path) == ("POST", path)
    assert request.headers["authorization"] == "Bearer key-1"
    assert body == {
        "model": "up",
        "prompt": "a barn",
        "n": 2,
        "quality": "high",
        "size": "1024x1024",
        "watermark": False,
    }
    (row,) = plane.rows()
    assert (row.endpoint, row.status, row.images) == ("images/generations", 200, 2)
    assert (row.input_tokens, row.output_tokens, row.cost_micro) == (40, 2080, None)


def test_bytes_pass_both_ways(plane: Any, embeds_at: Any, embedders: Any) -> None:
    model = embeds_at("own", "openai-completions", "https://o.example/v1", "up", service="image")
    answer = b'{ "data":[{"url":"https://x.example/1.png"}],"model" : "up","new":1.50 }'
    embedders.answers.append(httpx.Response(200, content=answer, headers={"content-type": "application/json"}))
    asked = b'{ "prompt": "a barn",  "model":"%s", "new" : {"a":1e2} }' % model.encode()
    found = plane.client.post("/v1/images/generations", content=asked, headers={"content-type": "application/json"})
    assert embedders.sent[0].content == asked.replace(model.encode(), b"up")
    assert found.content == answer.replace(b'"up"', f'"{model}"'.encode())
    (row,) = plane.rows()
    assert (row.images, row.input_tokens, row.cost_micro) == (1, None, None)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"data": DATA}, Usage(images=2)),
        ({"data": []}, Usage(images=0)),
        ({"data": [{"url": "u", "b64_json": None}, {"error": {"code": "filtered"}}]}, Usage(images=1)),
        ({"data": "none"}, None),
        ({}, None),
        ({"usage": USAGE}, Usage(input=40, output=2080)),
        ({"data": DATA, "usage": {"generated_images": 2, "output_tokens": 8}}, Usage(output=8, images=2)),
        ({"data": DATA, "usage": "much"}, Usage(images=2)),
    ],
)
def test_what_was_used(body: Any, usage: Any) -> None:
    assert splice(json.dumps(body).encode(), "m")[1] == usage


@pytest.mark.parametrize(
    ("prices", "said", "cost"),
    [
        ({"price_image": 40_000}, {"data": DATA}, 80_000),
        ({"price_image": 40_000, "price_input": 9}, {"data": DATA, "usage": USAGE}, 80_000),
        ({"price_input": 5_000_000, "price_output": 40_000_000}, {"data": DATA, "usage": USAGE}, 200 + 83_200),
        ({"price_input": 5_000_000}, {"data": DATA, "usage": USAGE}, None),
        ({"price_input": 5_000_000, "price_output": 40_000_000}, {"data": DATA}, None),
        ({"price_image": 40_000}, {"created": 1}, None),
        ({}, {"data": DATA, "usage": USAGE}, None),
    ],
)
def test_c41_what_pictures_cost(
    prices: Any, said: Any, cost: int | None, plane: Any, openai_client: Any, embeds_at: Any, embedders: Any
) -> None:
    """By the picture where that has a price, else by tokens; what is unknown is not 0."""
    from providers.models import CatalogModel

    model = embeds_at("own", "openai-completions", "https://o.example/v1", "up", service="image")
    CatalogModel.objects.create(provider=plane.world.provider("at-own"), model="up", kind="image", **prices)
    plane.settle()
    embedders.say(said)
    openai_client.images.generate(model=model, prompt="a barn")
    assert plane.rows()[0].cost_micro == cost


def test_an_upstreams_own_refusal_is_passed_on(openai_client: Any, embeds_at: Any, embedders: Any) -> None:
    model = embeds_at("own", "openai-completions", "https://o.example/v1", "up", service="image")
    error = {"message": "Unknown parameter: 'steps'.", "code": "unknown_parameter", "param": "steps"}
    embedders.say({"error": error | {"type": "invalid_request_error"}}, 400)
    with pytest.raises(openai.BadRequestError, match="Unknown parameter") as refusal:
        openai_client.images.generate(model=model, prompt="a barn", extra_body={"steps": 2})
    assert (refusal.value.code, refusal.value.param) == ("unknown_parameter", "steps")


def test_pictures_in_a_stream_are_refused(plane: Any, embeds_at: Any, embedders: Any) -> None:
    model = embeds_at("own", "openai-completions", "https://o.example/v1", "up", service="image")
    found = plane.client.post("/v1/images/generations", json={"model": model, "prompt": "a barn", "stream": True})
    assert (found.status_code, found.json()["error"]["code"]) == (400, "unsupported_parameter")
    assert embedders.sent == []


def test_quirks_of_a_route_shape_it(plane: Any, openai_client: Any, embedders: Any) -> None:
    provider = plane.world.provider("at-own")
    account = plane.world.account("at-own", "https://o.example/v1", keys=("key-1",), provider=provider)
    quirks = {"drop": ["quality"], "force": {"response_format": "b64_json"}}
    plane.world.model("own", (account, "up", {"quirks": quirks}), service="image")
    plane.settle()
    embedders.say({"data": DATA})
    raw = openai_client.images.with_raw_response.generate(model="own", prompt="a barn", quality="high")
    assert raw.headers["x-jackfield-dropped"] == "quality"
    assert embedders.bodies == [{"model": "up", "prompt": "a barn", "response_format": "b64_json"}]
