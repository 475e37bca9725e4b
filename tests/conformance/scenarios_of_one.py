"""Ways to say things that one API has and the others have not: its client's words, and what they mean."""

from __future__ import annotations

from typing import Any

from conformance.meaning import Meaning
from conformance.scenarios import SCENARIOS
from conformance.things import IMAGE, SOURCES
from providers.dialects.signatures import framed

_HELLO = SCENARIOS["hello"].turns
_USER = {"role": "user", "content": "Hello"}
_GOOGLE = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
_CLAUDE = {"max_tokens": 40_000, "messages": [_USER]}
_REFUSED = (("user", (("text", "Hello"),)), ("assistant", (("text", "I will not."),)), ("user", (("text", "Why?"),)))
_CALLED = (
    ("user", (("text", "Weather?"),)),
    ("assistant", (("call", "f", "{}"),)),
    ("user", (("result", 0, (("text", "sunny"),), False),)),
)
_F = {"name": "f", "description": "Does.", "parameters": {"type": "object", "properties": {}}}
_TOOL = ("f", "Does.", {"type": "object", "properties": {}})
_THOUGHT = (
    ("user", (("text", "Hello"),)),
    ("assistant", (("thought", "Polite.", "anthropic_messages:EqQBc2ln"), ("text", "Hi."))),
    ("user", (("text", "Why?"),)),
)

#: (scenario, client, body, meaning)
OF_ONE: tuple[tuple[str, str, dict[str, Any], Meaning], ...] = (
    ("legacy_limit", "openai_chat", {"messages": [_USER], "max_tokens": 333}, Meaning(turns=_HELLO, limit=333)),
    (
        "developer",
        "openai_chat",
        {"messages": [{"role": "developer", "content": "Be terse."}, _USER]},
        Meaning(turns=_HELLO, system=("Be terse.",)),
    ),
    (
        "developer",
        "openai_responses",
        {"input": [{"role": "developer", "content": "Be terse."}, _USER]},
        Meaning(turns=_HELLO, system=("Be terse.",)),
    ),
    ("text_alone", "openai_responses", {"input": "Hello"}, Meaning(turns=_HELLO)),
    (
        "system_later",
        "openai_chat",
        {"messages": [_USER, {"role": "assistant", "content": "Hi."}, {"role": "system", "content": "Shout."}, _USER]},
        Meaning(turns=(*_HELLO, ("assistant", (("text", "Hi."),)), *_HELLO), system=("Shout.",)),
    ),
    (
        "refusal_before",
        "openai_chat",
        {
            "messages": [
                _USER,
                {"role": "assistant", "content": None, "refusal": "I will not."},
                {"role": "user", "content": "Why?"},
            ]
        },
        Meaning(turns=_REFUSED),
    ),
    (
        "refusal_before",
        "openai_responses",
        {
            "input": [
                _USER,
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "refusal", "refusal": "I will not."}],
                },
                {"role": "user", "content": "Why?"},
            ]
        },
        Meaning(turns=_REFUSED),
    ),
    (
        "legacy_functions",
        "openai_chat",
        {
            "messages": [
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "sunny"},
            ],
            "functions": [_F],
        },
        Meaning(turns=_CALLED, tools=(_TOOL,), parallel=False),
    ),
    (
        "thought_in_details",
        "openai_chat",
        {
            "messages": [
                _USER,
                {
                    "role": "assistant",
                    "content": "Hi.",
                    "reasoning_details": [
                        {
                            "type": "reasoning.text",
                            "text": "Polite.",
                            "signature": framed("EqQBc2ln", "anthropic_messages", "openai_chat"),
                            "index": 0,
                        }
                    ],
                },
                {"role": "user", "content": "Why?"},
            ],
            "reasoning_effort": "medium",
        },
        Meaning(turns=_THOUGHT, effort="medium"),
    ),
    (
        "effort_word",
        "anthropic_messages",
        {**_CLAUDE, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        Meaning(turns=_HELLO, limit=40_000, effort="high"),
    ),
    (
        "level",
        "google_generate",
        {**_GOOGLE, "generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}},
        Meaning(turns=_HELLO, effort="high"),
    ),
    (
        "snake_case",
        "google_generate",
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"text": "Hello"},
                        {"inline_data": {"mime_type": "image/png", "data": SOURCES[IMAGE].data}},
                    ],
                }
            ],
            "system_instruction": {"parts": [{"text": "Be terse."}]},
            "generation_config": {"max_output_tokens": 333, "stop_sequences": ["END"]},
        },
        Meaning(
            turns=(("user", (("text", "Hello"), ("image", IMAGE))),), system=("Be terse.",), limit=333, stop=("END",)
        ),
    ),
    (
        "openapi_schema",
        "google_generate",
        {
            **_GOOGLE,
            "tools": [
                {"functionDeclarations": [{**_F, "parameters": {"type": "OBJECT", "properties": {}}}]},
            ],
            "generationConfig": {"candidateCount": 1},
        },
        Meaning(turns=_HELLO, tools=(_TOOL,), n=1),
    ),
    (
        "text_in_blocks",
        "anthropic_messages",
        {"max_tokens": 1024, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
        Meaning(turns=_HELLO, limit=1024),
    ),
)
#: Those that are asked of a model that thinks.
THINKING = frozenset(name for name, _, _, meaning in OF_ONE if meaning.effort)
