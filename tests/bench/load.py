"""The load of the benchmark: keep-alive connections that each send the next request when the last answer is whole.

Raw protocols again: the client must cost less than what it measures. Latency is what this client observes, from the
write of a request to the last byte of its answer; for streams also to the first event.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass
class Result:
    """Latencies are seconds, sorted by `finish()`."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    errors: int = 0
    samples: list[bytes] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def quantile(self, q: float) -> float:
        """The q-quantile in milliseconds, nan when nothing was measured."""
        if not self.latencies:
            return float("nan")
        return self.latencies[min(len(self.latencies) - 1, int(q * len(self.latencies)))] * 1000


class _Client(asyncio.Protocol):
    """One connection in a closed loop."""

    def __init__(self, request: bytes, result: Result, stop_at: float, done: asyncio.Future[None]) -> None:
        self.request, self.result, self.stop_at, self.done = request, result, stop_at, done
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.send()

    def send(self) -> None:
        if time.perf_counter() >= self.stop_at:
            self.transport.close()
            return
        self.buffer.clear()
        self.first = 0.0
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if not self.first:
            self.first = time.perf_counter()
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.buffer[:end]).lower()
        at = head.find(b"content-length:")
        if at >= 0:
            line_end = head.find(b"\r\n", at)
            size = int(head[at + 15 : line_end if line_end > 0 else len(head)])
            whole = len(self.buffer) >= end + 4 + size
        else:
            whole = self.buffer.endswith(b"0\r\n\r\n")
        if whole:
            now = time.perf_counter()
            if head.startswith(b"http/1.1 200"):
                self.result.latencies.append(now - self.started)
                self.result.firsts.append(self.first - self.started)
            else:
                self.result.errors += 1
                if len(self.result.samples) < 3:
                    self.result.samples.append(bytes(self.buffer[:400]))
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self.stop_at:
            self.result.errors += 1
        if not self.done.done():
            self.done.set_result(None)


def request(port: int, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of one POST to 127.0.0.1."""
    lines = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{port}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def run(port: int, message: bytes, connections: int, seconds: float) -> Result:
    """Load one port for a time and say what was seen."""
    loop = asyncio.get_running_loop()
    result = Result()
    started = time.perf_counter()
    stop_at = started + seconds
    waits = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(lambda done=done: _Client(message, result, stop_at, done), "127.0.0.1", port)
        waits.append(done)
    await asyncio.wait(waits, timeout=seconds + 30)
    result.seconds = time.perf_counter() - started
    result.latencies.sort()
    return result
