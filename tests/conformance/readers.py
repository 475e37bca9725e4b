"""What arrived at an upstream of OpenAI's APIs, read as their documentation says; and what all readers share."""

from __future__ import annotations

import re
from typing import Any

from conformance.meaning import Item, Meaning, Turn, arguments, media
from conformance.speakers_native import UNKNOWN
from conformance.things import by_address, by_file

Body = dict[str, Any]
#: The tool that stands in for a format.
ANSWER = re.compile(r".*json_answer\Z")
_SHOWN = re.compile(r"Result of the tool call (.+):\Z")
#: Anthropic's "auto" is priority where there is any.
TIERS = {"standard_only": "default", "auto": "priority"}


class Calls:
    """Calls by their ids, numbered as they come."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def made(self, call_id: str, name: str, args: str) -> Item:
        assert call_id not in self._ids, f"two calls of one id: {call_id}"
        self._ids.append(call_id)
        return ("call", name, arguments(args))

    def number(self, call_id: str) -> int:
        assert call_id in self._ids, f"a result of no call: {call_id}"
        return self._ids.index(call_id)


def as_format(tools: list[tuple[str, str, Any]], choice: str | None) -> tuple[Any, str | None]:
    """(format, choice) where a tool that must be called stands in for the format."""
    found = next((schema for name, _, schema in tools if ANSWER.match(name)), None)
    if found is None:
        return None, choice
    assert choice is not None and choice != "auto", "the stand-in for a format need not be called"
    tools[:] = [tool for tool in tools if not ANSWER.match(tool[0])]
    return ("json" if found == {"type": "object"} else found), "none" if not tools else None


# --- chat completions ------------------------------------------------------------------------------------------------


def chat(body: Body) -> Meaning:
    calls = Calls()
    system: list[str] = []
    turns: list[Turn] = []
    for message in body["messages"]:
        role = message["role"]
        if role in ("system", "developer"):
            system += [item[1] for item in _chat_items(message["content"])]
        elif role == "tool":
            items = _chat_items(message["content"])
            number = calls.number(message["tool_call_id"])
            failed = bool(items) and items[0][0] == "text" and items[0][1].startswith("Error:")
            if failed:
                items = [("text", items[0][1].removeprefix("Error:").lstrip()), *items[1:]]
            turns.append(("user", (("result", number, tuple(items), failed),)))
        elif role == "assistant":
            items = _thoughts(message) + _chat_items(message.get("content"))
            items += [("text", message["refusal"])] if message.get("refusal") else []
            for call in message.get("tool_calls", ()):
                items.append(calls.made(call["id"], call["function"]["name"], call["function"]["arguments"]))
            turns.append((role, tuple(items)))
        else:
            turns.append((role, tuple(_chat_items(message["content"]))))
    choice = body.get("tool_choice")
    form = body.get("response_format")
    reasoning = body.get("reasoning_effort")
    return Meaning(
        turns=_put_back(turns, calls),
        system=tuple(system),
        tools=tuple(
            (tool["function"]["name"], tool["function"].get("description", ""), tool["function"].get("parameters"))
            for tool in body.get("tools", ())
        ),
        search="web_search_options" in body,
        choice=f"named:{choice['function']['name']}" if isinstance(choice, dict) else choice,
        parallel=body.get("parallel_tool_calls"),
        format=None if form is None else "json" if form["type"] == "json_object" else form["json_schema"]["schema"],
        limit=body.get("max_completion_tokens", body.get("max_tokens")),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_k=body.get("top_k"),
        frequency_penalty=body.get("frequency_penalty"),
        presence_penalty=body.get("presence_penalty"),
        seed=body.get("seed"),
        n=body.get("n"),
        stop=_several(body.get("stop")),
        logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        effort=reasoning,
        user=body.get("user", ""),
        metadata=body.get("metadata"),
        tier=body.get("service_tier", ""),
        unknown=UNKNOWN in body,
    )


def _several(stop: Any) -> tuple[str, ...]:
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _thoughts(message: Body) -> list[Item]:
    text = message.get("reasoning_content") or message.get("reasoning")
    return [("thought", text, "")] if text else []


def _chat_items(content: Any) -> list[Item]:
    if content is None:
        return []
    if isinstance(content, str):
        return [("text", content)]
    return [_chat_item(part) for part in content]


def _chat_item(part: Body) -> Item:
    match part["type"]:
        case "text":
            return ("text", part["text"])
        case "refusal":
            return ("text", part["refusal"])
        case "image_url":
            return ("image", by_address(part["image_url"]["url"]))
        case "input_audio":
            return ("audio", media(part["input_audio"]["data"]))
        case "file" if "file_id" in part["file"]:
            return ("document", by_file(part["file"]["file_id"]))
        case "file":
            return ("document", by_address(part["file"]["file_data"]))
    raise AssertionError(f"an upstream of chat completions knows no {part['type']}")


def _put_back(turns: list[Turn], calls: Calls) -> tuple[Turn, ...]:
    """What tools showed is shown by the user after them, who says whose it is: back into the result."""
    made: list[Turn] = []
    for role, items in turns:
        rest: list[Item] = []
        owner: int | None = None
        for item in items:
            shown = _SHOWN.match(item[1]) if role == "user" and item[0] == "text" else None
            if shown:
                owner = calls.number(shown[1])
            elif owner is not None and item[0] != "text":
                made = [(who, tuple(_with(one, owner, item) for one in said)) for who, said in made]
            else:
                owner = None
                rest.append(item)
        made.append((role, tuple(rest)))
    return tuple(made)


def _with(item: Item, number: int, shown: Item) -> Item:
    return ("result", number, (*item[2], shown), item[3]) if item[0] == "result" and item[1] == number else item


# --- responses -------------------------------------------------------------------------------------------------------


def responses(body: Body) -> Meaning:
    calls = Calls()
    system = [body["instructions"]] if body.get("instructions") else []
    turns: list[Turn] = []
    cited: list[str] = []
    told = body["input"]
    for item in [{"type": "message", "role": "user", "content": told}] if isinstance(told, str) else told:
        kind = item.get("type", "message")
        if kind == "message" and item["role"] in ("system", "developer"):
            texts = [part[1] for part in _response_items(item["content"], cited)]
            system += [text for text in texts if text != "Answer in JSON."]  # OpenAI wants the word for JSON mode
        elif kind == "message":
            turns.append((item["role"], tuple(_response_items(item["content"], cited))))
        elif kind == "function_call":
            turns.append(("assistant", (calls.made(item["call_id"], item["name"], item["arguments"]),)))
        elif kind == "function_call_output":
            said = tuple(_response_items(item["output"], cited))
            turns.append(("user", (("result", calls.number(item["call_id"]), said, False),)))
        elif kind == "reasoning":
            text = "".join(part["text"] for part in item.get("summary", ()))
            turns.append(("assistant", (("thought", text, f"openai_responses:{item['encrypted_content']}"),)))
        else:
            raise AssertionError(f"no such item in this test: {kind}")
    choice, form = body.get("tool_choice"), (body.get("text") or {}).get("format")
    tools = body.get("tools", ())
    asked = "message.output_text.logprobs" in body.get("include", ()) or body.get("top_logprobs") is not None
    return Meaning(
        turns=tuple(turns),
        system=tuple(system),
        tools=tuple(
            (tool["name"], tool.get("description", ""), tool.get("parameters"))
            for tool in tools
            if tool["type"] == "function"
        ),
        search=any(tool["type"] == "web_search" for tool in tools),
        choice=f"named:{choice['name']}" if isinstance(choice, dict) else choice,
        parallel=body.get("parallel_tool_calls"),
        format=None if form is None else "json" if form["type"] == "json_object" else form["schema"],
        limit=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        logprobs=(body.get("top_logprobs") or 0) if asked else None,
        effort=(body.get("reasoning") or {}).get("effort"),
        user=body.get("user", ""),
        metadata=body.get("metadata"),
        tier=body.get("service_tier", ""),
        cited=tuple(cited),
        unknown=UNKNOWN in body,
    )


def _response_items(content: Any, cited: list[str]) -> list[Item]:
    if isinstance(content, str):
        return [("text", content)]
    return [_response_item(part, cited) for part in content]


def _response_item(part: Body, cited: list[str]) -> Item:
    match part["type"]:
        case "input_text" | "output_text":
            cited += [note["url"] for note in part.get("annotations", ())]
            return ("text", part["text"])
        case "refusal":
            return ("text", part["refusal"])
        case "input_image" | "input_file":
            kind = "image" if part["type"] == "input_image" else "document"
            if part.get("file_id"):
                return (kind, by_file(part["file_id"]))
            return (kind, by_address(part.get("image_url") or part.get("file_url") or part["file_data"]))
        case "input_audio":
            return ("audio", media(part["input_audio"]["data"]))
    raise AssertionError(f"an upstream of responses knows no {part['type']}")
