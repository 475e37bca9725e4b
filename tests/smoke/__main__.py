"""`make smoke`: prints who could do what through the gateway, and what went wrong. `ARGS=agents` does a part of it.

Ends with 0 if all passed, 1 if not, 2 if it could not be run: an unknown part, no Node.js, no registry.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.smoke import agents, emulators, libraries, packages, wires
from tests.smoke.acting import Actor
from tests.smoke.front import entry, front
from tests.smoke.packages import NEEDS, Missing, say
from tests.smoke.rows import Row, table, told


def main() -> int:
    wanted = sys.argv[1:] or list(NEEDS)
    try:
        if wanted == ["--renew"]:
            packages.renew()
            return 0
        if unknown := set(wanted) - set(NEEDS):
            raise Missing(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(NEEDS)}, and --renew")
        packages.install(wanted)
        say(", ".join(f"{name} {version}" for name, version in packages.versions(wanted).items()))
        return _tell(wanted)
    except Missing as missing:
        sys.stderr.write(f"make smoke: {missing}\n")
        return 2


def _tell(wanted: list[str]) -> int:
    started = time.monotonic()
    rows = _rows(wanted)
    say(table(rows) + "\n")
    failures = [row for row in rows if row.wrong]
    for client, upstream, wrong in failures:
        say(f"FAILED {client} at {upstream}: {wrong}")
    say(f"{len(rows) - len(failures)} of {len(rows)} passed in {time.monotonic() - started:.0f} s")
    return 1 if failures else 0


def _rows(wanted: list[str]) -> list[Row]:
    rows = []
    actor = Actor()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        url = stack.enter_context(emulators.aimock(folder)) if "emulators" in wanted else ""
        made = stack.enter_context(front(folder / "home", actor))
        cohere = stack.enter_context(wires.cohere())
        made.serve(entry("cohere", cohere) + (emulators.document(url) if url else ""))
        if "agents" in wanted:
            rows += told(agents.check(made, actor))
        if "emulators" in wanted:
            rows += told(emulators.check(made))
        if "libraries" in wanted:
            rows += told(libraries.check(made))
        if "wires" in wanted:
            rows += told(wires.check(made, cohere))
    return rows


if __name__ == "__main__":
    sys.exit(main())
