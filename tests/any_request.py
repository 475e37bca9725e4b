"""Requests of every shape that the hub allows, for tests that draw them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from providers.dialects.canon import (
    Cache,
    Citation,
    Format,
    Media,
    Message,
    Opaque,
    Reasoning,
    Refusal,
    Request,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

WORDS = st.text(max_size=6) | st.sampled_from(["weather", "time", "{}", '{"a":1}', "[", "s3://b/f.png", "AAAA", "sig"])
NUMBERS = st.none() | st.integers(-2, 40_000)
RATES = st.none() | st.floats(-2, 3)
VALUES = st.dictionaries(
    WORDS, st.none() | WORDS | st.integers() | st.dictionaries(WORDS, WORDS, max_size=2), max_size=3
)
DIALECTS = st.sampled_from(["", "bedrock_converse", "cohere_chat", "anthropic_messages", "openai_chat"])
CACHES = st.none() | st.builds(Cache, st.sampled_from(["", "5m", "1h"]))
CITATIONS = st.builds(Citation, WORDS, WORDS, dialect=DIALECTS, value=st.none() | VALUES)
TEXTS = st.builds(Text, WORDS, st.lists(CITATIONS, max_size=2).map(tuple), CACHES)
MEDIA = st.builds(
    Media,
    st.sampled_from(["image", "audio", "video", "document"]),
    url=WORDS,
    data=WORDS,
    file_id=WORDS,
    media_type=WORDS | st.sampled_from(["image/png", "text/plain", "application/pdf", "video/mp4"]),
    name=WORDS,
    text=WORDS,
    cache=CACHES,
    extras=VALUES | st.just({"citations": {"enabled": True}, "title": "x"}),
)
CALLS = st.builds(ToolCall, WORDS, WORDS, WORDS, st.booleans(), cache=CACHES)
RESULTS = st.builds(ToolResult, WORDS, st.lists(TEXTS | MEDIA, max_size=2).map(tuple), WORDS, st.booleans())
PARTS: st.SearchStrategy[Any] = st.one_of(
    TEXTS,
    MEDIA,
    CALLS,
    RESULTS,
    st.builds(Thinking, WORDS, WORDS, DIALECTS, st.booleans()),
    st.builds(Refusal, WORDS),
    st.builds(Opaque, DIALECTS, VALUES),
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
    st.lists(PARTS, max_size=3).map(tuple),
    WORDS,
)
SCHEMAS = st.none() | VALUES | st.just({"type": "object", "properties": {"a": {"type": "string"}}})
TOOLS = st.builds(
    Tool,
    st.sampled_from(["function", "free", "web_search", "opaque"]),
    WORDS,
    WORDS,
    SCHEMAS,
    st.none() | st.booleans(),
    CACHES,
    DIALECTS,
    VALUES,
)
CHOICES = st.builds(
    ToolChoice,
    st.sampled_from(["auto", "none", "required", "named"]),
    WORDS,
    st.lists(WORDS, max_size=2).map(tuple),
)
EFFORTS = st.none() | st.sampled_from(["none", "minimal", "low", "high", "xhigh", "max", "odd"])
THINKING = st.builds(Reasoning, EFFORTS, NUMBERS, st.none() | st.booleans(), adaptive=st.booleans())
REQUESTS = st.builds(
    Request,
    dialect=DIALECTS,
    messages=st.lists(MESSAGES, max_size=4).map(tuple),
    tools=st.lists(TOOLS, max_size=2).map(tuple),
    tool_choice=st.none() | CHOICES,
    format=st.none() | st.builds(Format, SCHEMAS, WORDS, WORDS),
    reasoning=st.none() | THINKING,
    max_tokens=NUMBERS,
    temperature=RATES,
    top_p=RATES,
    top_k=NUMBERS,
    frequency_penalty=RATES,
    seed=NUMBERS,
    stop=st.lists(WORDS, max_size=3).map(tuple),
    metadata=st.none() | VALUES,
    service_tier=WORDS,
    extras=VALUES,
)
