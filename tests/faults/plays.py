"""How the upstream of the long form behaves: in the dialect it was asked in, with the asker's marker as its text.

Each play is a method `do_<name>` of the upstream. What is left to chance is drawn from dice that the seed and the
question decide, so a run can be had again.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import zlib
from typing import Any

from tests.faults.speech import SPEECHES, dialect_at
from tests.faults.truth import Told, Truth

_LINGER_NOT = b"\x01\x00\x00\x00\x00\x00\x00\x00"
_MEGABYTE = 1024 * 1024


def reset(writer: Any) -> None:
    """Break the connection off with RST."""
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()


def head(kind: str, *more: str) -> bytes:
    """The head of a chunked answer, or of one that names its length in `more`."""
    length = () if any(line.startswith("content-length") for line in more) else ("transfer-encoding: chunked",)
    return "\r\n".join(["HTTP/1.1 200 OK", f"content-type: {kind}", *length, *more, "", ""]).encode()


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


END = chunked(b"")
EVENTS = "text/event-stream"


class Plays:
    """Mixed into the upstream, which gives each play the writer, the body and the headers."""

    truth: Truth
    #: whether `storm` is raging
    down = False

    def __init__(self) -> None:
        #: models whose first question was left without a word
        self.vanished: set[str] = set()

    # --- as it should be --------------------------------------------------------------------------------------------

    async def do_says(self, to: Told, asked: Any, headers: dict[str, str], *_: str) -> bool:
        """The marker, whole or streamed, with tokens that nobody can guess."""
        speech = SPEECHES[dialect_at(to.call.path)]
        text, input, output = self._words(to)
        to.call.status = 200
        if not self._streams(asked, to):
            to.call.input, to.call.output = input, output
            body = speech.whole(text, input, output)
            to.write(head("application/json", f"content-length: {len(body)}") + body)
        else:
            events = speech.events(text, input, output)
            to.write(head(EVENTS) + b"".join(map(chunked, events[:2])))
            await to.drain()
            to.write(b"".join(map(chunked, events[2:])) + END)
            to.call.input, to.call.output = input, output
        await to.drain()
        return True

    async def do_tarries(self, to: Told, asked: Any, headers: dict[str, str], pause: str, share: str, *_: str) -> bool:
        """An answer, in this share of all cases after a pause."""
        if self.truth.dice(to.call).random() < float(share):
            await asyncio.sleep(float(pause))
        return await self.do_says(to, asked, headers)

    def _words(self, to: Told) -> tuple[str, int, int]:
        dice = self.truth.dice(to.call)
        return to.call.marker or "hello", dice.randrange(1, 5000), dice.randrange(2, 2000)

    @staticmethod
    def _streams(asked: Any, to: Told) -> bool:
        return bool(asked.get("stream")) or "streamGenerate" in to.call.path

    # --- broken off -------------------------------------------------------------------------------------------------

    async def do_breaks(self, to: Told, asked: Any, headers: dict[str, str], first: str = "1", *_: str) -> bool:
        """A stream that ends somewhere, from event `first` on and before its last one, in one of four ways."""
        dice = self.truth.dice(to.call)
        speech = SPEECHES[dialect_at(to.call.path)]
        events = speech.events(*self._words(to))
        how = dice.choice(("fin", "rst", "chunk", "clean"))
        # A message that ends properly after a finish reason may be whole: upstreams exist that say no more.
        after = dice.randrange(int(first), speech.before_end + 1 if how == "clean" else len(events))
        to.call.status, to.call.end = 200, "cut"
        to.write(head(EVENTS) + b"".join(map(chunked, events[:after])))
        await to.drain()
        await asyncio.sleep(0.01)
        if how == "clean":
            to.write(END)
            await to.drain()
            return True
        if how == "chunk":
            piece = chunked(events[after])
            to.write(piece[: dice.randrange(1, len(piece) - 4)])
            await to.drain()
        elif how == "rst":
            reset(to)
        return False

    async def do_vanishes(self, to: Told, asked: Any, headers: dict[str, str], *_: str) -> bool:
        """The first time nothing is said, and the connection ends; then an answer."""
        if asked["model"] in self.vanished:
            return await self.do_says(to, asked, headers)
        self.vanished.add(asked["model"])
        return False

    async def do_storm(self, to: Told, asked: Any, headers: dict[str, str], name: str, *only: str) -> bool:
        """While it rages: 503, 529, an overload in a 200, no answer at all; or one of these alone. Else an answer."""
        if not self.down:
            return await self.do_says(to, asked, headers)
        kinds = tuple(map(int, only)) or (503, 503, 503, 529, 529, 529, 200, 200, 200, 0)
        kind = self.truth.dice(to.call).choice(kinds)
        if kind == 0:
            to.call.end = "cut"
            return False
        error = json.dumps({"error": {"message": "storm", "type": "overloaded_error", "code": "overloaded"}}).encode()
        to.call.status = kind
        to.write(f"HTTP/1.1 {kind} Storm\r\ncontent-type: application/json\r\n".encode())
        to.write(b"content-length: %d\r\n\r\n%s" % (len(error), error))
        await to.drain()
        return True

    async def do_lies(self, to: Told, asked: Any, headers: dict[str, str], kind: str, *_: str) -> bool:
        """A 200 that is an error: the whole body, or the first event of a stream."""
        types = {"400": "invalid_request_error", "401": "authentication_error", "429": "rate_limit_error",
                 "503": "service_unavailable", "529": "overloaded_error"}  # fmt: skip
        error = json.dumps({"error": {"message": "no", "type": types.get(kind, kind), "code": None}}).encode()
        to.call.status = 200
        if self._streams(asked, to):
            to.write(head(EVENTS) + chunked(b"data: " + error + b"\n\n") + END)
        else:
            to.write(head("application/json", f"content-length: {len(error)}") + error)
        await to.drain()
        return True

    async def do_throttles(self, to: Told, asked: Any, headers: dict[str, str], kind: str, *keys: str) -> bool:
        """429 for some keys: `after-N` says when to come again, `mute` does not, `spent` names a limit of spending."""
        if to.call.key not in keys and keys:
            return await self.do_says(to, asked, headers)
        error = {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
        if kind == "spent":
            error = {"message": "spend limit", "type": "rate_limit_error", "code": "enforced_spend_limit_reached"}
        body = json.dumps({"error": error}).encode()
        after = f"retry-after: {kind[6:]}\r\n" if kind.startswith("after-") else ""
        to.call.status = 429
        to.write(f"HTTP/1.1 429 Slow\r\ncontent-type: application/json\r\n{after}".encode())
        to.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))
        await to.drain()
        return True

    # --- too slow ---------------------------------------------------------------------------------------------------

    async def do_drips(self, to: Told, asked: Any, headers: dict[str, str], kind: str, *_: str) -> bool:
        """Signs of life for ever: `events`; after one `comments`, or the `bytes` of one that never ends; a `body`."""
        event = SPEECHES["chat"].events("drop", 1, 1)[1]
        to.call.status = 200
        to.write(head("application/json" if kind == "body" else EVENTS))
        if kind in ("comments", "bytes"):
            to.write(chunked(event))
        drop = {"events": event, "comments": b": still here\n\n", "bytes": b"x", "body": b" "}[kind]
        while True:
            to.write(chunked(drop))
            await to.drain()
            await asyncio.sleep(0.1)

    # --- odd, and no events at all ----------------------------------------------------------------------------------

    async def do_odd(self, to: Told, asked: Any, headers: dict[str, str], kind: str) -> bool:
        """A whole stream, told in a way that few expect and the standard allows."""
        dice = self.truth.dice(to.call)
        text, input, output = self._words(to)
        events = SPEECHES["chat"].events(text + " naïve ✓ 🧵", input, output)
        to.call.status = 200
        to.write(head(EVENTS))
        for piece in odd(events, kind, dice):
            to.write(chunked(piece))
            await to.drain()
        to.write(END)
        await to.drain()
        to.call.input, to.call.output = input, output
        return True

    async def do_garbled(self, to: Told, asked: Any, headers: dict[str, str], kind: str) -> bool:
        """A stream that goes wrong after its second event."""
        events = SPEECHES["chat"].events(*self._words(to))
        bad = {
            "json": b'data: {"choices": [{"delta": \n\n',
            "utf8": b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n',
            "list": b"data: []\n\n",
            "text": b"data: Internal Server Error\n\n",
        }
        to.call.status, to.call.end = 200, "cut"
        to.write(head(EVENTS) + b"".join(map(chunked, events[:2])))
        if kind == "line":
            to.write(chunked(b"data: "))
            for _ in range(10):
                to.write(chunked(b"x" * _MEGABYTE))
                await to.drain()
            to.write(chunked(b"\n\n"))
        else:
            to.write(chunked(bad[kind]))
        to.write(b"".join(map(chunked, events[2:])) + END)
        await to.drain()
        return True

    # --- without end ------------------------------------------------------------------------------------------------

    async def do_endless(self, to: Told, *_: Any) -> bool:
        """A stream of good events that never ends."""
        event = chunked(SPEECHES["chat"].events("x" * 60_000, 1, 1)[1])
        to.call.status = 200
        to.write(head(EVENTS))
        while True:
            to.write(event)
            await to.drain()

    async def do_gigantic(self, to: Told, asked: Any, headers: Any, how: str) -> bool:
        """A body of ten gigabytes: `announced`, or in chunks that nobody announced."""
        size = 10 * 1024 * _MEGABYTE
        to.call.status = 200
        piece = b"0" * _MEGABYTE
        if how == "announced":
            to.write(head("application/json", f"content-length: {size}"))
        else:
            to.write(head("application/json"))
            piece = chunked(piece)
        for _ in range(size // _MEGABYTE):
            to.write(piece)
            await to.drain()
        return False

    async def do_bomb(self, to: Told, asked: Any, headers: Any, kind: str = "application/json") -> bool:
        """Ten gigabytes of zeros in ten megabytes."""
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        start = packer.compress(b'{"x":"') + packer.flush(zlib.Z_FULL_FLUSH)
        again = packer.compress(b"0" * _MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
        to.call.status = 200
        to.write(head(kind.replace("_", "/"), "content-encoding: gzip") + chunked(start))
        for _ in range(10 * 1024):
            to.write(chunked(again))
            await to.drain()
        return False


def odd(events: list[bytes], kind: str, dice: random.Random) -> list[bytes]:
    """The same events in unusual dress, in the pieces in which they are sent."""
    whole = b"".join(events)
    match kind:
        case "crlf":
            return [event.replace(b"\n", b"\r\n") for event in events]
        case "mixed":
            return [event.replace(b"\n", dice.choice((b"\n", b"\r\n", b"\r"))) for event in events]
        case "bom":
            return [b"\xef\xbb\xbf" + whole]
        case "bytes":
            return [whole[at : at + 1] for at in range(len(whole))]
        case "pieces":
            cuts = sorted(dice.sample(range(1, len(whole)), 40))
            return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        case "unknown":
            strange = b'event: x.unknown\nid: 7\nretry: 10\n: a comment\ndata: {"object":"x.unknown","y":[1]}\n\n'
            return [piece for event in events[:-1] for piece in (event, strange)] + events[-1:]
        case "tight":
            return [event.replace(b"data: ", b"data:") for event in events]
    raise ValueError(kind)
