"""LiteLLM's SDK, which speaks all four dialects itself: ask, stream, and a tool's result."""

from __future__ import annotations

import json
import os
import traceback

import litellm

URL, TOKEN, MODEL, WEATHER = (os.environ[name] for name in ("JACKFIELD_URL", "JACKFIELD_TOKEN", "MODEL", "WEATHER"))
SAID = "Grüß Gott from upstream."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}}]


def check(name: str, provider: str, base: str) -> None:
    where = {"model": f"{provider}/{MODEL}", "api_base": base, "api_key": TOKEN}
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert litellm.completion(messages=asked, **where).choices[0].message.content == SAID, "completion"
    pieces = litellm.completion(messages=asked, stream=True, **where)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == SAID, "stream"
    # Of streams of the Responses API, LiteLLM loses or doubles a call that follows a text, whoever sends it.
    for streamed in (False,) if "responses" in provider else (False, True):
        history = [{"role": "user", "content": "The weather in Oslo?"}]
        for _ in range(2):
            answer = litellm.completion(messages=history, tools=TOOLS, stream=streamed, **where)
            if streamed:
                answer = litellm.stream_chunk_builder(list(answer), messages=history)
            # Of the Responses API, LiteLLM makes a choice of each item: the text is one, the calls are another.
            said = [choice.message for choice in answer.choices]
            message = next((each for each in said if each.tool_calls), said[0])
            history.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls or ():
                city = json.loads(call.function.arguments)["city"]
                history.append({"role": "tool", "tool_call_id": call.id, "content": f"{city}: {WEATHER}"})
        assert WEATHER in message.content and len(history) == 4, f"tool, streamed: {streamed}: {history}"
    print(f"ok {name}")


PLACES = {
    "chat": ("openai", f"{URL}/v1"),
    "responses": ("openai/responses", f"{URL}/v1"),
    "messages": ("anthropic", URL),
    "generateContent": ("gemini", f"{URL}/v1beta"),
}
for name, place in PLACES.items():
    try:
        check(name, *place)
    except Exception as problem:  # noqa: BLE001 - told in the table, whatever it is
        traceback.print_exc()
        print(f"no {name}: {type(problem).__name__}: {str(problem)[:400]!r}")
