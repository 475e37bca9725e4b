"""Families that scripted upstreams speak: Anthropic's, Google's, OpenAI's chat. Shaped as recorded answers are."""

from __future__ import annotations

import json

from tests.scripted import IN, OUT, Family, Heard, Json, Turn, halves, sse, text_of

# --- Anthropic ------------------------------------------------------------------------------------------------------


def _anthropic_blocks(turn: Turn) -> list[Json]:
    thought = [{"type": "thinking", "thinking": turn.thought, "signature": turn.signature}] if turn.thought else []
    text = [{"type": "text", "text": turn.text}] if turn.text else []
    calls = [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c in turn.calls]
    return [*thought, *text, *calls]


def _anthropic_body(turn: Turn) -> Json:
    return {
        "id": "msg_01Scripted",
        "type": "message",
        "role": "assistant",
        "model": "claude-scripted",
        "content": _anthropic_blocks(turn),
        "stop_reason": "tool_use" if turn.calls else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": IN,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": OUT,
        },
    }


def _anthropic_events(turn: Turn) -> bytes:
    whole = _anthropic_body(turn)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        kind = block["type"]
        empty: Json = {
            "thinking": {"type": "thinking", "thinking": "", "signature": ""},
            "text": {"type": "text", "text": ""},
            "tool_use": {**block, "input": {}},
        }[kind]
        deltas: list[Json]
        if kind == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in halves(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        elif kind == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in halves(block["text"])]
        else:
            pieces = ["", *halves(json.dumps(block["input"]))]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": whole["usage"]})
    events.append({"type": "message_stop"})
    return sse(*events, named=True)


def _anthropic_heard(body: Json) -> Heard:
    heard = Heard(system=text_of(body.get("system", "")), tools=[t["name"] for t in body.get("tools", ())])
    for message in body["messages"]:
        blocks = message["content"]
        for block in [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks:
            match block["type"]:
                case "text":
                    (heard.said if message["role"] == "assistant" else heard.users).append(block["text"])
                case "tool_use":
                    heard.calls.append((block["name"], block["input"]))
                case "tool_result":
                    heard.results.append((block["tool_use_id"], text_of(block["content"])))
                case "thinking":
                    heard.thoughts.append(block["thinking"])
                    heard.signatures.append(block["signature"])
    return heard


# --- Google ---------------------------------------------------------------------------------------------------------


def _google_parts(turn: Turn) -> list[Json]:
    """As Gemini 3 does: the signature is on the first call, or else on the text."""
    parts: list[Json] = [{"text": turn.thought, "thought": True}] if turn.thought else []
    answer: list[Json] = [{"text": turn.text}] if turn.text else []
    answer += [{"functionCall": {"name": c.name, "args": c.arguments, "id": c.id}} for c in turn.calls]
    if turn.signature:
        signed = next((part for part in answer if "functionCall" in part), answer[0])
        signed["thoughtSignature"] = turn.signature
    return parts + answer


def _google_body(turn: Turn, parts: list[Json] | None = None, last: bool = True) -> Json:
    parts = _google_parts(turn) if parts is None else parts
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    usage = {"promptTokenCount": IN, "candidatesTokenCount": OUT, "totalTokenCount": IN + OUT}
    return {
        "candidates": [{**candidate, **({"finishReason": "STOP"} if last else {})}],
        "usageMetadata": usage,
        "modelVersion": "gemini-scripted",
        "responseId": "scriptedresponse",
    }


def _google_events(turn: Turn) -> bytes:
    parts = _google_parts(turn)
    pieces: list[Json] = []
    for part in parts:
        if "text" in part and len(part["text"]) > 1 and "thoughtSignature" not in part:
            pieces += [{**part, "text": piece} for piece in halves(part["text"])]
        else:
            pieces.append(part)
    events = [_google_body(turn, [part], last=number == len(pieces)) for number, part in enumerate(pieces, 1)]
    return sse(*events, named=False).replace(b"\n\n", b"\r\n\r\n")


def _camel(part: Json) -> Json:
    """Google takes both spellings of its members, and LiteLLM's is the other one."""
    words = {name: name.split("_") for name in part}
    return {first + "".join(map(str.title, rest)): part[name] for name, (first, *rest) in words.items()}


def _google_heard(body: Json) -> Heard:
    heard = Heard(system=text_of(body.get("systemInstruction", {}).get("parts", "")))
    for tool in body.get("tools", ()):
        heard.tools += [each["name"] for each in _camel(tool).get("functionDeclarations", ())]
    for content in body["contents"]:
        for part in map(_camel, content["parts"]):
            if "thoughtSignature" in part:
                heard.signatures.append(part["thoughtSignature"])
            match part:
                case {"functionCall": call}:
                    heard.calls.append((call["name"], call.get("args", {})))
                    heard.signed_calls += [call["args"]] if "thoughtSignature" in part else []
                case {"functionResponse": result}:
                    heard.results.append((result.get("id") or result["name"], json.dumps(result["response"])))
                case {"text": text, "thought": True}:
                    heard.thoughts.append(text)
                case {"text": text}:
                    (heard.said if content["role"] == "model" else heard.users).append(text)
    return heard


# --- OpenAI's chat --------------------------------------------------------------------------------------------------


def _chat_usage() -> Json:
    return {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}


def _chat_calls(turn: Turn) -> list[Json]:
    return [
        {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
        for c in turn.calls
    ]


def _chat_body(turn: Turn) -> Json:
    message: Json = {"role": "assistant", "content": turn.text or None}
    if turn.thought:
        message["reasoning_content"] = turn.thought
    if turn.calls:
        message["tool_calls"] = _chat_calls(turn)
    finish = "tool_calls" if turn.calls else "stop"
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "chat-scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": _chat_usage(),
    }


def _chat_events(turn: Turn) -> bytes:
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in halves(turn.thought)]
    deltas += [{"content": piece} for piece in halves(turn.text)]
    for index, call in enumerate(_chat_calls(turn)):
        function = call["function"]
        opening = {"index": index, **call, "function": {**function, "arguments": ""}}
        deltas.append({"tool_calls": [opening]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": p}}]} for p in halves(function["arguments"])
        ]
    head = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1790000000, "model": "scripted"}
    finish = "tool_calls" if turn.calls else "stop"
    events = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    events.append({**head, "choices": [], "usage": _chat_usage()})
    return sse(*events, named=False) + b"data: [DONE]\n\n"


def _chat_heard(body: Json) -> Heard:
    heard = Heard(tools=[tool["function"]["name"] for tool in body.get("tools", ())])
    for message in body["messages"]:
        text = text_of(message.get("content"))
        match message["role"]:
            case "system" | "developer":
                heard.system += text
            case "user":
                heard.users.append(text)
            case "tool":
                heard.results.append((message["tool_call_id"], text))
            case "assistant":
                heard.said += [text] if text else []
                heard.thoughts += [message["reasoning_content"]] if message.get("reasoning_content") else []
                for call in message.get("tool_calls") or ():
                    heard.calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
    return heard


def _assist_events(turn: Turn) -> bytes:
    lines = _google_events(turn).split(b"\r\n\r\n")
    return b"".join(b'data: {"response":' + line[6:] + b',"traceId":"t1"}\r\n\r\n' for line in lines if line)


CHAT = Family("openai-completions", "qwen3-scripted", "/v1", "bearer", _chat_body, _chat_events, _chat_heard)
ANTHROPIC = Family(
    "anthropic-messages", "claude-sonnet-4-5", "", "header", _anthropic_body, _anthropic_events, _anthropic_heard
)
GOOGLE = Family(
    "google-generative-ai", "gemini-3-pro-preview", "/v1beta", "query", _google_body, _google_events, _google_heard
)
#: Google's dialect in an envelope.
ASSIST = Family(
    "google-cloud-code-assist",
    "gemini-3-pro-preview",
    "",
    "google-login",
    lambda turn: {"response": _google_body(turn), "traceId": "t1"},
    _assist_events,
    lambda body: _google_heard(body["request"]),
    {"project": "proj-1"},
)
GEMINI = (GOOGLE, ASSIST)
