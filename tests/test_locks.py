"""The locked requirements, and what runs when an interpreter of this environment starts (supply chain, G9)."""

from __future__ import annotations

import re
import site
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-postgres-redis.txt", "requirements-dev.txt")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ \\;]+)", re.MULTILINE)
#: .pth files that may stand in an environment made from a lock. A line of one that begins with `import` is code that
#: runs at every start of the interpreter, which is how a stolen package acts before anything imports it.
KNOWN_PTH = frozenset({"distutils-precedence.pth"})


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / lock).read_text()))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_index_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for entry in re.split(r"\n(?=[a-z0-9])", text)[1:]:
        assert "--hash=sha256:" in entry, entry[:80]
    assert not re.search(r"https?://|file://|--index-url|--find-links|@ ", text)


def test_each_lock_holds_the_smaller_one_as_it_is() -> None:
    base, services, dev = (pins(lock) for lock in LOCKS)
    assert base.items() <= services.items() <= dev.items()
    assert len(services) <= 60


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    declared = re.findall(r'^ +"([a-zA-Z0-9_-]+)(?:\[|~|>|")', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    locked = set(pins("requirements.txt"))
    wanted = {
        name.lower() for name in declared if name.lower() in ("django", "uvicorn", "celery", "msgspec", "aiohttp")
    }
    assert len(wanted) == 5
    assert wanted <= locked


def test_nothing_unknown_runs_at_interpreter_start() -> None:
    folders = [Path(folder) for folder in site.getsitepackages() if Path(folder).is_relative_to(sys.prefix)]
    for folder in folders:
        for path in folder.glob("*.pth"):
            code = [line for line in path.read_text().splitlines() if line.startswith(("import ", "import\t"))]
            assert not code or path.name in KNOWN_PTH, f"{path} runs at every start: {code[0][:100]}"
        for name in ("sitecustomize.py", "usercustomize.py"):
            assert not (folder / name).exists(), folder / name
