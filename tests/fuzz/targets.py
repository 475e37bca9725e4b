"""Everything that reads what others sent, each read as the gateway does; only the errors that are declared may come."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from fuzz.seeds import seeds
from providers import verdicts
from providers.counting import COUNTERS
from providers.credentials import copilot, device_code, google_login, oauth2_client
from providers.credentials.device_flow import NotYet
from providers.credentials.logins import LOGINS
from providers.credentials.request import CannotMint
from providers.dialects import eventstream, ndjson, sse
from providers.dialects.canon import BadAnswer, Misfit, Request, Target
from providers.dialects.dialect import Client, Splitter, Upstream
from providers.dialects.jsonio import BadBody, quote, read_object
from providers.dialects.registry import CLIENTS, UPSTREAMS
from providers.dialects.sse import EventTooLong
from providers.dialects.streams import Translation, dissect, retold
from providers.model_lists import BadList, read_list

#: A body, and what chooses where it is cut and who else takes part.
Read = Callable[[bytes, random.Random], None]
NOW = 1_795_230_245.0
_PLAIN: dict[str, Request] = {}


class Unkept(AssertionError):
    """A reader did not keep what it promises, be it without an error."""


class Part(NamedTuple):
    """One target: what it is fed, by the name of its seeds."""

    name: str
    fed: str
    read: Read


def _request_of(name: str) -> Request:
    """A plain request of a client's dialect, for writers, which look at it."""
    if name not in _PLAIN:
        held = seeds(recorded=False)
        key = name if f"request {name}" in held else "completions"
        _PLAIN[name] = CLIENTS[name].read_request(msgspec.json.decode(held[f"request {key}"][0]))
    return _PLAIN[name]


def chunks(body: bytes, rng: random.Random) -> Iterator[bytes]:
    """The body as it may arrive: in one piece, or cut anywhere."""
    cuts = sorted(rng.randrange(len(body) + 1) for _ in range(rng.choice((0, 1, 3, 9))))
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        yield body[start:end]


def reads_request(client: Client) -> Read:
    def read(body: bytes, rng: random.Random) -> None:
        try:
            fields = read_object(body)
            for name in ("model", "stream"):
                fields.text(name), fields.flag(name)
            found = fields.decoded()
        except BadBody:
            return
        if msgspec.json.decode(fields.replace("model", quote("public"))) != {**found, "model": "public"}:
            raise Unkept("another object than the client's with the model replaced")
        try:
            request = client.read_request(found)
        except Misfit:
            return
        for upstream in rng.sample(sorted(UPSTREAMS), 3):
            model = rng.choice(("m", "claude-opus-4-6", "gpt-5", "o3", "gemini-3-pro", "us.amazon.nova-pro-v1:0"))
            try:
                written = UPSTREAMS[upstream].write_request(request, Target(model=model, stream=rng.random() < 0.5))
            except Misfit:
                continue
            msgspec.json.decode(msgspec.json.encode(written.body))

    return read


def reads_answer(upstream: Upstream) -> Read:
    def read(body: bytes, rng: random.Random) -> None:
        if upstream.again is not None:
            upstream.again(body)
        try:
            answer = upstream.read_answer(body)
        except BadAnswer as problem:
            if problem.error is not None:
                verdicts.judge_event(msgspec.json.encode(problem.error), {})
            return
        name = rng.choice(sorted(CLIENTS))
        written = CLIENTS[name].write_answer(answer, "public", _request_of(name))
        msgspec.json.decode(written)
        retold(answer, CLIENTS[name].writer("public", _request_of(name)))
        list(dissect(answer))

    return read


def reads_stream(upstream: Upstream) -> Read:
    def read(body: bytes, rng: random.Random) -> None:
        name = rng.choice(sorted(CLIENTS))
        _pump(
            body, rng, upstream.splitter(), Translation(upstream.reader(), CLIENTS[name].writer("p", _request_of(name)))
        )

    return read


def taps(client: Client) -> Read:
    def read(body: bytes, rng: random.Random) -> None:
        _pump(body, rng, sse.Splitter(), client.tap("public", rng.random() < 0.5))

    return read


def _pump(body: bytes, rng: random.Random, splitter: Splitter, tap: Any) -> None:
    """As `api.relay.Pump` does."""
    try:
        for chunk in (*chunks(body, rng), None):
            for event in splitter.close() if chunk is None else splitter.feed(chunk):
                piece = tap.feed(event)
                if tap.error is not None:
                    if not tap.error.malformed:
                        verdicts.judge_event(tap.error.body, {})
                    _ = tap.usage, tap.finished
                    return
                if not isinstance(piece, bytes | None):
                    raise Unkept("what is relayed is no bytes")
                if tap.done_seen:
                    _ = tap.usage, tap.has_usage
                    return
    except EventTooLong:
        return
    if tap.finished:
        tap.end()
    _ = tap.has_usage, tap.usage


def splices(client: Client) -> Read:
    def read(body: bytes, rng: random.Random) -> None:
        try:
            spliced, _ = client.splice(body, "public")
        except BadBody:
            return
        msgspec.json.decode(spliced, type=dict[str, msgspec.Raw])

    return read


def splits(make: Callable[[], Splitter]) -> Read:
    """However a body is cut, the same events come of it."""

    def read(body: bytes, rng: random.Random) -> None:
        told = []
        for pieces in ([body], list(chunks(body, rng))):
            splitter = make()
            events = []
            try:
                for piece in pieces:
                    events += splitter.feed(piece)
                events += splitter.close()
            except EventTooLong:
                return
            told.append([(event.name, event.data) for event in events])
        if told[0] != told[1]:
            raise Unkept("other events when cut elsewhere")

    return read


def judges(body: bytes, rng: random.Random) -> None:
    status = rng.choice((200, 200, 400, 401, 404, 429, 500, 503, 529, 302))
    headers = {"retry-after": rng.choice(("5", "-1", "nan", "1e999", "Sat, 21 Nov 2026 03:04:05 GMT", "x", ""))}
    verdict = verdicts.judge(status, headers, body)
    verdicts.judge_event(body, headers)
    if verdict.error is not None:
        msgspec.json.encode(verdict.error)


def mints(body: bytes, rng: random.Random) -> None:
    login, status = LOGINS[rng.choice(sorted(LOGINS))], rng.choice((200, 200, 400, 429))
    held = json.dumps({"login": rng.choice(["qwen-portal", "openai-codex"]), "refresh_token": "r"})
    for read in (
        lambda: oauth2_client.read(body, NOW),
        lambda: copilot.read(body, NOW),
        lambda: google_login.read(body, NOW),
        lambda: device_code.read(held, body, NOW),
        lambda: login.read_begin(200, body, NOW, "v"),
        lambda: login.read(status, body, NOW),
        lambda: login.read_last(status, body, NOW),
    ):
        with contextlib.suppress(CannotMint, NotYet):
            read()


def lists(body: bytes, rng: random.Random) -> None:
    with contextlib.suppress(BadList):
        read_list(body)


def counts(body: bytes, rng: random.Random) -> None:
    for counter in COUNTERS.values():
        with contextlib.suppress(BadAnswer):
            counter.read(body)


def _targets(held: dict[str, list[bytes]]) -> Iterator[Part]:
    for name, client in CLIENTS.items():
        fed = name if f"request {name}" in held else "completions"
        yield Part(f"request {name}", f"request {fed}", reads_request(client))
        yield Part(f"tap {name}", f"stream {fed}", taps(client))
        yield Part(f"splice {name}", f"answer {fed}", splices(client))
    for name, upstream in UPSTREAMS.items():
        yield Part(f"answer {name}", f"answer {name}", reads_answer(upstream))
        yield Part(
            f"stream {name}", f"stream {name}" if f"stream {name}" in held else f"answer {name}", reads_stream(upstream)
        )
    yield Part("split sse", "stream anthropic_messages", splits(sse.Splitter))
    yield Part("split ndjson", "stream ollama_native", splits(ndjson.Splitter))
    yield Part("split eventstream", "stream bedrock_converse", splits(eventstream.Splitter))
    yield Part("verdict", "error", judges)
    yield Part("token", "token", mints)
    yield Part("list", "list", lists)
    yield Part("count", "count", counts)


def targets(*, recorded: bool = True) -> dict[str, Part]:
    """All targets, by name."""
    return {part.name: part for part in _targets(seeds(recorded=recorded))}
