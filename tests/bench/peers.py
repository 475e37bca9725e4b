"""`make bench-peers`: puts LiteLLM's proxy and Portkey's gateway in environments of their own, below .bench/.

They are measured, never imported. Portkey's server is held at @hono/node-server 1.13.8: beside newer ones its streams
answer 500.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent.parent / ".bench"
PORTKEY = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2"},
    "overrides": {"@hono/node-server": "1.13.8"},
}


def litellm() -> None:
    place = PEERS / "litellm"
    venv.create(place, with_pip=True)
    subprocess.run([place / "bin" / "pip", "install", "--quiet", "litellm[proxy]"], check=True)


def portkey() -> None:
    place = PEERS / "portkey"
    place.mkdir(parents=True, exist_ok=True)
    (place / "package.json").write_text(json.dumps(PORTKEY))
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=place, check=True)


def main() -> None:
    PEERS.mkdir(exist_ok=True)
    for name, install in (("litellm", litellm), ("portkey", portkey)):
        sys.stdout.write(f"installing {name} into {PEERS / name} ...\n")
        install()


if __name__ == "__main__":
    main()
