"""Every scenario from every client dialect to every family: what became of each."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import local
from typing import Any, NamedTuple
from urllib.parse import quote

from conformance.capture import FAMILIES, Capture
from conformance.meaning import Meaning, differences
from conformance.readers_native import LEGAL, READERS
from conformance.scenarios import SCENARIOS, THINKING
from conformance.scenarios_of_one import OF_ONE
from conformance.scenarios_of_one import THINKING as THINKING_OF_ONE
from conformance.speakers_native import SPEAKERS, said_in

_PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
    "google_generate": "/v1beta/models/{model}:generateContent",
}
THREADS = 6


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
        model = family + ("-thinks" if scenario in THINKING | THINKING_OF_ONE else "")
        told = body if client == "google_generate" else {"model": model, **body}
        status, headers, answer = self._post(_PATHS[client].format(model=quote(model)), json.dumps(told))
        if status != 200:
            return Outcome(scenario, client, family, status, f"{headers.get('x-jackfield-error')}: {answer[:300]}")
        arrived = self._capture.bodies.pop(headers["x-jackfield-request-id"])
        dropped = frozenset(filter(None, headers.get("x-jackfield-dropped", "").split(",")))
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


def _rest(body: dict[str, Any]) -> dict[str, Any]:
    """All but what tells the host which model is meant."""
    return {name: value for name, value in body.items() if name not in ("model", "anthropic_version")}
