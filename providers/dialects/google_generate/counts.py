"""`usageMetadata`: Google counts thoughts apart from the candidates, and what tools told from the prompt. Pure."""

from __future__ import annotations

from typing import Any

from providers.dialects.usage import Usage, added, first, tokens


def read_usage(found: Any) -> Usage | None:
    """The counts as the hub counts. None: there are none."""
    if not isinstance(found, dict):
        return None
    prompt = first(found, "promptTokenCount")
    tool = first(found, "toolUsePromptTokenCount")
    candidates = first(found, "candidatesTokenCount")
    thoughts = first(found, "thoughtsTokenCount")
    total = first(found, "totalTokenCount")
    read = Usage(
        input=_input(prompt, tool, added(candidates, thoughts), total),
        output=_output(added(prompt, tool), candidates, thoughts, total),
        cache_read=first(found, "cachedContentTokenCount"),
        reasoning=thoughts,
        audio_input=_audio(found.get("promptTokensDetails")),
        audio_output=_audio(found.get("candidatesTokensDetails")),
    )
    return None if read == Usage() else read


def _input(prompt: int | None, tool: int | None, output: int | None, total: int | None) -> int | None:
    """With the tokens of tools, unless the total says that they are in the prompt's count already."""
    if tool and prompt is not None and total is not None and total == prompt + (output or 0):
        return prompt
    return added(prompt, tool)


def _output(given: int | None, candidates: int | None, thoughts: int | None, total: int | None) -> int | None:
    """With the thoughts, unless the total says that they are in the candidates' count already."""
    if thoughts and candidates is not None and total is not None and total == (given or 0) + candidates:
        return candidates
    return added(candidates, thoughts)


def _audio(details: Any) -> int | None:
    if not isinstance(details, list):
        return None
    return added(
        *(
            tokens(entry.get("tokenCount"))
            for entry in details
            if isinstance(entry, dict) and entry.get("modality") == "AUDIO"
        )
    )


def write_usage(usage: Usage, service_tier: str = "") -> dict[str, Any]:
    """The counts as Google counts. Some upstreams leave their thoughts out of `output`, which then is less."""
    made: dict[str, Any] = {}
    answer = usage.output
    thoughts = usage.reasoning or 0
    if answer is not None and thoughts <= answer:
        answer -= thoughts
    for name, count in (
        ("promptTokenCount", usage.input),
        ("candidatesTokenCount", answer),
        ("thoughtsTokenCount", usage.reasoning),
        ("cachedContentTokenCount", usage.cache_read),
        ("totalTokenCount", added(usage.input, answer, usage.reasoning)),
    ):
        if count is not None:
            made[name] = count
    for name, audio, whole in (
        ("promptTokensDetails", usage.audio_input, usage.input),
        ("candidatesTokensDetails", usage.audio_output, answer),
    ):
        if audio is not None:
            made[name] = [{"modality": "AUDIO", "tokenCount": audio}]
            if whole is not None and whole > audio:
                made[name].append({"modality": "TEXT", "tokenCount": whole - audio})
    if service_tier:
        made["serviceTier"] = service_tier
    return made
