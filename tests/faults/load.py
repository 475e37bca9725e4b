"""The load under which our own dependencies fail, and the client's log: every request, when it was, how it ended.

Connections that each ask at a steady pace, so that the healthy phase and the faulty one do the same work and may be
compared. What is sent and read is plain bytes: the client must cost less than what it measures.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

SAID = b"hello"


class Answer(NamedTuple):
    """One request as its client saw it. `status` 0: the connection broke."""

    at: float
    seconds: float
    status: int
    whole: bool
    request_id: str
    revision: int
    #: the server of the upstream that the text names
    side: str


@dataclass
class Phase:
    """What was answered between two moments."""

    answers: list[Answer]
    began: float

    @classmethod
    def together(cls, phases: Sequence[Phase]) -> Phase:
        return cls([answer for phase in phases for answer in phase.answers], phases[0].began)

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status != 200 or not answer.whole]

    @property
    def broken(self) -> int:
        return sum(answer.status == 0 for answer in self.answers)

    def p99(self) -> float:
        """Seconds that 99 of 100 answers took at most."""
        took = sorted(answer.seconds for answer in self.answers)
        return took[min(len(took) - 1, len(took) * 99 // 100)] if took else float("inf")


class Load:
    """Asks `ports` in turn with `connections` connections, together `rate` requests a second, half of them streams."""

    def __init__(
        self, ports: Sequence[int], token: str, *, rate: float, connections: int, seed: int, model: str = "patched"
    ) -> None:
        self.answers: list[Answer] = []
        self._ports, self._seed = ports, seed
        self._requests = [question(token, model, stream) for stream in (False, True)]
        self._every = connections / rate
        self._connections = connections
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")
        self._thread.start()

    @property
    def whole(self) -> set[str]:
        """The ids of what was answered to the end."""
        return {answer.request_id for answer in self.answers if answer.status == 200 and answer.whole}

    def phase(self, seconds: float) -> Phase:
        """Let it run so long; what was asked and answered meanwhile."""
        began = time.perf_counter()
        time.sleep(seconds)
        return self.since(began)

    def since(self, began: float) -> Phase:
        return Phase([answer for answer in self.answers if answer.at >= began], began)

    def end(self) -> None:
        self._ended.set()
        self._thread.join(40)
        assert not self._thread.is_alive(), "a request is still waited for"

    async def _run(self) -> None:
        await asyncio.gather(*(self._ask(number) for number in range(self._connections)))

    async def _ask(self, number: int) -> None:
        dice = random.Random(self._seed * 1000 + number)
        due = time.perf_counter() + dice.random() * self._every
        ends: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        while not self._ended.is_set():
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            port = dice.choice(self._ports)
            at = time.perf_counter()
            try:
                if port not in ends:
                    ends[port] = await asyncio.open_connection("127.0.0.1", port)
                answer = await asyncio.wait_for(_exchange(*ends[port], dice.choice(self._requests), at), 30)
            except (OSError, EOFError, asyncio.IncompleteReadError, TimeoutError):
                if port in ends:
                    ends.pop(port)[1].close()
                answer = Answer(at, time.perf_counter() - at, 0, False, "", 0, "")
            self.answers.append(answer)
            due = max(due + self._every, time.perf_counter())
        for _, writer in ends.values():
            writer.close()


@contextmanager
def load(
    ports: Sequence[int], token: str, *, rate: float, connections: int = 8, seed: int, model: str = "patched"
) -> Iterator[Load]:
    made = Load(ports, token, rate=rate, connections=connections, seed=seed, model=model)
    try:
        yield made
    finally:
        made.end()


def question(token: str, model: str, stream: bool) -> bytes:
    """The bytes of one request."""
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, at: float) -> Answer:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rows = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
        whole = True
    else:
        body = await reader.readuntil(b"0\r\n\r\n")
        whole = b"data: [DONE]" in body
    return Answer(
        at,
        time.perf_counter() - at,
        int(line.split(" ")[1]),
        whole,
        headers.get("x-jackfield-request-id", ""),
        int(headers.get("x-jackfield-revision", 0)),
        next((side for side in ("left", "right") if f'"content":"{side}"'.encode() in body.replace(b": ", b":")), ""),
    )
