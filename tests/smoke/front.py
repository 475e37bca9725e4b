"""A gateway with scripted upstreams and emulators behind it, and programs run in front of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.installation import Installation, installation
from tests.scripted import Heard, Scripted, Turn
from tests.scripted_families import ANTHROPIC, CHAT, GOOGLE
from tests.scripted_responses import RESPONSES

FAMILIES = {"anthropic": ANTHROPIC, "chat": CHAT, "google": GOOGLE, "responses": RESPONSES}
KEY = "sk-smoke-0123456789abcdefghij"


@dataclass
class Front:
    """The gateway, and by name the upstreams behind the models of the same names."""

    place: Installation
    url: str = ""
    token: str = ""
    upstreams: dict[str, Scripted] = field(default_factory=dict)

    def serve(self, more: str = "") -> None:
        """Start it, with what the document holds beside the scripted upstreams."""
        self.place.apply("".join(entry(name, each) for name, each in self.upstreams.items()) + more)
        self.url = self.place.serve().url
        self.token = self.place.token()

    def run(
        self, command: Sequence[str | Path], folder: Path, env: Mapping[str, str], seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a client with nothing of the caller's environment but the path. One that hangs ends with -9."""
        own = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "127.0.0.1,localhost"}
        try:
            return subprocess.run(
                [str(word) for word in command],
                cwd=folder,
                env={**own, **env},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            said = b"".join(each for each in (late.stdout, late.stderr) if isinstance(each, bytes))
            return subprocess.CompletedProcess(command, -9, said.decode(errors="replace"), f"not done in {seconds:g} s")


def entry(name: str, upstream: Scripted) -> str:
    """The upstream's part of the configuration document, with a public model of that name."""
    family = upstream.family
    return f"""
[[provider]]
id = "smoke-{name}"
family = "{family.name}"
base_url = "{upstream.url}"
credential = "{family.credential}"

[[account]]
name = "smoke-{name}"
provider = "smoke-{name}"
private_network = true
keys = ["env:SMOKE_KEY"]

[[model]]
name = "{name}"
service = "text"
routes = [{{ account = "smoke-{name}", model = "{family.model}" }}]
"""


@contextmanager
def front(home: Path, choose: Callable[[Heard], Turn]) -> Iterator[Front]:
    """Upstreams of every family, which say what `choose` chooses."""
    os.environ.pop("DATABASE_URL", None)
    with installation(home, SMOKE_KEY=KEY) as place:
        made = Front(place)
        made.upstreams = {name: Scripted(family, choose) for name, family in FAMILIES.items()}
        try:
            yield made
        finally:
            for upstream in made.upstreams.values():
                upstream.stop()
