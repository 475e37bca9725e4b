"""What arrived at upstreams of Anthropic, Google, Bedrock, Cohere and Ollama, read as their documentation says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from conformance.meaning import Item, Meaning, Turn, arguments, effort_of, media
from conformance.readers import TIERS, Body, Calls, as_format, chat, responses
from conformance.speakers_native import UNKNOWN
from conformance.things import GOOGLE_FILES, by_file


def _texts(content: Any) -> list[Body]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


# --- Anthropic -------------------------------------------------------------------------------------------------------


def anthropic(body: Body) -> Meaning:
    calls = Calls()
    turns: list[Turn] = []
    system = [block["text"] for block in _texts(body.get("system"))]
    marked = {"system": _texts(body.get("system")), "tools": body.get("tools", ()), "messages": []}
    cited: list[str] = []
    for message in body["messages"]:
        blocks = _texts(message["content"])
        marked["messages"] += blocks
        cited += [note["url"] for block in blocks for note in block.get("citations") or ()]
        if message["role"] == "system":
            system += [block["text"] for block in blocks]
        else:
            turns.append((message["role"], tuple(_block(block, calls) for block in blocks)))
    choice = body.get("tool_choice") or {}
    word = {"any": "required", "tool": f"named:{choice.get('name')}"}.get(choice.get("type"), choice.get("type"))
    tools = [
        (tool["name"], tool.get("description", ""), tool["input_schema"])
        for tool in body.get("tools", ())
        if "input_schema" in tool
    ]
    emulated, word = as_format(tools, word)
    form = (body.get("output_config") or {}).get("format")
    thinking = body.get("thinking") or {}
    effort = {"disabled": "none", "enabled": effort_of(thinking.get("budget_tokens", 0))}.get(thinking.get("type"))
    return Meaning(
        turns=tuple(turns),
        system=tuple(system),
        tools=tuple(tools),
        search=any(tool.get("type", "").startswith("web_search") for tool in body.get("tools", ())),
        choice=word,
        parallel=False if choice.get("disable_parallel_tool_use") and emulated is None else None,
        format=form["schema"] if form else emulated,
        limit=body["max_tokens"],
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_k=body.get("top_k"),
        stop=tuple(body.get("stop_sequences", ())),
        effort=effort or (body.get("output_config") or {}).get("effort"),
        user=(body.get("metadata") or {}).get("user_id", ""),
        tier=TIERS.get(body.get("service_tier", ""), ""),
        cached=frozenset(name for name, blocks in marked.items() if any("cache_control" in block for block in blocks)),
        cited=tuple(cited),
        unknown=UNKNOWN in body,
    )


def _block(block: Body, calls: Calls) -> Item:
    match block["type"]:
        case "text":
            return ("text", block["text"])
        case "thinking":
            return ("thought", block["thinking"], f"anthropic_messages:{block['signature']}")
        case "redacted_thinking":
            return ("redacted", block["data"])
        case "tool_use":
            return calls.made(block["id"], block["name"], json.dumps(block["input"]))
        case "tool_result":
            inner = tuple(_block(one, calls) for one in _texts(block.get("content")))
            return ("result", calls.number(block["tool_use_id"]), inner, block.get("is_error", False))
        case "image" | "document":
            source = block["source"]
            key = {"base64": lambda: media(source["data"]), "url": lambda: source["url"]}
            return (block["type"], key.get(source["type"], lambda: by_file(source["file_id"]))())
    raise AssertionError(f"an upstream of messages knows no {block['type']}")


# --- Google ----------------------------------------------------------------------------------------------------------


def google(body: Body) -> Meaning:
    config = body.get("generationConfig", {})
    pending: list[tuple[str, str, int]] = []
    count = [0]
    turns = []
    for content in body["contents"]:
        assert content["parts"], "a content without parts is refused"
        items = tuple(item for part in content["parts"] for item in _part(part, pending, count))
        turns.append(({"model": "assistant"}.get(content["role"], content["role"]), items))
    functions = [one for tool in body.get("tools", ()) for one in tool.get("functionDeclarations", ())]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    named = calling.get("allowedFunctionNames")
    choice = {"ANY": f"named:{named[0]}" if named else "required"}.get(
        calling.get("mode"), (calling.get("mode") or "").lower() or None
    )
    thinking = config.get("thinkingConfig") or {}
    level, budget = thinking.get("thinkingLevel"), thinking.get("thinkingBudget")
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    system = (body.get("systemInstruction") or {}).get("parts", ())
    return Meaning(
        turns=tuple(turns),
        system=tuple(part["text"] for part in system),
        tools=tuple(
            (one["name"], one.get("description", ""), one.get("parametersJsonSchema", one.get("parameters")))
            for one in functions
        ),
        search=any("googleSearch" in tool for tool in body.get("tools", ())),
        choice=choice,
        format=schema or ("json" if config.get("responseMimeType") == "application/json" else None),
        limit=config.get("maxOutputTokens"),
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        top_k=config.get("topK"),
        frequency_penalty=config.get("frequencyPenalty"),
        presence_penalty=config.get("presencePenalty"),
        seed=config.get("seed"),
        n=config.get("candidateCount"),
        stop=tuple(config.get("stopSequences", ())),
        logprobs=(config.get("logprobs") or 0) if config.get("responseLogprobs") else None,
        effort=level.lower() if level else None if budget is None else effort_of(budget),
        unknown=UNKNOWN in body,
    )


def _part(part: Body, pending: list[tuple[str, str, int]], count: list[int]) -> list[Item]:
    if part.get("thought"):
        return [("thought", part["text"], f"google_generate:{part.get('thoughtSignature', '')}")]
    if "text" in part:
        return [("text", part["text"])]
    if "functionCall" in part:
        call = part["functionCall"]
        pending.append((call.get("id", ""), call["name"], count[0]))
        count[0] += 1
        return [("call", call["name"], arguments(json.dumps(call.get("args", {}))))]
    if "functionResponse" in part:
        found = part["functionResponse"]
        at = next(
            at
            for at, (call_id, name, _) in enumerate(pending)
            if (found["id"] == call_id if found.get("id") else name == found["name"])
        )
        assert pending[at][1] == found["name"]
        response = found["response"]
        words = response.get("output", response.get("error"))
        said = words if isinstance(words, str) else json.dumps(response)
        inner: tuple[Item, ...] = (("text", said),)
        inner += tuple(item for one in found.get("parts", ()) for item in _part(one, pending, count))
        return [("result", pending.pop(at)[2], inner, "error" in response)]
    if "inlineData" in part:
        blob = part["inlineData"]
        return [(_kind(blob["mimeType"]), media(blob["data"]))]
    uri = part["fileData"]["fileUri"]
    key = by_file(uri) if uri.startswith(GOOGLE_FILES) else uri
    return [(_kind(part["fileData"].get("mimeType", "")), key)]


def _kind(media_type: str) -> str:
    first = media_type.partition("/")[0]
    return first if first in ("image", "audio") else "document"


# --- Bedrock ---------------------------------------------------------------------------------------------------------


def bedrock(body: Body) -> Meaning:
    calls = Calls()
    turns: list[Turn] = []
    for at, message in enumerate(body["messages"]):
        assert message["content"] and message["role"] == ("user", "assistant")[at % 2], "turns alternate"
        items = tuple(_converse(block, calls) for block in message["content"] if "cachePoint" not in block)
        turns.append((message["role"], items))
    config, inference = body.get("toolConfig") or {}, body.get("inferenceConfig") or {}
    specs = [tool["toolSpec"] for tool in config.get("tools", ()) if "toolSpec" in tool]
    tools = [(spec["name"], spec.get("description", ""), spec["inputSchema"]["json"]) for spec in specs]
    said = config.get("toolChoice") or {}
    choice = f"named:{said['tool']['name']}" if "tool" in said else {"any": "required"}.get(next(iter(said), ""))
    emulated, choice = as_format(tools, choice)
    more = body.get("additionalModelRequestFields") or {}
    thinking = more.get("thinking") or {}
    form = (body.get("outputConfig") or {}).get("textFormat")
    effort = {"disabled": "none", "enabled": effort_of(thinking.get("budget_tokens", 0))}.get(thinking.get("type"))
    called = any(item[0] == "call" for _, items in turns for item in items)
    content = [block for message in body["messages"] for block in message["content"]]
    marked = {"system": body.get("system", ()), "tools": config.get("tools", ()), "messages": content}
    return Meaning(
        turns=tuple(turns),
        system=tuple(block["text"] for block in body.get("system", ()) if "text" in block),
        # Converse wants tools wherever the history has calls: those of which nothing is known stand in for them.
        tools=tuple(tool for tool in tools if tool[1] or not called),
        choice=choice,
        format=json.loads(form["structure"]["jsonSchema"]["schema"]) if form else emulated,
        limit=inference.get("maxTokens"),
        temperature=inference.get("temperature"),
        top_p=inference.get("topP"),
        top_k=more.get("top_k"),
        stop=tuple(inference.get("stopSequences", ())),
        effort=effort,
        metadata=body.get("requestMetadata"),
        tier=(body.get("serviceTier") or {}).get("type", ""),
        cached=frozenset(name for name, blocks in marked.items() if any("cachePoint" in block for block in blocks)),
        unknown=UNKNOWN in body,
    )


def _converse(block: Body, calls: Calls) -> Item:
    kind, value = next(iter(block.items()))
    match kind:
        case "text":
            assert value.strip(), "empty text is refused"
            return ("text", value)
        case "image" | "document" | "audio":
            return (kind, media(value["source"]["bytes"]))
        case "toolUse":
            return calls.made(value["toolUseId"], value["name"], json.dumps(value["input"]))
        case "toolResult":
            inner = tuple(_converse(one, calls) for one in value["content"])
            return ("result", calls.number(value["toolUseId"]), inner, value.get("status") == "error")
        case "reasoningContent" if "redactedContent" in value:
            return ("redacted", base64.b64decode(value["redactedContent"]).decode())
        case "reasoningContent":
            thought = value["reasoningText"]
            return ("thought", thought["text"], f"anthropic_messages:{thought['signature']}")
    raise AssertionError(f"an upstream of Converse knows no {kind}")


# --- Cohere and Ollama -----------------------------------------------------------------------------------------------


def cohere(body: Body) -> Meaning:
    like = chat({"messages": [_as_chat(message) for message in body["messages"]], "tools": body.get("tools", ())})
    tools = list(like.tools)
    choice = {"REQUIRED": "required", "NONE": "none"}.get(body.get("tool_choice"))
    emulated, choice = as_format(tools, choice)
    form = body.get("response_format")
    thinking = body.get("thinking") or {}
    effort = {"disabled": "none", "enabled": effort_of(thinking.get("token_budget", -1))}.get(thinking.get("type"))
    return Meaning(
        turns=like.turns,
        system=like.system,
        tools=tuple(tools),
        # One tool that must be called is called by its name.
        choice=f"named:{tools[0][0]}" if choice == "required" and len(tools) == 1 else choice,
        format=form.get("json_schema", "json") if form else emulated,
        limit=body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("p"),
        top_k=body.get("k"),
        frequency_penalty=body.get("frequency_penalty"),
        presence_penalty=body.get("presence_penalty"),
        seed=body.get("seed"),
        stop=tuple(body.get("stop_sequences", ())),
        logprobs=0 if body.get("logprobs") else None,
        effort=effort,
        unknown=UNKNOWN in body,
    )


def _as_chat(message: Body) -> Body:
    content = message.get("content")
    thoughts = [part["thinking"] for part in content if part["type"] == "thinking"] if isinstance(content, list) else []
    thoughts += [message["tool_plan"]] if message.get("tool_plan") else []
    if isinstance(content, list):
        content = [part for part in content if part["type"] != "thinking"]
    return {**message, "content": content, **({"reasoning": "".join(thoughts)} if thoughts else {})}


def ollama(body: Body) -> Meaning:
    calls = Calls()
    turns: list[Turn] = []
    system: list[str] = []
    for message in body["messages"]:
        role, content = message["role"], message["content"]
        items: list[Item] = [("thought", message["thinking"], "")] if message.get("thinking") else []
        items += [("text", content)] if content else []
        shown = [("image", media(data)) for data in message.get("images", ())]
        if role == "system":
            system.append(content)
        elif role == "tool":
            number = calls.number(message["tool_call_id"])
            turns.append(("user", (("result", number, (("text", content), *shown), False),)))
        else:
            for call in message.get("tool_calls", ()):
                function = call["function"]
                items.append(calls.made(call["id"], function["name"], json.dumps(function["arguments"])))
            turns.append((role, (*items, *shown)))
    options = body.get("options") or {}
    think = body.get("think")
    functions = [tool["function"] for tool in body.get("tools", ())]
    return Meaning(
        turns=tuple(turns),
        system=tuple(system),
        tools=tuple((one["name"], one.get("description", ""), one["parameters"]) for one in functions),
        format=body.get("format"),
        limit=options.get("num_predict"),
        temperature=options.get("temperature"),
        top_p=options.get("top_p"),
        top_k=options.get("top_k"),
        frequency_penalty=options.get("frequency_penalty"),
        presence_penalty=options.get("presence_penalty"),
        seed=options.get("seed"),
        stop=tuple(options.get("stop", ())),
        logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        effort={True: "yes", False: "none"}.get(think, think),
        unknown=UNKNOWN in body,
    )


def legal_for_anthropic(body: Body) -> None:
    """What the API refuses, which a client of its own may be told by it."""
    said = [message for message in body["messages"] if message["role"] != "system"]
    roles = [message["role"] for message in said]
    assert all(one != other for one, other in pairwise(roles)), "turns alternate"
    blocks = [block for message in said for block in _texts(message["content"])] + _texts(body.get("system"))
    assert blocks and all(block.get("text", " ").strip() for block in blocks if block["type"] == "text"), "empty text"


#: Checks of what was translated: a client of the same dialect may send what its API refuses.
LEGAL = {"anthropic-messages": legal_for_anthropic, "google-vertex-anthropic": legal_for_anthropic}
READERS: dict[str, Callable[[Body], Meaning]] = {
    "openai-completions": chat,
    "azure-openai": chat,
    "openai-responses": responses,
    "anthropic-messages": anthropic,
    "google-vertex-anthropic": anthropic,
    "google-generative-ai": google,
    "google-vertex": google,
    "bedrock-converse": bedrock,
    "cohere-chat": cohere,
    "ollama-native": ollama,
}
