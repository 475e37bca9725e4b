"""Image workers as tests run them: real servers of `POST /generate`, which paint one pixel and remember each job."""

from __future__ import annotations

import base64
import json
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Json = dict[str, Any]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pixel(shade: int) -> bytes:
    """A PNG of one grey pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(bytes((0, shade))))
        + _chunk(b"IEND", b"")
    )


def encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode("ascii")


def paint(job: Json) -> list[Json]:
    """What a worker answers: an object for each picture."""
    return [
        {
            "image": encoded(pixel(number)),
            "has_nsfw_concept": False,
            "concept": [],
            "width": job["width"],
            "height": job["height"],
            "seed": job.get("seed", 7),
            "prompt": prompt,
        }
        for number, prompt in enumerate(job["prompts"])
    ]


class Worker(ThreadingHTTPServer):
    """One worker. `says` makes its answers; `held`, while set, keeps them back until it is cleared."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.jobs: list[Json] = []
        self.heads: list[tuple[str, dict[str, str]]] = []
        self.says: Callable[[Json], tuple[int, bytes]] = lambda job: (200, json.dumps(paint(job)).encode())
        self.go = threading.Event()
        self.go.set()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, body: Any, status: int = 200) -> None:
        """Answer so from now on."""
        self.says = lambda job: (status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def stop(self) -> None:
        self.go.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Worker
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.heads.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.server.jobs.append(job)
        self.server.go.wait(20)
        status, body = self.server.says(job)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def painters() -> Iterator[Callable[[], Worker]]:
    made: list[Worker] = []

    def start() -> Worker:
        made.append(Worker())
        return made[-1]

    yield start
    for worker in made:
        worker.stop()


@pytest.fixture
def painter(painters: Callable[[], Worker]) -> Worker:
    return painters()


def provider_of_workers(world: Any) -> Any:
    """The provider that the catalog has for workers."""
    return world.provider(
        "fleet",
        family="worker-fleet",
        base_url="{worker_url}",
        variables=[{"name": "worker_url"}],
        credential="none",
        keyless=True,
        streaming=False,
    )


@pytest.fixture
def paints(plane: Any) -> Callable[..., str]:
    """Makes a public model of these workers, in this order."""

    def make(name: str, *workers: Worker, service: str = "image", upstream: str = "flux", **route: Any) -> str:
        provider = provider_of_workers(plane.world)
        accounts = [
            plane.world.account(
                f"{name}-{number}",
                "",
                provider=provider,
                variables={"worker_url": worker.url},
                private_network=True,
            )
            for number, worker in enumerate(workers)
        ]
        plane.world.model(name, *((account, upstream, route) for account in accounts), service=service)
        plane.settle()
        return name

    return make
