"""The upstream of the benchmark: answers a canned chat completion, or the same words as an Anthropic message below
/v1/messages, buffered or streamed, as fast as one core can.

Run: python upstream.py PORT. A raw protocol, so that the upstream is never what bounds a gateway.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

TEXT = "The patch panel answers. " * 16
MODEL = "bench-upstream"
USAGE = {"prompt_tokens": 12, "completion_tokens": 80, "total_tokens": 92}
BUFFERED = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1700000000,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": USAGE,
    },
    separators=(",", ":"),
).encode()


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


WORDS = TEXT.split()[:20]
EVENTS = [_chunk({"role": "assistant", "content": ""}), *(_chunk({"content": word + " "}) for word in WORDS)]
EVENTS.append(_chunk({}, "stop"))
EVENTS.append(
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench-upstream",'
    + b'"choices":[],"usage":'
    + json.dumps(USAGE, separators=(",", ":")).encode()
    + b"}\n\n"
)
EVENTS.append(b"data: [DONE]\n\n")

COUNTED = {"input_tokens": USAGE["prompt_tokens"], "output_tokens": USAGE["completion_tokens"]}
MESSAGE = {"id": "msg_bench", "type": "message", "role": "assistant", "model": MODEL, "stop_sequence": None}


def _said(event: dict[str, object]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (
        str(event["type"]).encode(),
        json.dumps(event, separators=(",", ":")).encode(),
    )


MESSAGE_EVENTS = [
    _said({"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": COUNTED}}),
    _said({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    *(
        _said({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word + " "}})
        for word in WORDS
    ),
    _said({"type": "content_block_stop", "index": 0}),
    _said({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": COUNTED}),
    _said({"type": "message_stop"}),
]
WHOLE_MESSAGE = {**MESSAGE, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "usage": COUNTED}


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
#: Each event is a chunk and a write of its own, as providers send them.
FRAMES = {
    name: [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    for name, events in (("chat", EVENTS), ("messages", MESSAGE_EVENTS))
}
ANSWERS = {
    "chat": _answer(BUFFERED),
    "messages": _answer(json.dumps(WHOLE_MESSAGE, separators=(",", ":")).encode()),
}


class Upstream(asyncio.Protocol):
    """One connection: requests are read by Content-Length or chunked framing and answered in order."""

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            low = head.lower()
            at = low.find(b"content-length:")
            if at >= 0:
                size = int(low[at + 15 : (low + b"\r\n").find(b"\r\n", at)])
                if len(rest) < size:
                    return
                body, self.buffer = rest[:size], rest[size:]
            elif b"transfer-encoding:" not in low:
                body, self.buffer = b"", rest
            else:
                end = rest.find(b"0\r\n\r\n")
                if end < 0:
                    return
                body, self.buffer = rest[:end], rest[end + 5 :]
            self.answer("messages" if head.startswith(b"POST /v1/messages") else "chat", body)

    def answer(self, api: str, body: bytes) -> None:
        if b'"stream":true' not in body and b'"stream": true' not in body:
            self.transport.write(ANSWERS[api])
            return
        self.transport.write(HEAD)
        for frame in FRAMES[api]:
            self.transport.write(frame)
        self.transport.write(b"0\r\n\r\n")


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
