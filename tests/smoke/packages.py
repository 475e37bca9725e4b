"""Puts the clients and emulators that others wrote into environments of their own, below .smoke/, once.

What is installed stands in locks/, to the last package. `make smoke ARGS=--renew` writes the locks anew.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Sequence
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent.parent / ".smoke"
LOCKS = Path(__file__).resolve().parent / "locks"
NODE = PLACE / "node"
#: The oldest that the emulator runs on. The agents' newest releases want a newer one; the locked ones do not.
NODE_VERSION = (20, 15)
#: Python environment -> what it is for. LiteLLM lives apart: it holds its dependencies back, and pip would go through
#: all its releases to fit it with the others. It imports `mcp` without asking for it.
PYTHON_PACKAGES = {
    "python": (
        "langchain-openai",
        "langchain-anthropic",
        "langchain-google-genai",
        "pydantic-ai-slim[openai,anthropic,google]",
        "cohere",
    ),
    "litellm": ("litellm", "mcp"),
}
#: part of the check -> its environments
NEEDS = {"agents": ("node",), "emulators": ("node",), "libraries": ("python", "litellm", "node"), "wires": ("python",)}
#: An install that takes longer hangs.
PATIENCE = 1200


class Missing(Exception):
    """What the machine lacks, in a sentence for who runs the check."""


def install(parts: Iterable[str]) -> None:
    """The environments that these parts need; a copy of the lock in each says that it is whole."""
    PLACE.mkdir(exist_ok=True)
    for name in sorted({need for part in parts for need in NEEDS[part]}):
        lock = LOCKS / ("package-lock.json" if name == "node" else f"{name}.txt")
        stamp = PLACE / f"{name}.made"
        if name == "node":
            _check_node()
        if stamp.exists() and stamp.read_text() == lock.read_text():
            continue
        say(f"installing what {lock.relative_to(PLACE.parent)} locks into .smoke/{name} (once) ...")
        stamp.unlink(missing_ok=True)
        if name == "node":
            _install_node()
        else:
            _install_python(name, "-r", str(lock))
        stamp.write_text(lock.read_text())


def renew() -> None:
    """Write the locks anew: the newest releases that run here."""
    PLACE.mkdir(exist_ok=True)
    for name, packages in PYTHON_PACKAGES.items():
        _install_python(name, *packages)
        (LOCKS / f"{name}.txt").write_text(_run([python(name), "-m", "pip", "freeze"], PLACE, "list packages"))
    _check_node()
    shutil.rmtree(NODE, ignore_errors=True)
    NODE.mkdir()
    (NODE / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    names = list(_manifest()["dependencies"])
    # Without the registry's address: it is the reader's to choose.
    own = ("--save-exact", "--omit-lockfile-registry-resolved")
    _run(["npm", "install", "--no-audit", "--no-fund", *own, *names], NODE, "install the npm packages")
    for lock in ("package.json", "package-lock.json"):
        shutil.copyfile(NODE / lock, LOCKS / lock)


def python(environment: str) -> Path:
    """The interpreter of one of the Python environments."""
    return PLACE / environment / "bin" / "python"


def program(name: str) -> Path:
    """A command that an npm package brought."""
    return NODE / "node_modules" / ".bin" / name


def versions(parts: Iterable[str]) -> dict[str, str]:
    """package -> version, as locked: those that somebody would name."""
    found = {}
    needed = {need for part in parts for need in NEEDS[part]}
    for name, packages in PYTHON_PACKAGES.items():
        if name in needed:
            pins = dict(line.split("==") for line in (LOCKS / f"{name}.txt").read_text().split())
            found.update({bare: pins[bare] for bare in (package.partition("[")[0] for package in packages)})
    if "node" in needed:
        found.update(_manifest()["dependencies"])
    return found


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _manifest() -> dict[str, dict[str, str]]:
    manifest: dict[str, dict[str, str]] = json.loads((LOCKS / "package.json").read_text())
    return manifest


def _check_node() -> None:
    wanted = ".".join(map(str, NODE_VERSION))
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            raise Missing(
                f"{command} is not on the PATH: agents, emulator and the Vercel AI SDK need Node.js {wanted}+"
            )
    version = _run(["node", "--version"], PLACE, "ask node for its version").strip()
    if tuple(map(int, version.lstrip("v").split(".")[:2])) < NODE_VERSION:
        raise Missing(f"node is {version}; the emulator needs {wanted} or newer")


def _install_python(name: str, *what: str) -> None:
    venv.create(PLACE / name, with_pip=True, clear=True)
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    _run([python(name), "-m", "pip", "install", *quiet, *what], PLACE, f"install the Python packages of {name}")


def _install_node() -> None:
    NODE.mkdir(exist_ok=True)
    for lock in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCKS / lock, NODE / lock)
    # Claude Code's program is put in place by its own script, which npm may not have run.
    _run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], NODE, "install the npm packages")
    _run(["node", "install.cjs"], NODE / "node_modules/@anthropic-ai/claude-code", "put Claude Code's program in place")


def _run(command: Sequence[str | Path], folder: Path, what: str) -> str:
    """Its standard output."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Missing(f"could not {what} in {PATIENCE} s: is the package registry reachable?") from None
    if done.returncode:
        lines = (done.stderr + done.stdout).splitlines()
        told = "\n".join([line for line in lines if line.strip() and not line.startswith("WARNING")][:8])
        raise Missing(f"could not {what}: is the package registry reachable?\n{told}")
    return done.stdout
