"""`make smoke`: prints who could do what through the gateway, and what went wrong. `ARGS=agents` does a part of it."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.smoke import agents, emulators, libraries, packages
from tests.smoke.acting import Actor
from tests.smoke.front import front

PARTS = ("agents", "emulators", "libraries")


def main() -> int:
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        sys.stderr.write(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}\n")
        return 2
    packages.install()
    print(", ".join(f"{name} {version}" for name, version in packages.versions().items()))
    rows = []
    actor = Actor()
    with (
        tempfile.TemporaryDirectory() as folder,
        emulators.aimock(Path(folder)) as url,
        front(Path(folder) / "home", actor) as made,
    ):
        made.serve(emulators.document(url))
        if "agents" in wanted:
            rows += list(agents.check(made, actor))
        if "emulators" in wanted:
            rows += list(emulators.check(made))
        if "libraries" in wanted:
            rows += list(libraries.check(made))
    return _show(rows)


def _show(rows: list[tuple[str, str, str]]) -> int:
    table: dict[str, dict[str, bool]] = defaultdict(dict)
    for client, upstream, wrong in rows:
        table[client][upstream] = not wrong
    width = max(map(len, table))
    for client, cells in table.items():
        passed = [name for name, fine in cells.items() if fine]
        print(f"{client:{width}}  {len(passed)}/{len(cells)}  {', '.join(passed)}")
    failures = [(client, upstream, wrong) for client, upstream, wrong in rows if wrong]
    for client, upstream, wrong in failures:
        print(f"FAILED {client} at {upstream}: {wrong}")
    print(f"{len(rows) - len(failures)} of {len(rows)} passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
