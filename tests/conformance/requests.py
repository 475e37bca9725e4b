"""Every scenario from every client dialect to every family: what became of each."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import local
from typing import Any, NamedTuple
from urllib.parse import quote
from zlib import crc32

from conformance.capture import FAMILIES, Capture
from conformance.meaning import Meaning, differences
from conformance.readers_native import LEGAL, READERS
from conformance.scenarios import SCENARIOS, THINKING
from conformance.scenarios_of_one import OF_ONE
from conformance.scenarios_of_one import THINKING as THINKING_OF_ONE
from conformance.speakers_native import SPEAKERS, said_in
from providers.dialects.canon import BadAnswer, Text
from providers.dialects.registry import UPSTREAMS
from providers.dialects.streams import gathered

_PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "google_generate": "/v1beta/models/{model}:generateContent",
}
_STREAMED = _PATHS | {"google_generate": "/v1beta/models/{model}:streamGenerateContent?alt=sse"}
#: How a stream is asked for in a body; elsewhere the URL does.
_SWITCHES = {"stream": True, "stream_options": {"include_usage": True}}
THREADS = 6


#: Families that are told in the body that a stream is wanted, and those that have to be asked for its usage.
_COUNTED = ("openai-completions", "azure-openai")
_IN_BODY = (
    *_COUNTED, "openai-responses", "anthropic-messages", "google-vertex-anthropic", "cohere-chat", "ollama-native",
)  # fmt: skip


class Outcome(NamedTuple):
    """`status` and `error` of a refusal; else what arrived `otherwise`, by aspect, and what was named as `dropped`."""

    scenario: str
    client: str
    family: str
    status: int = 200
    error: str = ""
    otherwise: dict[str, Any] = {}
    dropped: frozenset[str] = frozenset()


class Asking:
    """Asks a gateway, from several threads."""

    def __init__(self, url: str, token: str, capture: Capture) -> None:
        self._host = url.removeprefix("http://")
        self._token = token
        self._capture = capture
        self._own = local()

    def all(self) -> list[Outcome]:
        asked = [
            (name, client, family, *said)
            for name, meaning in SCENARIOS.items()
            for client in SPEAKERS
            if (said := said_in(client, meaning)) is not None
            for family in FAMILIES
        ]
        asked += [
            (name, client, family, meaning, body) for name, client, body, meaning in OF_ONE for family in FAMILIES
        ]
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(lambda one: self.outcome(*one), asked))

    def outcome(self, scenario: str, client: str, family: str, said: Meaning, body: dict[str, Any]) -> Outcome:
        """Streamed or in one piece: each client has about half of its scenarios streamed by each family."""
        stream = (crc32(scenario.encode()) + list(_PATHS).index(client) + list(FAMILIES).index(family)) % 2 == 1
        model = family + ("-thinks" if scenario in THINKING | THINKING_OF_ONE else "")
        told = body if client == "google_generate" else {"model": model, **body}
        told = told | {"stream": True} if stream and client != "google_generate" else told
        path = (_STREAMED if stream else _PATHS)[client].format(model=quote(model))
        status, headers, answer = self._post(path, json.dumps(told))
        if status != 200:
            return Outcome(scenario, client, family, status, f"{headers.get('x-jackfield-error')}: {answer[:300]}")
        arrived = self._capture.bodies.pop(headers["x-jackfield-request-id"])
        dropped = frozenset(filter(None, headers.get("x-jackfield-dropped", "").split(",")))
        if stream:
            dropped -= {"stream"}  # the upstream answers in one piece, and the gateway tells it as a stream
            problem = _streamed(client, family, arrived, answer)
            if problem:
                return Outcome(scenario, client, family, otherwise={"stream": (problem, arrived)}, dropped=dropped)
            arrived = {name: value for name, value in arrived.items() if name not in _SWITCHES}
        if _rest(arrived) == _rest(body):
            return Outcome(scenario, client, family, dropped=dropped)  # relayed as it came
        try:
            if family in LEGAL and client != "anthropic_messages":
                LEGAL[family](arrived)
            otherwise = differences(said, READERS[family](arrived))
        except (AssertionError, KeyError, TypeError, StopIteration) as problem:
            otherwise = {"unreadable": (repr(problem), arrived)}
        return Outcome(scenario, client, family, otherwise=otherwise, dropped=dropped)

    def _post(self, path: str, body: str) -> tuple[int, dict[str, str], str]:
        if not hasattr(self._own, "connection"):
            self._own.connection = HTTPConnection(self._host, timeout=60)
        connection: HTTPConnection = self._own.connection
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        connection.request("POST", path, body.encode(), headers)
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, text


def _streamed(client: str, family: str, arrived: dict[str, Any], answer: str) -> str:
    """What is wrong with a stream: the upstream was not asked for one, or what the client gets is none of its API."""
    wanted = {"stream": True} if family in _IN_BODY else {}
    wanted |= {"stream_options": _SWITCHES["stream_options"]} if family in _COUNTED else {}
    if {name: arrived[name] for name in _SWITCHES if name in arrived} != wanted:
        return f"asked with {arrived.keys() & _SWITCHES.keys()}"
    upstream = UPSTREAMS[client]
    try:
        found = gathered(answer.encode(), upstream.reader(), upstream.splitter())
    except BadAnswer as problem:
        return f"{problem}: {answer[:300]}"
    said = "".join(part.text for choice in found.choices for part in choice.parts if isinstance(part, Text))
    return "" if said == "ok" else answer[:300]


def _rest(body: dict[str, Any]) -> dict[str, Any]:
    """All but what tells the host which model is meant."""
    return {name: value for name, value in body.items() if name not in ("model", "anthropic_version")}
