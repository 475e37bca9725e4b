"""LangChain's chat models of OpenAI, Anthropic and Google: ask, stream, and a tool's result."""

from __future__ import annotations

import os
import traceback

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI

URL, TOKEN, MODEL, WEATHER = (os.environ[name] for name in ("JACKFIELD_URL", "JACKFIELD_TOKEN", "MODEL", "WEATHER"))
SAID = "Grüß Gott from upstream."


@tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"{city}: {WEATHER}"


def check(name: str, model) -> None:
    asked = [SystemMessage("Be brief."), HumanMessage("Hello")]
    assert model.invoke(asked).text == SAID, "invoke"
    assert "".join(piece.text for piece in model.stream(asked)) == SAID, "stream"
    with_tools = model.bind_tools([weather])
    for streamed in (False, True):
        history = [HumanMessage("The weather in Oslo?")]
        for _ in range(2):
            if streamed:
                answer = None
                for piece in with_tools.stream(history):
                    answer = piece if answer is None else answer + piece
            else:
                answer = with_tools.invoke(history)
            history.append(answer)
            history += [weather.invoke(call) for call in answer.tool_calls]
        assert WEATHER in answer.text and len(history) == 4, f"tool, streamed: {streamed}: {history}"
    print(f"ok {name}")


MAKERS = {
    "chat": lambda: ChatOpenAI(base_url=f"{URL}/v1", api_key=TOKEN, model=MODEL),
    "responses": lambda: ChatOpenAI(base_url=f"{URL}/v1", api_key=TOKEN, model=MODEL, use_responses_api=True),
    "messages": lambda: ChatAnthropic(base_url=URL, api_key=TOKEN, model=MODEL, max_tokens=2000),
    "generateContent": lambda: ChatGoogleGenerativeAI(base_url=URL, google_api_key=TOKEN, model=MODEL),
}
for name, make in MAKERS.items():
    try:
        check(name, make())
    except Exception as problem:  # noqa: BLE001 - told in the table, whatever it is
        traceback.print_exc()
        print(f"no {name}: {type(problem).__name__}: {str(problem)[:400]!r}")
