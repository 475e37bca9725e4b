"""Anthropic's SDK, unmodified, through the gateway at upstreams of other families: what it reads, what arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.scripted import IN, OUT, Call, Family, Turn
from tests.scripted_families import ASSIST, CHAT, GEMINI, GOOGLE
from tests.scripted_responses import RESPONSES
from tests.sdk_fixtures import Fronts

pytestmark = pytest.mark.django_db(transaction=True)

FOREIGN = [ASSIST, CHAT, GOOGLE, RESPONSES]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [{"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}]
OSLO, ROME = Call("call_oslo", "weather", {"city": "Oslo"}), Call("call_rome", "weather", {"city": "Rome"})
ASKED = Turn("I look.", "Two cities.", "c2lnbmVkLWJ5LW1l", (OSLO, ROME))
TOLD = Turn("Oslo is cold, Rome is not.")
#: Models behind OpenAI's chat API differ: some want their thoughts back.
KEEPS = {CHAT.name: {"thoughts": "reasoning_content"}}


def by_name(family: Family) -> str:
    return family.name


@pytest.fixture
def client(fronts: Fronts) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=fronts.url, api_key=fronts.token, max_retries=0, timeout=20) as made:
        yield made


@pytest.mark.parametrize("family", FOREIGN, ids=by_name)
def test_messages(fronts: Fronts, client: anthropic.Anthropic, family: Family) -> None:
    upstream = fronts.model(family, Turn("Grüß Gott"), Turn("Grüß Gott"))
    asked: Any = {
        "model": "m",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "Hi"}],
    }
    answer = client.messages.create(**asked)
    assert (answer.model, answer.role, answer.stop_reason) == ("m", "assistant", "end_turn")
    assert [block.text for block in answer.content if block.type == "text"] == ["Grüß Gott"]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (IN, OUT)
    with client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == "Grüß Gott"
        final = stream.get_final_message()
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (IN, OUT, "end_turn")
    for ask in upstream.asks:
        assert (ask.heard.system, ask.heard.users) == ("Be brief.", ["Hi"])


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("family", FOREIGN, ids=by_name)
def test_thinking_and_tools_over_turns(
    fronts: Fronts, client: anthropic.Anthropic, family: Family, stream: bool
) -> None:
    """Thinking blocks, calls and results go back as the SDK gave them; signatures reach who made them."""
    upstream = fronts.model(family, ASKED, TOLD, Turn("Bye"), **KEEPS.get(family.name, {}))
    messages: list[Any] = [{"role": "user", "content": "Oslo and Rome?"}]

    def ask() -> Any:
        asked: Any = {
            "model": "m",
            "max_tokens": 9000,
            "messages": messages,
            "tools": TOOLS,
            "thinking": {"type": "enabled", "budget_tokens": 8192},
        }
        if not stream:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as events:
            for _ in events:
                pass
            return events.get_final_message()

    first = ask()
    kinds = [block.type for block in first.content]
    # Google's proof belongs to the first call, and stands behind it.
    behind = ["redacted_thinking"] if family in GEMINI else []
    assert kinds == ["thinking", "text", "tool_use", *behind, "tool_use"]
    assert first.stop_reason == "tool_use" and first.content[0].thinking == "Two cities."
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [OSLO.arguments, ROME.arguments]
    results = [
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "0 degrees"},
        {
            "type": "tool_result",
            "tool_use_id": calls[1].id,
            "content": [{"type": "text", "text": "unknown"}],
            "is_error": True,
        },
    ]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = ask()
    assert [block.text for block in second.content] == [TOLD.text]
    heard = upstream.asks[1].heard
    assert heard.tools == ["weather"]
    assert heard.calls == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]
    assert [given for given, _ in heard.results] == [OSLO.id, ROME.id]
    assert "0 degrees" in heard.results[0][1] and "unknown" in heard.results[1][1]
    if family is not CHAT:
        assert heard.signatures == [ASKED.signature]
    assert heard.signed_calls == ([OSLO.arguments] if family in GEMINI else [])
    messages += [{"role": "assistant", "content": second.content}, {"role": "user", "content": "Ta"}]
    assert [block.text for block in ask().content] == ["Bye"]
    third = upstream.asks[2].heard
    assert (third.users[-1], third.said, len(third.results)) == ("Ta", ["I look.", TOLD.text], 2)
    if family not in GEMINI:  # which proves calls, and forgets its thoughts
        assert heard.thoughts == third.thoughts == ["Two cities."]
    if family is not CHAT:
        assert third.signatures == [ASKED.signature]


def test_a_forced_tool_is_forced(fronts: Fronts, client: anthropic.Anthropic) -> None:
    upstream = fronts.model(CHAT, Turn(calls=(OSLO,)))
    client.messages.create(
        model="m",
        max_tokens=100,
        messages=[{"role": "user", "content": "Oslo?"}],
        tools=TOOLS,
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    )
    sent = upstream.asks[0].json
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert sent["parallel_tool_calls"] is False


def test_an_error_is_the_sdks_own(fronts: Fronts, client: anthropic.Anthropic) -> None:
    asked: Any = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="nowhere", **asked)
    assert missing.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]  # an object, as Anthropic's
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="jf-wrong").messages.create(model="m", **asked)
