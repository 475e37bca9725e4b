"""The families whose upstreams count the tokens of a request, and how each is asked. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from providers.dialects.anthropic_messages.count_tokens import write_count_request
from providers.dialects.bedrock_converse.request import write_request as write_converse
from providers.dialects.canon import BadAnswer, Request, Target, Written
from providers.dialects.google_generate.writing import write_request as write_generate
from providers.dialects.openai_responses.writing import write_request as write_responses
from providers.dialects.usage import tokens
from providers.dialects.values import object_in

#: What CountTokens takes of a request for Converse, and Vertex's countTokens of one for generateContent.
_CONVERSE: Final = ("additionalModelRequestFields", "messages", "system", "toolConfig")
#: What POST /v1/responses/input_tokens takes of a request for a response, as OpenAI's SDK lists it.
_RESPONSES: Final = (
    "conversation", "input", "instructions", "model", "parallel_tool_calls", "personality", "previous_response_id",
    "reasoning", "text", "tool_choice", "tools", "truncation",
)  # fmt: skip
_VERTEX: Final = ("contents", "generationConfig", "systemInstruction", "tools")


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """How the upstreams of a family count."""

    #: Raises canon.Misfit.
    write: Callable[[Request, Target], Written]
    #: What the end of a whole answer's URL path is replaced by: (pattern, text).
    place: tuple[re.Pattern[str], str]
    #: The member of the answer that holds the count.
    member: str
    #: Those that have the endpoint, where others who speak the family's dialect have not; empty: all.
    hosts: frozenset[str] = frozenset()

    def url(self, url: str) -> str:
        """Where to count, from where a whole answer is asked for."""
        parts = urlsplit(url)
        return urlunsplit(parts._replace(path=self.place[0].sub(self.place[1], parts.path)))

    def read(self, body: bytes) -> int:
        """The count. Raises canon.BadAnswer."""
        count = tokens((object_in(body) or {}).get(self.member))
        if count is None:
            raise BadAnswer("the upstream's answer holds no count of tokens")
        return count


def _some(body: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: body[name] for name in names if name in body}


def _named(request: Request, target: Target) -> Written:
    written = write_count_request(request, target)
    return msgspec.structs.replace(written, body=written.body | {"model": target.model})


def _at_vertex(request: Request, target: Target) -> Written:
    written = _named(request, target)
    return msgspec.structs.replace(written, body=written.body | {"anthropic_version": "vertex-2023-10-16"})


def _responses(request: Request, target: Target) -> Written:
    written = write_responses(request, target)
    return msgspec.structs.replace(written, body=_some(written.body, _RESPONSES))


def _converse(request: Request, target: Target) -> Written:
    written = write_converse(request, target)
    return msgspec.structs.replace(written, body={"input": {"converse": _some(written.body, _CONVERSE)}})


def _generate(request: Request, target: Target) -> Written:
    written = write_generate(request, target)
    inner = {"model": f"models/{target.model}", **written.body}
    return msgspec.structs.replace(written, body={"generateContentRequest": inner})


def _generate_at_vertex(request: Request, target: Target) -> Written:
    written = write_generate(request, target)
    return msgspec.structs.replace(written, body=_some(written.body, _VERTEX))


_GENERATE: Final = (re.compile(r":generateContent\Z"), ":countTokens")
_CONVERSED: Final = Counter(write=_converse, place=(re.compile(r"/converse\Z"), "/count-tokens"), member="inputTokens")
#: Family -> how it counts. Upstreams of the others cannot be asked.
COUNTERS: Final[dict[str, Counter]] = {
    "anthropic-messages": Counter(write=_named, place=(re.compile(r"\Z"), "/count_tokens"), member="input_tokens"),
    "google-vertex-anthropic": Counter(
        write=_at_vertex,
        place=(re.compile(r"/models/[^/]+:rawPredict\Z"), "/models/count-tokens:rawPredict"),
        member="input_tokens",
    ),
    "google-generative-ai": Counter(write=_generate, place=_GENERATE, member="totalTokens"),
    "google-vertex": Counter(write=_generate_at_vertex, place=_GENERATE, member="totalTokens"),
    "openai-responses": Counter(
        write=_responses,
        place=(re.compile(r"/responses\Z"), "/responses/input_tokens"),
        member="input_tokens",
        hosts=frozenset({"api.openai.com"}),
    ),
    "bedrock-converse": _CONVERSED,
    "bedrock-converse-stream": _CONVERSED,
}
