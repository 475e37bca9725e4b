"""The stacks that are measured: each one started on one core in front of the same upstream, and stopped again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from installation import ROOT, Installation, free_port, installation

HERE = Path(__file__).resolve().parent
#: Where `make bench-peers` puts the peers, each in an environment of its own.
PEERS = HERE.parent.parent / ".bench"
GATEWAY_CORE = "0"
QUESTION = "Say what a patch panel is, in two sentences, for somebody who has never seen one. " * 4


@dataclass(frozen=True)
class Stack:
    """Where to send the load, and with which headers."""

    name: str
    port: int
    path: str
    headers: dict[str, str]
    model: str
    #: set for Jackfield, which keeps its own account of each request
    place: Installation | None = None

    def body(self, stream: bool) -> bytes:
        """A 600-byte chat request."""
        message = {"model": self.model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 100}
        if stream:
            message["stream"] = True
        return json.dumps(message, separators=(",", ":")).encode()


def _await(port: int, process: subprocess.Popen[bytes], seconds: float, path: str = "/") -> None:
    """Wait until something answers HTTP on the port."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode}")
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2)
            return
        time.sleep(0.2)
    raise RuntimeError(f"nothing answered on port {port} within {seconds} s")


@contextlib.contextmanager
def _pinned(command: list[str], log: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on the gateway's core with its output in a file."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["taskset", "-c", GATEWAY_CORE, *command],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait(10)


@contextlib.contextmanager
def direct(upstream: int) -> Iterator[Stack]:
    yield Stack("direct", upstream, "/v1/chat/completions", {}, "bench-upstream")


@contextlib.contextmanager
def nginx(upstream: int) -> Iterator[Stack]:
    """A plain reverse proxy: what one core can do at all."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "nginx.conf"
        conf.write_text(
            f"""daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/err;
events {{ worker_connections 1024; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
upstream u {{ server 127.0.0.1:{upstream}; keepalive 64; }}
server {{ listen 127.0.0.1:{port}; keepalive_requests 10000000;
location / {{ proxy_pass http://u; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_buffering off; }} }} }}"""
        )
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        with _pinned([binary, "-c", str(conf), "-e", f"{folder}/err"], Path(folder) / "out") as process:
            _await(port, process, 10)
            yield Stack("nginx", port, "/v1/chat/completions", {}, "bench-upstream")


DOCUMENT = """
[[provider]]
id = "bench"
family = "openai-completions"
base_url = "http://127.0.0.1:{upstream}/v1"
credential = "bearer"
[[account]]
name = "bench"
provider = "bench"
private_network = true
keys = ["env:BENCH_KEY"]
[[model]]
name = "bench-public"
service = "text"
routes = [{{ account = "bench", model = "bench-upstream", priority = 0, weight = 1 }}]
[[provider]]
id = "bench-messages"
family = "anthropic-messages"
base_url = "http://127.0.0.1:{upstream}"
credential = "header"
[[account]]
name = "bench-messages"
provider = "bench-messages"
private_network = true
keys = ["env:BENCH_KEY"]
[[model]]
name = "bench-translated"
service = "text"
routes = [{{ account = "bench-messages", model = "claude-bench" }}]
"""


def translated(upstream: int) -> contextlib.AbstractContextManager[Stack]:
    """The same gateway, asked in OpenAI's dialect for a model whose upstream speaks Anthropic's."""
    return jackfield(upstream, "translated", "bench-translated")


def unwatched(upstream: int) -> contextlib.AbstractContextManager[Stack]:
    """The same gateway, keeping no health of the places that it asks."""
    return jackfield(upstream, "unwatched", program=HERE / "unwatched.py")


@contextlib.contextmanager
def jackfield(
    upstream: int, name: str = "jackfield", model: str = "bench-public", program: Path = ROOT / "manage.py"
) -> Iterator[Stack]:
    """One gateway process with authentication, routing, key lease, metering and journal on, as delivered."""
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder) / "home", BENCH_KEY="sk-bench-0123456789") as place,
    ):
        place.apply(DOCUMENT.format(upstream=upstream))
        headers = {"authorization": f"Bearer {place.token()}"}
        server = place.serve(core=int(GATEWAY_CORE), program=program)
        yield Stack(name, server.port, "/v1/chat/completions", headers, model, place)


@contextlib.contextmanager
def litellm(upstream: int) -> Iterator[Stack]:
    """LiteLLM's proxy, no database, one worker, a master key."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "config.yaml"
        conf.write_text(
            f"""model_list:
  - model_name: bench-public
    litellm_params: {{model: openai/bench-upstream, api_base: "http://127.0.0.1:{upstream}/v1", api_key: sk-bench}}
general_settings: {{master_key: sk-bench-master-0123456789}}
litellm_settings: {{num_retries: 0}}
"""
        )
        command = [
            str(PEERS / "litellm" / "bin" / "litellm"),
            "--config",
            str(conf),
            "--port",
            str(port),
            "--host",
            "127.0.0.1",
        ]
        with _pinned(
            command,
            PEERS / "litellm.log",
            LITELLM_LOCAL_MODEL_COST_MAP="True",
            LITELLM_LOG="ERROR",
            LITELLM_TELEMETRY="False",
        ) as process:
            _await(port, process, 180, "/health/liveliness")
            yield Stack(
                "litellm",
                port,
                "/v1/chat/completions",
                {"authorization": "Bearer sk-bench-master-0123456789"},
                "bench-public",
            )


@contextlib.contextmanager
def portkey(upstream: int) -> Iterator[Stack]:
    """Portkey's open gateway; it takes its destination and key from the request's headers."""
    port = free_port()
    start = PEERS / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    with _pinned(["node", str(start), f"--port={port}", "--headless"], PEERS / "portkey.log") as process:
        _await(port, process, 60)
        headers = {
            "authorization": "Bearer sk-bench",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
        }
        yield Stack("portkey", port, "/v1/chat/completions", headers, "bench-upstream")


def installed() -> dict[str, bool]:
    """Which stacks can be measured here."""
    return {
        "direct": True,
        "nginx": bool(shutil.which("nginx") or Path("/usr/sbin/nginx").exists()),
        "jackfield": True,
        "unwatched": True,
        "translated": True,
        "portkey": (PEERS / "portkey" / "node_modules" / "@portkey-ai").exists(),
        "litellm": (PEERS / "litellm" / "bin" / "litellm").exists(),
    }


STACKS = {
    "direct": direct,
    "nginx": nginx,
    "jackfield": jackfield,
    "unwatched": unwatched,
    "translated": translated,
    "portkey": portkey,
    "litellm": litellm,
}
