"""What clients ask for, one scenario each: the meaning that must arrive wherever it is sent."""

from __future__ import annotations

from typing import Any

from conformance.meaning import Meaning
from conformance.things import IMAGE, IMAGE2, IMAGE_FILE, IMAGE_URL, PDF, PDF_FILE, PDF_URL, SOUND

WEATHER = {
    "type": "object",
    "properties": {
        "place": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "country": {"type": "string", "enum": ["FR", "DE"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "days": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["place"],
    "additionalProperties": False,
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
_TOOL = ("get_weather", "The weather at a place.", WEATHER)
_TIME = ("get_time", "The time.", {"type": "object", "properties": {"zone": {"type": "string"}}})
_NOTHING = ("refresh", "Takes nothing.", {"type": "object", "properties": {}})
_LONG = "".join(f"Line {number}: the quick brown fox jumps over the lazy dog.\n" for number in range(4000))
#: A pair of surrogates, joiners, combining marks, Hebrew from right to left, Arabic, zero width, a byte order mark,
#: escapes, and what JSON may not hold bare.
_UNICODE = (
    "a\U0001f9d1\u200d\U0001f680 e\u0301 \u202e\u05e9\u05dc\u05d5\u05dd\u202c \u0633\u0644\u0627\u0645 "
    '\u200b\ufeff \u2028 \\n " \x7f \t<tag>&amp; \ufdfd'
)


def _user(*texts: str) -> tuple[str, tuple[Any, ...]]:
    return ("user", tuple(("text", text) for text in texts))


def _assistant(*texts: str) -> tuple[str, tuple[Any, ...]]:
    return ("assistant", tuple(("text", text) for text in texts))


def _asked(*items: Any, **more: Any) -> Meaning:
    return Meaning(turns=(("user", (("text", "What is this?"), *items)),), **more)


def _plain(**more: Any) -> Meaning:
    return Meaning(turns=(_user("What is the weather in Paris?"),), **more)


def _told(*inner: Any, failed: bool = False) -> Meaning:
    """One call, and what the tool said."""
    call = ("call", "get_weather", '{"place": {"city": "Paris"}}')
    result = ("result", 0, inner, failed)
    turns = (_user("Weather in Paris?"), ("assistant", (("text", "I look."), call)), ("user", (result,)))
    return Meaning(turns=turns, tools=(_TOOL,))


def _thought(*items: Any, call: bool = True) -> Meaning:
    """A turn with thoughts before the call of a tool, as it must come back with the tool's result."""
    done = ("call", "get_weather", '{"place": {"city": "Paris"}}')
    rest = (done,) if call else (("text", "Sunny."),)
    after = ("user", (("result", 0, (("text", "sunny"),), False),)) if call else _user("And tomorrow?")
    turns = (_user("Weather in Paris?"), ("assistant", (*items, *rest)), after)
    return Meaning(turns=turns, tools=(_TOOL,), effort="medium")


_PARALLEL = Meaning(
    turns=(
        _user("Weather in Paris and Rome, and the time?"),
        (
            "assistant",
            (
                ("call", "get_weather", '{"place": {"city": "Paris"}}'),
                ("call", "get_weather", '{"place": {"city": "Rome"}}'),
                ("call", "get_time", "{}"),
            ),
        ),
        (
            "user",
            (
                ("result", 0, (("text", "sunny"),), False),
                ("result", 1, (("text", "rain"),), False),
                ("result", 2, (("text", '{"time": "10:00"}'),), False),
            ),
        ),
        _assistant("Sunny in Paris, rain in Rome, at ten."),
        _user("Thanks. And now?"),
    ),
    tools=(_TOOL, _TIME),
)

SCENARIOS: dict[str, Meaning] = {
    "hello": Meaning(turns=(_user("Hello"),)),
    "system": _plain(system=("You are terse.",)),
    "several_systems": _plain(system=("You are terse.", "Speak French.", "Never swear.")),
    "turns": Meaning(turns=(_user("Hi"), _assistant("Hello, you."), _user("What did I say?"))),
    "many_turns": Meaning(
        turns=tuple(_user(f"Question {n}") if n % 2 == 0 else _assistant(f"Answer {n}") for n in range(41))
    ),
    "two_users_in_a_row": Meaning(turns=(_user("One."), _user("Two."))),
    "several_texts": Meaning(turns=(_user("One.", "Two.", "Three."),)),
    "empty_text": Meaning(turns=(_user("Hi"), _assistant(""), _user("Are you there?"))),
    "empty_text_in_parts": Meaning(turns=(_user("", "Say something."),)),
    "unicode": Meaning(turns=(_user(_UNICODE),), system=(_UNICODE,)),
    "whitespace": Meaning(turns=(_user("if x:\n\n\n    y = 1\t\n  # two  spaces\r\nend"),)),
    "long_text": Meaning(turns=(_user(_LONG),)),
    "prefill": Meaning(turns=(_user("Write JSON."), _assistant('{"name":'))),
    "prefill_with_space": Meaning(turns=(_user("Greet me."), _assistant("Hello "))),
    "control_characters": Meaning(turns=(_user("a\x00b\x1f\x0bc"),)),
    "assistant_first": Meaning(turns=(_assistant("How can I help?"), _user("What is the sky's colour?"))),
    "only_system": Meaning(system=("You are terse.",)),
    # what is shown
    "image_url": _asked(("image", IMAGE_URL)),
    "image_data": _asked(("image", IMAGE)),
    "image_file": _asked(("image", IMAGE_FILE)),
    "two_images": _asked(("image", IMAGE), ("text", "and this?"), ("image", IMAGE2)),
    "pdf_data": _asked(("document", PDF)),
    "pdf_url": _asked(("document", PDF_URL)),
    "pdf_file": _asked(("document", PDF_FILE)),
    "audio": _asked(("audio", SOUND)),
    # tools
    "tool": _plain(tools=(_TOOL,)),
    "tools": _plain(tools=(_TOOL, _TIME, _NOTHING)),
    "choice_auto": _plain(tools=(_TOOL, _TIME), choice="auto"),
    "choice_none": _plain(tools=(_TOOL, _TIME), choice="none"),
    "choice_required": _plain(tools=(_TOOL, _TIME), choice="required"),
    "choice_named": _plain(tools=(_TOOL, _TIME), choice="named:get_weather"),
    "one_at_a_time": _plain(tools=(_TOOL, _TIME), parallel=False),
    "call_and_result": _told(("text", "It is sunny.")),
    "calls_and_results": _PARALLEL,
    "failed_result": _told(("text", "No such place."), failed=True),
    "result_with_image": _told(("text", "A map:"), ("image", IMAGE)),
    "empty_result": _told(("text", "")),
    "web_search": _plain(search=True),
    # the answer's form
    "json_mode": Meaning(turns=(_user("Give me a person as JSON."),), format="json"),
    "json_schema": Meaning(turns=(_user("Who is it?"),), format=PERSON),
    "json_schema_and_tools": Meaning(turns=(_user("Who is it?"),), format=PERSON, tools=(_TOOL,)),
    "limit": _plain(limit=333),
    "small_limit": _plain(limit=5),
    "stop": _plain(stop=("END", "\n\nHuman:")),
    "temperature": _plain(temperature=0.3),
    "temperature_zero": _plain(temperature=0),
    "temperature_high": _plain(temperature=1.7),
    "top_p": _plain(top_p=0.4),
    "top_k": _plain(top_k=17),
    "penalties": _plain(frequency_penalty=0.5, presence_penalty=0.25),
    "negative_penalties": _plain(frequency_penalty=-0.5, presence_penalty=-1),
    "seed": _plain(seed=42),
    "one_answer": _plain(n=1),
    "two_answers": _plain(n=2),
    "logprobs": _plain(logprobs=2),
    # thinking
    "effort_low": _plain(effort="low"),
    "effort_medium": _plain(effort="medium"),
    "effort_high": _plain(effort="high"),
    "effort_none": _plain(effort="none"),
    "thought_of_claude": _thought(("thought", "Paris it is.", "anthropic_messages:EqQBc2ln")),
    "thought_of_gemini": _thought(("thought", "Paris it is.", "google_generate:CpMBc2ln")),
    "thought_of_gpt": _thought(("thought", "Paris it is.", "openai_responses:gAAAAABo")),
    "thought_without_call": _thought(("thought", "Easy.", "anthropic_messages:EqQBc2ln"), call=False),
    "redacted_thought": _thought(("redacted", "EmwKAhgB")),
    # the rest
    "cached_system": _plain(system=("A long prompt.",), cached=frozenset({"system"})),
    "cached_tools": _plain(tools=(_TOOL,), cached=frozenset({"tools"})),
    "cached_messages": _plain(cached=frozenset({"messages"})),
    "unknown_member": _plain(unknown=True),
    "user": _plain(user="user-7"),
    "metadata": _plain(metadata={"team": "blue"}),
    "tier_default": _plain(tier="default"),
    "tier_priority": _plain(tier="priority"),
    "cited_before": Meaning(
        turns=(_user("Who won?"), _assistant("According to the page, Ada."), _user("Sure?")),
        cited=("https://news.example/won",),
    ),
    "everything": _plain(
        system=("Be brief.",), tools=(_TOOL, _TIME), choice="required", limit=500, temperature=0.5, stop=("END",)
    ),
}
#: Those that are asked of a model that thinks.
THINKING = frozenset(name for name, meaning in SCENARIOS.items() if meaning.effort)
