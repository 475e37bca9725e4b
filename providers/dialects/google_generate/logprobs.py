"""Log probabilities: Google's two lists side by side, OpenAI's one with the alternatives inside. Pure."""

from __future__ import annotations

from typing import Any


def read_logprobs(found: Any) -> dict[str, Any] | None:
    """`logprobsResult` in OpenAI's words. None: there is none."""
    chosen = _entries(found, "chosenCandidates")
    if not chosen:
        return None
    tops = _entries(found, "topCandidates")
    content = []
    for at, token in enumerate(chosen):
        top = _entries(tops[at], "candidates") if at < len(tops) else []
        content.append({**_token(token), "top_logprobs": [_token(other) for other in top]})
    return {"content": content}


def _entries(found: Any, name: str) -> list[dict[str, Any]]:
    entries = found.get(name) if isinstance(found, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _token(entry: dict[str, Any]) -> dict[str, Any]:
    token, chance = entry.get("token"), entry.get("logProbability")
    words = token if isinstance(token, str) else ""
    return {
        "token": words,
        # A certain token's 0 is left out on the wire.
        "logprob": chance if isinstance(chance, int | float) and not isinstance(chance, bool) else 0.0,
        "bytes": list(words.encode("utf-8", "surrogatepass")),
    }


def write_logprobs(value: dict[str, Any]) -> dict[str, Any] | None:
    """`logprobsResult` for OpenAI's words. None: nothing to say."""
    content = _entries(value, "content")
    if not content:
        return None
    made: dict[str, Any] = {"chosenCandidates": [_candidate(entry) for entry in content]}
    if any(entry.get("top_logprobs") for entry in content):
        made["topCandidates"] = [
            {"candidates": [_candidate(other) for other in _entries(entry, "top_logprobs")]} for entry in content
        ]
    return made


def _candidate(entry: dict[str, Any]) -> dict[str, Any]:
    return {"token": entry.get("token", ""), "logProbability": entry.get("logprob", 0.0)}
