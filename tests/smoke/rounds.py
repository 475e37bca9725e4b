"""A round with a tool in each client dialect by its official SDK: asked, called, told the result, answered.

`/v1/responses` goes round three ways: the whole conversation as items, statelessly as agents do it, and by the id of
the response before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

NAME = "weather"
ABOUT = "Tells the weather of a city."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
#: (model, question, tool) -> the text after the tool's result
Round = Callable[[str, str, Callable[..., str]], str]


def rounds(url: str, token: str) -> dict[str, Round]:
    """Each whole and streamed."""
    of_openai = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)
    of_anthropic = anthropic.Anthropic(base_url=url, api_key=token, max_retries=0)
    of_google = genai.Client(api_key=token, http_options=types.HttpOptions(base_url=url), vertexai=False)
    return {
        "chat": _chat(of_openai, streamed=False),
        "chat, streamed": _chat(of_openai, streamed=True),
        **{
            f"responses by {way}{', streamed' if streamed else ''}": _responses(of_openai, way, streamed=streamed)
            for way in ("items", "id", "stateless items")
            for streamed in (False, True)
        },
        "messages": _messages(of_anthropic, streamed=False),
        "messages, streamed": _messages(of_anthropic, streamed=True),
        "generateContent": _generate(of_google, streamed=False),
        "generateContent, streamed": _generate(of_google, streamed=True),
    }


def _chat(client: openai.OpenAI, *, streamed: bool) -> Round:
    function = {"name": NAME, "description": ABOUT, "parameters": SCHEMA, "strict": False}

    def ask(model: str, messages: list[Any]) -> Any:
        asked: dict[str, Any] = {
            "model": model,
            "messages": messages,
            "tools": [{"type": "function", "function": function}],
        }
        if not streamed:
            return client.chat.completions.create(**asked).choices[0].message
        with client.chat.completions.stream(**asked) as found:
            return found.get_final_completion().choices[0].message

    def go(model: str, question: str, tool: Callable[..., str]) -> str:
        messages: list[Any] = [{"role": "user", "content": question}]
        message = ask(model, messages)
        messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        for call in message.tool_calls:
            result = tool(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        return ask(model, messages).content or ""

    return go


def _responses(client: openai.OpenAI, way: str, *, streamed: bool) -> Round:
    asked: dict[str, Any] = {
        "tools": [{"type": "function", "name": NAME, "description": ABOUT, "parameters": SCHEMA, "strict": False}]
    }
    if way == "stateless items":
        asked |= {"store": False, "include": ["reasoning.encrypted_content"]}

    def ask(**more: Any) -> Any:
        if not streamed:
            return client.responses.create(**asked, **more)
        with client.responses.stream(**asked, **more) as found:
            return found.get_final_response()

    def go(model: str, question: str, tool: Callable[..., str]) -> str:
        items: list[Any] = [{"role": "user", "content": question}]
        response = ask(model=model, input=items)
        results = [
            {"type": "function_call_output", "call_id": item.call_id, "output": tool(**json.loads(item.arguments))}
            for item in response.output
            if item.type == "function_call"
        ]
        if way == "id":
            return ask(model=model, input=results, previous_response_id=response.id).output_text
        said = [item.model_dump(exclude_none=True, exclude={"parsed_arguments", "status"}) for item in response.output]
        return ask(model=model, input=[*items, *said, *results]).output_text

    return go


def _messages(client: anthropic.Anthropic, *, streamed: bool) -> Round:
    def ask(model: str, messages: list[Any]) -> Any:
        asked: dict[str, Any] = {
            "model": model,
            "max_tokens": 500,
            "messages": messages,
            "tools": [{"name": NAME, "description": ABOUT, "input_schema": SCHEMA}],
        }
        if not streamed:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as found:
            return found.get_final_message()

    def go(model: str, question: str, tool: Callable[..., str]) -> str:
        messages: list[Any] = [{"role": "user", "content": question}]
        message = ask(model, messages)
        calls = [block for block in message.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": tool(**call.input)} for call in calls]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
        return "".join(block.text for block in ask(model, messages).content if block.type == "text")

    return go


def _generate(client: genai.Client, *, streamed: bool) -> Round:
    declared = types.FunctionDeclaration(name=NAME, description=ABOUT, parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])

    def ask(model: str, contents: list[Any]) -> list[types.Part]:
        asked: dict[str, Any] = {"model": model, "contents": contents, "config": config}
        if streamed:
            answers = list(client.models.generate_content_stream(**asked))
        else:
            answers = [client.models.generate_content(**asked)]
        contents_said = [answer.candidates[0].content for answer in answers if answer.candidates]
        return [part for content in contents_said if content for part in content.parts or ()]

    def go(model: str, question: str, tool: Callable[..., str]) -> str:
        contents = [types.Content(role="user", parts=[types.Part(text=question)])]
        parts = ask(model, contents)
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"result": tool(**(call.args or {}))}
                )
            )
            for call in (part.function_call for part in parts)
            if call
        ]
        contents += [types.Content(role="model", parts=parts), types.Content(role="user", parts=results)]
        return "".join(part.text or "" for part in ask(model, contents) if not part.thought)

    return go
