"""pydantic-ai's agents on the models of OpenAI, Anthropic and Google: ask, stream, and a tool's result."""

from __future__ import annotations

import asyncio
import os
import traceback

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

URL, TOKEN, MODEL, WEATHER = (os.environ[name] for name in ("JACKFIELD_URL", "JACKFIELD_TOKEN", "MODEL", "WEATHER"))
SAID = "Grüß Gott from upstream."


def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"{city}: {WEATHER}"


async def check(name: str, model) -> None:
    plain, armed = Agent(model, instructions="Be brief."), Agent(model, tools=[weather])
    assert (await plain.run("Hello")).output == SAID, "run"
    async with plain.run_stream("Hello") as stream:
        assert await stream.get_output() == SAID, "stream"
    assert WEATHER in (await armed.run("The weather in Oslo?")).output, "tool"
    async with armed.run_stream("The weather in Oslo?") as stream:
        said = await stream.get_output()
    # The library ends a streamed run at its first text, before the tool's result is told.
    assert said in ("I use a tool.", f"Done: Oslo: {WEATHER}") or WEATHER in said, f"tool, streamed: {said}"
    print(f"ok {name}")


MAKERS = {
    "chat": lambda: OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=TOKEN)),
    "responses": lambda: OpenAIResponsesModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key=TOKEN)),
    "messages": lambda: AnthropicModel(MODEL, provider=AnthropicProvider(base_url=URL, api_key=TOKEN)),
    "generateContent": lambda: GoogleModel(MODEL, provider=GoogleProvider(base_url=URL, api_key=TOKEN)),
}


async def main() -> None:
    for name, make in MAKERS.items():
        try:
            await check(name, make())
        except Exception as problem:  # noqa: BLE001 - told in the table, whatever it is
            traceback.print_exc()
            print(f"no {name}: {type(problem).__name__}: {str(problem)[:400]!r}")


asyncio.run(main())
