"""Streams: relayed event by event, judged before their headers go out, and never ended by invention."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest

from tests.faults.upstream import EVENTS
from tests.promises import within

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_stream_is_relayed(plane: Any) -> None:
    """Byte for byte but for the model; the usage that we asked for is hidden and counted."""
    model = plane.scenario("ok")
    answer, events = plane.stream(model)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    expected = b"".join(EVENTS).replace(b"upstream-name", model.encode()) + b"data: [DONE]\n\n"
    assert answer.content == expected
    sent = plane.upstream.requests[0].json
    assert sent["stream_options"] == {"include_usage": True}
    (row,) = plane.rows()
    assert (row.outcome, row.stream, row.input_tokens, row.output_tokens) == ("ok", True, 7, 3)
    assert len(events) == 6


def test_usage_is_shown_to_who_asked(plane: Any) -> None:
    _, events = plane.stream(plane.scenario("ok"), stream_options={"include_usage": True})
    assert json.loads(events[-2])["usage"]["total_tokens"] == 10
    assert events[-1] == "[DONE]"


def test_other_stream_options_are_kept(plane: Any) -> None:
    plane.stream(plane.scenario("ok"), stream_options={"include_obfuscation": False})
    assert plane.upstream.requests[0].json["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_a_route_may_say_that_usage_cannot_be_asked(plane: Any) -> None:
    plane.world.model("quiet", (plane.account, "ok", {"quirks": {"stream_usage": False}}))
    plane.settle()
    answer, _ = plane.stream("quiet")
    assert answer.status_code == 200
    assert "stream_options" not in plane.upstream.requests[0].json
    assert plane.rows()[0].input_tokens is None


@pytest.mark.parametrize("how", ["fin", "rst", "clean"])
@pytest.mark.parametrize("after", [1, 2, 4])
def test_r_rel_05_a_cut_stream_ends_with_an_error_event(plane: Any, after: int, how: str) -> None:
    """R-REL-05: no [DONE], no finish reason, one row `partial`."""
    answer, events = plane.stream(plane.scenario(f"cut:{after}:{how}", "ok"))
    assert answer.status_code == 200
    assert len(events) == after + 1
    assert json.loads(events[-1])["error"]["code"] == "upstream_cut"
    assert "[DONE]" not in answer.text and '"stop"' not in answer.text
    (row,) = plane.rows()
    assert (row.outcome, row.error_code, row.attempts) == ("partial", "upstream_cut", 1)


@pytest.mark.parametrize("how", ["fin", "rst", "clean"])
def test_r_rel_05_a_stream_that_ends_before_its_first_event_is_tried_elsewhere(plane: Any, how: str) -> None:
    answer, events = plane.stream(plane.scenario(f"cut:0:{how}", "ok"))
    assert answer.headers["x-jackfield-attempts"] == "2", answer.text
    assert events[-1:] == ["[DONE]"], (answer.text, answer.headers, plane.rows()[0].attempt_log)


def test_a_finished_stream_without_done_is_whole(plane: Any) -> None:
    """Some upstreams never send [DONE]: a finish reason for each choice, usage and a proper end are enough."""
    answer, events = plane.stream(plane.scenario("no_done"))
    assert len(events) == 6 and "error" not in answer.text
    assert events[-1] == "[DONE]", "a client of this API waits for it"
    assert plane.rows()[0].outcome == "ok"


def cut_at_its_end(answer: Any, events: list[str]) -> None:
    assert json.loads(events[-1])["error"]["code"] == "upstream_cut"
    assert "[DONE]" not in answer.text


def test_a_stream_without_done_and_usage_is_cut(plane: Any) -> None:
    """Usage was asked for and comes after the finish reason: what ends before it ended early."""
    cut_at_its_end(*plane.stream(plane.scenario("no_usage")))
    (row,) = plane.rows()
    assert (row.outcome, row.error_code) == ("partial", "upstream_cut")


def test_a_stream_without_done_and_usage_is_whole_where_none_was_asked(plane: Any) -> None:
    plane.world.model("quiet", (plane.account, "no_usage", {"quirks": {"stream_usage": False}}))
    plane.settle()
    answer, events = plane.stream("quiet")
    assert events[-1] == "[DONE]" and "error" not in answer.text
    assert plane.rows()[0].outcome == "ok"


def test_a_place_that_says_done_was_cut_when_it_does_not(plane: Any) -> None:
    """The same account and upstream model ended a stream with [DONE] before, in this process."""
    plane.upstream.ended = False
    model = plane.scenario("changing")
    assert plane.stream(model)[1][-1] == "[DONE]"
    cut_at_its_end(*plane.stream(model))
    first, second = plane.rows(2)
    assert (first.outcome, second.outcome, second.input_tokens) == ("ok", "partial", 7)
    plane.world.model("other", (plane.account, "no_done"))  # another model of the same account says it never
    plane.settle()
    assert plane.stream("other")[1][-1] == "[DONE]"


def test_the_memory_of_places_is_bounded() -> None:
    from api.relay import Endings

    places = [(number, "http://a/v1", "m") for number in range(4)]
    endings = Endings(3)
    for place in places[:3]:
        endings.note(place)
    endings.note(places[0])
    endings.note(places[3])
    assert [place in endings for place in places] == [True, False, True, True]


def test_r_rel_07_a_line_over_the_limit_before_the_first_event_is_the_upstreams_fault(plane: Any) -> None:
    answer = plane.ask(plane.scenario("long_line"), stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_too_large")
    answer, events = plane.stream(plane.scenario("long_line", "ok"))
    assert (answer.status_code, events[-1]) == (200, "[DONE]")
    assert answer.headers["x-jackfield-attempts"] == "2"


def test_r_rel_08_an_error_as_first_event_gets_its_status(plane: Any) -> None:
    """R-REL-08."""
    answer = plane.ask(plane.scenario("first_error"), stream=True)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["message"] == "no"
    answer, events = plane.stream(plane.scenario("first_error", "ok"))
    assert (answer.status_code, events[-1]) == (200, "[DONE]")


@pytest.mark.parametrize("bad", ["status:500", "body:error", "limited:all"])
def test_r_rel_08_an_error_instead_of_a_stream_gets_its_status(plane: Any, bad: str) -> None:
    answer = plane.ask(plane.scenario(bad), stream=True)
    assert answer.status_code >= 429
    assert answer.json()["error"]["message"]


def test_a_late_error_event_is_told_and_ends_the_stream(plane: Any) -> None:
    answer, events = plane.stream(plane.scenario("late_error"))
    error = json.loads(events[-1])["error"]
    assert (error["message"], error["code"]) == ("lost it", "oops")
    assert "[DONE]" not in answer.text
    assert plane.rows()[0].outcome == "partial"


def test_r_rel_06_the_gap_between_events_is_limited(plane: Any) -> None:
    """R-REL-06."""
    start = time.monotonic()
    _, events = plane.stream(plane.scenario("drip:40", gap=0.4))
    assert time.monotonic() - start < 10
    assert json.loads(events[-1])["error"]["code"] == "upstream_gap_timeout"
    plane.eventually(lambda: plane.upstream.requests[0].gone_at)
    assert plane.rows()[0].error_code == "upstream_gap_timeout"


def test_r_rel_06_comments_keep_a_stream_alive_for_a_while(plane: Any, monkeypatch: Any) -> None:
    from api import relay

    monkeypatch.setattr(relay, "COMMENTS_COUNT_FOR", 2.0)
    start = time.monotonic()
    answer, events = plane.stream(plane.scenario("drip:0.1:comments", gap=1))
    assert 1.9 < time.monotonic() - start < 12
    assert answer.text.count(": still here") >= 3
    assert json.loads(events[-1])["error"]["code"] == "upstream_gap_timeout"


def test_r_rel_06_the_total_deadline_ends_a_stream(plane: Any) -> None:
    start = time.monotonic()
    _, events = plane.stream(plane.scenario("drip:0.1", total=3))
    assert time.monotonic() - start < 20
    assert json.loads(events[-1])["error"]["code"] == "upstream_total_timeout"


def test_a_slow_reader_holds_little(plane: Any, eventually: Any) -> None:
    """A client that does not read stops the upstream after a bounded number of bytes, and nobody else waits."""
    model = plane.scenario("flood:64")
    with plane.client.stream("POST", "/v1/chat/completions", json={"model": model, "stream": True}) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        time.sleep(0.5)
        start = time.monotonic()
        assert plane.ask(plane.scenario("ok")).status_code == 200
        assert time.monotonic() - start < 10, "it would wait as long as nobody reads"
        total = sum(len(piece) for piece in pieces)
    assert total > 60 * 1024 * 1024
    assert plane.rows(2)


def test_streams_of_a_compromised_token_are_cut(plane: Any) -> None:
    """R-TOK-07: with an error event and without [DONE]; those of others and of retired ones go on."""
    from api.cutting import open_streams
    from keys import tokens

    model = plane.scenario("drip:0.05")
    silent = plane.scenario("drip:60")
    project = plane.world.project()
    rows = [tokens.issue(project) for _ in range(3)]
    plane.settle()
    with contextlib.ExitStack() as stack:

        def opened(name: str, token: str) -> Any:
            answer = stack.enter_context(
                plane.client.stream(
                    "POST",
                    "/v1/chat/completions",
                    json={"model": name, "stream": True},
                    headers={"authorization": f"Bearer {token}"},
                )
            )
            pieces = answer.iter_raw()
            assert b"data:" in next(pieces)
            return pieces

        bad, retired, other = (opened(model, token) for _, token in rows)
        waiting = opened(silent, rows[0][1])
        assert len(open_streams) == 4
        tokens.revoke(rows[1][0])
        tokens.revoke(rows[0][0], "compromised")
        for end in (b"".join(bad), b"".join(waiting)):
            last = json.loads(end.decode().rstrip().rsplit("data: ", 1)[1])
            assert last["error"]["code"] == "token_revoked" and b"[DONE]" not in end
        time.sleep(0.3)
        assert b"data:" in next(retired) and b"data:" in next(other)
        plane.eventually(lambda: len(open_streams) == 2)
        plane.eventually(lambda: sum(seen.gone_at is not None for seen in plane.upstream.requests) == 2)
    plane.eventually(lambda: len(open_streams) == 0)
    rows = plane.rows(4)
    cut = [row for row in rows if row.error_code == "token_revoked"]
    assert [(row.outcome, row.fault) for row in cut] == [("partial", "policy")] * 2


def test_a_stream_is_cut_within_a_second(plane: Any) -> None:
    """R-TOK-07."""
    from keys import tokens

    silent = plane.scenario("drip:60")
    for took in within(1):
        row, token = tokens.issue(plane.world.project())
        plane.settle()
        asked = {"json": {"model": silent, "stream": True}, "headers": {"authorization": f"Bearer {token}"}}
        with plane.client.stream("POST", "/v1/chat/completions", **asked) as answer:
            pieces = answer.iter_raw()
            next(pieces)
            start = time.monotonic()
            tokens.revoke(row, "compromised")
            assert b"token_revoked" in b"".join(pieces)
            took.append(time.monotonic() - start)


def test_a_token_compromised_before_the_first_event_gets_none_after_it(plane: Any) -> None:
    """The stream begins on the snapshot that let it in, and ends by the newest."""
    from api import cutting

    class Stream:
        cuts = 0

        def cut(self) -> None:
            self.cuts += 1

    async def begin() -> int:
        streams, stream = cutting.OpenStreams(), Stream()
        streams.add(mac, stream)
        streams.remove(mac, stream)
        assert len(streams) == 0 and streams._timer is None
        return stream.cuts

    from keys import tokens
    from routing.store import store

    row, _ = tokens.issue(plane.world.project())
    mac = bytes(row.mac)
    plane.settle()
    assert asyncio.run(begin()) == 0
    tokens.revoke(row, "compromised")
    plane.settle()
    assert store.current.tokens[mac].compromised
    assert asyncio.run(begin()) == 1
