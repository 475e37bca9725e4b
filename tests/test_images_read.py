"""Requests for pictures and answers with them, as they are read: anything is either understood or refused by name."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.canon import BadAnswer, Misfit, Target
from providers.dialects.image_worker.generate import LEAST_STEPS, MOST_STEPS, steps_for
from providers.dialects.imaging import MOST_IMAGES, Request
from providers.dialects.jsonio import BadBody
from providers.dialects.openai_chat import images
from providers.dialects.registry import IMAGE_UPSTREAMS

WORDS = st.sampled_from(["b64_json", "image", "images", "data", "url", "usage", "error", "model", "QUJD", "output"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=12
)
MEMBERS = st.sampled_from(["prompt", "n", "size", "response_format", "seed", "steps", "negative_prompt", "quality"])
FITTING = st.one_of(VALUES, st.just("1024x1024"), st.just("url"), st.integers(1, 10))


@given(VALUES)
def test_any_answer_is_read_or_bad(value: Any) -> None:
    body = json.dumps(value).encode()
    for upstream in IMAGE_UPSTREAMS.values():
        with contextlib.suppress(BadAnswer):
            assert all(isinstance(image, str) and image for image in upstream.read_answer(body).images)
    with contextlib.suppress(BadBody):
        answer, usage = images.splice(body, "m")
        assert json.loads(answer)["model"] == "m" and (usage is None or usage.images is None or usage.images >= 0)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000, b'"\xed\xa0\x80"', b'{"data":[{"b64_json":1e999}]}'])
def test_what_is_no_json_is_bad(body: bytes) -> None:
    for upstream in IMAGE_UPSTREAMS.values():
        with pytest.raises(BadAnswer):
            upstream.read_answer(body)


@given(st.dictionaries(MEMBERS, FITTING, max_size=6), st.integers(0, 99))
def test_any_request_is_read_or_a_misfit(body: dict[str, Any], waiting: int) -> None:
    try:
        request = images.read_request(body)
    except Misfit as problem:
        assert problem.param in body or problem.param == "prompt"
        return
    assert isinstance(request, Request)
    for upstream in IMAGE_UPSTREAMS.values():
        written = upstream.write_request(request, Target(model="m"), waiting)
        assert 1 <= len(written.body["prompts"]) <= MOST_IMAGES and set(written.body["prompts"]) == {body["prompt"]}
        assert json.loads(json.dumps(written.body)) == written.body


def test_c38_steps_by_who_waits() -> None:
    assert [steps_for(waiting) for waiting in (-1, 0, 1, 2, 3, 4, 100)] == [4, 4, 3, 2, 1, 1, 1]
    assert (MOST_STEPS, LEAST_STEPS) == (4, 1)
