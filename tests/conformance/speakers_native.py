"""A meaning said as Anthropic's and Google's SDKs would say it, and `said_in`, which knows all four."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.meaning import EFFORTS, Item, Meaning
from conformance.speakers import Body, Ids, Unsayable, carried, chat, refuse, responses, sampling, source, without_none
from conformance.things import GOOGLE_FILES

_MARK = {"cache_control": {"type": "ephemeral"}}
#: A member that no API has.
UNKNOWN = "tomorrow"


# --- Anthropic's messages --------------------------------------------------------------------------------------------


def messages(meaning: Meaning) -> Body:
    refuse(meaning, "frequency_penalty", "presence_penalty", "seed", "n", "logprobs", "metadata")
    if meaning.format == "json" or meaning.tier == "priority":
        raise Unsayable("format or tier")
    ids = Ids("toolu_{:022d}")
    turns = [
        {"role": role, "content": [_block(item, ids, meaning.cited) for item in items]} for role, items in meaning.turns
    ]
    for turn in turns:
        if len(turn["content"]) == 1 and turn["content"][0].keys() == {"type", "text"}:
            turn["content"] = turn["content"][0]["text"]
    system: Any = [{"type": "text", "text": text} for text in meaning.system]
    tools: list[Body] = [
        {"name": name, "description": said, "input_schema": schema} for name, said, schema in meaning.tools
    ]
    if "system" in meaning.cached:
        system[-1] |= _MARK
    if "tools" in meaning.cached:
        tools[-1] |= _MARK
    if "messages" in meaning.cached:
        last = turns[-1]["content"]
        turns[-1]["content"] = [{"type": "text", "text": last, **_MARK}]
    if meaning.search:
        tools.append({"type": "web_search_20250305", "name": "web_search"})
    thinking: Any = None
    if meaning.effort == "none":
        thinking = {"type": "disabled"}
    elif meaning.effort:
        thinking = {"type": "enabled", "budget_tokens": EFFORTS[meaning.effort]}
    form = {"format": {"type": "json_schema", "schema": meaning.format}} if meaning.format is not None else None
    return {
        "max_tokens": meaning.limit,
        "messages": turns,
        **sampling(meaning),
        **without_none(
            system=system,
            tools=tools,
            tool_choice=_anthropic_choice(meaning),
            top_k=meaning.top_k,
            stop_sequences=list(meaning.stop),
            thinking=thinking,
            output_config=form,
            metadata={"user_id": meaning.user} if meaning.user else None,
            service_tier={"default": "standard_only"}.get(meaning.tier),
        ),
    }


def _anthropic_choice(meaning: Meaning) -> Body | None:
    choice = meaning.choice or ("auto" if meaning.parallel is False else "")
    if not choice:
        return None
    named = choice.startswith("named:")
    made: Body = {"type": "tool", "name": choice[6:]} if named else {"type": {"required": "any"}.get(choice, choice)}
    return made | ({"disable_parallel_tool_use": True} if meaning.parallel is False else {})


def _block(item: Item, ids: Ids, cited: tuple[str, ...] = ()) -> Body:
    match item[0]:
        case "text":
            notes = [
                {"type": "web_search_result_location", "url": url, "title": "Page", "cited_text": "so", **_INDEX}
                for url in cited
                if item[1].startswith("According")
            ]
            return {"type": "text", "text": item[1], **({"citations": notes} if notes else {})}
        case "call":
            return {"type": "tool_use", "id": ids.next(), "name": item[1], "input": json.loads(item[2])}
        case "result":
            content = [_block(inner, ids) for inner in item[2]]
            made: Body = {"type": "tool_result", "tool_use_id": ids.of(item[1]), "content": content}
            return made | ({"is_error": True} if item[3] else {})
        case "thought":
            proof = carried(item[2], "anthropic_messages")
            return {"type": "thinking", "thinking": item[1], "signature": proof}
        case "redacted":
            return {"type": "redacted_thinking", "data": item[1]}
    found = source(item)
    if item[0] == "audio":
        raise Unsayable("audio")
    if found.file_id:
        where = {"type": "file", "file_id": found.file_id}
    elif found.url:
        where = {"type": "url", "url": found.url}
    else:
        where = {"type": "base64", "media_type": found.media_type, "data": found.data}
    return {"type": item[0], "source": where}


_INDEX = {"encrypted_index": "Eo8B"}


# --- Google's generateContent ----------------------------------------------------------------------------------------


def generate(meaning: Meaning) -> Body:
    refuse(meaning, "cited", "cached", "user", "metadata", "tier")
    if meaning.parallel is False or not meaning.turns:
        raise Unsayable("parallel, or nothing but a system prompt")
    names: list[str] = []
    contents = []
    for role, items in meaning.turns:
        parts = [_google_part(item, names) for item in items]
        contents.append({"role": {"assistant": "model"}.get(role, role), "parts": parts})
    form: Body = {}
    if meaning.format is not None:
        form = {"responseMimeType": "application/json"}
        form |= {} if meaning.format == "json" else {"responseJsonSchema": meaning.format}
    config = {
        **form,
        **without_none(
            temperature=meaning.temperature,
            topP=meaning.top_p,
            topK=meaning.top_k,
            maxOutputTokens=meaning.limit,
            frequencyPenalty=meaning.frequency_penalty,
            presencePenalty=meaning.presence_penalty,
            seed=meaning.seed,
            candidateCount=meaning.n,
            stopSequences=list(meaning.stop),
            responseLogprobs=True if meaning.logprobs else None,
            logprobs=meaning.logprobs,
            thinkingConfig={"thinkingBudget": EFFORTS[meaning.effort]} if meaning.effort else None,
        ),
    }
    functions = [
        {"name": name, "description": said, "parametersJsonSchema": schema} for name, said, schema in meaning.tools
    ]
    tools: list[Body] = [{"functionDeclarations": functions}] if functions else []
    if meaning.search:
        tools.append({"googleSearch": {}})
    system = {"role": "user", "parts": [{"text": text} for text in meaning.system]} if meaning.system else None
    return {
        "contents": contents,
        **without_none(
            systemInstruction=system,
            generationConfig=config or None,
            tools=tools,
            toolConfig=_google_choice(meaning.choice),
        ),
    }


def _google_choice(choice: str | None) -> Body | None:
    if choice is None:
        return None
    if choice.startswith("named:"):
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [choice[6:]]}}
    return {"functionCallingConfig": {"mode": {"required": "ANY"}.get(choice, choice.upper())}}


def _google_part(item: Item, names: list[str]) -> Body:
    match item[0]:
        case "text":
            return {"text": item[1]}
        case "call":
            names.append(item[1])
            return {"functionCall": {"name": item[1], "args": json.loads(item[2])}}
        case "result":
            words = "".join(inner[1] for inner in item[2] if inner[0] == "text")
            said = json.loads(words) if words.startswith("{") else {"error" if item[3] else "output": words}
            made: Body = {"name": names[item[1]], "response": said}
            inside = [_google_part(inner, names) for inner in item[2] if inner[0] != "text"]
            return {"functionResponse": made | ({"parts": inside} if inside else {})}
        case "thought":
            proof = carried(item[2], "google_generate")
            if proof.startswith("jf1:"):  # as bytes, which is what the SDK takes it for
                proof = base64.b64encode(proof.encode()).decode()
            return {"text": item[1], "thought": True, "thoughtSignature": proof}
        case "redacted":
            raise Unsayable("redacted")
    found = source(item)
    if found.data:
        return {"inlineData": {"mimeType": found.media_type, "data": found.data}}
    uri = found.url or f"{GOOGLE_FILES}{found.file_id}"
    return {"fileData": {"mimeType": found.media_type, "fileUri": uri}}


# --- all of them -----------------------------------------------------------------------------------------------------

SPEAKERS: dict[str, Callable[[Meaning], Body]] = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic_messages": messages,
    "google_generate": generate,
}


def said_in(dialect: str, meaning: Meaning) -> tuple[Meaning, Body] | None:
    """The body, and what it means: Anthropic's API makes one say how much may be said. None: it has no words for it."""
    if dialect == "anthropic_messages" and meaning.limit is None:
        meaning = replace(meaning, limit=40_000 if meaning.effort else 1024)
    try:
        body = SPEAKERS[dialect](meaning)
    except Unsayable:
        return None
    return meaning, body | ({UNKNOWN: {"a": 1}} if meaning.unknown else {})
