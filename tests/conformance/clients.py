"""The official SDKs as clients of the gateway: one question each, and what they read in the neutral form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import openai
from google import genai
from google.genai import errors as google_errors
from google.genai import types

from conformance.recordings import as_openai, neutral

Read = dict[str, Any]
QUESTION = "Say what was recorded."


class Clients:
    """One SDK client per dialect, at one gateway with one token."""

    def __init__(self, url: str, token: str) -> None:
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0, timeout=30)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key=token, max_retries=0, timeout=30)
        self.google = genai.Client(
            api_key=token, http_options=types.HttpOptions(base_url=url, timeout=30_000), vertexai=False
        )
        self.dialects: dict[str, Callable[[str, bool], Read]] = {
            "openai_chat": self.chat,
            "openai_responses": self.responses,
            "anthropic_messages": self.messages,
            "google_generate": self.generate,
        }

    def ask(self, dialect: str, model: str, stream: bool) -> Read:
        """What an SDK reads of one answer: text, reasoning, tools, stop, usage, error."""
        try:
            return self.dialects[dialect](model, stream)
        except (openai.APIStatusError, anthropic.APIStatusError) as error:
            return _failed(error.status_code, error.body, str(error))
        except google_errors.APIError as error:
            return _failed(error.code, error.details, str(error))
        except (openai.APIError, anthropic.APIError, httpx.HTTPError) as error:
            return _failed(0, getattr(error, "body", None), str(error))

    def chat(self, model: str, stream: bool) -> Read:
        more: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
        answer = self.openai.chat.completions.create(
            model=model, messages=[{"role": "user", "content": QUESTION}], stream=stream, **more
        )
        pieces = [piece.model_dump(warnings=False) for piece in (answer if stream else [answer])]
        return _read("openai_chat", neutral().chat, pieces)

    def responses(self, model: str, stream: bool) -> Read:
        if not stream:
            answer = self.openai.responses.create(model=model, input=QUESTION)
            return _read("openai_responses", neutral().responses, [answer.model_dump(warnings=False)])
        # The streaming helper checks the order of events as it gathers them; some upstreams of this very dialect send
        # streams that it cannot gather, and those are relayed as they are.
        if not model.startswith("said-openai-responses"):
            with self.openai.responses.stream(model=model, input=QUESTION) as gathered:
                pieces = [event.model_dump(warnings=False) for event in gathered]
        else:
            events = self.openai.responses.create(model=model, input=QUESTION, stream=True)
            pieces = [event.model_dump(warnings=False) for event in events]
        for piece in pieces:
            if piece["type"] in ("response.failed", "error"):
                return _failed(0, piece, str(piece))
        return _read("openai_responses", neutral().responses, pieces)

    def messages(self, model: str, stream: bool) -> Read:
        asked: Any = {"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": QUESTION}]}
        if not stream:
            answer = self.anthropic.messages.create(**asked)
            return _message(answer.model_dump(warnings=False))
        with self.anthropic.messages.stream(**asked) as events:
            for _ in events:
                pass
            final = events.get_final_message().model_dump(warnings=False)
        return _message(final)

    def generate(self, model: str, stream: bool) -> Read:
        asked: Any = {"model": model, "contents": QUESTION}
        answers = (
            self.google.models.generate_content_stream(**asked)
            if stream
            else [self.google.models.generate_content(**asked)]
        )
        pieces = [answer.model_dump(mode="json", by_alias=True, exclude_none=True) for answer in answers]
        found = _read("google_generate", neutral().google, pieces)
        of_tools = next((piece["usageMetadata"] for piece in reversed(pieces) if "usageMetadata" in piece), {})
        if extra := of_tools.get("toolUsePromptTokenCount"):
            found["usage"]["input"] = found["usage"].get("input", 0) + extra
        return found


def _message(message: dict[str, Any]) -> Read:
    found = _read("anthropic_messages", neutral().messages, [message])
    thought = (message["usage"].get("output_tokens_details") or {}).get("thinking_tokens")
    return found if thought is None else {**found, "usage": {**found["usage"], "reasoning": thought}}


def _read(dialect: str, reader: Callable[[Any, list[Any]], None], pieces: list[Any]) -> Read:
    summary = neutral().S()
    reader(summary, pieces)
    out: Read = summary.out()
    return {**out, "usage": as_openai(dialect, out["usage"])}


def _failed(status: int | None, body: Any, text: str) -> Read:
    return {"error": {"status": status, "body": body, "message": text}}
