"""Pictures through the gateway: OpenAI's SDK asks, real image workers and upstreams of OpenAI's dialect answer."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import openai
import pytest

from providers import transport
from tests.image_workers import encoded, pixel

pytestmark = pytest.mark.django_db(transaction=True)


def test_c38_openais_client_at_a_worker(plane: Any, openai_client: Any, paints: Any, painter: Any) -> None:
    """P-R25, P-R32, P-R33: what it asks as OpenAI has it becomes a job as workers have it."""
    model = paints("flux", painter)
    raw = openai_client.images.with_raw_response.generate(model=model, prompt="a barn", n=2, size="1280x720")
    found = raw.parse()
    assert [base64.b64decode(each.b64_json) for each in found.data] == [pixel(0), pixel(1)]
    assert found.created > 1_600_000_000 and json.loads(raw.content)["model"] == model
    assert raw.headers["x-jackfield-dropped"] == "" and raw.headers["x-jackfield-route"] == "flux-0/flux"
    assert painter.jobs == [{"prompts": ["a barn", "a barn"], "width": 1280, "height": 720, "steps": 4}]
    ((path, headers),) = painter.heads
    assert path == "/generate" and "authorization" not in headers
    (row,) = plane.rows()
    assert (row.endpoint, row.dialect, row.status, row.outcome) == ("images/generations", "openai_chat", 200, "ok")
    assert (row.model, row.upstream_model, row.images) == (model, "flux", 2)
    assert (row.input_tokens, row.output_tokens, row.cost_micro) == (None, None, None), "unknown, never 0"


def test_c38_what_workers_know_beside_openai(openai_client: Any, paints: Any, painter: Any) -> None:
    model = paints("flux", painter)
    more = {"seed": 42, "steps": 2, "negative_prompt": "people"}
    openai_client.images.generate(model=model, prompt="a barn", response_format="b64_json", extra_body=more)
    openai_client.images.generate(model=model, prompt="a barn", size="auto", extra_body={"seed": -1})
    assert painter.jobs == [
        {"prompts": ["a barn"], "width": 1024, "height": 1024, **more},
        {"prompts": ["a barn"], "width": 1024, "height": 1024, "steps": 4},
    ]


def test_c38_steps_fall_while_others_wait(
    plane: Any, openai_client: Any, paints: Any, painter: Any, eventually: Any
) -> None:
    """Two jobs at a time have the worker to themselves; each that waits for it takes a step less, down to one."""
    model = paints("flux", painter)
    painter.go.clear()

    def ask() -> None:
        openai_client.images.generate(model=model, prompt="a barn")

    threads = []
    for count in range(1, 8):
        threads.append(threading.Thread(target=ask))
        threads[-1].start()
        eventually(lambda count=count: len(painter.jobs) == count)
    painter.go.set()
    for thread in threads:
        thread.join(20)
    assert [job["steps"] for job in painter.jobs] == [4, 4, 3, 2, 1, 1, 1]
    eventually(lambda: len(plane.rows(7)) == 7)
    openai_client.images.generate(model=model, prompt="a barn")
    assert painter.jobs[-1]["steps"] == 4, "they came back"


@pytest.mark.parametrize(
    "shape",
    [
        lambda images: [{"image": image, "seed": 1} for image in images],
        lambda images: images,
        lambda images: {"images": images},
        lambda images: {"images": [{"base64": f"data:image/jpeg;base64,{image}"} for image in images]},
        lambda images: {"created": 1, "data": [{"b64_json": image} for image in images]},
        lambda images: {"output": {"images": images}},
        lambda images: [{"image": None}, *({"image": image} for image in images)],
    ],
)
def test_c38_workers_differ_in_what_is_around_a_picture(
    shape: Any, openai_client: Any, paints: Any, painter: Any
) -> None:
    images = [encoded(pixel(shade)) for shade in (3, 4)]
    painter.answer(shape(images))
    found = openai_client.images.generate(model=paints("flux", painter), prompt="a barn", n=2)
    assert [each.b64_json for each in found.data] == images


def test_c38_one_picture_and_nothing_around_it(plane: Any, openai_client: Any, paints: Any, painter: Any) -> None:
    """Many workers paint the first prompt alone; nobody gets more than were asked for."""
    image, model = encoded(pixel(9)), paints("flux", painter)
    for shape in ({"image": image}, image, f"data:image/png;base64,{image}"):
        painter.answer(shape)
        found = openai_client.images.generate(model=model, prompt="a barn", n=2)
        assert [each.b64_json for each in found.data] == [image]
    painter.answer([image] * 5)
    assert len(openai_client.images.generate(model=model, prompt="a barn", n=2).data) == 2
    assert [row.images for row in plane.rows(4)] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    "said",
    [
        [],
        {},
        "",
        [{"image": None}],
        {"detail": "no"},
        {"images": "it failed: no memory"},
        b"no JSON",
        [[[[[["QQ=="]]]]]],
    ],
)
def test_r_rel_08_an_answer_without_a_picture_is_none(
    said: Any, plane: Any, openai_client: Any, paints: Any, painters: Any
) -> None:
    broken, well = painters(), painters()
    broken.answer(said)
    found = openai_client.images.with_raw_response.generate(model=paints("flux", broken, well), prompt="a barn")
    assert found.headers["x-jackfield-route"] == "flux-1/flux" and len(found.parse().data) == 1
    assert [each.get("verdict", "") for each in plane.rows()[0].attempt_log] == ["upstream_bad_answer", ""]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_worker_that_fails_leads_to_the_next(
    status: int, plane: Any, openai_client: Any, paints: Any, painters: Any
) -> None:
    failing, well = painters(), painters()
    failing.answer({"detail": "Generation failed: CUDA error"}, status)
    model = paints("flux", failing, well)
    found = openai_client.images.with_raw_response.generate(model=model, prompt="a barn")
    assert len(found.parse().data) == 1 and found.headers["x-jackfield-attempts"] == "2"
    assert failing.jobs == well.jobs
    (row,) = plane.rows()
    assert [each["status"] for each in row.attempt_log] == [status, 200]


def test_a_worker_that_refuses_the_request_is_believed(openai_client: Any, paints: Any, painters: Any) -> None:
    refusing, well = painters(), painters()
    refusing.answer({"detail": "Dimensions too small: 1x1. Minimum allowed is 64x64"}, 400)
    with pytest.raises(openai.BadRequestError, match="Dimensions too small"):
        openai_client.images.generate(model=paints("flux", refusing, well), prompt="a barn", size="1x1")
    assert well.jobs == []


def test_a_picture_may_take_longer_than_words(plane: Any, openai_client: Any, paints: Any, painter: Any) -> None:
    """However soon the account gives up on a first byte."""
    from providers.models import Account

    model = paints("flux", painter)
    account = Account.objects.get(name="flux-0")
    account.timeouts = {"connect": 0.2, "first_byte": 0.1}
    account.save()
    plane.settle()
    painter.go.clear()
    threading.Timer(0.5, painter.go.set).start()
    assert len(openai_client.images.generate(model=model, prompt="a barn").data) == 1
    assert plane.rows()[0].attempts == 1


def test_a_large_picture_passes_and_one_too_large_is_an_error(
    plane: Any, openai_client: Any, paints: Any, painters: Any, settings: Any
) -> None:
    large, larger = painters(), painters()
    image = "QUJD" * (10 * 1024 * 1024 // 4)
    large.answer([{"image": image}])
    found = openai_client.images.generate(model=paints("large", large), prompt="a barn")
    assert found.data[0].b64_json == image
    larger.answer([{"image": "QUJD" * ((transport.MAX_BODY + 1024) // 4)}])
    with pytest.raises(openai.InternalServerError) as refusal:
        openai_client.images.generate(model=paints("larger", larger), prompt="a barn")
    assert (refusal.value.status_code, refusal.value.code) == (502, "upstream_too_large")
