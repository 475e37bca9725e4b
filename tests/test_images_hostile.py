"""Pictures that callers ask for to do harm, and workers whose answers do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from providers.dialects.canon import BadAnswer
from providers.dialects.image_worker.generate import read_answer
from providers.dialects.openai_chat import images
from providers.dialects.values import MOST_VALUES
from tests.test_images_fleet import registered

__all__ = ("registered",)


def ask(plane: Any, **body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {plane.token}"}
    return httpx.post(f"{plane.gateway.url}/v1/images/generations", json=body, headers=headers, trust_env=False)


@pytest.mark.django_db(transaction=True)
def test_no_worker_is_asked_for_a_picture_that_takes_hours(plane: Any, registered: Any, painter: Any) -> None:
    model = registered("flux", painter)
    for more in ({"size": "99999x99999"}, {"size": "64x4097"}, {"steps": 151}, {"n": 11}, {"prompt": ["a"] * 1000}):
        answer = ask(plane, **{"model": model, "prompt": "a barn", **more})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(more)))
    assert not painter.jobs
    assert ask(plane, model=model, prompt="a barn", size="4096x4096", steps=150).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_r_rel_11_an_answer_of_too_many_values_is_none(plane: Any, registered: Any, painter: Any) -> None:
    """It would take a gigabyte, and half a minute of everybody's."""
    model = registered("flux", painter)
    painter.answer(b'{"images":[' + b"{}," * MOST_VALUES + b"{}]}")
    answer = ask(plane, model=model, prompt="a barn")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_bad_answer")


def test_r_rel_11_more_pictures_than_can_be_asked_for_are_not_looked_at() -> None:
    assert len(read_answer(b'["AAAA"' + b',"AAAA"' * 100_000 + b"]").images) == 10
    with pytest.raises(BadAnswer):
        read_answer(b"[" + b"0," * MOST_VALUES + b"0]")


def test_r_rel_11_pictures_beyond_all_sense_are_not_counted() -> None:
    body = b'{"data":[' + b"{}," * MOST_VALUES + b"{}]}"
    assert images.splice(body, "flux")[1] is None
