"""Google's SDK, unmodified, through the gateway at upstreams of other families: what it reads, and what arrives."""

from __future__ import annotations

from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.scripted import IN, OUT, Call, Family, Turn
from tests.scripted_families import ANTHROPIC, ASSIST, CHAT
from tests.scripted_responses import RESPONSES
from tests.sdk_fixtures import Fronts

pytestmark = pytest.mark.django_db(transaction=True)

FOREIGN = [ANTHROPIC, ASSIST, CHAT, RESPONSES]
OSLO, ROME = Call("call_oslo", "weather", {"city": "Oslo"}), Call("call_rome", "weather", {"city": "Rome"})
ASKED = Turn("I look.", "Two cities.", "c2lnbmVkLWJ5LW1l", (OSLO, ROME))
TOLD = Turn("Oslo is cold, Rome is not.")


def by_name(family: Family) -> str:
    return family.name


@pytest.fixture
def client(fronts: Fronts) -> genai.Client:
    options = types.HttpOptions(base_url=fronts.url, timeout=20_000)
    return genai.Client(api_key=fronts.token, http_options=options, vertexai=False)


def counted(usage: Any) -> tuple[int, int]:
    return usage.prompt_token_count, usage.candidates_token_count


@pytest.mark.parametrize("family", FOREIGN, ids=by_name)
def test_generate_content(fronts: Fronts, client: genai.Client, family: Family) -> None:
    upstream = fronts.model(family, Turn("Grüß Gott"), Turn("Grüß Gott"))
    asked: Any = {"model": "m", "contents": "Hi", "config": {"system_instruction": "Be brief."}}
    answer = client.models.generate_content(**asked)
    assert answer.text == "Grüß Gott" and answer.candidates[0].finish_reason is types.FinishReason.STOP
    assert counted(answer.usage_metadata) == (IN, OUT)
    pieces = list(client.models.generate_content_stream(**asked))
    assert "".join(piece.text or "" for piece in pieces) == "Grüß Gott"
    assert counted(pieces[-1].usage_metadata) == (IN, OUT)
    for ask in upstream.asks:
        assert (ask.heard.system, ask.heard.users) == ("Be brief.", ["Hi"])


@pytest.mark.parametrize("family", FOREIGN, ids=by_name)
def test_functions_are_called_by_the_sdk(fronts: Fronts, client: genai.Client, family: Family) -> None:
    """Automatic function calling: the SDK runs the functions itself and asks again, with its history."""
    upstream = fronts.model(family, ASKED, TOLD)

    def weather(city: str) -> str:
        """Tells the weather."""
        return f"{len(city)} degrees in {city}"

    answer = client.models.generate_content(model="m", contents="Oslo and Rome?", config={"tools": [weather]})
    assert answer.text == TOLD.text
    heard = upstream.asks[1].heard
    assert heard.tools == ["weather"]
    assert heard.calls == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]
    assert [given for given, _ in heard.results] == [OSLO.id, ROME.id]
    assert "4 degrees in Oslo" in heard.results[0][1] and "4 degrees in Rome" in heard.results[1][1]
    if family is not CHAT:
        assert heard.signatures == [ASKED.signature]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("family", FOREIGN, ids=by_name)
def test_a_chat_thinks_and_calls(fronts: Fronts, client: genai.Client, family: Family, stream: bool) -> None:
    """The SDK's chat keeps the history: thoughts, signatures, calls, results."""
    upstream = fronts.model(family, ASKED, TOLD, Turn("Bye"))
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    declared = types.FunctionDeclaration(name="weather", description="Tells.", parameters_json_schema=schema)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=8192),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    chat = client.chats.create(model="m", config=config)

    def say(message: Any) -> list[types.Part]:
        answers = chat.send_message_stream(message) if stream else [chat.send_message(message)]
        return [part for answer in answers for part in answer.candidates[0].content.parts or ()]

    first = say("Oslo and Rome?")
    assert "".join(part.text for part in first if part.thought and part.text) == "Two cities."
    assert "".join(part.text for part in first if part.text and not part.thought) == "I look."
    calls = [part.function_call for part in first if part.function_call]
    assert [call.args for call in calls] == [OSLO.arguments, ROME.arguments]
    results = [
        types.Part(function_response=types.FunctionResponse(id=c.id, name=c.name, response={"result": f"{n} degrees"}))
        for n, c in enumerate(calls)
    ]
    assert "".join(part.text or "" for part in say(results)) == TOLD.text
    assert "".join(part.text or "" for part in say("Ta")) == "Bye"
    for ask in upstream.asks[1:]:
        heard = ask.heard
        assert heard.calls == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]
        assert [given for given, _ in heard.results] == [OSLO.id, ROME.id]
        assert "0 degrees" in heard.results[0][1] and "1 degrees" in heard.results[1][1]
        if family is not CHAT:
            assert heard.signatures == [ASKED.signature]
    assert "".join(upstream.asks[2].heard.said) == "I look." + TOLD.text


def test_an_error_is_the_sdks_own(fronts: Fronts, client: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as missing:
        client.models.generate_content(model="nowhere", contents="Hi")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
