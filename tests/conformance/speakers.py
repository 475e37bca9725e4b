"""A meaning said as OpenAI's SDK would say it, and what all who say one share."""

from __future__ import annotations

from typing import Any

from conformance.meaning import Item, Meaning
from conformance.things import SOURCES, Source
from providers.dialects.signatures import framed

Body = dict[str, Any]


class Unsayable(Exception):
    """The API has no words for it."""


def without_none(**members: Any) -> Body:
    return {name: value for name, value in members.items() if value is not None and value != [] and value != ""}


def refuse(meaning: Meaning, *aspects: str) -> None:
    for name in aspects:
        if getattr(meaning, name) not in (None, "", (), False, frozenset()):
            raise Unsayable(name)


def sampling(meaning: Meaning) -> Body:
    return without_none(temperature=meaning.temperature, top_p=meaning.top_p)


def source(item: Item) -> Source:
    return SOURCES[item[1]]


def carried(proof: str, dialect: str) -> str:
    """ "signer:signature" as the gateway gives it to a client of the dialect, which sends it back as it came."""
    signer, _, signature = proof.partition(":")
    return framed(signature, signer, dialect)


class Ids:
    """The ids of calls, by their number."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._count = 0

    def next(self) -> str:
        self._count += 1
        return self.of(self._count - 1)

    def of(self, number: int) -> str:
        return self._form.format(number)


# --- OpenAI's chat completions ---------------------------------------------------------------------------------------


def chat(meaning: Meaning) -> Body:
    refuse(meaning, "top_k", "cited", "cached")
    ids = Ids("call_{:024d}")
    messages: list[Body] = [{"role": "system", "content": text} for text in meaning.system]
    for role, items in meaning.turns:
        messages += _chat_turn(role, items, ids)
    choice: Any = meaning.choice
    if choice and choice.startswith("named:"):
        choice = {"type": "function", "function": {"name": choice[6:]}}
    form: Any = None
    if meaning.format == "json":
        form = {"type": "json_object"}
    elif meaning.format is not None:
        form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": meaning.format}}
    return {
        "messages": messages,
        **sampling(meaning),
        **without_none(
            tools=[{"type": "function", "function": _function(tool, "parameters")} for tool in meaning.tools],
            web_search_options={} if meaning.search else None,
            tool_choice=choice,
            parallel_tool_calls=meaning.parallel,
            response_format=form,
            max_completion_tokens=meaning.limit,
            frequency_penalty=meaning.frequency_penalty,
            presence_penalty=meaning.presence_penalty,
            seed=meaning.seed,
            n=meaning.n,
            stop=list(meaning.stop),
            logprobs=True if meaning.logprobs else None,
            top_logprobs=meaning.logprobs,
            reasoning_effort=meaning.effort,
            user=meaning.user,
            metadata=meaning.metadata,
            service_tier=meaning.tier,
        ),
    }


def _function(tool: Any, schema: str) -> Body:
    return without_none(name=tool[0], description=tool[1], **{schema: tool[2]})


def _chat_turn(role: str, items: tuple[Item, ...], ids: Ids) -> list[Body]:
    if any(item[0] in ("thought", "redacted") for item in items):
        raise Unsayable("thinking")
    made: list[Body] = []
    for item in items:
        if item[0] == "result":
            if item[3] or any(inner[0] != "text" for inner in item[2]):
                raise Unsayable("result")
            content = "".join(inner[1] for inner in item[2])
            made.append({"role": "tool", "tool_call_id": ids.of(item[1]), "content": content})
    rest = [item for item in items if item[0] != "result"]
    if not rest:
        return made
    if role == "user":
        parts = [_chat_part(item) for item in rest]
        return [*made, {"role": role, "content": parts[0]["text"] if _is_words(rest) else parts}]
    calls = [
        {"id": ids.next(), "type": "function", "function": {"name": item[1], "arguments": item[2]}}
        for item in rest
        if item[0] == "call"
    ]
    said = "".join(item[1] for item in rest if item[0] == "text")
    return [{"role": role, "content": said if said or not calls else None, **({"tool_calls": calls} if calls else {})}]


def _is_words(items: list[Item]) -> bool:
    return len(items) == 1 and items[0][0] == "text"


def _chat_part(item: Item) -> Body:
    if item[0] == "text":
        return {"type": "text", "text": item[1]}
    found = source(item)
    if item[0] == "image" and not found.file_id:
        return {"type": "image_url", "image_url": {"url": found.address}}
    if item[0] == "audio":
        return {"type": "input_audio", "input_audio": {"data": found.data, "format": "wav"}}
    if item[0] == "document" and found.data:
        return {"type": "file", "file": {"filename": "paper.pdf", "file_data": found.address}}
    if item[0] == "document" and found.file_id:
        return {"type": "file", "file": {"file_id": found.file_id}}
    raise Unsayable(item[0])


# --- OpenAI's responses ----------------------------------------------------------------------------------------------


def responses(meaning: Meaning) -> Body:
    refuse(meaning, "top_k", "frequency_penalty", "presence_penalty", "seed", "n", "stop", "cached")
    ids = Ids("call_{:020d}")
    items: list[Body] = [{"role": "system", "content": text} for text in meaning.system[1:]]
    for role, said in meaning.turns:
        items += _response_turn(role, said, ids, meaning.cited)
    choice: Any = meaning.choice
    if choice and choice.startswith("named:"):
        choice = {"type": "function", "name": choice[6:]}
    form: Any = None
    if meaning.format == "json":
        form = {"format": {"type": "json_object"}}
    elif meaning.format is not None:
        form = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": meaning.format}}
    tools: list[Body] = [
        {"type": "function", "strict": False, **_function(tool, "parameters")} for tool in meaning.tools
    ]
    return {
        "input": items,
        **sampling(meaning),
        **without_none(
            instructions="".join(meaning.system[:1]),
            tools=[*tools, *([{"type": "web_search"}] if meaning.search else [])],
            tool_choice=choice,
            parallel_tool_calls=meaning.parallel,
            text=form,
            max_output_tokens=meaning.limit,
            include=["message.output_text.logprobs"] if meaning.logprobs else None,
            top_logprobs=meaning.logprobs,
            reasoning={"effort": meaning.effort} if meaning.effort else None,
            user=meaning.user,
            metadata=meaning.metadata,
            service_tier=meaning.tier,
        ),
    }


def _response_turn(role: str, items: tuple[Item, ...], ids: Ids, cited: tuple[str, ...]) -> list[Body]:
    made: list[Body] = []
    for item in items:
        if item[0] == "result":
            if item[3]:
                raise Unsayable("failed")
            parts = [_response_part(inner) for inner in item[2]]
            output = parts if any(inner[0] != "text" for inner in item[2]) else "".join(part["text"] for part in parts)
            made.append({"type": "function_call_output", "call_id": ids.of(item[1]), "output": output})
        elif item[0] == "call":
            call = {"type": "function_call", "call_id": ids.next(), "name": item[1], "arguments": item[2]}
            made.append(call)
        elif item[0] == "thought":
            summary = [{"type": "summary_text", "text": item[1]}]
            proof = carried(item[2], "openai_responses")
            made.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": proof})
        elif item[0] == "redacted":
            raise Unsayable("thinking")
    rest = [item for item in items if item[0] not in ("result", "call", "thought")]
    if rest and role == "user":
        made.append({"role": role, "content": [_response_part(item) for item in rest]})
    elif rest:
        notes = [
            {"type": "url_citation", "url": url, "title": "Page", "start_index": 0, "end_index": 3} for url in cited
        ]
        content = [{"type": "output_text", "text": item[1], "annotations": notes} for item in rest]
        message = {"type": "message", "id": "msg_1", "status": "completed", "role": role, "content": content}
        made.insert(next((at for at, item in enumerate(made) if item["type"] == "function_call"), len(made)), message)
    return made


def _response_part(item: Item) -> Body:
    if item[0] == "text":
        return {"type": "input_text", "text": item[1]}
    found = source(item)
    if item[0] == "image":
        where = {"file_id": found.file_id} if found.file_id else {"image_url": found.address}
        return {"type": "input_image", "detail": "auto", **where}
    if item[0] == "document":
        if found.file_id:
            return {"type": "input_file", "file_id": found.file_id}
        if found.url:
            return {"type": "input_file", "file_url": found.url}
        return {"type": "input_file", "filename": "paper.pdf", "file_data": found.address}
    raise Unsayable(item[0])
