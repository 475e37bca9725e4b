"""What Cohere's own client sends for a conversation, and what the gateway sends when OpenAI's client tells the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai

from tests.scripted import Ask, Family, Heard, Json, Scripted, Turn, sse
from tests.smoke.acting import WEATHER
from tests.smoke.front import Front
from tests.smoke.libraries import PROGRAMS
from tests.smoke.packages import python
from tests.smoke.rows import Row

MODEL = "command-a-03-2025"
KEY = "smoke-cohere-key"
_USAGE = {"billed_units": {"input_tokens": 3, "output_tokens": 2}, "tokens": {"input_tokens": 3, "output_tokens": 2}}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}
#: What both clients are told; the words of the two APIs are the same for all of it but `stop` and `top_p`.
CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Which city, and how is it? “Grüß Gott”"}, IMAGE]},
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": WEATHER},
    {"role": "assistant", "content": "Oslo: rain."},
    {"role": "user", "content": "And now?"},
]
SCHEMA = {"type": "object", "properties": {"warm": {"type": "boolean"}}, "required": ["warm"]}
SAMPLING = {"temperature": 0.5, "max_tokens": 300, "seed": 7, "frequency_penalty": 0.25, "presence_penalty": 0.5}


def _body(turn: Turn) -> Json:
    message = {"role": "assistant", "content": [{"type": "text", "text": turn.text}]}
    return {"id": "c0", "finish_reason": "COMPLETE", "message": message, "usage": _USAGE}


def _events(turn: Turn) -> bytes:
    text = {"message": {"content": {"type": "text", "text": ""}}}
    return sse(
        {"type": "message-start", "id": "c0", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0, "delta": text},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": turn.text}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": _USAGE}},
        named=True,
    )


COHERE = Family("cohere-chat", MODEL, "/v2", "bearer", _body, _events, lambda body: Heard())


@contextmanager
def cohere() -> Iterator[Scripted]:
    upstream = Scripted(COHERE, lambda heard: Turn("Rain."))
    try:
        yield upstream
    finally:
        upstream.stop()


def check(front: Front, upstream: Scripted) -> Iterator[Row]:
    """One row per request: whole, streamed, and with a schema."""
    env = {"URL": upstream.origin, "MODEL": MODEL, "KEY": KEY}
    asked = {"messages": CONVERSATION, "tools": [TOOL], "sampling": SAMPLING, "schema": SCHEMA}
    with tempfile.TemporaryDirectory() as folder:
        done = front.run([python("python"), PROGRAMS / "with_cohere.py", json.dumps(asked)], Path(folder), env)
    theirs = list(upstream.asks)
    if done.returncode or len(theirs) != 3:
        yield Row("cohere's client", "cohere", f"exit {done.returncode}: {(done.stdout + done.stderr)[-600:]}")
        return
    upstream.asks.clear()
    _ask(front)
    for name, own, other in zip(("whole", "streamed", "a schema"), upstream.asks, theirs, strict=True):
        yield Row(f"as cohere's client sends it: {name}", "cohere", _difference(own, other))


def _ask(front: Front) -> None:
    client = openai.OpenAI(base_url=f"{front.url}/v1", api_key=front.token, max_retries=0)
    more = {"stop": ["END"], "top_p": 0.75, **SAMPLING}
    plain = {"model": "cohere", "messages": CONVERSATION, "tools": [TOOL], "tool_choice": "required", **more}
    client.chat.completions.create(**plain)
    list(client.chat.completions.create(**plain, stream=True))
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
    client.chat.completions.create(model="cohere", messages=CONVERSATION[:2], response_format=shape)


def _difference(own: Ask, other: Ask) -> str:
    """Empty if they are the same: the place, the kind of body and of credential, and all that is said."""
    if own.path != other.path:
        return f"{own.path} is not {other.path}"
    if own.headers["content-type"] != other.headers["content-type"]:
        return f"{own.headers['content-type']} is not {other.headers['content-type']}"
    if own.headers["authorization"].split()[0] != other.headers["authorization"].split()[0]:
        return "another kind of authorization"
    # Theirs also says that it wants no stream, which is so if nothing is said.
    ours, theirs = {"stream": False, **own.json}, {"stream": False, **other.json}
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return "; ".join(f"{name}: {ours.get(name)} is not {theirs.get(name)}" for name in names)
