"""The shape of the code, held by a test: who may import whom, what is pure, how long a file may be.

A failure names the file, the line and the reason for the rule. The rules are few; breaking one is a decision, which
belongs in docs/decisions with the change of the rule.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("providers", "keys", "routing", "api", "project")
#: From the bottom up. A module may import its own layer and those before it.
LAYERS = ("providers.dialects", "providers", "keys", "routing", "api", "project")
WHY_LAYERS = (
    "Imports run one way, so that a room can be read, tested and changed without the rooms above it: a codec knows no "
    "provider, a provider no key, a key no route, a route no request."
)
WHY_LEAVES = (
    "admin.py, tasks.py and management/ are entrances for people, schedules and the command line. What two of them "
    "need belongs in a module that neither of them is."
)
WHY_PURE = (
    "A pure module answers one question from its arguments: no database, no network, no settings. That is what makes "
    "it testable in microseconds and safe on the hot path."
)
#: What a pure module may import besides the standard library and other pure modules.
PURE_LIBRARIES = frozenset({"msgspec", "cryptography"})
#: Standard library modules that do input or output: not for the pure.
IMPURE_LIBRARIES = frozenset(
    {"socket", "ssl", "subprocess", "threading", "asyncio", "http", "urllib.request", "sqlite3"}
)
#: Pure by the design, whatever their docstring says.
PURE = frozenset(
    {
        "providers.secrets",
        "providers.families",
        "providers.hosts",
        "providers.verdicts",
        "providers.egress",
        "providers.entries",
        "keys.entries",
        "keys.missing",
        "routing.snapshot",
        "routing.resolve",
        "routing.pricing",
    }
)
#: Names validate the fields of models, so they hold Django's validators beside their patterns. Verdicts are passed on
#: httpx's exceptions, which are the types of the transport's seam. AWS's signer computes from what it is given.
MAY_IMPORT = {
    "providers.names": frozenset({"django"}),
    "providers.verdicts": frozenset({"httpx"}),
    "providers.credentials.sigv4": frozenset({"botocore"}),
}
#: The home directory stands beneath the settings, and so beneath every room. It imports nothing of ours.
BENEATH = frozenset({"project.home"})
SAYS_PURE = re.compile(r"\bPure[.:]")
MOST_LINES = 400
EMPTY_NAMES = re.compile(r"(utils?|helpers?|common|misc)\Z")


def files() -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return sorted(path for path in found if "migrations" not in path.parts)


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in files()}


def layer(module: str) -> int | None:
    """The number of the module's layer; None if it is not ours."""
    fits = [name for name in LAYERS if module == name or module.startswith(f"{name}.")]
    return LAYERS.index(max(fits, key=len)) if fits else None


def is_leaf(module: str) -> bool:
    parts = module.split(".")
    return parts[-1] in ("admin", "tasks") or "management" in parts


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imports(path: Path) -> list[tuple[int, str]]:
    return list(_imports(parsed(path), path))


def _imports(tree: ast.Module, path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of everything the file imports, also inside functions; nothing under TYPE_CHECKING."""
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: name modules in full"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield node.lineno, whole if whole in MODULES else str(node.module)


@functools.cache
def is_pure(module: str) -> bool:
    path = MODULES[module]
    said = ast.get_docstring(parsed(path)) or ""
    return module in PURE or module.startswith("providers.dialects") or bool(SAYS_PURE.search(said))


@pytest.mark.parametrize("module", [name for name in MODULES if not is_leaf(name)])
def test_imports_run_one_way(module: str) -> None:
    mine = layer(module)
    assert mine is not None
    for line, target in imports(MODULES[module]):
        theirs = None if target in BENEATH else layer(target)
        assert theirs is None or theirs <= mine, f"{MODULES[module]}:{line} imports {target}. {WHY_LAYERS}"


def test_nothing_imports_a_leaf() -> None:
    for module, path in MODULES.items():
        for line, target in imports(path):
            own = is_leaf(module) and target.split(".")[0] == module.split(".")[0]
            assert own or not (target in MODULES and is_leaf(target)), f"{path}:{line} imports {target}. {WHY_LEAVES}"


def test_a_dialect_knows_no_other() -> None:
    """N codecs, never N x M pairs: what two share is the hub's, and the registry alone knows them all."""
    packages = {name for name in MODULES if MODULES[name].name == "__init__.py" and name.startswith(f"{LAYERS[0]}.")}
    for module, path in MODULES.items():
        own = next((name for name in packages if module == name or module.startswith(f"{name}.")), None)
        for line, target in imports(path) if own else ():
            other = next((name for name in packages if target == name or target.startswith(f"{name}.")), own)
            assert other == own, f"{path}:{line} imports {target}. {WHY_LAYERS}"


@pytest.mark.parametrize("module", [name for name in MODULES if is_pure(name)])
def test_pure_modules_stay_pure(module: str) -> None:
    for line, target in imports(MODULES[module]):
        top = target.split(".")[0]
        where = f"{MODULES[module]}:{line} imports {target}. {WHY_PURE}"
        if layer(target) is not None:
            assert is_pure(target) or not (MODULES[target].read_text().strip()) or target in ROOMS, where
        elif top not in PURE_LIBRARIES and top not in MAY_IMPORT.get(module, ()):
            assert top in sys.stdlib_module_names, where
            assert top not in IMPURE_LIBRARIES and target not in IMPURE_LIBRARIES, where


def test_the_design_names_modules_that_exist() -> None:
    assert set(MODULES) >= PURE


@pytest.mark.parametrize("path", [*files(), *sorted((ROOT / "tests").rglob("*.py"))], ids=dotted)
def test_a_file_can_be_read_at_a_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) < MOST_LINES, f"{path} has {MOST_LINES} lines or more: it holds two rooms"


def test_no_room_without_an_idea_in_its_name() -> None:
    for path in [*files(), *sorted((ROOT / "tests").rglob("*.py"))]:
        for part in path.relative_to(ROOT).with_suffix("").parts:
            assert not EMPTY_NAMES.match(part), f"{path}: name it for what is in it"


@pytest.mark.parametrize("path", files(), ids=dotted)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = parsed(path)
    assert not tree.body or ast.get_docstring(tree), f"{path} has no docstring"


def test_no_path_of_one_machine_is_committed() -> None:
    """What is in the repository holds for every machine."""
    words = re.compile(r"(?<![\w.$}])/(?:home|Users|root|tmp|work)/\w")
    texts = [
        *files(),
        *ROOT.glob("*.md"),
        *ROOT.glob("requirements*.txt"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "Makefile",
    ]
    for path in texts:
        assert not words.search(path.read_text()), path
