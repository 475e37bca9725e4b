"""OpenAI's Responses API as a family of scripted upstreams."""

from __future__ import annotations

import json
from typing import Any

from tests.scripted import IN, OUT, Family, Heard, Json, Turn, halves, sse, text_of

_ZERO = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}


def _items(turn: Turn) -> list[Json]:
    items: list[Json] = []
    if turn.thought or turn.signature:
        summary = [{"type": "summary_text", "text": turn.thought}] if turn.thought else []
        items.append(
            {"id": "rs_scripted", "type": "reasoning", "summary": summary, "encrypted_content": turn.signature or None}
        )
    if turn.text:
        part = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
        message: Json = {"id": "msg_scripted", "type": "message", "role": "assistant", "status": "completed"}
        items.append({**message, "content": [part]})
    for number, call in enumerate(turn.calls):
        given = {"id": f"fc_{number}", "type": "function_call", "status": "completed", "call_id": call.id}
        items.append({**given, "name": call.name, "arguments": json.dumps(call.arguments)})
    return items


def _body(turn: Turn) -> Json:
    return {
        "id": "resp_scripted",
        "object": "response",
        "created_at": 1790000000,
        "status": "completed",
        "model": "responses-scripted",
        "output": _items(turn),
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {"input_tokens": IN, "output_tokens": OUT, "total_tokens": IN + OUT, **_ZERO},
    }


def _events(turn: Turn) -> bytes:
    whole = _body(turn)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[Json] = [{"type": f"response.{word}", "response": begun} for word in ("created", "in_progress")]
    for index, item in enumerate(whole["output"]):
        events += _item_events(item, {"output_index": index})
    events.append({"type": "response.completed", "response": whole})
    return sse(*({**event, "sequence_number": number} for number, event in enumerate(events)), named=True)


def _item_events(item: Json, at: Json) -> list[Json]:
    place = {**at, "item_id": item["id"]}
    open_item: Any
    match item["type"]:
        case "reasoning":
            open_item = {**item, "summary": [], "encrypted_content": None}
            inner = [event for n, part in enumerate(item["summary"]) for event in _summary(part, place, n)]
        case "message":
            open_item = {**item, "status": "in_progress", "content": []}
            inner = _message(item["content"][0], {**place, "content_index": 0})
        case _:
            open_item = {**item, "status": "in_progress", "arguments": ""}
            kind = "response.function_call_arguments"
            inner = [{"type": f"{kind}.delta", **place, "delta": piece} for piece in halves(item["arguments"])]
            inner.append({"type": f"{kind}.done", **place, "arguments": item["arguments"], "name": item["name"]})
    added = {"type": "response.output_item.added", **at, "item": open_item}
    return [added, *inner, {"type": "response.output_item.done", **at, "item": item}]


def _summary(part: Json, place: Json, number: int) -> list[Json]:
    where = {**place, "summary_index": number}
    kind = "response.reasoning_summary"
    return [
        {"type": f"{kind}_part.added", **where, "part": {**part, "text": ""}},
        *({"type": f"{kind}_text.delta", **where, "delta": piece} for piece in halves(part["text"])),
        {"type": f"{kind}_text.done", **where, "text": part["text"]},
        {"type": f"{kind}_part.done", **where, "part": part},
    ]


def _message(part: Json, where: Json) -> list[Json]:
    kind = "response.output_text"
    return [
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({"type": f"{kind}.delta", **where, "delta": piece, "logprobs": []} for piece in halves(part["text"])),
        {"type": f"{kind}.done", **where, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
    ]


def _heard(body: Json) -> Heard:
    heard = Heard(system=body.get("instructions") or "", tools=[tool.get("name", "") for tool in body.get("tools", ())])
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        match item.get("type", "message" if "role" in item else "item_reference"):
            case "message":
                text = text_of(item["content"])
                if item["role"] in ("system", "developer"):
                    heard.system += text
                else:
                    (heard.said if item["role"] == "assistant" else heard.users).append(text)
            case "function_call":
                heard.calls.append((item["name"], json.loads(item["arguments"])))
            case "function_call_output":
                heard.results.append((item["call_id"], text_of(item["output"])))
            case "reasoning":
                heard.thoughts.append(text_of(item["summary"]))
                heard.signatures += [item["encrypted_content"]] if item.get("encrypted_content") else []
    return heard


RESPONSES = Family("openai-responses", "gpt-5.2", "/v1", "bearer", _body, _events, _heard)
