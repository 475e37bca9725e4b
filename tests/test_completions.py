"""POST /v1/completions with OpenAI's own client: any model answers a prompt."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.faults.fixtures import KEYS

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_prompt_is_answered(plane: Any, openai_client: openai.OpenAI) -> None:
    model = plane.scenario("ok")
    answer = openai_client.completions.create(model=model, prompt="Say hello", max_tokens=9, stop=["\n"], temperature=0)
    assert (answer.object, answer.model, answer.choices[0].text) == ("text_completion", model, KEYS[0])
    assert (answer.choices[0].finish_reason, answer.usage.total_tokens) == ("stop", 10)
    asked = plane.upstream.requests[-1].json
    assert asked["messages"] == [{"role": "user", "content": "Say hello"}]
    assert (asked["stop"], asked["temperature"]) == (["\n"], 0)
    row = plane.rows()[-1]
    assert (row.endpoint, row.dialect, row.input_tokens) == ("completions", "openai_completions", 7)


def test_a_stream(plane: Any, openai_client: openai.OpenAI) -> None:
    model = plane.scenario("ok")
    chunks = list(
        openai_client.completions.create(model=model, prompt="x", stream=True, stream_options={"include_usage": True})
    )
    assert "".join(one.choices[0].text for one in chunks if one.choices) == "one two three"
    assert [one.usage.total_tokens for one in chunks if one.usage] == [10]
    assert {one.model for one in chunks} == {model}


@pytest.mark.parametrize(
    ("asked", "param"),
    [({"prompt": ["a", "b"]}, "prompt"), ({"prompt": 1}, "prompt"), ({"prompt": "a", "echo": True}, "echo")],
)
def test_what_a_chat_cannot_do_is_refused(
    plane: Any, openai_client: openai.OpenAI, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.completions.create(model=plane.scenario("ok"), **asked)
    assert refused.value.param == param
    assert plane.upstream.requests == []
