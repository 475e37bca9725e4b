"""The sandbox upstream: deterministic answers, and one failure for each scenario model."""

from __future__ import annotations

import base64
import json
import resource
import subprocess
import sys
import time

import httpx
import openai
import pytest

from installation import ROOT, free_port
from providers.sandbox import KEYS, LOREM, MODELS, words


def client(url: str, key: str = KEYS[1]) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0)


def say(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Be short."}, {"role": "user", "content": text}]


def test_echo_answers_the_last_user_text(sandbox_upstream: str) -> None:
    answer = client(sandbox_upstream).chat.completions.create(model="echo", messages=say("hello  big\nworld"))
    assert answer.choices[0].message.content == "hello  big\nworld"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (5, 3, 8)


def test_the_same_request_gives_the_same_bytes(sandbox_upstream: str) -> None:
    ask = {"model": "lorem", "messages": say("x")}
    headers = {"authorization": f"Bearer {KEYS[0]}"}
    answers = [httpx.post(f"{sandbox_upstream}/chat/completions", json=ask, headers=headers).content for _ in range(2)]
    assert answers[0] == answers[1]
    assert json.loads(answers[0])["choices"][0]["message"]["content"] == LOREM


@pytest.mark.parametrize("counted", [True, False])
def test_stream_joins_to_the_buffered_text(sandbox_upstream: str, counted: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if counted else {}
    chunks = list(
        client(sandbox_upstream).chat.completions.create(model="echo", messages=say("a b  c"), stream=True, **options)
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "a b  c"
    assert [c.usage.completion_tokens for c in chunks if c.usage] == ([3] if counted else [])


def test_stream_ends_with_done(sandbox_upstream: str) -> None:
    headers = {"authorization": f"Bearer {KEYS[0]}"}
    ask = {"model": "echo", "stream": True, "messages": say("x")}
    assert httpx.post(f"{sandbox_upstream}/chat/completions", json=ask, headers=headers).text.endswith(
        "data: [DONE]\n\n"
    )


def test_tool_is_called(sandbox_upstream: str) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    answer = client(sandbox_upstream).chat.completions.create(model="tool", messages=say("up"), tools=tools)
    call = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("look", {"text": "up"})
    assert answer.choices[0].finish_reason == "tool_calls"


def test_rate_limit_is_of_the_first_key_only(sandbox_upstream: str) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        client(sandbox_upstream, KEYS[0]).chat.completions.create(model="rate-limited", messages=say("x"))
    assert limited.value.response.headers["retry-after"] == "20"
    answer = client(sandbox_upstream, KEYS[1]).chat.completions.create(model="rate-limited", messages=say("x"))
    assert answer.choices[0].message.content == "x"


def test_wrong_key_and_unknown_model(sandbox_upstream: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        client(sandbox_upstream, "sk-sandbox-opens-nothing-else-4").models.list()
    with pytest.raises(openai.NotFoundError):
        client(sandbox_upstream).chat.completions.create(model="nothing", messages=say("x"))
    assert [row.id for row in client(sandbox_upstream).models.list()] == list(MODELS)


def test_vectors_are_of_the_letters(sandbox_upstream: str) -> None:
    embeddings = client(sandbox_upstream).embeddings
    found = embeddings.create(model="embed", input=["one word", "two"], dimensions=16)
    assert [len(datum.embedding) for datum in found.data] == [16, 16]
    assert (found.usage.prompt_tokens, found.usage.total_tokens) == (3, 3)
    plain = embeddings.create(model="embed", input="one word", encoding_format="float").data[0].embedding
    assert len(plain) == 8 and sum(part * part for part in plain) == pytest.approx(1)
    assert plain == embeddings.create(model="embed", input="one word", encoding_format="float").data[0].embedding
    assert found.data[0].embedding == pytest.approx(
        embeddings.create(model="embed", input="one word", dimensions=16, encoding_format="float").data[0].embedding
    )
    with pytest.raises(openai.BadRequestError):
        embeddings.create(model="embed", input=[1, 2])
    with pytest.raises(openai.NotFoundError):
        client(sandbox_upstream).chat.completions.create(model="embed", messages=say("x"))


def test_pictures_are_of_one_colour(sandbox_upstream: str) -> None:
    images = client(sandbox_upstream).images
    first, second = images.generate(model="paint", prompt="red", n=2).data
    picture = base64.b64decode(first.b64_json)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n") and len(picture) < 1000
    assert first.b64_json == second.b64_json != images.generate(model="paint", prompt="blue").data[0].b64_json
    for wrong in ({"model": "echo", "prompt": "x"}, {"model": "paint", "prompt": ""}):
        with pytest.raises(openai.BadRequestError):
            images.generate(**wrong)
    with pytest.raises(openai.NotFoundError):
        client(sandbox_upstream).chat.completions.create(model="paint", messages=say("x"))


def test_errors(sandbox_upstream: str) -> None:
    with pytest.raises(openai.InternalServerError):
        client(sandbox_upstream).chat.completions.create(model="error", messages=say("x"))
    headers = {"authorization": f"Bearer {KEYS[0]}"}
    ask = {"model": "error-body", "messages": say("x")}
    answer = httpx.post(f"{sandbox_upstream}/chat/completions", json=ask, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, "overloaded")
    ask = {"model": "error-event", "stream": True, "messages": say("x")}
    events = httpx.post(f"{sandbox_upstream}/chat/completions", json=ask, headers=headers).text.split("\n\n")
    assert json.loads(events[0].removeprefix("data: "))["error"]["code"] == "overloaded"
    assert "[DONE]" not in "".join(events)


@pytest.mark.parametrize("stream", [True, False])
def test_cut_ends_in_the_middle(sandbox_upstream: str, stream: bool) -> None:
    headers = {"authorization": f"Bearer {KEYS[0]}"}
    ask = {"model": "cut", "stream": stream, "messages": say("one two three four five six")}
    got = b""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", f"{sandbox_upstream}/chat/completions", json=ask, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        for part in answer.iter_raw():
            got += part
    assert b"[DONE]" not in got
    assert got


def test_words_join_to_the_text() -> None:
    for text in ("", "a", " a", "a ", "a  b", "a\nb c"):
        assert "".join(words(text)) == text


def test_it_starts_alone_and_fast() -> None:
    """Without Django or a database; half a second of a core, twice that is granted here."""
    port = free_port()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "providers.sandbox", "--port", str(port)], cwd=ROOT)
    try:
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 401
                break
            except httpx.TransportError:
                assert time.monotonic() - began < 30
                time.sleep(0.01)
    finally:
        process.terminate()
        assert process.wait(30) in (0, -15)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
