"""`make chaos`: every fault in its long form, and a table of what was promised and what was measured.

Ends with 1 if a promise was not kept. `--short` is the form that `make test` runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.faults import lab
from tests.faults.rows import Row, number_of, table
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="seconds, not minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", metavar="R-REL-01", help="numbers of promises")
    options = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if not options.only or number_of(scenario) in options.only]
    if not chosen:
        parser.error("there is no scenario of that number")
    homes = os.environ["JACKFIELD_TEST_HOMES"] = tempfile.mkdtemp(prefix="jackfield-chaos-")
    rows: list[Row] = []
    try:
        for scenario in chosen:
            started = time.monotonic()
            rows.append(scenario("short" if options.short else "long", options.seed))
            print(f"{scenario.__name__}: {time.monotonic() - started:.0f} s, {rows[-1].measured}", file=sys.stderr)
    finally:  # what was measured is told, also where a scenario could not go on
        print(f"seed {options.seed}\n\n{table(rows)}", flush=True)
        lab.close()
        shutil.rmtree(homes, ignore_errors=True)
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
