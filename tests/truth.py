"""An upstream with a truth log of its own: what it was asked and served, written before anything is answered.

Run: python truth.py PORT LOGFILE. Chat completions, buffered and streamed; the text is the name of the server given in
the path (`/<name>/v1/chat/completions`), so that a test sees which one answered. `x-request-id` is what the gateway
calls the request; each line of the log is "<request id> <kind>".
"""

from __future__ import annotations

import asyncio
import json
import os
import sys


def _answer(name: str, request_id: str) -> dict[str, object]:
    return {
        "id": request_id,
        "object": "chat.completion",
        "created": 1,
        "model": name,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": name}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def _events(name: str) -> list[bytes]:
    base = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": name}
    pieces: list[dict[str, object]] = [
        {**base, "choices": [{"index": 0, "delta": {"content": name}, "finish_reason": None}]},
        {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**base, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}},
    ]
    return [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in pieces] + [b"data: [DONE]\n\n"]


class Truth:
    def __init__(self, log: str) -> None:
        self.fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, request_id: str, what: str) -> None:
        os.write(self.fd, f"{request_id} {what}\n".encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = {
                    k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)
                }
                body = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))) or b"{}")
                name = lines[0].split(" ")[1].strip("/").split("/")[0]
                request_id = headers.get("x-request-id", "")
                self.note(request_id, "asked")
                await asyncio.sleep(0.005)
                if body.get("stream"):
                    writer.write(
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                    )
                    for event in _events(name):
                        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                        await asyncio.sleep(0.002)
                    writer.write(b"0\r\n\r\n")
                else:
                    raw = json.dumps(_answer(name, request_id)).encode()
                    writer.write(
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                        % (len(raw), raw)
                    )
                await writer.drain()
                self.note(request_id, "served")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main(port: int, log: str) -> None:
    server = await asyncio.start_server(Truth(log).serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
