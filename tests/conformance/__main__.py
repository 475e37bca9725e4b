"""`make conformance`: pass and fail per provider and feature, for every client dialect, with each failure explained."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent.parent.parent)]

from conformance.explained import EXPLAINED  # noqa: E402 - found through the lines above
from conformance.recordings import cases  # noqa: E402 - found through the lines above
from conformance.runs import DIALECTS, running  # noqa: E402 - found through the lines above


def main() -> int:
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    told: dict[str, Counter[str]] = defaultdict(Counter)
    failures = []
    unexplained = 0
    asked = [
        (case, dialect)
        for case in cases()
        if only in f"{case['family']} {case['provider']} {case['api']} {case['id']}"
        for dialect in DIALECTS
    ]
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home") as run:
        for case, dialect, wrong in run.all(asked):
            outcome = f"{dialect} {'fail' if wrong else 'pass'}"
            names = [f"{case['family']}: {case['provider']}", *(f"feature {name}" for name in case["features"]), "all"]
            for name in names:
                told[name][outcome] += 1
            if wrong:
                why = EXPLAINED.get((case["id"], dialect))
                unexplained += why is None
                failures.append(f"{case['id']} ({case['api']}) to {dialect}: {'; '.join(wrong)}\n    {why or 'WHY?'}")
    print(f"{'':44}" + "".join(f"{dialect:>22}" for dialect in DIALECTS))
    for name in sorted(told):
        row = told[name]
        cells = [f"{row[f'{d} pass']}/{row[f'{d} pass'] + row[f'{d} fail']}" for d in DIALECTS]
        print(f"{name:44}" + "".join(f"{cell:>22}" for cell in cells))
    print(*sorted(failures), sep="\n")
    passed = sum(count for name, count in told["all"].items() if name.endswith("pass"))
    print(f"{passed} of {len(asked)} passed, {unexplained} failures are not explained")
    return 0 if passed >= 0.98 * len(asked) and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
