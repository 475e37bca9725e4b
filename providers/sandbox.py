"""The upstream that ships inside: an OpenAI-compatible server whose answers never surprise.

It runs as a process of its own on loopback, so that the first request of a newcomer travels the whole real path
without a key or the internet, and so that each kind of upstream failure can be tried by asking for a model of that
name. It needs neither Django nor the database: `python -m providers.sandbox --port N` answers within half a second.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import math
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import uvicorn

#: The keys it accepts. They open nothing but this server, so they are no secrets; the one that ends in -1 is always
#: rate-limited on the model of that name, so that the rotation to the next one can be watched.
KEYS: Final = tuple(f"sk-sandbox-opens-nothing-else-{number}" for number in (1, 2, 3))
MODELS: Final = {
    "echo": "answers with the last user text",
    "lorem": "answers with the same 48 words",
    "tool": "calls the first tool it is offered",
    "rate-limited": "429 for the first key, an answer for the others",
    "slow": "first byte after three seconds",
    "cut": "drops the connection in the middle of the answer",
    "error": "500",
    "error-body": "200 with an error as body",
    "error-event": "a stream whose first event is an error",
    "embed": "makes vectors, at /v1/embeddings, and nothing else",
    "paint": "makes pictures of one colour, at /v1/images/generations, and nothing else",
}
#: Those that do not chat.
SILENT: Final = frozenset({"embed", "paint"})
#: The length of its vectors unless told.
DIMENSIONS: Final = 8
#: Pixels of a side of its pictures, whatever was asked for.
SIDE: Final = 64
LOREM: Final = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo "
    "consequat. Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore."
)
SLOW_SECONDS: Final = 3.0
#: A fixed moment: the same request gives the same bytes.
CREATED: Final = 1_700_000_000

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def words(text: str) -> list[str]:
    """The text in pieces that give it back when joined: a word with the white space before it. One is one token."""
    pieces = [piece + " " for piece in text.split(" ")]
    pieces[-1] = pieces[-1][:-1]
    return [piece for piece in pieces if piece] or [""]


def text_of(content: object) -> str:
    """The text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def answer_to(body: dict[str, Any]) -> str:
    """What the model says."""
    if body["model"] == "lorem":
        return LOREM
    said = [text_of(m.get("content")) for m in body["messages"] if isinstance(m, dict) and m.get("role") == "user"]
    return said[-1] if said else ""


def usage_of(body: dict[str, Any], answer: str) -> dict[str, int]:
    """Words counted as tokens."""
    asked = sum(len(text_of(m.get("content")).split()) for m in body["messages"] if isinstance(m, dict))
    said = len(answer.split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def tool_call(body: dict[str, Any]) -> dict[str, Any] | None:
    """A call of the first offered tool, with what the user said as its only argument."""
    tools = body.get("tools")
    if body["model"] != "tool" or not isinstance(tools, list) or not tools:
        return None
    name = str(tools[0].get("function", {}).get("name", "tool"))
    arguments = json.dumps({"text": answer_to(body)})
    return {"id": "call_sandbox_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def error_body(message: str, kind: str, code: str | None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def completion(body: dict[str, Any]) -> bytes:
    """The buffered answer."""
    text = answer_to(body)
    call = tool_call(body)
    message: dict[str, Any] = {"role": "assistant", "content": None if call else text, "refusal": None}
    if call:
        message["tool_calls"] = [call]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if call else "stop"}
    head = {"id": "chatcmpl-sandbox", "object": "chat.completion", "created": CREATED, "model": body["model"]}
    return json.dumps(head | {"choices": [choice], "usage": usage_of(body, text)}).encode()


def events(body: dict[str, Any]) -> list[bytes]:
    """The streamed answer, one event per word."""
    text = answer_to(body)
    call = tool_call(body)
    options = body.get("stream_options")
    counted = isinstance(options, dict) and options.get("include_usage") is True
    head: dict[str, Any] = {"id": "chatcmpl-sandbox", "object": "chat.completion.chunk", "created": CREATED}
    head["model"] = body["model"]
    tail: dict[str, Any] = {"usage": None} if counted else {}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event(head | {"choices": [choice]} | tail)

    deltas: list[dict[str, Any]] = (
        [{"tool_calls": [{"index": 0} | call]}] if call else [{"content": w} for w in words(text)]
    )
    out = [chunk({"role": "assistant", "content": None if call else ""}), *map(chunk, deltas)]
    out.append(chunk({}, "tool_calls" if call else "stop"))
    if counted:
        out.append(event(head | {"choices": [], "usage": usage_of(body, text)}))
    return [*out, b"data: [DONE]\n\n"]


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def embeddings(body: dict[str, Any]) -> bytes | None:
    """Vectors of length 1 that are made of the letters of the texts; None: `input` is no text."""
    asked, length = body.get("input"), body.get("dimensions") or DIMENSIONS
    texts = [asked] if isinstance(asked, str) else asked
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        return None
    if type(length) is not int or not 1 <= length <= 4096:
        return None
    data = []
    for index, text in enumerate(texts):
        counts = [1.0] * length
        for letter in text:
            counts[ord(letter) % length] += 1
        whole = math.hypot(*counts)
        vector = [count / whole for count in counts]
        said = base64.b64encode(struct.pack(f"<{length}f", *vector)).decode()
        packed = body.get("encoding_format") == "base64"
        data.append({"object": "embedding", "index": index, "embedding": said if packed else vector})
    asked_words = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": asked_words, "total_tokens": asked_words}
    return json.dumps({"object": "list", "data": data, "model": body["model"], "usage": usage}).encode()


def pictures(body: dict[str, Any]) -> bytes | None:
    """PNGs in the colour that the words have; None: there are none."""
    prompt, count = body.get("prompt"), body.get("n") or 1
    if not isinstance(prompt, str) or not prompt or type(count) is not int or not 1 <= count <= 10:
        return None
    colour = zlib.crc32(prompt.encode("utf-8", "replace")).to_bytes(4)[:3]
    rows = (b"\0" + colour * SIDE) * SIDE
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    image = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()
    return json.dumps({"created": CREATED, "data": [{"b64_json": image}] * count}).encode()


async def read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def reply(send: Send, status: int, body: bytes, *extra: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(send: Send, parts: list[bytes], *, ends: bool = True) -> None:
    """Send the events. Where `ends` is false the server is left to drop the connection, the message unfinished."""
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    if ends:
        await send({"type": "http.response.body", "body": b""})


def key_of(scope: Scope) -> str:
    """The key in the request's Authorization header, empty when there is none."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, key = value.decode("latin-1").partition(" ")
            return key.strip() if scheme.lower() == "bearer" else ""
    return ""


def checked(raw: bytes) -> dict[str, Any] | str:
    """The request's body, or what is wrong with it."""
    try:
        body = json.loads(raw)
    except ValueError:
        return "The body is not JSON."
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return "`messages` is missing."
    return body


async def embed(receive: Receive, send: Send) -> None:
    """POST /v1/embeddings."""
    body = await asked_of("embed", receive)
    advice = "Send texts as `input`, at most 4096 `dimensions`, and `embed` as the model."
    await reply_if_said(send, embeddings(body), advice)


async def paint(receive: Receive, send: Send) -> None:
    """POST /v1/images/generations."""
    body = await asked_of("paint", receive)
    await reply_if_said(send, pictures(body), "Send a `prompt`, at most 10 as `n`, and `paint` as the model.")


async def asked_of(model: str, receive: Receive) -> dict[str, Any]:
    """The request's body; empty where it is none, or asks another model."""
    try:
        body = json.loads(await read_body(receive))
    except ValueError:
        return {}
    return body if isinstance(body, dict) and body.get("model") == model else {}


async def reply_if_said(send: Send, said: bytes | None, advice: str) -> None:
    """An answer, or else what to send for one."""
    if said is None:
        await reply(send, 400, error_body(advice, "invalid_request_error", None))
    else:
        await reply(send, 200, said)


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    """POST /v1/chat/completions."""
    body = checked(await read_body(receive))
    if isinstance(body, str):
        await reply(send, 400, error_body(body, "invalid_request_error", None))
        return
    model = body.get("model")
    if model not in MODELS or model in SILENT:
        names = ", ".join(MODELS)
        await reply(
            send,
            404,
            error_body(f"There is no such model; there are {names}.", "invalid_request_error", "model_not_found"),
        )
        return
    streamed = body.get("stream") is True
    if model == "rate-limited" and key_of(scope).endswith("-1"):
        message = error_body("Rate limit reached for this key.", "requests", "rate_limit_exceeded")
        await reply(send, 429, message, (b"retry-after", b"20"))
    elif model == "error":
        await reply(send, 500, error_body("The server had an error.", "server_error", None))
    elif model == "error-body":
        await reply(send, 200, error_body("The model is overloaded.", "overloaded_error", "overloaded"))
    elif model == "error-event" and streamed:
        await stream(
            send, [b"data: " + error_body("The model is overloaded.", "overloaded_error", "overloaded") + b"\n\n"]
        )
    elif model == "cut":
        await cut(body, send, streamed=streamed)
    else:
        if model == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if streamed:
            await stream(send, events(body))
        else:
            await reply(send, 200, completion(body))


async def cut(body: dict[str, Any], send: Send, *, streamed: bool) -> None:
    """Begin an answer and leave it unfinished, so that the server drops the connection in the middle of it."""
    if streamed:
        parts = events(body)
        await stream(send, parts[: max(2, len(parts) // 2)], ends=False)
        return
    whole = completion(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(whole)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": whole[: len(whole) // 2], "more_body": True})


async def models(send: Send) -> None:
    """GET /v1/models."""
    rows = [{"id": name, "object": "model", "created": CREATED, "owned_by": "sandbox"} for name in MODELS]
    await reply(send, 200, json.dumps({"object": "list", "data": rows}).encode())


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] != "http":
        return
    if key_of(scope) not in KEYS:
        await reply(send, 401, error_body("The key is missing or wrong.", "authentication_error", "invalid_api_key"))
    elif (scope["method"], scope["path"]) == ("POST", "/v1/chat/completions"):
        await chat(scope, receive, send)
    elif (scope["method"], scope["path"]) == ("POST", "/v1/embeddings"):
        await embed(receive, send)
    elif (scope["method"], scope["path"]) == ("POST", "/v1/images/generations"):
        await paint(receive, send)
    elif (scope["method"], scope["path"]) == ("GET", "/v1/models"):
        await models(send)
    else:
        await reply(send, 404, error_body("There is nothing here.", "invalid_request_error", "not_found"))


def listen(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes any free one. Raises OSError where the port is in use."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    return listener


def serve(listener: socket.socket) -> None:
    """Answer on this socket until SIGTERM or SIGINT."""
    # uvicorn calls an unfinished answer an error and would log it; here it is the scenario that was asked for.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(application, lifespan="off", access_log=False, log_config=None, server_header=False)
    config.timeout_graceful_shutdown = 1
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m providers.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8009, help="on loopback; 8009 unless told")
    serve(listen(parser.parse_args().port))


if __name__ == "__main__":
    main()
