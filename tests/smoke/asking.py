"""One question in each client dialect by its official SDK, whole and streamed: the text that came."""

from __future__ import annotations

from collections.abc import Callable

import anthropic
import openai
from google import genai
from google.genai import types


def askers(url: str, token: str) -> dict[str, Callable[[str, str], str]]:
    """name -> ask(model, question)"""
    of_openai = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0)
    of_anthropic = anthropic.Anthropic(base_url=url, api_key=token, max_retries=0)
    of_google = genai.Client(api_key=token, http_options=types.HttpOptions(base_url=url), vertexai=False)

    def chat(model: str, question: str) -> str:
        answer = of_openai.chat.completions.create(model=model, messages=[{"role": "user", "content": question}])
        return answer.choices[0].message.content or ""

    def chat_stream(model: str, question: str) -> str:
        with of_openai.chat.completions.stream(model=model, messages=[{"role": "user", "content": question}]) as found:
            return found.get_final_completion().choices[0].message.content or ""

    def responses(model: str, question: str) -> str:
        return of_openai.responses.create(model=model, input=question).output_text

    def responses_stream(model: str, question: str) -> str:
        with of_openai.responses.stream(model=model, input=question) as found:
            return found.get_final_response().output_text

    def messages(model: str, question: str) -> str:
        answer = of_anthropic.messages.create(
            model=model, max_tokens=500, messages=[{"role": "user", "content": question}]
        )
        return "".join(block.text for block in answer.content if block.type == "text")

    def messages_stream(model: str, question: str) -> str:
        with of_anthropic.messages.stream(
            model=model, max_tokens=500, messages=[{"role": "user", "content": question}]
        ) as found:
            return "".join(found.text_stream)

    def generate(model: str, question: str) -> str:
        return of_google.models.generate_content(model=model, contents=question).text or ""

    def generate_stream(model: str, question: str) -> str:
        pieces = of_google.models.generate_content_stream(model=model, contents=question)
        return "".join(piece.text or "" for piece in pieces)

    return {
        "chat": chat,
        "chat, streamed": chat_stream,
        "responses": responses,
        "responses, streamed": responses_stream,
        "messages": messages,
        "messages, streamed": messages_stream,
        "generateContent": generate,
        "generateContent, streamed": generate_stream,
    }
