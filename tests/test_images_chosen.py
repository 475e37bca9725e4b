"""Who is asked for pictures, who is not, and what is said of it: names, `auto`, explain, doctor, the admin."""

from __future__ import annotations

import io
import json
from typing import Any

import openai
import pytest
from django.core.management import call_command
from django.urls import reverse

from routing.explain import explain
from routing.models import PublicModel
from routing.standing import Standing, with_standing
from routing.store import store
from tests.image_workers import encoded, pixel
from tests.people import client

pytestmark = pytest.mark.django_db(transaction=True)

HELLO = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": ["a"]}, "prompt"),
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": "a", "n": 11}, "n"),
        ({"prompt": "a", "n": 1.5}, "n"),
        ({"prompt": "a", "n": True}, "n"),
        ({"prompt": "a", "size": "large"}, "size"),
        ({"prompt": "a", "size": "0x10"}, "size"),
        ({"prompt": "a", "size": "10x10 "}, "size"),
        ({"prompt": "a", "size": 1024}, "size"),
        ({"prompt": "a", "response_format": "png"}, "response_format"),
        ({"prompt": "a", "seed": "x"}, "seed"),
        ({"prompt": "a", "steps": 0}, "steps"),
        ({"prompt": "a", "negative_prompt": 1}, "negative_prompt"),
        ({"prompt": "a", "stream": "yes"}, "stream"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(body: Any, param: str, plane: Any, paints: Any, painter: Any) -> None:
    answer = plane.client.post("/v1/images/generations", json={"model": paints("flux", painter), **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_parameter", param)
    assert painter.jobs == []


def test_what_a_worker_cannot_be_told_is_named_or_refused(
    plane: Any, openai_client: Any, paints: Any, painter: Any
) -> None:
    """A worker gives bytes: who wants a URL gets them all the same, and is told."""
    model = paints("flux", painter)
    asked = {"model": model, "prompt": "a barn", "response_format": "url", "quality": "hd", "style": "vivid"}
    raw = openai_client.images.with_raw_response.generate(**asked)
    assert raw.parse().data[0].b64_json == encoded(pixel(0)) and raw.parse().data[0].url is None
    assert raw.headers["x-jackfield-dropped"] == "response_format,quality,style"
    plane.world.project(strict=True)
    plane.settle()
    with pytest.raises(openai.BadRequestError, match="response_format, quality, style") as refusal:
        openai_client.images.generate(**asked)
    assert refusal.value.code == "unsupported_parameter"
    openai_client.images.generate(model=model, prompt="a barn", size="512x512", n=2)
    assert len(painter.jobs) == 2


def test_models_that_chat_make_no_pictures_and_the_other_way_round(
    openai_client: Any, paints: Any, painter: Any, plane: Any
) -> None:
    model, chats = paints("flux", painter), plane.scenario("ok")
    with pytest.raises(openai.BadRequestError, match=f"'{chats}' makes no pictures") as refusal:
        openai_client.images.generate(model=chats, prompt="a barn")
    assert (refusal.value.code, refusal.value.param) == ("unsupported_parameter", "model")
    with pytest.raises(openai.BadRequestError, match="'worker-fleet', which does not chat") as refusal:
        openai_client.chat.completions.create(model=model, messages=HELLO)
    assert refusal.value.code == "unsupported_parameter"
    vectors = paints("vectors", painter, service="embedding")
    with pytest.raises(openai.BadRequestError, match="does not embed"):
        openai_client.embeddings.create(model=vectors, input="a")
    assert painter.jobs == [] and plane.upstream.requests == []


def test_auto_takes_models_of_what_is_asked_for(openai_client: Any, paints: Any, painter: Any, plane: Any) -> None:
    """An image model is never picked for chat, whatever its family speaks, and no other one for pictures."""
    chats = plane.scenario("ok")
    also_chats = plane.world.model("gemini-image", (plane.account, "ok"), service="image").name
    model = paints("flux", painter)
    plane.world.project(preferred=[also_chats, model, chats])
    plane.settle()
    assert openai_client.chat.completions.create(model="auto", messages=HELLO).model == chats
    plane.world.project(preferred=[chats, model])
    plane.settle()
    raw = openai_client.images.with_raw_response.generate(model="auto", prompt="a barn")
    assert json.loads(raw.content)["model"] == model and len(painter.jobs) == 1
    plane.world.project(preferred=[also_chats, model])
    plane.settle()
    with pytest.raises(openai.BadRequestError, match="'gemini-image' makes pictures"):
        openai_client.chat.completions.create(model="auto", messages=HELLO)
    plane.world.project(default_model=chats)
    plane.settle()
    with pytest.raises(openai.BadRequestError, match="makes no pictures"):
        openai_client.images.generate(prompt="a barn")
    assert openai_client.chat.completions.create(model=also_chats, messages=HELLO).model == also_chats, "by its name"


def test_a_callers_own_order_of_models(openai_client: Any, paints: Any, painters: Any, plane: Any) -> None:
    failing, well = painters(), painters()
    failing.answer({"detail": "no"}, 500)
    first, second = paints("flux", failing), paints("turbo", well)
    more = {"models": [first, plane.scenario("ok"), second]}
    raw = openai_client.images.with_raw_response.generate(prompt="a barn", extra_body=more)
    assert json.loads(raw.content)["model"] == second and raw.headers["x-jackfield-attempts"] == "2"
    assert set(well.jobs[0]) == {"prompts", "width", "height", "steps"}


@pytest.mark.parametrize("family", ["google-vertex-image", "pollinations-simple"])
def test_a_family_that_nothing_speaks_yet_says_so(family: str, openai_client: Any, embeds_at: Any) -> None:
    model = embeds_at("nano", family, "https://v.example/v1", "nanobanana", service="image")
    with pytest.raises(openai.APIStatusError, match=f"'{family}', which cannot be spoken yet") as refusal:
        openai_client.images.generate(model=model, prompt="a barn")
    assert refusal.value.code == "family_not_served"


def test_a_family_that_chats_alone_says_so(openai_client: Any, embeds_at: Any) -> None:
    model = embeds_at("claude", "anthropic-messages", "https://a.example", "claude", service="image")
    with pytest.raises(openai.BadRequestError, match="not asked for pictures") as refusal:
        openai_client.images.generate(model=model, prompt="a barn")
    assert refusal.value.code == "unsupported_parameter"


def test_explain_knows_the_endpoint(plane: Any, paints: Any, painter: Any) -> None:
    from providers.models import CatalogModel

    model, chats = paints("flux", painter), plane.scenario("ok")
    CatalogModel.objects.create(provider=plane.world.provider("fleet"), model="flux", kind="image", price_image=120)
    plane.settle()
    found = explain(store.current, model)
    (place,) = found["candidates"]
    assert (place["family"], place["problems"], place["price_image"]) == ("worker-fleet", [], 120)
    assert place["base_url"] == painter.url
    out = io.StringIO()
    call_command("explain", model, "--endpoint", "/v1/images/generations", stdout=out)
    assert "price per picture: $0.00012" in out.getvalue()
    told = explain(store.current, chats, endpoint="images/generations")
    assert told["error"]["message"] == f"The model '{chats}' makes no pictures."
    (place,) = explain(store.current, model, endpoint="chat/completions")["candidates"]
    assert place["problems"] == ["requests of the family worker-fleet cannot be sent yet"]


def test_who_patches_an_image_model_is_told_what_pictures_lack(paints: Any, painter: Any, world: Any) -> None:
    paints("flux", painter)
    paints("talks", painter, service="text")
    works = dict(with_standing(PublicModel.objects.all()).values_list("name", "works"))
    assert works == {"flux": True, "talks": False}
    routes = {row.name: row.routes.get() for row in PublicModel.objects.all()}
    assert Standing().problems(routes["flux"]) == []
    assert Standing().problems(routes["talks"]) == ["requests of the family worker-fleet cannot be sent yet"]


def test_an_operator_sees_what_a_picture_costs(world: Any) -> None:
    from providers.models import CatalogModel

    CatalogModel.objects.create(provider=world.provider("fleet"), model="flux", kind="image", price_image=40_000)
    page = client("operator").get(reverse("admin:providers_catalogmodel_changelist")).content.decode()
    assert "0.04 a picture" in page


def test_the_listing_has_them(plane: Any, openai_client: Any, paints: Any, painter: Any) -> None:
    model = paints("flux", painter)
    assert model in [each.id for each in openai_client.models.list()]
