"""Libraries in environments of their own, each with its little program that asks, streams and runs a tool."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.smoke.acting import WEATHER
from tests.smoke.front import FAMILIES, Front
from tests.smoke.packages import NODE, python
from tests.smoke.rows import Row

PROGRAMS = Path(__file__).resolve().parent / "programs"
#: library -> its program; each prints a line `ok <what>` or `no <what>: <why>` per check
LIBRARIES = {
    "langchain": "with_langchain.py",
    "pydantic-ai": "with_pydantic_ai.py",
    "litellm": "with_litellm.py",
    "vercel ai": "with_ai.mjs",
}


def check(front: Front) -> Iterator[Row]:
    for library, program in LIBRARIES.items():
        for model in FAMILIES:
            yield from _one(front, library, program, model)


def _one(front: Front, library: str, program: str, model: str) -> Iterator[Row]:
    source: Path = PROGRAMS / program
    runs: Path | str = python("litellm" if library == "litellm" else "python")
    if source.suffix == ".mjs":  # node finds packages beside the program
        source, runs = NODE / program, "node"
        shutil.copyfile(PROGRAMS / program, source)
    env = {"JACKFIELD_URL": front.url, "JACKFIELD_TOKEN": front.token, "MODEL": model, "WEATHER": WEATHER}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        done = front.run([runs, source], Path(folder), env)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "no "))]
    for line in lines:
        what, _, why = line[3:].partition(": ")
        yield Row(f"{library}: {what}", model, "" if line.startswith("ok ") else why)
    if done.returncode or not lines:
        yield Row(library, model, f"exit {done.returncode}: {(done.stdout + done.stderr)[-600:]}")
