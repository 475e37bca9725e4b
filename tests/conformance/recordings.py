"""The recorded exchanges, and what each says in one neutral form, counted as OpenAI counts."""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

SHARED = Path(__file__).resolve().parent.parent.parent.parent / "shared"
CASSETTES = SHARED / "cassettes"

#: The API of a recording -> the family that it is served by here.
FAMILIES = {
    "chat.completions": "openai-completions",
    "chat": "openai-completions",
    "responses": "openai-responses",
    "messages": "anthropic-messages",
    "google:generateContent": "google-generative-ai",
    "google:streamGenerateContent": "google-generative-ai",
    "vertex:generateContent": "google-vertex",
    "vertex:streamGenerateContent": "google-vertex",
    "vertex:rawPredict": "google-vertex-anthropic",
    "vertex:streamRawPredict": "google-vertex-anthropic",
    "bedrock:converse": "bedrock-converse",
    "bedrock:converse-stream": "bedrock-converse",
    "cohere.v2.chat": "cohere-chat",
}


@cache
def neutral() -> ModuleType:
    """The reader of any family's reply that lies beside the recordings."""
    spec = importlib.util.spec_from_file_location("neutral", SHARED / "tools" / "neutral.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def cases() -> list[dict[str, Any]]:
    """The recorded conversations, of all families."""
    found = []
    for path in sorted(CASSETTES.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            found += [json.loads(line) for line in lines]
    return [case for case in found if case["api"] in FAMILIES and case["method"] == "POST"]


def family_of(case: dict[str, Any]) -> str:
    """Who serves this recording: Azure's chat is asked at a deployment of its own."""
    family = FAMILIES[case["api"]]
    return "azure-openai" if case["family"] == "azure" and family == "openai-completions" else family


def recorded(case: dict[str, Any]) -> dict[str, Any]:
    """Text, reasoning, tools, stop, usage and error of a recording."""
    found: dict[str, Any] = neutral().of_case(case)
    counts = as_openai(family_of(case), found["usage"])
    if "google" in case["family"] or case["family"] == "vertex":
        counts["input"] = counts.get("input", 0) + _of_tools(case)
    plan = _plan(case) if case["api"] == "cohere.v2.chat" else ""
    return {**found, "usage": counts, "reasoning": plan + found["reasoning"]}


def _plan(case: dict[str, Any]) -> str:
    """What Cohere's models think before they call tools: their `tool_plan` is reasoning here."""
    said = re.findall(r'"tool_plan":\s*("(?:[^"\\]|\\.)*")', case["response_body"])
    return "".join(map(json.loads, said))


def _of_tools(case: dict[str, Any]) -> int:
    """Tokens that Google's own tools put into the prompt, which it counts apart."""
    found = re.findall(r'"toolUsePromptTokenCount":\s*(\d+)', case["response_body"])
    return int(found[-1]) if found else 0


def as_openai(family: str, usage: dict[str, Any]) -> dict[str, int]:
    """Usage as OpenAI counts it: cached tokens in the input, reasoning in the output."""
    counts = {name: value for name, value in usage.items() if isinstance(value, int)}
    if "anthropic" in family or "bedrock" in family:
        if "input" in counts:
            counts["input"] += counts.get("cache_read", 0) + counts.get("cache_write", 0)
    elif "google" in family and "reasoning" in counts:
        counts["output"] = counts.get("output", 0) + counts["reasoning"]
    return counts
