"""Puts the clients and emulators that others wrote into environments of their own, below .smoke/, once."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent.parent / ".smoke"
NODE = PLACE / "node"
PYTHON_PACKAGES = (
    "langchain-openai",
    "langchain-anthropic",
    "langchain-google-genai",
    "pydantic-ai-slim[openai,anthropic,google]",
)
#: Apart: it holds its dependencies back, and pip would go through all its releases to fit it with the others. It
#: imports `mcp` without asking for it.
LITELLM_PACKAGES = ("litellm", "mcp")
NODE_PACKAGES = (
    "@openai/codex",
    "@anthropic-ai/claude-code",
    "@copilotkit/aimock",
    "ai",
    "@ai-sdk/openai",
    "@ai-sdk/anthropic",
    "@ai-sdk/google",
    "zod",
)


def install() -> None:
    """All environments; a stamp says that one is whole."""
    PLACE.mkdir(exist_ok=True)
    _once("python", PYTHON_PACKAGES, _python)
    _once("litellm", LITELLM_PACKAGES, _python)
    _once("node", NODE_PACKAGES, _node)


def python(environment: str) -> Path:
    """The interpreter of one of the Python environments."""
    return PLACE / environment / "bin" / "python"


def program(name: str) -> Path:
    """A command that an npm package brought."""
    return NODE / "node_modules" / ".bin" / name


def versions() -> dict[str, str]:
    """npm package -> version, as installed."""
    found = {}
    for name in NODE_PACKAGES:
        manifest = json.loads((NODE / "node_modules" / name / "package.json").read_text())
        found[name] = str(manifest["version"])
    return found


def _once(name: str, packages: tuple[str, ...], make: Callable[[str, tuple[str, ...]], None]) -> None:
    stamp = PLACE / f"{name}.made"
    wanted = "\n".join(packages)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    sys.stdout.write(f"installing {', '.join(packages)} into {PLACE / name} (once) ...\n")
    make(name, packages)
    stamp.write_text(wanted)


def _python(name: str, packages: tuple[str, ...]) -> None:
    venv.create(PLACE / name, with_pip=True)
    subprocess.run([python(name), "-m", "pip", "install", "--quiet", *packages], check=True)


def _node(_: str, packages: tuple[str, ...]) -> None:
    NODE.mkdir(exist_ok=True)
    (NODE / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *packages], cwd=NODE, check=True)
    # Claude Code's program is put in place by its own script, which npm may not have run.
    subprocess.run(["node", "install.cjs"], cwd=NODE / "node_modules/@anthropic-ai/claude-code", check=True)
