"""OpenAI's SDK, unmodified, through the gateway at upstreams of other families: what it reads, and what arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.scripted import IN, OUT, Call, Family, Scripted, Turn
from tests.scripted_families import ANTHROPIC, ASSIST, CHAT, GEMINI, GOOGLE
from tests.scripted_responses import RESPONSES
from tests.sdk_fixtures import Fronts

pytestmark = pytest.mark.django_db(transaction=True)

FOREIGN_TO_CHAT = [ANTHROPIC, ASSIST, GOOGLE, RESPONSES]
FOREIGN_TO_RESPONSES = [ANTHROPIC, ASSIST, GOOGLE, CHAT]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA}
TOOLS: Any = [{"type": "function", "function": FUNCTION}]
RESPONSE_TOOLS: Any = [{"type": "function", "strict": False, **FUNCTION}]
OSLO, ROME = Call("toolu_oslo", "weather", {"city": "Oslo"}), Call("toolu_rome", "weather", {"city": "Rome"})
ASKED = Turn("I look.", "Two cities.", "c2lnbmVkLWJ5LW1l", (OSLO, ROME))
TOLD = Turn("Oslo is cold, Rome is not.")

#: Models behind OpenAI's chat API differ: some want their thoughts back.
KEEPS = {CHAT.name: {"thoughts": "reasoning_content"}}


class City(BaseModel):
    """What `parse` is asked for."""

    name: str
    people: int


def by_name(family: Family) -> str:
    return family.name


@pytest.fixture
def client(fronts: Fronts) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{fronts.url}/v1", api_key=fronts.token, max_retries=0, timeout=20) as made:
        yield made


def signature_in(upstream: Scripted) -> list[str]:
    return upstream.asks[-1].heard.signatures


@pytest.mark.parametrize("family", FOREIGN_TO_CHAT, ids=by_name)
def test_chat(fronts: Fronts, client: openai.OpenAI, family: Family) -> None:
    upstream = fronts.model(family, Turn("Grüß Gott"), Turn("Grüß Gott"))
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    answer = client.chat.completions.create(model="m", messages=messages)
    assert answer.model == "m" and answer.choices[0].message.content == "Grüß Gott"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (IN, OUT)
    with client.chat.completions.stream(model="m", messages=messages, stream_options={"include_usage": True}) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == "Grüß Gott" and final.usage == answer.usage
    for ask in upstream.asks:
        assert (ask.heard.system, ask.heard.users) == ("Be brief.", ["Hi"])


@pytest.mark.parametrize("family", FOREIGN_TO_CHAT, ids=by_name)
def test_chat_parse(fronts: Fronts, client: openai.OpenAI, family: Family) -> None:
    said = Turn('{"name": "Oslo", "people": 700000}')
    upstream = fronts.model(family, said, said)
    messages: Any = [{"role": "user", "content": "The capital of Norway?"}]
    answer = client.chat.completions.parse(model="m", messages=messages, response_format=City)
    assert answer.choices[0].message.parsed == City(name="Oslo", people=700000)
    with client.chat.completions.stream(model="m", messages=messages, response_format=City) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == City(name="Oslo", people=700000)
    for ask in upstream.asks:
        assert '"people"' in json.dumps(ask.json)  # the schema arrives, wherever the family has its place


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("family", FOREIGN_TO_CHAT, ids=by_name)
def test_chat_tools(fronts: Fronts, client: openai.OpenAI, family: Family, stream: bool) -> None:
    """Parallel calls with thoughts before them, their results, a further turn."""
    upstream = fronts.model(family, ASKED, TOLD, Turn("Bye"))
    messages: list[Any] = [{"role": "user", "content": "Oslo and Rome?"}]

    def ask() -> Any:
        asked: Any = {"model": "m", "messages": messages, "tools": TOOLS}
        if not stream:
            return client.chat.completions.create(**asked).choices[0]
        with client.chat.completions.stream(**asked) as events:
            for _ in events:
                pass
            return events.get_final_completion().choices[0]

    first = ask()
    assert first.finish_reason == "tool_calls" and first.message.content == "I look."
    calls = first.message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [OSLO.arguments, ROME.arguments]
    messages.append(first.message.model_dump(exclude_none=True, exclude={"parsed"}))
    messages += [{"role": "tool", "tool_call_id": c.id, "content": f"{n} degrees"} for n, c in enumerate(calls)]
    second = ask()
    assert second.message.content == TOLD.text and second.finish_reason == "stop"
    heard = upstream.asks[1].heard
    assert heard.tools == ["weather"]
    assert heard.calls == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]
    assert [given for given, _ in heard.results] == [OSLO.id, ROME.id]
    assert ["0 degrees" in heard.results[0][1], "1 degrees" in heard.results[1][1]] == [True, True]
    assert heard.said == ["I look."]
    assert ASKED.signature in signature_in(upstream), "the proof of the thought went back to who made it"
    assert heard.signed_calls == ([OSLO.arguments] if family in GEMINI else [])
    messages += [second.message.model_dump(exclude_none=True, exclude={"parsed"}), {"role": "user", "content": "Ta"}]
    assert ask().message.content == "Bye"
    assert upstream.asks[2].heard.said == ["I look.", TOLD.text] and len(upstream.asks[2].heard.results) == 2


@pytest.mark.parametrize("family", FOREIGN_TO_RESPONSES, ids=by_name)
def test_responses(fronts: Fronts, client: openai.OpenAI, family: Family) -> None:
    upstream = fronts.model(family, Turn("Servus"), Turn("Servus"))
    asked: Any = {"model": "m", "input": "Hi", "instructions": "Be brief."}
    answer = client.responses.create(**asked)
    assert (answer.model, answer.status, answer.output_text) == ("m", "completed", "Servus")
    assert answer.usage and (answer.usage.input_tokens, answer.usage.output_tokens) == (IN, OUT)
    with client.responses.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == "Servus" and final.usage == answer.usage
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") == 2
    for ask in upstream.asks:
        assert (ask.heard.system, ask.heard.users) == ("Be brief.", ["Hi"])


@pytest.mark.parametrize("family", FOREIGN_TO_RESPONSES, ids=by_name)
def test_responses_parse(fronts: Fronts, client: openai.OpenAI, family: Family) -> None:
    said = Turn('{"name": "Oslo", "people": 700000}')
    fronts.model(family, said, said)
    answer = client.responses.parse(model="m", input="Norway?", text_format=City)
    assert answer.output_parsed == City(name="Oslo", people=700000)
    with client.responses.stream(model="m", input="Norway?", text_format=City) as stream:
        assert stream.get_final_response().output_parsed == City(name="Oslo", people=700000)


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("family", FOREIGN_TO_RESPONSES, ids=by_name)
def test_responses_reason_and_call_tools(fronts: Fronts, client: openai.OpenAI, family: Family, stream: bool) -> None:
    """Stateless, as agents use it: reasoning items with their encrypted content go back with the results."""
    upstream = fronts.model(family, ASKED, TOLD, **KEEPS.get(family.name, {}))
    items: list[Any] = [{"role": "user", "content": "Oslo and Rome?"}]

    def ask() -> Any:
        asked: Any = {
            "model": "m",
            "input": items,
            "tools": RESPONSE_TOOLS,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "medium", "summary": "auto"},
        }
        if not stream:
            return client.responses.create(**asked)
        with client.responses.stream(**asked) as events:
            for _ in events:
                pass
            return events.get_final_response()

    first = ask()
    assert [item.type for item in first.output[:3]] == ["reasoning", "message", "function_call"]
    thought = first.output[0]
    assert [part.text for part in thought.summary or thought.content] == ["Two cities."]
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [OSLO.arguments, ROME.arguments]
    items += [item.model_dump(exclude_none=True, exclude={"parsed_arguments", "parsed"}) for item in first.output]
    items += [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{n} degrees"}
        for n, call in enumerate(calls)
    ]
    assert ask().output_text == TOLD.text
    heard = upstream.asks[1].heard
    assert heard.calls == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]
    assert [given for given, _ in heard.results] == [OSLO.id, ROME.id]
    if family is not CHAT:
        assert ASKED.signature in signature_in(upstream)
    if family not in GEMINI:  # which proves calls, and forgets its thoughts
        assert heard.thoughts == ["Two cities."]


def test_an_error_is_the_sdks_own(fronts: Fronts, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.create(model="nowhere", input="Hi")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="jf-wrong").chat.completions.create(model="m", messages=[])
