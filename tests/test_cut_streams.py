"""R-REL-05: a stream that its upstream cuts ends, for every client dialect, in an error event and in nothing else."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from routing.health import health
from tests.faults.upstream import EVENTS

pytestmark = pytest.mark.django_db(transaction=True)

HI = [{"role": "user", "content": "hi"}]


class Client(NamedTuple):
    """A streamed request, the words of which one is in its dialect's error event, and those that end a whole stream."""

    path: str
    body: dict[str, Any]
    error: str
    ends: tuple[str, ...]


CLIENTS = {
    "chat": Client("/v1/chat/completions", {"messages": HI}, '"error"', ("[DONE]", '"finish_reason": "stop"')),
    "completions": Client("/v1/completions", {"prompt": "hi"}, '"error"', ("[DONE]", '"finish_reason":"stop"')),
    "responses": Client("/v1/responses", {"input": "hi"}, '"error"', ("response.completed", "response.incomplete")),
    "messages": Client(
        "/v1/messages", {"messages": HI, "max_tokens": 20}, "event: error", ("message_stop", "end_turn")
    ),
    "gemini": Client(
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        '"error"',
        ('"finishReason":"STOP"', '"finishReason": "STOP"'),
    ),
}


def ask(plane: Any, client: Client, model: str) -> tuple[int, list[str]]:
    """The status and the events' data."""
    body = {**client.body, "model": model, "stream": True}
    answer = plane.client.post(client.path.format(model=model), json=body)
    return answer.status_code, [part for part in answer.text.replace("\r\n", "\n").split("\n\n") if part.strip()]


@pytest.mark.parametrize("how", ["fin", "rst", "clean"])
@pytest.mark.parametrize("after", range(1, len(EVENTS)))
def test_r_rel_05_a_cut_after_every_event_in_every_dialect(plane: Any, after: int, how: str) -> None:
    model = plane.scenario(f"cut:{after}:{how}", "ok")
    for number, (name, client) in enumerate(CLIENTS.items(), 1):
        status, events = ask(plane, client, model)
        assert status == 200 and client.error in events[-1], (name, events)
        assert not any(end in event for event in events for end in client.ends), (name, events)
        data = json.loads(events[-1].rpartition("data: ")[2])
        assert "upstream_cut" in json.dumps(data), (name, data)
        rows = plane.rows(number)
        assert (rows[-1].outcome, rows[-1].error_code, rows[-1].attempts) == ("partial", "upstream_cut", 1), name
        if number % 4 == 0:
            health.clear()  # five failures in a row would open the circuit


@pytest.mark.parametrize("how", ["fin", "rst", "clean"])
def test_r_rel_05_a_cut_before_every_event_is_nobodys_loss(plane: Any, how: str) -> None:
    model = plane.scenario(f"cut:0:{how}", "ok")
    for name, client in CLIENTS.items():
        health.clear()
        status, events = ask(plane, client, model)
        assert status == 200 and any(end in event for event in events for end in client.ends), (name, events)
    assert {row.outcome for row in plane.rows(len(CLIENTS))} == {"ok"}
