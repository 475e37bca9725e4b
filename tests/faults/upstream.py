"""A scriptable upstream on raw sockets: the model id says how it behaves, and it remembers everything it was sent.

The scenario is the model id up to the first `:`; what follows are its arguments. It speaks just enough HTTP/1.1 to be
wrong in every way that matters. Each test asserts on `requests` (what came) and on `gone_at` (which were dropped
early).

Scenarios of faults run it as a process of its own: `python -m tests.faults.upstream PORT LOG SEED` writes the truth log
and takes words on standard input: `down` and `up` for the play `storm`. Their plays are in `tests.faults.plays`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.faults.plays import Plays, reset
from tests.faults.truth import Told, Truth


def completion(text: str = "hello", model: str = "upstream-name", **more: Any) -> bytes:
    """A whole chat completion."""
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
            **more,
        }
    ).encode()


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """One event of a stream."""
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-name",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


#: A stream of five events and its end.
EVENTS = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "one "}),
    chunk({"content": "two "}),
    chunk({"content": "three"}),
    chunk({}, "stop"),
]
USAGE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"upstream-name","choices":[],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
)
DONE = b"data: [DONE]\n\n"


@dataclass
class Seen:
    """One request as it came."""

    head: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    #: when the gateway dropped the connection before the answer was over
    gone_at: float | None = None

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


class Upstream(Plays):
    """Runs in a thread of its own; `url` ends in /v1."""

    def __init__(self, *, port: int = 0, truth: Truth | None = None, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.truth = truth or Truth()
        self.port = port
        self._tls = tls
        self.requests: list[Seen] = []
        self.open = 0
        #: whether what was spent has been paid
        self.paid = False
        #: whether `changing` has ended a stream
        self.ended = False
        self.answers: list[tuple[int, bytes]] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        server = await asyncio.start_server(
            self._connection, "127.0.0.1", self.port, limit=64 * 1024 * 1024, backlog=1024, ssl=self._tls
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            begun: bytes | None = b""
            while begun is not None:
                begun = await self._exchange(reader, writer, begun)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            with contextlib.suppress(ConnectionError):
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begun: bytes) -> bytes | None:
        """One request, of which `begun` has been read. What was read of the next; None: there will be none."""
        head = (begun + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rows = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = Seen(line, headers, body)
        self.requests.append(seen)
        asked = json.loads(body)
        path = unquote(line.split(" ")[1])
        if "model" not in asked:  # Google's is in the path
            asked["model"] = path.partition("/models/")[2].rpartition(":")[0]
        scenario, *arguments = asked["model"].split(":")
        call = self.truth.asked(path, headers, body, asked["model"])
        act = getattr(self, "do_" + scenario.replace("-", "_"))
        play = asyncio.ensure_future(act(Told(writer, call), asked, headers, *arguments))
        # Its answer may be here to the last byte, as seen from there, before the play is over: it may ask again.
        watch = asyncio.ensure_future(reader.read(1))
        done, _ = await asyncio.wait((play, watch), return_when=asyncio.FIRST_COMPLETED)
        left = watch in done and (watch.exception() is not None or not watch.result())
        if left and play not in done:
            seen.gone_at = time.monotonic()
            self.truth.ended(call, "gone")
            play.cancel()
            return None
        try:
            goes_on = await play
        except ConnectionError:
            seen.gone_at = time.monotonic()
            self.truth.ended(call, "gone")
            raise
        self.truth.ended(call, "whole" if goes_on else "cut")
        if not goes_on:
            watch.cancel()
            return None
        if not watch.done():
            watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await watch
        return b""

    # --- scenarios: each returns whether the connection may be used again -------------------------------------------

    async def do_ok(self, writer: Any, asked: dict[str, Any], headers: dict[str, str], *_: str) -> bool:
        """An answer as it should be, buffered or streamed."""
        if asked.get("stream"):
            events = list(EVENTS)
            if (asked.get("stream_options") or {}).get("include_usage"):
                events.append(USAGE)
            await self._stream(writer, [*events, DONE])
            return True
        await self._answer(writer, 200, completion(headers.get("authorization", "")[7:] or "nobody"))
        return True

    async def do_late(self, writer: Any, asked: dict[str, Any], headers: dict[str, str], pause: str, *_: str) -> bool:
        """Nothing for a while, then an answer as it should be."""
        await asyncio.sleep(float(pause))
        return await self.do_ok(writer, asked, headers)

    async def do_status(self, writer: Any, asked: Any, headers: Any, status: str, *message: str) -> bool:
        """An error status, with an error object."""
        error = {"message": message[0] if message else "told to", "type": "some_error", "param": None, "code": "xyz"}
        await self._answer(writer, int(status), json.dumps({"error": error}).encode())
        return True

    async def do_late_status(self, writer: Any, asked: Any, headers: Any, pause: str, status: str, *_: str) -> bool:
        """Nothing for a while, then an error status."""
        await asyncio.sleep(float(pause))
        return await self.do_status(writer, asked, headers, status)

    async def do_limited(self, writer: Any, asked: Any, headers: dict[str, str], *keys: str) -> bool:
        """429 for the named keys, an answer for the others. `ra-N` among them sends Retry-After."""
        retry = [key[3:] for key in keys if key.startswith("ra-")]
        if headers.get("authorization", "")[7:] in keys or "all" in keys:
            extra = {"retry-after": retry[0]} if retry else {}
            body = (
                b'{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}'
            )
            await self._answer(writer, 429, body, extra)
            return True
        return await self.do_ok(writer, asked, headers)

    async def do_google(self, writer: Any, asked: Any, headers: Any, *_: str) -> bool:
        """The day's quota of one model is used up, as Google says it."""
        violation = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
        details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}]
        error = {"code": 429, "message": "You exceeded your current quota.", "status": "RESOURCE_EXHAUSTED"}
        await self._answer(writer, 429, json.dumps({"error": error | {"details": details}}).encode())
        return True

    async def do_busy(self, writer: Any, asked: Any, headers: Any, seconds: str) -> bool:
        """503 with Retry-After."""
        await self._answer(writer, 503, b'{"error":{"message":"busy","type":"overloaded"}}', {"retry-after": seconds})
        return True

    async def do_spent(self, writer: Any, asked: Any, headers: dict[str, str], kind: str, *keys: str) -> bool:
        """The quota or the balance of the named keys is used up; an answer for the others."""
        if self.paid or headers.get("authorization", "")[7:] not in keys:
            return await self.do_ok(writer, asked, headers)
        error = {"message": "used up", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}
        if kind == "balance":
            error |= {"type": "unknown_error", "code": "invalid_request_error"}
        await self._answer(writer, 402 if kind == "balance" else 429, json.dumps({"error": error}).encode())
        return True

    async def do_body(self, writer: Any, asked: Any, headers: Any, kind: str) -> bool:
        """A 200 whose body is not an answer."""
        bodies = {
            "error": b'{"error":{"message":"no capacity","type":"overloaded_error","code":"overloaded"}}',
            "html": b"<html>hello</html>",
            "empty": b"",
            "quota": b'{"error":{"message":"You exceeded your current quota","type":"insufficient_quota"}}',
        }
        await self._answer(writer, 200, bodies[kind])
        return True

    async def do_no_text(self, writer: Any, asked: dict[str, Any], *when: Any) -> bool:
        """An answer, or an event of a stream, first or second, whose text is not UTF-8."""
        broken = EVENTS[1].replace(b"one ", b"o\xffe ")
        if not asked.get("stream"):
            await self._answer(writer, 200, completion("one").replace(b"one", b"o\xffe"))
            return True
        await self._stream(writer, [EVENTS[0], broken, *EVENTS[2:], DONE] if "later" in when else [broken])
        return True

    async def do_hang(self, writer: Any, *_: Any) -> bool:
        """No first byte."""
        await asyncio.sleep(60)
        return False

    async def do_half(self, writer: Any, *_: Any) -> bool:
        """Half of a buffered answer, then nothing."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
        await asyncio.sleep(60)
        return False

    async def do_cut(self, writer: Any, asked: Any, headers: Any, after: str, how: str) -> bool:
        """A stream that ends after so many events: `fin` and `rst` in the middle of the message, `clean` at its end."""
        self._begin(writer)
        for event in EVENTS[: int(after)]:
            self._piece(writer, event)
        await writer.drain()
        await asyncio.sleep(0.02)
        if how == "clean":
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        if how == "rst":
            reset(writer)
        return False

    async def do_no_done(self, writer: Any, *_: Any) -> bool:
        """Complete, with a finish reason and usage, without [DONE], the message ended properly."""
        await self._stream(writer, [*EVENTS, USAGE])
        return True

    async def do_no_usage(self, writer: Any, *_: Any) -> bool:
        """A finish reason, but neither usage nor [DONE], the message ended properly."""
        await self._stream(writer, EVENTS)
        return True

    async def do_changing(self, writer: Any, *_: Any) -> bool:
        """[DONE] at the end of the first stream, and never again."""
        first = not self.ended
        self.ended = True
        await self._stream(writer, [*EVENTS, USAGE, *([DONE] if first else [])])
        return True

    async def do_long_line(self, writer: Any, *_: Any) -> bool:
        """A stream whose first line is longer than anybody reads."""
        await self._stream(writer, [b"data: " + b"x" * (2 * 1024 * 1024) + b"\n\n"])
        return True

    async def do_first_error(self, writer: Any, *_: Any) -> bool:
        """A stream whose first event is an error."""
        await self._stream(writer, [b'data: {"error":{"message":"no","type":"overloaded_error","code":503}}\n\n'])
        return True

    async def do_late_error(self, writer: Any, *_: Any) -> bool:
        """A stream that reports an error after two events."""
        event = b'data: {"error":{"message":"lost it","type":"server_error","code":"oops"}}\n\n'
        await self._stream(writer, [*EVENTS[:2], event])
        return True

    async def do_drip(self, writer: Any, asked: Any, headers: Any, pause: str, *comments: str) -> bool:
        """Events (or only comments after the first) with pauses between them."""
        self._begin(writer)
        self._piece(writer, EVENTS[0])
        while True:
            await asyncio.sleep(float(pause))
            self._piece(writer, b": still here\n\n" if comments else EVENTS[1])
            await writer.drain()

    async def do_flood(self, writer: Any, asked: Any, headers: Any, megabytes: str) -> bool:
        """A fast, large stream."""
        self._begin(writer)
        event = chunk({"content": "x" * 16000})
        for _ in range(int(megabytes) * 64):
            self._piece(writer, event)
            await writer.drain()
        for event in (EVENTS[-1], DONE):
            self._piece(writer, event)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    # --- HTTP -------------------------------------------------------------------------------------------------------

    async def _answer(self, writer: Any, status: int, body: bytes, extra: dict[str, str] | None = None) -> None:
        writer.call.status = status
        lines = [f"HTTP/1.1 {status} Told", "content-type: application/json", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (extra or {}).items()]
        writer.write("\r\n".join(lines).encode() + b"\r\nset-cookie: a=b\r\nopenai-organization: org-1\r\n\r\n" + body)
        await writer.drain()

    async def _stream(self, writer: Any, events: list[bytes]) -> None:
        self._begin(writer)
        for event in events:
            self._piece(writer, event)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _begin(self, writer: Any) -> None:
        writer.call.status = 200
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def _piece(self, writer: Any, data: bytes) -> None:
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def main(port: int, log: str, seed: int) -> None:
    """Serve, and obey what comes on standard input, until it is closed."""
    upstream = Upstream(port=port, truth=Truth(Path(log), seed))
    print("ready", flush=True)
    for word in sys.stdin:
        upstream.down = word.strip() == "down"
        print(word.strip(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
